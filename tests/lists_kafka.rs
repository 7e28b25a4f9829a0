//! A list that stands in a compacted topic, against a real Apache Kafka and `segmentd` itself: it changes while the service runs
//! and while it is down.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::client::{Read, create_topic};
use support::scene::Scene;

const LIST: &str = "crm.vip";

#[test]
fn who_comes_on_a_list_in_a_topic_or_leaves_it_moves_once_also_while_the_service_is_down() {
    let mut scene = Scene::new(2);
    // Other partitions than the input has: a list is read whole.
    create_topic(scene.broker.bootstrap(), LIST, 3);
    scene.define("segments: [{key: vip, when: 'list(\"vip\") and count(orders lifetime) > 0'}]");
    let lists = scene.states.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    std::fs::write(lists.join("vip.topic"), format!("# of the CRM\n{LIST}\n")).unwrap();
    let config = scene.configure(&format!("127.0.0.1:{}", support::kafka::free_port()));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}lists: {}\n", lists.display())).unwrap();

    listed(&scene, &["c-1", "c-2", "never-seen", &"x".repeat(2_000)], &[]);
    let mut service = scene.run(&config, "a");
    scene.send_orders(1);
    assert_eq!(moved(scene.await_transitions(2, Duration::from_secs(60))), ["c-1 entered event", "c-2 entered event"]);
    listed(&scene, &["c-3"], &["c-1", "never-seen"]);
    assert_eq!(moved(&scene.await_transitions(4, Duration::from_secs(60))[2..]), ["c-1 exited list", "c-3 entered list"]);

    // As topics are made when nobody says otherwise.
    assert!(scene.logs().contains("cleanup.policy=delete retention.ms=604800000"), "{}", scene.logs());

    service.kill();
    listed(&scene, &["c-1", "c-4"], &["c-2"]);
    // Another machine, that has nothing but the topics.
    let mut service = scene.run(&config, "b");
    let records = scene.await_transitions(7, Duration::from_secs(60));
    assert_eq!(moved(&records[4..]), ["c-1 entered list", "c-2 exited list", "c-4 entered list"]);
    let numbers: BTreeSet<String> =
        records.iter().map(|read| format!("{} {}", customer(read), read.json()["properties"]["sequence"])).collect();
    assert_eq!(numbers.len(), 7, "no number comes twice");
    service.terminate();
}

fn listed(scene: &Scene, on: &[&str], off: &[&str]) {
    on.iter().for_each(|id| scene.send(LIST, None, id, Some(b"{}")));
    off.iter().for_each(|id| scene.send(LIST, None, id, None));
    scene.flush();
}

fn customer(read: &Read) -> String {
    read.json()["properties"]["customer"].as_str().unwrap().to_owned()
}

/// `ann entered list`, in order of customers.
fn moved(records: &[Read]) -> Vec<String> {
    let tell = |read: &Read| {
        let properties = read.json()["properties"].clone();
        let part = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", part("customer"), part("transition"), part("cause"))
    };
    let mut moved: Vec<String> = records.iter().map(tell).collect();
    moved.sort();
    moved
}
