//! A broker, an input topic, and a count of what was sent: what every test against Kafka begins with.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Tail, Writer, create_topic, read_all};
use super::kafka::Broker;
use super::service::{INPUT, Service, TRANSITIONS};

const CUSTOMERS: usize = 40;

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
        let broker = Broker::start();
        create_topic(broker.bootstrap(), INPUT, partitions);
        let writer = Writer::connect(broker.bootstrap());
        Scene { broker, states: TempDir::new().expect("a folder"), writer, tail: None, orders: 0 }
    }

    /// A service with a state folder of this name.
    pub fn service(&self, name: &str, environment: &[(&str, &str)]) -> Service {
        Service::start(self.broker.bootstrap(), &self.states.path().join(name), environment)
    }

    pub fn send(&self, topic: &str, partition: Option<i32>, key: &str, value: Option<&[u8]>) {
        self.writer.send(topic, partition, key, value);
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

    /// Waits until a reader has seen as many transitions as events were sent.
    pub fn await_all(&mut self, patience: Duration) {
        let expected = self.orders * CUSTOMERS;
        let deadline = Instant::now() + patience;
        while self.tail.is_none() && Instant::now() < deadline {
            if self.outputs_exist() {
                self.tail = Some(Tail::open(self.broker.bootstrap(), TRANSITIONS));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let found = self.tail.as_mut().map_or(0, |tail| {
            tail.read_until(expected, deadline.saturating_duration_since(Instant::now()));
            tail.records.len()
        });
        assert!(found >= expected, "only {found} of {expected} transitions after {patience:?}\n{}", self.logs());
    }

    fn outputs_exist(&self) -> bool {
        use rdkafka::consumer::Consumer;
        let consumer: rdkafka::consumer::BaseConsumer =
            rdkafka::ClientConfig::new().set("bootstrap.servers", self.broker.bootstrap()).create().expect("client");
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(10));
        metadata.is_ok_and(|metadata| metadata.topics().iter().any(|topic| topic.name() == TRANSITIONS))
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

    /// Each customer's sequences are 1, 2, 3 … in the order in which they stand in the topic.
    pub fn assert_each_once(&self) {
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for record in read_all(self.broker.bootstrap(), TRANSITIONS) {
            let json = record.json();
            let customer = json["properties"]["customer"].as_str().expect("customer").to_string();
            found.entry(customer).or_default().push(json["properties"]["sequence"].as_u64().expect("sequence"));
        }
        assert_eq!(found.len(), CUSTOMERS);
        let expected: Vec<u64> = (1..=self.orders as u64).collect();
        for (customer, sequences) in found {
            assert_eq!(sequences, expected, "{customer}: lost, doubled or out of order\n{}", self.logs());
        }
    }
}
