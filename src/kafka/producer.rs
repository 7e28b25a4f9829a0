//! The transactional producer of one lane: each call of KIP-98 once, without a decision.
//!
//! The order that the lane keeps to, with the reason for each step:
//!
//! ```text
//! begin → send … → drain → offsets → drain → commit
//!                    │        │        └ commit waits in slices of 100 ms while records are in flight
//!                    │        └ the fence: refused when the group has moved on, also if no offset moved
//!                    └ offsets that are refused while records are in flight purge them; the next transaction fails
//! ```
//!
//! **Invariant:** a record that was refused or not delivered is never forgotten: [`TransactionalProducer::drain`]
//! reports it, because librdkafka's commit may return Ok without it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::error::{Call, Failure};
use super::ffi::{self, GroupMetadata};
use super::settings::{Logged, Settings};

/// One wait for records in flight; what was not delivered is noticed after it.
const FLUSH: Duration = Duration::from_millis(20);

/// A record on its way out.
#[derive(Clone, Copy, Default)]
pub struct Record<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Milliseconds since 1970; `None`: now.
    pub timestamp: Option<i64>,
}

/// One lane's producer.
pub struct TransactionalProducer {
    inner: BaseProducer<Deliveries>,
    id: String,
}

/// The first record of the open transaction that was not delivered. Only failures are reported: a report for each of
/// some ten thousand records a transaction cost the lane a tenth of its time.
#[derive(Default)]
struct Deliveries(Mutex<Option<Failure>>);

impl Deliveries {
    fn failed(&self) -> MutexGuard<'_, Option<Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        Logged.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logged.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed().get_or_insert_with(|| Failure::new(Call::Deliver, error));
        }
    }
}

impl TransactionalProducer {
    /// Creates the client; nothing is fenced before [`Self::init`].
    pub fn connect(settings: &Settings, transactional_id: &str) -> Result<TransactionalProducer, Failure> {
        let config = settings.producer(transactional_id);
        let inner = config.create_with_context(Deliveries::default()).map_err(|e| Failure::new(Call::Connect, &e))?;
        Ok(TransactionalProducer { inner, id: transactional_id.into() })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Fences every older producer of this id and finishes what it left open. To be called again after a timeout.
    pub fn init(&self, wait: Duration) -> Result<(), Failure> {
        self.inner.init_transactions(wait).map_err(|e| Failure::new(Call::Init, &e))
    }

    pub fn begin(&self) -> Result<(), Failure> {
        *self.inner.context().failed() = None;
        self.inner.begin_transaction().map_err(|e| Failure::new(Call::Begin, &e))
    }

    /// Queues a record. A full queue is waited for; any other refusal has to abort the transaction.
    pub fn send(&self, record: &Record<'_>) -> Result<(), Failure> {
        loop {
            match self.inner.send(native(record)) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => self.inner.poll(Duration::from_millis(1)),
                Err((error, _)) => return Err(Failure::new(Call::Send, &error)),
            }
        }
    }

    /// Sends what is queued, and waits a moment for it. `Ok(true)`: nothing is in flight any more.
    pub fn drain(&self) -> Result<bool, Failure> {
        if self.inner.in_flight_count() > 0 {
            ffi::flush(&self.inner, FLUSH);
            self.inner.poll(Duration::ZERO);
        }
        match self.inner.context().failed().take() {
            Some(failure) => Err(failure),
            None => Ok(self.inner.in_flight_count() == 0),
        }
    }

    /// Adds input offsets, fenced by member and generation.
    pub fn send_offsets(&self, offsets: &TopicPartitionList, metadata: &GroupMetadata, wait: Duration) -> Result<(), Failure> {
        ffi::send_offsets(&self.inner, offsets, metadata, wait)
    }

    pub fn commit(&self, wait: Duration) -> Result<(), Failure> {
        self.inner.commit_transaction(wait).map_err(|e| Failure::new(Call::Commit, &e))
    }

    /// Only after a drain: on its own it waits for reports that nobody serves.
    pub fn abort(&self, wait: Duration) -> Result<(), Failure> {
        self.inner.abort_transaction(wait).map_err(|e| Failure::new(Call::Abort, &e))
    }

    /// The client is unusable, and says so.
    pub fn is_fatal(&self) -> bool {
        self.inner.client().fatal_error().is_some()
    }
}

fn native<'a>(record: &Record<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let mut native = BaseRecord::to(record.topic).partition(record.partition);
    native.key = record.key;
    native.payload = record.value;
    native.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        native.headers = Some(record.headers.iter().fold(headers, |all, (key, value)| all.insert(Header { key, value: Some(*value) })));
    }
    native
}
