//! What stands outside of the service: somebody who writes inputs, and a `read_committed` reader of outputs.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A record as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

impl Read {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap_or(b"null")).expect("JSON")
    }
}

/// The code and the body that a path answers; `None`: nobody listens there, or it broke off.
pub fn ask(http: &str, path: &str) -> Option<(u16, String)> {
    let answer = get(http, path);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// What a path answers; nothing while nobody listens there.
pub fn get(http: &str, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(http) {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").expect("a request");
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("admin");
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created = block_on(admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))));
    created.expect("create").into_iter().for_each(|topic| drop(topic.expect("created")));
}

/// Deletes a topic and waits until it is gone.
pub fn delete_topic(bootstrap: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("admin");
    let deleted = block_on(admin.delete_topics(&[topic], &AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))));
    deleted.expect("delete").into_iter().for_each(|topic| drop(topic.expect("deleted")));
    while exists(bootstrap, topic) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Is there such a topic by now?
pub fn exists(bootstrap: &str, topic: &str) -> bool {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("client");
    consumer.fetch_metadata(None, Duration::from_secs(10)).is_ok_and(|metadata| metadata.topics().iter().any(|found| found.name() == topic))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}

/// Writes input records, placed by murmur2 of the key as Java's producers do, unless a partition is named.
pub struct Writer(BaseProducer);

impl Writer {
    pub fn connect(bootstrap: &str) -> Writer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("partitioner", "murmur2_random").set("enable.idempotence", "true");
        Writer(config.set("linger.ms", "5").set("queue.buffering.max.messages", "1000000").create().expect("producer"))
    }

    pub fn send(&self, topic: &str, partition: Option<i32>, key: &str, value: Option<&[u8]>) {
        loop {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).key(key);
            record.payload = value;
            record.partition = partition;
            match self.0.send(record) {
                Ok(()) => return self.0.poll(Duration::ZERO),
                Err((KafkaError::MessageProduction(_), _)) => self.0.poll(Duration::from_millis(10)),
                Err((error, _)) => panic!("{error}"),
            }
        }
    }

    pub fn flush(&self) {
        self.0.flush(Duration::from_secs(60)).expect("flush");
    }
}

/// Everything that is committed in a topic now.
pub fn read_all(bootstrap: &str, topic: &str) -> Vec<Read> {
    let mut tail = Tail::open(bootstrap, topic);
    tail.read_to_end();
    tail.records
}

/// Reads a topic as it grows.
pub struct Tail {
    consumer: BaseConsumer,
    ended: Vec<bool>,
    pub records: Vec<Read>,
}

impl Tail {
    pub fn open(bootstrap: &str, topic: &str) -> Tail {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", "outside").set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50");
        let consumer: BaseConsumer = config.create().expect("consumer");
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).expect("metadata");
        let count = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..count {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("offset");
        }
        consumer.assign(&list).expect("assign");
        Tail { consumer, ended: vec![false; count], records: Vec::new() }
    }

    /// Reads for up to `wait`; `false`: nothing came.
    pub fn poll(&mut self, wait: Duration) -> bool {
        match self.consumer.poll(wait) {
            Some(Ok(record)) => {
                let headers = record.headers().map(|headers| {
                    headers.iter().map(|h| (h.key.to_string(), String::from_utf8_lossy(h.value.unwrap_or(b"")).into_owned())).collect()
                });
                self.ended[record.partition() as usize] = false;
                self.records.push(Read {
                    partition: record.partition(),
                    key: record.key().map(<[u8]>::to_vec),
                    value: record.payload().map(<[u8]>::to_vec),
                    headers: headers.unwrap_or_default(),
                });
                true
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.ended[partition as usize] = true;
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    pub fn read_to_end(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.ended.iter().any(|ended| !ended) {
            self.poll(Duration::from_millis(100));
            assert!(Instant::now() < deadline, "a reader saw no end: some transaction is still open");
        }
    }

    /// Reads until there are `count` records, for at most `patience`.
    pub fn read_until(&mut self, count: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.records.len() < count && Instant::now() < deadline {
            self.poll(Duration::from_millis(100));
        }
        self.records.len() >= count
    }
}
