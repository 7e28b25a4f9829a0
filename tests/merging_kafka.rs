//! Ids that turn out to be one customer's, against a real Apache Kafka and `segmentd` itself: over two partitions, through
//! kills and restores from nothing but the topics; and the erasure of such a customer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use segmentd::kafka::partitioner::partition;
use segmentd::runtime::crash::VARIABLE;
use serde_json::{Value, json};
use support::client::{Read, read_all};
use support::scene::Scene;
use support::service::{CHANGELOG, ENTRIES, INPUT, MEMBERSHIP};

const PAIRS: usize = 40;

#[test]
fn two_ids_become_one_customer_through_kills_and_are_erased_together() {
    let mut scene = Scene::new(2);
    scene.define("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}, {key: thrice, when: 'count(orders lifetime) > 2'}]");
    let config = scene.configure(&format!("127.0.0.1:{}", support::kafka::free_port()));
    let across = (0..PAIRS).filter(|n| home(&anon(*n)) != home(&anna(*n))).count();
    assert!(across > 5 && across < PAIRS - 5, "{across} pairs are of two partitions");

    let mut service = scene.run(&config, "a");
    for n in 0..PAIRS {
        order(&scene, &anon(n), n, 1);
        order(&scene, &anon(n), n, 2);
        alias(&scene, &anon(n), n);
        // A straggler.
        order(&scene, &anon(n), n, 3);
    }
    scene.flush();
    scene.await_transitions(30, Duration::from_secs(90));
    service.kill();
    let mut service = scene.run(&config, "b");
    scene.await_transitions(4 * PAIRS, Duration::from_secs(120));
    // No news; and one that a partition gets that neither id belongs to, maybe.
    (0..PAIRS).for_each(|n| order(&scene, &anna(n), n, 4));
    alias(&scene, "somewhere", 0);
    check(&scene);

    // Who is erased under either id is gone under both, also for what comes late.
    erase(&scene, &anon(0));
    erase(&scene, &anna(1));
    scene.await_transitions(4 * PAIRS + 4, Duration::from_secs(60));
    for n in [0, 1] {
        order(&scene, &anon(n), n, 5);
        order(&scene, &anna(n), n, 6);
    }
    order(&scene, "last", PAIRS, 1);
    scene.await_transitions(4 * PAIRS + 5, Duration::from_secs(60));
    service.kill();
    let mut service = scene.run(&config, "c");
    order(&scene, &anon(2), 2, 7);
    order(&scene, "later", PAIRS + 1, 1);
    scene.await_transitions(4 * PAIRS + 6, Duration::from_secs(90));
    service.terminate();
    for id in [anon(0), anna(0), anon(1), anna(1)] {
        assert_eq!(traces(&scene, &id), Vec::<String>::new());
    }
    assert!(!traces(&scene, &anon(2)).is_empty(), "others are there");
    assert_eq!(members(&scene, &anna(2)), ["buyer", "thrice"]);
}

/// More than a record holds goes in parts, one a transaction here, with a crash behind two of them and one behind three, and an order of
/// the other id's before they are all there: what is told is what one merge leads to.
#[test]
fn a_large_history_is_merged_at_once_though_the_service_dies_between_its_parts() {
    let mut scene = Scene::new(1);
    let rules =
        ["{key: few, when: 'count(orders.coupon last 3650d) between 1 and 2000'}", "{key: many, when: 'count(orders last 3650d) > 2500'}"];
    scene.define(&format!("segments: [{}]", rules.join(", ")));
    (0..LARGE).for_each(|order| large_order(&scene, &anon(0), order));
    scene.flush();
    let one_at_once = [("SERVICE_LANES", "1"), ("SERVICE_MAX_EVENTS", "1")];
    let mut service = scene.service("a", &one_at_once[..1]);
    scene.await_transitions(3, Duration::from_secs(60));
    service.terminate();

    alias(&scene, &anon(0), 0);
    large_order(&scene, &anna(0), LARGE);
    scene.flush();
    // The first commit is the alias', the second that of the order, which was read with it.
    die_behind(&scene, &one_at_once, "after_commit:4");
    die_behind(&scene, &one_at_once, "after_commit:3");
    let mut service = scene.service("a", &one_at_once);
    scene.await_transitions(7, Duration::from_secs(60));
    large_order(&scene, "last", 1);
    scene.flush();
    scene.await_transitions(8, Duration::from_secs(60));
    service.terminate();
    let told = told(&scene, support::service::TRANSITIONS);
    assert_eq!(told[&anon(0)], ["few entered 1 event", "few exited 2 event", "many entered 1 event", "many exited 2 merge"]);
    assert_eq!(told[&anna(0)], ["few entered 1 late_event", "many entered 1 merge", "few exited 2 merge"], "{}", scene.logs());
    let parts = read_all(scene.broker.bootstrap(), "segmentd-repartition");
    assert!(parts.len() > 3 && parts.iter().all(|part| part.headers["segmentd-parcel"].contains("\"part\"")), "{} records", parts.len());
}

const LARGE: usize = 3_000;

/// An order with so long a coupon that three thousand do not fit a record.
fn large_order(scene: &Scene, customer: &str, order: usize) {
    let (id, at) = (format!("l-{order}"), format!("2026-01-01T{:02}:{:02}:{:02}Z", order / 3_600, order / 60 % 60, order % 60));
    let coupon = format!("{order:0>400}");
    let properties = json!({"order_id": id, "total": 20, "coupon": coupon});
    let record = json!({"type": "track", "event": "Order Completed", "messageId": id, "userId": customer, "timestamp": at, "properties": properties});
    send(scene, customer, &record);
}

fn die_behind(scene: &Scene, environment: &[(&str, &str)], point: &str) {
    let mut service = scene.service("a", &[environment, &[(VARIABLE, point)]].concat());
    assert!(scene.await_end(&mut service, Duration::from_secs(60)), "{}", scene.logs());
}

fn anon(n: usize) -> String {
    format!("anon-{n}@example.org")
}

fn anna(n: usize) -> String {
    format!("anna-{n}@example.org")
}

fn home(id: &str) -> i32 {
    partition(id.as_bytes(), 2).0
}

fn send(scene: &Scene, customer: &str, record: &Value) {
    scene.send(INPUT, None, customer, Some(record.to_string().as_bytes()));
}

fn order(scene: &Scene, customer: &str, n: usize, order: usize) {
    let (id, at) = (format!("o-{n}-{order}"), format!("2026-01-0{order}T10:00:00Z"));
    send(
        scene,
        customer,
        &json!({"type": "track", "event": "Order Completed", "messageId": id, "userId": customer, "timestamp": at, "properties": {"order_id": id, "total": 20}}),
    );
    scene.flush();
}

fn alias(scene: &Scene, key: &str, n: usize) {
    let at = "2026-01-02T11:00:00Z";
    send(
        scene,
        key,
        &json!({"type": "alias", "messageId": format!("alias-{n}"), "previousId": anon(n), "userId": anna(n), "timestamp": at}),
    );
}

fn erase(scene: &Scene, customer: &str) {
    send(scene, customer, &json!({"type": "delete", "userId": customer, "timestamp": "2026-02-01T10:00:00Z"}));
    scene.flush();
}

/// By customer: what was told, in order.
fn told(scene: &Scene, topic: &str) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in read_all(scene.broker.bootstrap(), topic) {
        let json = record.json();
        let properties = &json["properties"];
        let text = |key: &str| properties[key].as_str().unwrap().to_owned();
        let line = format!("{} {} {} {}", text("segment"), text("transition"), properties["sequence"], text("cause"));
        told.entry(text("customer")).or_default().push(line);
    }
    told
}

fn check(scene: &Scene) {
    let (told, entries) = (told(scene, support::service::TRANSITIONS), told(scene, ENTRIES));
    for n in 0..PAIRS {
        let anon_told = &told[&anon(n)];
        assert!(anon_told.len() == 2 && anon_told[0].starts_with("buyer entered 1"), "{n}: {anon_told:?}\n{}", scene.logs());
        assert_eq!(anon_told[1], "buyer exited 2 merge");
        let anna_told = &told[&anna(n)];
        assert!(anna_told.len() == 2 && anna_told[0] == "buyer entered 1 merge", "{n}: {anna_told:?}\n{}", scene.logs());
        assert!(anna_told[1].starts_with("thrice entered 1"), "{n}: {anna_told:?}");
        let heard = [&anon(n), &anna(n)].map(|id| entries[id].iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>());
        assert_eq!(heard, [["buyer"], ["thrice"]], "campaigns heard of each once");
        assert_eq!(members(scene, &anna(n)), ["buyer", "thrice"]);
        assert_eq!(members(scene, &anon(n)), Vec::<String>::new());
    }
}

/// The last record of each key.
fn compacted(scene: &Scene, topic: &str) -> BTreeMap<(i32, Vec<u8>), Option<Vec<u8>>> {
    let records = read_all(scene.broker.bootstrap(), topic).into_iter();
    records.map(|Read { partition, key, value, .. }| ((partition, key.unwrap_or_default()), value)).collect()
}

fn members(scene: &Scene, id: &str) -> Vec<String> {
    let records = compacted(scene, MEMBERSHIP);
    let Some(Some(value)) = records.get(&(home(id), id.as_bytes().to_vec())) else { return Vec::new() };
    let value: Value = serde_json::from_slice(value).unwrap();
    value["segments"].as_object().unwrap().keys().cloned().collect()
}

/// What compaction leaves that names an id.
fn traces(scene: &Scene, id: &str) -> Vec<String> {
    let holds = |bytes: &[u8]| bytes.windows(id.len()).any(|window| window == id.as_bytes());
    let records = [CHANGELOG, MEMBERSHIP].into_iter().flat_map(|topic| compacted(scene, topic));
    let kept = records.filter_map(|((_, key), value)| Some([key, value?].concat()));
    kept.filter(|bytes| holds(bytes)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}
