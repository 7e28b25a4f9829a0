//! A reload that names an entry topic for the first time, against a real Apache Kafka and `segmentd` itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::client::{Read, Tail, exists};
use support::scene::{CUSTOMERS, Scene};
use support::service::ENTRIES;

#[test]
fn entries_go_to_a_topic_that_a_reload_names_and_the_service_makes() {
    let mut scene = Scene::new(2);
    scene.define("segments: [{key: once, when: 'count(orders lifetime) > 0'}]");
    let config = scene.configure(&format!("127.0.0.1:{}", support::kafka::free_port()));
    let mut service = scene.run(&config, "a");
    scene.send_orders(1);
    scene.await_transitions(CUSTOMERS, Duration::from_secs(60));
    assert!(!exists(scene.broker.bootstrap(), "spring"));

    let twice = "{key: twice, when: 'count(orders lifetime) > 1', entry_topic: spring}";
    scene.define(&format!("segments: [{{key: once, when: 'count(orders lifetime) > 0'}}, {twice}]"));
    service.signal("-HUP");
    scene.send_orders(1);
    scene.await_transitions(2 * CUSTOMERS, Duration::from_secs(60));
    let entered = |topic: &str| {
        let mut tail = Tail::open(scene.broker.bootstrap(), topic);
        assert!(tail.read_until(CUSTOMERS, Duration::from_secs(30)), "{} in {topic}\n{}", tail.records.len(), scene.logs());
        let text = |read: &Read, key: &str| read.json()["properties"][key].as_str().unwrap().to_owned();
        let customers: BTreeSet<String> = tail.records.iter().map(|read| text(read, "customer")).collect();
        let segments: BTreeSet<String> = tail.records.iter().map(|read| text(read, "segment")).collect();
        let partitions: BTreeSet<i32> = tail.records.iter().map(|read| read.partition).collect();
        (customers.len(), tail.records.len(), segments.into_iter().collect::<Vec<_>>(), partitions.len())
    };
    assert_eq!(entered("spring"), (CUSTOMERS, CUSTOMERS, vec!["twice".to_owned()], 2));
    assert_eq!(entered(ENTRIES), (CUSTOMERS, CUSTOMERS, vec!["once".to_owned()], 2));
    service.terminate();
}
