//! A broker, an input topic, and a count of what was sent: what every test against Kafka begins with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Read, Tail, Writer, create_topic, exists, read_all};
use super::kafka::Broker;
use super::service::{INPUT, Service, TRANSITIONS};

pub const CUSTOMERS: usize = 40;
/// No scene sends more orders to a customer.
const MOST_ORDERS: usize = 300;

pub struct Scene {
    pub broker: Broker,
    pub states: TempDir,
    writer: Writer,
    tail: Option<Tail>,
    /// Orders of each customer that were sent.
    orders: usize,
}

impl Scene {
    pub fn new(partitions: i32) -> Scene {
        Scene::on(Broker::start(), partitions)
    }

    pub fn on(broker: Broker, partitions: i32) -> Scene {
        create_topic(broker.bootstrap(), INPUT, partitions);
        let writer = Writer::connect(broker.bootstrap());
        let states = TempDir::new().expect("a folder");
        // The n-th order leaves the segment of n − 1 and enters that of n: a lost or doubled order or transition shows.
        let segments = (1..=MOST_ORDERS).map(|n| format!("  - {{key: n{n}, when: 'count(orders lifetime) == {n}'}}\n"));
        fs::write(states.path().join("segments.yaml"), format!("segments:\n{}", segments.collect::<String>())).expect("segments");
        Scene { broker, states, writer, tail: None, orders: 0 }
    }

    /// Waits until something is so; a minute at most.
    pub fn await_that(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(60), "not {what} within a minute\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Other segments than those that count orders.
    pub fn define(&self, segments: &str) {
        fs::write(self.states.path().join("segments.yaml"), segments).expect("segments");
    }

    /// A service with a state folder of this name.
    pub fn service(&self, name: &str, environment: &[(&str, &str)]) -> Service {
        let segments = self.states.path().join("segments.yaml");
        let environment = [environment, &[("SERVICE_SEGMENTS", segments.to_str().expect("UTF-8"))]].concat();
        Service::start(self.broker.bootstrap(), &self.states.path().join(name), &environment)
    }

    /// A configuration that names these segments, and is told of changes by signals alone.
    pub fn configure(&self, http: &str) -> PathBuf {
        self.configure_as("segmentd", &format!("listen: \"{http}\""))
    }

    /// The same under a name of its own, with these settings of `http`.
    pub fn configure_as(&self, name: &str, http: &str) -> PathBuf {
        let path = self.states.path().join(format!("{name}.yaml"));
        let (bootstrap, segments) = (self.broker.bootstrap(), self.states.path().join("segments.yaml"));
        let text = format!(
            "kafka: {{bootstrap: \"{bootstrap}\"}}\nclock: {{follow_wall: false}}\nhttp: {{{http}}}\nsegments: [{}]\nwatch: 0s\n",
            segments.display()
        );
        fs::write(&path, text).expect("configuration");
        path
    }

    /// `segmentd run` with a state folder of this name.
    pub fn run(&self, config: &Path, name: &str) -> Service {
        Service::run(config, &self.states.path().join(name))
    }

    pub fn send(&self, topic: &str, partition: Option<i32>, key: &str, value: Option<&[u8]>) {
        self.writer.send(topic, partition, key, value);
    }

    pub fn flush(&self) {
        self.writer.flush();
    }

    /// After a restart of the broker: the old client would take its time to notice.
    pub fn reconnect(&mut self) {
        self.writer.flush();
        self.tail = None;
    }

    /// `count` more orders of every customer.
    pub fn send_orders(&mut self, count: usize) {
        self.send_orders_to(count, None);
    }

    pub fn send_orders_to(&mut self, count: usize, partition: Option<i32>) {
        for order in self.orders..self.orders + count {
            let (minute, hour, day) = (order % 60, order / 60 % 24, 1 + order / 1440);
            for customer in 0..CUSTOMERS {
                let value = format!(
                    r#"{{"type":"track","event":"Order Completed","messageId":"m-{customer}-{order}","userId":"c-{customer}","timestamp":"2026-01-{day:02}T{hour:02}:{minute:02}:00.000Z","properties":{{"order_id":"o-{customer}-{order}","total":20}}}}"#
                );
                self.writer.send(INPUT, partition, &format!("c-{customer}"), Some(value.as_bytes()));
            }
        }
        self.orders += count;
        self.writer.flush();
    }

    /// Waits until a reader has seen all transitions of the orders that were sent.
    pub fn await_all(&mut self, patience: Duration) {
        self.await_transitions((2 * self.orders - 1) * CUSTOMERS, patience);
    }

    /// Waits until a reader has seen `count` transitions; all that it has seen.
    pub fn await_transitions(&mut self, count: usize, patience: Duration) -> &[Read] {
        let deadline = Instant::now() + patience;
        self.await_outputs(patience);
        let seen = self.tail.as_mut().is_some_and(|tail| tail.read_until(count, deadline.saturating_duration_since(Instant::now())));
        let records = self.tail.as_ref().map_or(&[][..], |tail| &tail.records);
        assert!(seen, "only {} of {count} transitions after {patience:?}\n{}", records.len(), self.logs());
        records
    }

    /// Waits until the service has made its topics.
    pub fn await_outputs(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.tail.is_none() {
            assert!(Instant::now() < deadline, "no output topic after {patience:?}\n{}", self.logs());
            if exists(self.broker.bootstrap(), TRANSITIONS) {
                self.tail = Some(Tail::open(self.broker.bootstrap(), TRANSITIONS));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `false`: it still lives after `patience`.
    pub fn await_end(&self, service: &mut Service, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !service.has_ended() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// What the services wrote to their logs.
    pub fn logs(&self) -> String {
        let entries = fs::read_dir(self.states.path()).expect("a folder").flatten();
        let logs = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"));
        logs.map(|log| format!("── {}\n{}", log.path().display(), fs::read_to_string(log.path()).unwrap_or_default())).collect()
    }

    /// Each customer entered each of its segments once, and left all but the last once, in order.
    pub fn assert_each_once(&self) {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in read_all(self.broker.bootstrap(), TRANSITIONS) {
            let json = record.json();
            let properties = &json["properties"];
            let text = |key: &str| properties[key].as_str().expect("text").to_string();
            found.entry(text("customer")).or_default().push(format!(
                "{} {} {}",
                text("segment"),
                text("transition"),
                properties["sequence"]
            ));
        }
        assert_eq!(found.len(), CUSTOMERS);
        let mut expected: Vec<String> = (1..=self.orders).map(|n| format!("n{n} entered 1")).collect();
        expected.extend((1..self.orders).map(|n| format!("n{n} exited 2")));
        expected.sort();
        for (customer, mut transitions) in found {
            transitions.sort();
            assert_eq!(transitions, expected, "{customer}: lost or doubled\n{}", self.logs());
        }
    }
}
