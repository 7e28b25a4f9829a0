//! Step 6: somebody died inside a transaction, and everybody waits for it. We end it for them.
//!
//! The record at the last stable offset is the first of that transaction in this partition, and names its writer. A
//! throw-away producer of that name asks to be initialised, which ends the transaction; otherwise one waits for
//! `transaction.timeout.ms` and the broker's sweep, 12 to 16 s in all.
//!
//! **Invariant:** never an id of this process, and one request only: a live but slow lane that is fenced by mistake is
//! back within a second, and a second request could fence it again.

use std::time::Duration;

use rdkafka::message::{BorrowedMessage, Headers, Message as _};

use super::{RestoreError, STILL, Site};
use crate::id::Offset;
use crate::kafka::consumer::Polled;
use crate::kafka::settings::Isolation;
use crate::kafka::{Reader, TransactionalProducer};
use crate::runtime::changelog::WRITER;
use crate::runtime::clock::Deadline;

/// One request of the throw-away producer fits into it, a second does not.
const FENCING: Duration = Duration::from_millis(250);

/// Step 6: ends the transaction that holds back the last stable offset, unless its writer is one of our own lanes.
pub fn end_blocking(site: &Site, committed: &Reader) -> Result<(), RestoreError> {
    let topic = &site.settings.topics.changelog;
    let Ok((_, stable)) = committed.watermarks(topic, site.partition, STILL) else { return Ok(()) };
    let Some(blocker) = writer_at(site, stable)? else { return Ok(()) };
    if blocker.starts_with(&*site.own_ids) {
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
