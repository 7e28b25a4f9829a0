//! Records into one topic, keyed as the service expects: for commands, not for the service's own outputs.
//!
//! **Invariant:** what [`Sender::finish`] says to be delivered is with Kafka; the order of a key's records is kept.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::error::{Call, Failure};
use super::partitioner::partition;
use super::settings::{Logged, Settings};
use super::topics::{TopicError, Topics};
use crate::id::TopicName;

/// How long the last records may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why records could not be sent.
#[derive(thiserror::Error, Debug)]
pub enum SendError {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("topic `{0}` does not exist; `segmentd topics` shows those that do")]
    Missing(TopicName),
    #[error(transparent)]
    Refused(#[from] Failure),
    #[error("{count} records were not delivered; the first: {why}")]
    Undelivered { count: u64, why: Failure },
}

/// Sends to the partition that Java's clients would choose.
pub struct Sender {
    producer: BaseProducer<Deliveries>,
    topic: TopicName,
    partitions: u32,
}

#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
    why: OnceLock<KafkaError>,
}

impl rdkafka::ClientContext for Deliveries {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        Logged.log(level, facility, line);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.why.get_or_init(|| error.clone());
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Sender {
    pub fn connect(settings: &Settings, topic: &TopicName) -> Result<Sender, SendError> {
        let existing = Topics::connect(settings)?.existing()?;
        let partitions = existing.partitions.get(&*topic.0).ok_or_else(|| SendError::Missing(topic.clone()))?;
        let mut config = settings.admin();
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("compression.type", "lz4");
        let producer = config.create_with_context(Deliveries::default()).map_err(|e| Failure::new(Call::Connect, &e))?;
        Ok(Sender { producer, topic: topic.clone(), partitions: u32::try_from(*partitions).unwrap_or(1) })
    }

    /// Waits while the client has no room. `None`: a tombstone.
    pub fn send(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), SendError> {
        let to = partition(key, self.partitions).0;
        let mut record = BaseRecord::to(&self.topic.0).partition(to).key(key);
        record.payload = value;
        while let Err((error, refused)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(Failure::new(Call::Send, &error).into());
            }
            self.producer.poll(Duration::from_millis(10));
            record = refused;
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Lets records go out and come back acknowledged for a while.
    pub fn poll(&self, wait: Duration) {
        self.producer.poll(wait);
    }

    /// Waits until every record is with Kafka.
    pub fn finish(&self) -> Result<(), SendError> {
        self.producer.flush(PATIENCE).map_err(|e| Failure::new(Call::Deliver, &e))?;
        let deliveries = self.producer.context();
        match deliveries.why.get() {
            None => Ok(()),
            Some(why) => {
                let count = deliveries.failed.load(Ordering::Relaxed);
                Err(SendError::Undelivered { count, why: Failure::new(Call::Deliver, why) })
            }
        }
    }
}
