//! The one routine by which a task gets ready: at start, after a rebalance, after fencing, after a commit whose outcome
//! is unknown, after a disk error. Always the same, so that every run of it is a test of it.
//!
//! ```text
//! 1  the lane's producer runs init_transactions                                (lane)
//! 2  replay the changelog from the stored position to where it can be read now
//! 3  ask for the group's offsets; waits while a predecessor's are pending
//! 4  commit a claim to the changelog with those offsets                        (lane, in its own transaction)
//! 5  replay until that claim itself is delivered
//! 6  if 3 or 5 stands still, fence the writer of the open transaction that blocks it
//! 7  the last manifest is the truth: inputs go on at its offsets
//! ```
//!
//! *Why 4 and 5:* "read to the end" is no proof: the last stable offset hides committed records that stand behind
//! somebody's open transaction. What we wrote ourselves after our predecessor was fenced, and then read, is one.
//!
//! **Invariant:** a store is written with whole transactions or, in between, with a prefix that only a further replay
//! reads. Steps 2, 3, 5 and 7 run on a thread of their own and touch nothing but the store that they were given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use rdkafka::message::{BorrowedMessage, Headers, Message as _};

use super::changelog::{Contents, Entry, Manifest, Tally, Unreadable, WRITER};
use super::clock::{self, Deadline};
use super::crash::{CrashPoint, pass};
use super::task::{Change, Task};
use super::{Settings, Start};
use crate::id::{Offset, Partition, TopicName};
use crate::kafka::consumer::Polled;
use crate::kafka::settings::Isolation;
use crate::kafka::{Failure, Reader, TransactionalProducer};
use crate::store::{self, Shared, Store, StoreError};
use crate::time::EventTime;

/// How long a step may stand still before somebody must have died inside a transaction.
const STILL: Duration = Duration::from_secs(1);
/// One request of the throw-away producer: its first ends the transaction, a retry could fence a recovered lane again.
const FENCING: Duration = Duration::from_millis(250);
/// After this the routine starts again from step 1.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changelog records that are written to the store at once.
const CHUNK: usize = 8192;
/// A store that is older than this may have missed tombstones, which Kafka removes after `delete.retention.ms` (7 d).
const OLDEST_STORE_MS: i64 = 6 * 86_400_000;

/// What a restore needs to know of its surroundings.
#[derive(Clone)]
pub struct Site {
    pub settings: Arc<Settings>,
    pub stores: Shared,
    /// Transactional ids that start with it are this process's: never fenced from here.
    pub own_ids: Arc<str>,
    pub partition: Partition,
    /// Shows how much of the changelog is still to be replayed.
    pub remaining: IntGauge,
    /// Set when the partition is revoked: nobody waits for the result any more.
    pub cancelled: Arc<AtomicBool>,
}

/// Variants say what the lane does.
#[derive(thiserror::Error, Debug)]
pub enum RestoreError {
    /// The share is gone: nothing.
    #[error("cancelled")]
    Cancelled,
    /// Begin again at step 1.
    #[error("partition {partition:?} was not restored in time: step {step} stands still")]
    Late { partition: Partition, step: u8 },
    /// Begin again at step 1.
    #[error(transparent)]
    Kafka(#[from] Failure),
    /// Begin again; the damaged files are discarded.
    #[error(transparent)]
    Store(StoreError),
    /// Stop the process: a person decides.
    #[error("{0}")]
    Halt(String),
}

/// A task after steps 2 and 3.
pub struct Replayed {
    pub store: Store,
    /// The offsets to claim with, one an input.
    pub offsets: Vec<(TopicName, Offset)>,
    progress: Progress,
}

/// A task after step 7.
pub struct Restored {
    pub store: Store,
    pub offsets: Vec<(TopicName, Offset)>,
    /// Of the last transaction; 0: there is none.
    pub number: u64,
    pub clock: EventTime,
}

/// A claim that the lane has committed.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub nonce: String,
    pub offset: Offset,
}

/// How far the changelog has been read.
struct Progress {
    reader: Reader,
    next: Offset,
    /// Not yet written; the last value of each key.
    chunk: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    tally: Option<Tally>,
    last: Option<(Manifest, Option<Contents>)>,
    claim: Option<String>,
}

/// Steps 2 and 3.
pub fn replay(site: &Site, store: Option<Store>) -> Result<Replayed, RestoreError> {
    let store = match store {
        Some(store) => store,
        None => open(site)?,
    };
    let mut progress = Progress::begin(site, &store)?;
    progress.read_to_end(site, &store)?;
    pass(CrashPoint::AfterReplay);
    let group = group_offsets(site, &progress.reader)?;
    pass(CrashPoint::AfterGroupOffsets);
    let offsets = starting_offsets(site, &progress, group)?;
    Ok(Replayed { store, offsets, progress })
}

/// Steps 5 and 7.
pub fn confirm(site: &Site, replayed: Replayed, ticket: &Ticket) -> Result<Restored, RestoreError> {
    let Replayed { store, offsets, mut progress } = replayed;
    progress.read_to_claim(site, &store, ticket)?;
    let Some((manifest, contents)) = &progress.last else {
        pass(CrashPoint::Restored);
        return Ok(Restored { store, offsets, number: 0, clock: EventTime::MIN });
    };
    check_whole(site, manifest, *contents)?;
    let truth = site.settings.inputs().into_iter().map(|topic| {
        let claimed = offsets.iter().find(|(t, _)| *t == topic).map_or(Offset(0), |(_, offset)| *offset);
        let offset = manifest.offsets.get(&*topic.0).map_or(claimed, |offset| Offset(*offset));
        if offset != claimed {
            tracing::warn!(partition = site.partition.0, topic = %topic, group = claimed.0, manifest = offset.0, "the group's offset differs from the manifest's, which counts");
        }
        (topic, offset)
    });
    let restored = Restored { offsets: truth.collect(), number: manifest.number, clock: EventTime::from_millis(manifest.clock), store };
    pass(CrashPoint::Restored);
    Ok(restored)
}

/// Opens the store; a damaged one is discarded, the changelog has everything.
fn open(site: &Site) -> Result<Store, RestoreError> {
    let path = site.settings.state_dir.join(site.partition.0.to_string());
    let origin = format!("{}/{}/{}", site.settings.kafka.deployment, site.settings.topics.changelog, site.partition.0);
    match Store::open(&site.stores, &path, &origin) {
        Ok(store) => Ok(store),
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "discarding a damaged store");
            store::discard(&path).map_err(RestoreError::Store)?;
            Store::open(&site.stores, &path, &origin).map_err(RestoreError::Store)
        }
        Err(error @ (StoreError::Newer { .. } | StoreError::Foreign { .. } | StoreError::Inaccessible { .. })) => {
            Err(RestoreError::Halt(error.to_string()))
        }
        Err(error) => Err(RestoreError::Store(error)),
    }
}

impl Progress {
    fn begin(site: &Site, store: &Store) -> Result<Progress, RestoreError> {
        let reader = Reader::connect(&site.settings.kafka, Isolation::Committed)?;
        let manifest = stored_manifest(site, store)?;
        let mut next = store.position().map_err(RestoreError::Store)?;
        if let Some(position) = next
            && (is_old(manifest.as_ref()) || is_beyond_end(site, position)?)
        {
            tracing::warn!(partition = site.partition.0, "the store does not fit the changelog any more; restoring it whole");
            store.clear().map_err(RestoreError::Store)?;
            next = None;
        }
        let last = next.and(manifest).map(|manifest| (manifest, None));
        let next = next.unwrap_or(Offset(0));
        reader.start(&site.settings.topics.changelog, site.partition, next)?;
        Ok(Progress { reader, next, chunk: BTreeMap::new(), tally: None, last, claim: None })
    }

    fn read_to_end(&mut self, site: &Site, store: &Store) -> Result<(), RestoreError> {
        let mut deadline = Deadline::after(PATIENCE);
        let (_, end) = self.reader.watermarks(&site.settings.topics.changelog, site.partition, Duration::from_secs(10))?;
        loop {
            let before = self.next;
            site.remaining.set((end.0 - before.0).max(0));
            if self.read_one(site, store)? {
                break;
            }
            if self.next > before {
                deadline = Deadline::after(PATIENCE);
            }
            site.check(deadline, 2)?;
        }
        site.remaining.set(0);
        self.write(store)
    }

    /// Ends at our claim, or behind it: compaction may take a claim that a later one superseded.
    fn read_to_claim(&mut self, site: &Site, store: &Store, ticket: &Ticket) -> Result<(), RestoreError> {
        let mut deadline = Deadline::after(PATIENCE);
        let mut still = Deadline::after(STILL);
        while self.claim.as_ref() != Some(&ticket.nonce) && self.next <= ticket.offset {
            let before = self.next;
            self.read_one(site, store)?;
            if self.next > before {
                (deadline, still) = (Deadline::after(PATIENCE), Deadline::after(STILL));
            } else if still.is_past() {
                fence_blocker(site, &self.reader)?;
                still = Deadline::after(STILL);
            }
            site.check(deadline, 5)?;
        }
        self.write(store)
    }

    /// Reads at most one record. `true`: everything that can be read now has been read.
    fn read_one(&mut self, site: &Site, store: &Store) -> Result<bool, RestoreError> {
        // The reader lends the record for as long as it is borrowed itself, hence the copy of its parts.
        let record = match self.reader.poll(Duration::from_millis(100)) {
            Polled::Nothing => return Ok(false),
            Polled::End => return Ok(true),
            Polled::Failed(failure) if failure.is_unreachable() => return Ok(false),
            Polled::Failed(failure) => return Err(failure.into()),
            Polled::Record(record) => Read::of(&record).map_err(|e| site.unreadable(&record, &e))?,
        };
        self.next = Offset(record.offset + 1);
        self.absorb(record);
        if self.chunk.len() >= CHUNK {
            self.write(store)?;
        }
        Ok(false)
    }

    fn absorb(&mut self, record: Read) {
        if record.begins {
            self.tally = Some(Tally::default());
        }
        match record.entry {
            Owned::State(key, value) => {
                if let Some(tally) = &mut self.tally {
                    tally.add(&key, value.as_deref());
                }
                self.chunk.insert(key, value);
            }
            Owned::Manifest(manifest) => {
                let contents = self.tally.take().map(|tally| tally.contents());
                self.last = Some((manifest, contents));
            }
            Owned::Claim(nonce) => self.claim = Some(nonce),
        }
    }

    fn write(&mut self, store: &Store) -> Result<(), RestoreError> {
        let manifest = self.last.as_ref().map(|(manifest, _)| manifest.encode());
        let changes: Vec<Change> = std::mem::take(&mut self.chunk).into_iter().collect();
        Task::materialise(store, &changes, manifest.as_deref(), self.next).map_err(RestoreError::Store)
    }
}

/// A changelog record that outlives the reader's.
struct Read {
    offset: i64,
    /// The first of its transaction.
    begins: bool,
    entry: Owned,
}

enum Owned {
    State(Vec<u8>, Option<Vec<u8>>),
    Manifest(Manifest),
    Claim(String),
}

impl Read {
    fn of(record: &BorrowedMessage<'_>) -> Result<Read, Unreadable> {
        let entry = match Entry::read(record.key(), record.payload())? {
            Entry::State { key, value } => Owned::State(key.to_vec(), value.map(<[u8]>::to_vec)),
            Entry::Manifest(manifest) => Owned::Manifest(manifest),
            Entry::Claim(claim) => Owned::Claim(claim.nonce),
        };
        Ok(Read { offset: record.offset(), begins: writer(record).is_some(), entry })
    }
}

fn writer(record: &BorrowedMessage<'_>) -> Option<String> {
    let headers = record.headers()?;
    let header = headers.iter().find(|header| header.key == WRITER)?;
    String::from_utf8(header.value?.to_vec()).ok()
}

impl Site {
    fn check(&self, deadline: Deadline, step: u8) -> Result<(), RestoreError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(RestoreError::Cancelled);
        }
        if deadline.is_past() {
            return Err(RestoreError::Late { partition: self.partition, step });
        }
        Ok(())
    }

    fn unreadable(&self, record: &BorrowedMessage<'_>, error: &Unreadable) -> RestoreError {
        let topic = &self.settings.topics.changelog;
        RestoreError::Halt(format!("changelog record {topic}/{}@{}: {error}", self.partition.0, record.offset()))
    }
}

fn stored_manifest(site: &Site, store: &Store) -> Result<Option<Manifest>, RestoreError> {
    let Some(bytes) = store.manifest().map_err(RestoreError::Store)? else { return Ok(None) };
    match Manifest::decode(&bytes) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => Err(RestoreError::Halt(format!("the manifest in the store of partition {}: {error}", site.partition.0))),
    }
}

fn is_old(manifest: Option<&Manifest>) -> bool {
    manifest.is_some_and(|manifest| clock::wall().millis() - manifest.committed_at > OLDEST_STORE_MS)
}

/// The changelog is shorter than what the store has read of it: it was deleted and made anew.
fn is_beyond_end(site: &Site, position: Offset) -> Result<bool, RestoreError> {
    // Committed readers see the last stable offset, which may lie below our position behind somebody's transaction.
    let reader = Reader::connect(&site.settings.kafka, Isolation::Uncommitted)?;
    let (_, end) = reader.watermarks(&site.settings.topics.changelog, site.partition, Duration::from_secs(10))?;
    Ok(position > end)
}

/// Step 3.
fn group_offsets(site: &Site, reader: &Reader) -> Result<Vec<Option<Offset>>, RestoreError> {
    let deadline = Deadline::after(PATIENCE);
    let mut still = Deadline::after(STILL);
    loop {
        match reader.committed(&site.settings.inputs(), site.partition, Duration::from_millis(500)) {
            Ok(offsets) => return Ok(offsets),
            Err(failure) => tracing::debug!(partition = site.partition.0, %failure, "the group's offsets are not there yet"),
        }
        if still.is_past() {
            fence_blocker(site, reader)?;
            still = Deadline::after(STILL);
        }
        site.check(deadline, 3)?;
    }
}

/// The group's offsets; where there are none, the manifest's; in a new deployment, what `input.start` says.
fn starting_offsets(site: &Site, progress: &Progress, group: Vec<Option<Offset>>) -> Result<Vec<(TopicName, Offset)>, RestoreError> {
    let manifest = progress.last.as_ref().map(|(manifest, _)| manifest);
    let offset_of = |topic: &TopicName, group: Option<Offset>| {
        let recorded = manifest.and_then(|manifest| manifest.offsets.get(&*topic.0)).copied().map(Offset);
        match group.or(recorded) {
            Some(offset) => Ok(offset),
            None => first_offset(site, &progress.reader, topic),
        }
    };
    site.settings.inputs().into_iter().zip(group).map(|(topic, group)| Ok((topic.clone(), offset_of(&topic, group)?))).collect()
}

fn first_offset(site: &Site, reader: &Reader, topic: &TopicName) -> Result<Offset, RestoreError> {
    let (low, high) = reader.watermarks(topic, site.partition, Duration::from_secs(10))?;
    Ok(if site.settings.start == Start::Earliest { low } else { high })
}

/// Step 6: ends the transaction that holds back the last stable offset, unless its writer is one of our own lanes.
fn fence_blocker(site: &Site, committed: &Reader) -> Result<(), RestoreError> {
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

/// Step 7: is the last transaction in the changelog whole?
fn check_whole(site: &Site, manifest: &Manifest, read: Option<Contents>) -> Result<(), RestoreError> {
    let Some(read) = read else { return Ok(()) };
    let said = manifest.contents;
    // Once `delete.retention.ms` has passed, compaction may have taken tombstones.
    let tombstones_may_lack = clock::wall().millis() - manifest.committed_at > OLDEST_STORE_MS;
    let whole = read.puts == said.puts && read.hash == said.hash && (read.tombstones == said.tombstones || tombstones_may_lack);
    if whole {
        return Ok(());
    }
    Err(RestoreError::Halt(format!(
        "the changelog of partition {} is torn: transaction {} holds {} states and {} tombstones, its manifest says {} and {}; \
         restore the changelog, or start anew under another deployment",
        site.partition.0, manifest.number, read.puts, read.tombstones, said.puts, said.tombstones
    )))
}
