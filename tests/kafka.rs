//! The service against a real Apache Kafka.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::client::{Tail, Writer, create_topic, read_all};
use support::kafka::Broker;
use support::service::{INPUT, Service, TRANSITIONS, serve};
use tempfile::TempDir;

#[test]
#[ignore = "started by the other tests as a process of its own"]
fn the_service_itself() {
    serve();
}

/// `orders` of each of `customers` customers, one after the other for all of them, from `first` on.
fn send_orders(writer: &Writer, customers: usize, orders: std::ops::Range<usize>) {
    for order in orders {
        for customer in 0..customers {
            let minute = order % 60;
            let (hour, day) = (order / 60 % 24, 1 + order / 1440);
            let value = format!(
                r#"{{"type":"track","event":"Order Completed","messageId":"m-{customer}-{order}","userId":"c-{customer}","timestamp":"2026-01-{day:02}T{hour:02}:{minute:02}:00.000Z","properties":{{"order_id":"o-{customer}-{order}","total":20}}}}"#
            );
            writer.send(INPUT, None, &format!("c-{customer}"), Some(value.as_bytes()));
        }
    }
    writer.flush();
}

/// Each customer's sequences, in the order in which they stand in the topic.
fn sequences(bootstrap: &str) -> BTreeMap<String, Vec<u64>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in read_all(bootstrap, TRANSITIONS) {
        let json = record.json();
        let customer = json["properties"]["customer"].as_str().unwrap().to_string();
        found.entry(customer).or_default().push(json["properties"]["sequence"].as_u64().unwrap());
    }
    found
}

fn assert_each_once(bootstrap: &str, customers: usize, orders: usize) {
    let found = sequences(bootstrap);
    assert_eq!(found.len(), customers);
    let expected: Vec<u64> = (1..=orders as u64).collect();
    for (customer, sequences) in found {
        assert_eq!(sequences, expected, "{customer}: lost or doubled");
    }
}

#[test]
fn every_event_leads_to_its_transition_once() {
    let broker = Broker::start();
    create_topic(broker.bootstrap(), INPUT, 4);
    let writer = Writer::connect(broker.bootstrap());
    send_orders(&writer, 50, 0..20);
    let states = TempDir::new().unwrap();
    let mut service = Service::start(broker.bootstrap(), &states.path().join("a"), &[]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline && std::fs::read_to_string(states.path().join("a.log")).is_ok_and(|log| !log.contains("task is running")) {
        assert!(!service.has_ended(), "{}", std::fs::read_to_string(states.path().join("a.log")).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut tail = Tail::open(broker.bootstrap(), TRANSITIONS);
    let all = tail.read_until(1000, Duration::from_secs(30));
    let stopped = service.terminate();
    eprintln!("stopped in {stopped:?}; {}", std::fs::read_to_string(states.path().join("a.log")).unwrap());
    assert!(all, "only {} of 1000", tail.records.len());
    assert_each_once(broker.bootstrap(), 50, 20);
    assert!(stopped < Duration::from_secs(5), "{stopped:?}");
}
