//! The history against a real Apache Kafka and `segmentd` itself: what is told of the past is what the transitions topic says, each
//! record once, through kills and from an empty folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::client::{ask, read_all};
use support::scene::{CUSTOMERS, Scene};
use support::service::TRANSITIONS;

#[test]
fn the_past_is_told_as_the_topic_says_it_through_kills_and_from_nothing() {
    let mut scene = Scene::new(4);
    let http = format!("127.0.0.1:{}", support::kafka::free_port());
    let config = scene.configure(&http);
    for round in 1..=3 {
        let mut service = scene.run(&config, "a");
        scene.send_orders(5);
        // Some of this round are committed, and some are read into the history: nobody knows how many.
        scene.await_transitions((10 * round - 6) * CUSTOMERS, Duration::from_secs(60));
        service.kill();
    }
    let mut service = scene.run(&config, "a");
    scene.send_orders(1);
    scene.await_all(Duration::from_secs(60));
    let topic = told_by_topic(&scene);
    assert_told(&http, &topic);
    await_customers(&http);
    service.terminate();

    // Another machine, that has nothing but the topics.
    let mut service = scene.run(&config, "b");
    assert_told(&http, &topic);
    await_customers(&http);
    service.terminate();
}

/// Waits until the metrics say how many customers there are, whether they came while the process ran or were there before.
fn await_customers(http: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let line = format!("segmentd_state_customers {CUSTOMERS}\n");
    while !ask(http, "/metrics").is_some_and(|(_, text)| text.contains(&line)) {
        assert!(Instant::now() < deadline, "no `{line}`");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every customer's transitions, from the newest on, as lines.
fn told_by_topic(scene: &Scene) -> BTreeMap<String, Vec<Value>> {
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in read_all(scene.broker.bootstrap(), TRANSITIONS) {
        let mut line = record.json()["properties"].clone();
        let members = line.as_object_mut().unwrap();
        let segment = members.remove("audience_key").unwrap();
        members.remove(segment.as_str().unwrap());
        told.entry(String::from_utf8(record.key.unwrap()).unwrap()).or_default().insert(0, line);
    }
    assert_eq!(told.len(), CUSTOMERS);
    told
}

/// Waits until as much is told as there is, then holds it against the topic.
fn assert_told(http: &str, topic: &BTreeMap<String, Vec<Value>>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    for (customer, expected) in topic {
        let path = format!("/api/v1/customers/{customer}/timeline?limit=200");
        let told = loop {
            match json(http, &path) {
                Some(told) if told["transitions"].as_array().unwrap().len() >= expected.len() => break told,
                other => assert!(Instant::now() < deadline, "{customer}: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!((told["transitions"].as_array().unwrap(), &told["next"]), (expected, &Value::Null), "{customer}");
    }
    let of = |segment: &str, direction: &str| {
        let is_one = |line: &&Value| line["segment"] == segment && line["transition"] == direction;
        topic.values().flatten().filter(is_one).count() as u64
    };
    for segment in ["n1", "n15", "n16"] {
        // Members are counted in the moments after a start.
        let path = format!("/api/v1/segments/{segment}/history?step=1h");
        let told = loop {
            match json(http, &path) {
                Some(told) if !told["points"].as_array().and_then(|points| points.last()).unwrap()["members"].is_null() => break told,
                other => assert!(Instant::now() < deadline, "{segment}: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let points = told["points"].as_array().unwrap();
        let sum = |direction: &str| {
            points.iter().flat_map(|point| point[direction].as_object().unwrap().values()).map(|n| n.as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!((sum("entered"), sum("exited")), (of(segment, "entered"), of(segment, "exited")), "{segment}");
        let members = of(segment, "entered") - of(segment, "exited");
        assert_eq!(points.last().unwrap()["members"], members, "{segment}: {told}");
        assert_eq!(told["partitions"]["here"].as_array().unwrap().len(), 4);
    }
}

fn json(http: &str, path: &str) -> Option<Value> {
    let (code, body) = ask(http, path)?;
    (code == 200).then(|| serde_json::from_str(&body).unwrap())
}
