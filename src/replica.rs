//! A read replica: the membership topic, materialised on this machine, to be asked by customer.
//!
//! ```text
//! segment-membership ──follow──▶ copies, one RocksDB a partition ◀── lookups
//!        └───────────────ends──▶ how fresh each copy is
//! ```
//!
//! It belongs to no group and writes nothing to Kafka, so there may be any number of replicas, and none knows another.
//! What it keeps is a cache: whatever makes a copy doubtful (a topic made anew, an offset that is gone, a copy so old
//! that it may have missed tombstones, damaged files), it is emptied and read again, and the log says so.
//!
//! **Invariant:** a copy says exactly what the topic said below the copy's offset; both are written in one batch. `as_of`
//! is never later than an instant up to which everything committed is in the copy.

mod copies;
mod ends;
mod follow;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;

use crate::id::TopicName;
use crate::kafka::topics::TopicError;
use crate::kafka::{self, Failure};
use crate::metrics::Metrics;
use crate::runtime::Shutdown;
use crate::runtime::status::Status;
use crate::store::{StateDir, StoreError};

pub use copies::{Copies, LookupError, Memberships, Standing};

/// A copy that was last at the end of its partition longer ago than this is read again from the start: Kafka removes
/// tombstones `delete.retention.ms` (a day, unless somebody set less) after compaction, and a copy that misses one would
/// show a customer in segments that it has left.
const OLDEST_COPY: Duration = Duration::from_hours(20);

/// How long a question to the cluster may take; also how soon a stop is noticed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything that a replica is told.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kafka: kafka::Settings,
    /// The membership topic.
    pub topic: TopicName,
    /// A folder of its own; one process at a time.
    pub dir: PathBuf,
    /// Bound of blocks and memtables of all copies together, bytes.
    pub memory_bytes: u64,
}

/// Why a replica ended. Every message says what to do.
#[derive(thiserror::Error, Debug)]
pub enum ReplicaError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error("Kafka refused: {0}")]
    Kafka(#[from] Failure),
    #[error("no thread could be started: {0}")]
    NoThread(std::io::Error),
}

/// Keeps `memberships` up to date until it is asked to stop, or cannot go on.
pub fn run(
    settings: Settings,
    memberships: Arc<Memberships>,
    metrics: &Metrics,
    status: Status,
    shutdown: &Shutdown,
) -> Result<(), ReplicaError> {
    // Held as long as anything here may write.
    let _folder = StateDir::lock(&settings.dir, None)?;
    let settings = Arc::new(settings);
    let (doubts, doubted) = unbounded();
    let watch = ends::Watch::connect(settings.clone(), memberships.clone(), metrics.replica.clone(), doubts)?;
    let (heartbeat, stop) = (status.heartbeat("ends"), shutdown.clone());
    // Left behind at the end: it only asks questions, and an answer may take a while.
    std::thread::Builder::new().name("ends".into()).spawn(move || watch.run(&heartbeat, &stop)).map_err(ReplicaError::NoThread)?;
    let result = follow::Following { settings, memberships, metrics: metrics.replica.clone(), status, doubted }.run(shutdown);
    shutdown.request();
    result
}
