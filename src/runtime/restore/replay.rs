//! Reading a changelog into a store: to where it can be read now, and on to our own claim.
//!
//! **Invariant:** what is written to the store is a prefix of the changelog, with the offset at which it ends; for a key
//! that stands in it twice, the later value.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::message::{BorrowedMessage, Message as _};

use super::{OLDEST_STORE_MS, PATIENCE, RestoreError, STILL, Site, fence};
use crate::id::Offset;
use crate::kafka::Reader;
use crate::kafka::consumer::Polled;
use crate::kafka::settings::Isolation;
use crate::runtime::changelog::{Contents, Entry, Manifest, Tally, Unreadable};
use crate::runtime::clock::{self, Deadline};
use crate::runtime::task::{Change, Task};
use crate::store::Store;

/// Changelog records that are written to the store at once.
const CHUNK: usize = 8192;

/// How far the changelog has been read.
pub struct Replay {
    pub reader: Reader,
    pub next: Offset,
    /// Not yet written; the last value of each key.
    chunk: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    tally: Option<Tally>,
    /// The last manifest, with what was read of its transaction since its first record.
    pub last: Option<(Manifest, Option<Contents>)>,
    claim: Option<String>,
}

impl Replay {
    pub fn begin(site: &Site, store: &Store) -> Result<Replay, RestoreError> {
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
        Ok(Replay { reader, next, chunk: BTreeMap::new(), tally: None, last, claim: None })
    }

    /// Step 2.
    pub fn read_to_end(&mut self, site: &Site, store: &Store) -> Result<(), RestoreError> {
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

    /// Step 5. Ends at our claim, or behind it: compaction may take a claim that a later one superseded.
    pub fn read_to_claim(&mut self, site: &Site, store: &Store, nonce: &str) -> Result<(), RestoreError> {
        let mut deadline = Deadline::after(PATIENCE);
        let mut still = Deadline::after(STILL);
        // The claim is committed: it stands before this end.
        let end = end_of(site)?;
        while self.claim.as_deref() != Some(nonce) && self.next < end {
            let before = self.next;
            self.read_one(site, store)?;
            if self.next > before {
                (deadline, still) = (Deadline::after(PATIENCE), Deadline::after(STILL));
            } else if still.is_past() {
                fence::end_blocking(site, &self.reader)?;
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
                self.last = Some((*manifest, contents));
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
    Manifest(Box<Manifest>),
    Claim(String),
}

impl Read {
    fn of(record: &BorrowedMessage<'_>) -> Result<Read, Unreadable> {
        let entry = match Entry::read(record.key(), record.payload())? {
            Entry::State { key, value } => Owned::State(key.to_vec(), value.map(<[u8]>::to_vec)),
            Entry::Manifest(manifest) => Owned::Manifest(manifest),
            Entry::Claim(claim) => Owned::Claim(claim.nonce),
        };
        Ok(Read { offset: record.offset(), begins: fence::writer(record).is_some(), entry })
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
    Ok(position > end_of(site)?)
}

/// The end of the changelog, with what is not committed. A committed reader would be told the last stable offset, which
/// may lie below our own position, behind somebody's open transaction.
fn end_of(site: &Site) -> Result<Offset, RestoreError> {
    let reader = Reader::connect(&site.settings.kafka, Isolation::Uncommitted)?;
    Ok(reader.watermarks(&site.settings.topics.changelog, site.partition, Duration::from_secs(10))?.1)
}
