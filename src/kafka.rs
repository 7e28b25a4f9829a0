//! Kafka: settings, the consumer, the transactional producer, topics, and the records that go in and out.
//!
//! librdkafka underneath, by rdkafka where its safe interface reaches, by [`ffi`] where it does not. Everything here is
//! one call or one record; what is called in which order, and what follows from a failure, is `runtime`'s.
//!
//! **Invariant:** nothing here reads a clock, keeps state of a customer, or knows RocksDB.

pub mod consumer;
pub mod error;
pub mod ffi;
pub mod follower;
pub mod freshness;
pub mod partitioner;
pub mod plain;
pub mod producer;
pub mod sender;
pub mod settings;
pub mod topics;
pub mod wire;

pub use consumer::{GroupConsumer, Reader, Rebalance};
pub use error::{Call, Failure, Verdict, verdict};
pub use ffi::{GroupMetadata, Message};
pub use follower::Follower;
pub use plain::PlainProducer;
pub use producer::{Record, TransactionalProducer};
pub use sender::{SendError, Sender};
pub use settings::Settings;
