//! A producer outside of transactions, for what nothing is decided by.
//!
//! **Invariant:** no state and no transition goes out through it.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::error::{Call, Failure};
use super::producer::Record;
use super::settings::Settings;

pub struct PlainProducer(BaseProducer<DefaultProducerContext>);

impl PlainProducer {
    pub fn connect(settings: &Settings) -> Result<PlainProducer, Failure> {
        settings.plain_producer().create().map(PlainProducer).map_err(|e| Failure::new(Call::Connect, &e))
    }

    /// Queues a record; its headers and its timestamp are not sent.
    pub fn send(&self, record: &Record<'_>) -> Result<(), Failure> {
        let mut outgoing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(record.topic).partition(record.partition);
        outgoing.key = record.key;
        outgoing.payload = record.value;
        self.0.send(outgoing).map_err(|(e, _)| Failure::new(Call::Send, &e))
    }

    /// Waits until everything is delivered, or given up.
    pub fn flush(&self, wait: Duration) -> Result<(), Failure> {
        self.0.flush(wait).map_err(|e| Failure::new(Call::Deliver, &e))
    }
}
