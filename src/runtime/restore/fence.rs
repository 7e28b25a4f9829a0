//! Step 6: somebody died inside a transaction, and everybody waits for it. We end it for them.
//!
//! The record at the last stable offset is the first of that transaction in this partition, and names its writer. A
//! throw-away producer of that name asks to be initialised, which ends the transaction; otherwise one waits for
//! `transaction.timeout.ms` and the broker's sweep, 12 to 16 s in all.
//!
//! **Invariant:** never an id of this process, one request at a time, and no more than [`ENOUGH`] for what stands at one
//! offset: a live but slow lane that is fenced by mistake is back within a second, and must not be fenced for ever because
//! Kafka itself has left a transaction open (a "hanging transaction", KIP-664).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::message::{BorrowedMessage, Headers, Message as _};

use super::{RestoreError, STILL, Site};
use crate::id::{Offset, Partition};
use crate::kafka::consumer::Polled;
use crate::kafka::settings::Isolation;
use crate::kafka::{Reader, TransactionalProducer};
use crate::runtime::changelog::WRITER;
use crate::runtime::clock::Deadline;

/// One request of the throw-away producer fits into it, a second does not.
const FENCING: Duration = Duration::from_millis(250);

/// After so many requests it is not the writer that keeps the transaction open.
const ENOUGH: u32 = 5;
/// After so many finds, over a minute, no transaction can be open that its coordinator could still end: the log says so, and again
/// after as many.
const REMIND: u32 = 60;

/// What held back each partition's last stable offset when it was looked at last, and how often it was found there.
#[derive(Clone, Default)]
pub struct Blockers(Arc<Mutex<BTreeMap<Partition, (Offset, u32)>>>);

impl Blockers {
    /// Counts that the partition is held back at `stable` once more.
    fn found(&self, partition: Partition, stable: Offset) -> u32 {
        let mut blockers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, times) = blockers.entry(partition).or_insert((stable, 0));
        *times = if *at == stable { times.saturating_add(1) } else { 1 };
        *at = stable;
        *times
    }
}

/// Step 6: ends the transaction that holds back the last stable offset, unless its writer is one of our own lanes.
pub fn end_blocking(site: &Site, committed: &Reader) -> Result<(), RestoreError> {
    let topic = &site.settings.topics.changelog;
    let Ok((_, stable)) = committed.watermarks(topic, site.partition, STILL) else { return Ok(()) };
    let Some(blocker) = writer_at(site, stable)? else { return Ok(()) };
    if blocker.starts_with(&*site.own_ids) {
        return Ok(());
    }
    let times = site.blockers.found(site.partition, stable);
    if times > ENOUGH {
        if times.is_multiple_of(REMIND) {
            tracing::error!(
                %topic, partition = site.partition.0, offset = stable.0, writer = blocker,
                "Kafka has ended this writer's transaction and left it open in the changelog: docs/recovering.md, `A transaction hangs`"
            );
        }
        return Ok(());
    }
    tracing::warn!(partition = site.partition.0, writer = blocker, "ending the open transaction of a process that died");
    let producer = TransactionalProducer::connect(&site.settings.kafka, &blocker)?;
    if let Err(failure) = producer.init(FENCING) {
        tracing::debug!(%failure, "the throw-away producer was given up, as it should be");
    }
    Ok(())
}

/// Who wrote the record at `offset`, committed or not.
fn writer_at(site: &Site, offset: Offset) -> Result<Option<String>, RestoreError> {
    let reader = Reader::connect(&site.settings.kafka, Isolation::Uncommitted)?;
    reader.start(&site.settings.topics.changelog, site.partition, offset)?;
    let deadline = Deadline::after(STILL);
    while !deadline.is_past() {
        match reader.poll(deadline.left()) {
            Polled::Record(record) => return Ok(writer(&record)),
            Polled::End => return Ok(None),
            Polled::Nothing | Polled::Failed(_) => {}
        }
    }
    Ok(None)
}

/// Who wrote a record, if it is the first of its transaction.
pub fn writer(record: &BorrowedMessage<'_>) -> Option<String> {
    let headers = record.headers()?;
    let header = headers.iter().find(|header| header.key == WRITER)?;
    String::from_utf8(header.value?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_another_offset_is_counted_anew() {
        let (blockers, partition) = (Blockers::default(), Partition(1));
        assert_eq!([7, 7, 7, 9, 7].map(|at| blockers.found(partition, Offset(at))), [1, 2, 3, 1, 1]);
        assert_eq!(blockers.found(Partition(2), Offset(7)), 1);
    }
}
