//! The history that one partition of the transitions topic tells: written by one thread, read by many.
//!
//! **Law:** for a topic's records r1 … rn, however they come in batches and whatever is killed in between, the rows are those of
//! applying r1 … rn once each, less what [`sweep`](super::sweep) has removed: rows and the offset that they stand for are written in
//! one batch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Unread;
use super::record::{self, Happened, Move, Transition};
use super::rows::{self, Hour, HourNumber, Moves};
use crate::id::{Offset, Partition};
use crate::kafka::freshness::Freshness;
use crate::kafka::partitioner;
use crate::store::{self, Batch, Shared, Store, StoreError};
use crate::time::EventTime;
use crate::transition::Cause;

/// Rows that one read of the store brings.
const SCAN: usize = 1_000;

/// A key with its value.
type Row = (Box<[u8]>, Box<[u8]>);

pub struct Chronicle {
    store: Store,
    freshness: Mutex<Freshness>,
    origin: Mutex<Origin>,
}

/// What is stored beside the offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Of which incarnation of the topic.
    pub topic_id: Option<String>,
    /// The topic had lost records before the first that was read.
    pub cut: bool,
    /// When what the first record told happened, in milliseconds.
    pub first: Option<i64>,
}

/// A record of the topic that somebody's id is the key of.
pub struct Read<'a> {
    pub offset: Offset,
    pub customer: &'a str,
    pub value: &'a [u8],
}

/// A transition of a timeline.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub offset: Offset,
    pub at: EventTime,
    pub sequence: u64,
    /// JSON, as `segmentd replay` prints it.
    pub line: Vec<u8>,
}

/// What a batch of records changes.
struct Changes<'a> {
    store: &'a Store,
    /// How many partitions customers have; not those of the topic.
    partitions: u32,
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    hours: BTreeMap<Vec<u8>, Hour>,
    moves: BTreeMap<Vec<u8>, Moves>,
    first: Option<EventTime>,
}

impl Chronicle {
    /// Opens what is there, or an empty one. What is damaged, or of another topic, is thrown away: the topic has it.
    ///
    /// Errors: a folder that cannot be used.
    pub fn open(stores: &Shared, path: &Path, origin: &str) -> Result<Chronicle, StoreError> {
        let store = match Store::open(stores, path, origin) {
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Foreign { .. })) => {
                tracing::warn!(%error, "discarding a history that cannot be used; starting over");
                store::discard(path)?;
                Store::open(stores, path, origin)?
            }
            opened => opened?,
        };
        let origin = store.manifest()?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let next = store.position()?.unwrap_or(Offset(0));
        Ok(Chronicle { store, freshness: Mutex::new(Freshness::stored(next, None)), origin: Mutex::new(origin) })
    }

    /// The next offset to read; `None`: nothing was read of it yet.
    pub fn position(&self) -> Result<Option<Offset>, StoreError> {
        self.store.position()
    }

    pub fn origin(&self) -> Origin {
        locked(&self.origin).clone()
    }

    pub fn freshness(&self) -> Freshness {
        *locked(&self.freshness)
    }

    pub fn note_end(&self, end: Offset, asked_at: EventTime) {
        locked(&self.freshness).note_end(end, asked_at);
    }

    /// Empties it, to be read from `first` on. Nothing is told from before that until it is read to its end.
    pub fn start_over(&self, first: Offset, topic_id: Option<String>) -> Result<(), StoreError> {
        *locked(&self.freshness) = Freshness::stored(first, None);
        self.store.clear()?;
        *locked(&self.origin) = Origin { topic_id, cut: first > Offset(0), first: None };
        Ok(())
    }

    /// Applies records in their order; `next`: the next offset to read. `partitions`: how many the customers have.
    pub fn apply(&self, records: &[Read<'_>], next: Offset, partitions: u32) -> Result<(), StoreError> {
        let mut changes =
            Changes { store: &self.store, partitions, rows: BTreeMap::new(), hours: BTreeMap::new(), moves: BTreeMap::new(), first: None };
        for read in records {
            if let Some(happened) = record::read(read.value) {
                changes.take(read, happened)?;
            }
        }
        let mut origin = self.origin();
        origin.first = origin.first.or(changes.first.map(EventTime::millis));
        self.write(&changes.into_rows(), next, &origin)?;
        *locked(&self.origin) = origin;
        // Only now: it is about what can be read.
        locked(&self.freshness).advance(next);
        Ok(())
    }

    /// Removes rows that are too old, or too many.
    pub fn remove(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let rows: Vec<_> = keys.into_iter().map(|key| (key, None)).collect();
        self.write(&rows, self.freshness().next, &self.origin())
    }

    fn write(&self, rows: &[(Vec<u8>, Option<Vec<u8>>)], next: Offset, origin: &Origin) -> Result<(), StoreError> {
        let manifest = serde_json::to_vec(origin).unwrap_or_default();
        let mut batch = Batch::new();
        for (key, value) in rows {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch.set_manifest(&manifest);
        self.store.write(batch, next)
    }

    /// Up to `limit` transitions of a customer, from the newest on, or from the one before `before`.
    pub fn timeline(&self, customer: &str, before: Option<Offset>, limit: usize) -> Result<Vec<Line>, Unread> {
        let Some(prefix) = rows::timeline(customer.as_bytes()) else { return Ok(Vec::new()) };
        let after = before.map(|offset| rows::timeline_key(&prefix, offset));
        let found = self.read(|store| store.scan_state(&prefix, after.as_deref(), limit))?;
        let line = |key: &[u8], value: &[u8]| {
            let (at, sequence, line) = rows::read_timeline(value)?;
            Some(Line { offset: rows::offset_of(key)?, at, sequence, line: line.to_vec() })
        };
        Ok(found.iter().filter_map(|(key, value)| line(key, value)).collect())
    }

    /// The hours of a segment from `from` on, ascending, of the customers of one partition.
    pub fn hours(&self, partition: Partition, segment: &str, from: HourNumber) -> Result<Vec<(HourNumber, Hour)>, Unread> {
        self.figures(rows::segment(partition, segment), from)
    }

    /// The same of a ladder.
    pub fn moves(&self, partition: Partition, ladder: &str, from: HourNumber) -> Result<Vec<(HourNumber, Moves)>, Unread> {
        self.figures(rows::ladder(partition, ladder), from)
    }

    fn figures<T: DeserializeOwned>(&self, prefix: Option<Vec<u8>>, from: HourNumber) -> Result<Vec<(HourNumber, T)>, Unread> {
        let Some(prefix) = prefix else { return Ok(Vec::new()) };
        // After the hour before: so at `from` itself, where it is there.
        let after = rows::hour_key(&prefix, HourNumber(from.0.saturating_sub(1)));
        let found = self.read(|store| store.scan_state(&prefix, Some(&after), usize::MAX))?;
        Ok(found.iter().filter_map(|(key, value)| Some((rows::hour_of(key)?, serde_json::from_slice(value).ok()?))).collect())
    }

    /// Up to `limit` rows after the key `after`, whatever they are about.
    pub fn stretch(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.store.scan_state(b"", after, limit)
    }

    fn read<T>(&self, read: impl FnOnce(&Store) -> Result<T, StoreError>) -> Result<T, Unread> {
        let told =
            |freshness: Freshness| if freshness.is_confirmed() { Ok(()) } else { Err(Unread::NotYet { remaining: freshness.remaining() }) };
        told(self.freshness())?;
        let found = read(&self.store)?;
        // It may have been emptied in between.
        told(self.freshness())?;
        Ok(found)
    }
}

impl Changes<'_> {
    fn take(&mut self, read: &Read<'_>, happened: Happened) -> Result<(), StoreError> {
        let partition = partitioner::partition(read.customer.as_bytes(), self.partitions);
        match happened {
            Happened::Transition(transition) => self.transition(read, partition, transition),
            Happened::Move(moved) => self.moved(partition, &moved),
        }
    }

    fn transition(&mut self, read: &Read<'_>, partition: Partition, transition: Transition) -> Result<(), StoreError> {
        self.first.get_or_insert(transition.at);
        if let Some(prefix) = rows::segment(partition, transition.segment.as_str()) {
            let hour = gathered(&mut self.hours, self.store, rows::hour_key(&prefix, HourNumber::of(transition.at)))?;
            let by_cause = if transition.entered { &mut hour.entered } else { &mut hour.exited };
            *by_cause.entry(transition.cause.clone()).or_default() += 1;
        }
        let Some(prefix) = rows::timeline(read.customer.as_bytes()) else { return Ok(()) };
        if transition.cause == Cause::Delete.as_str() {
            return self.erase(&prefix);
        }
        let value = rows::timeline_value(transition.at, transition.sequence, &transition.line);
        self.rows.insert(rows::timeline_key(&prefix, read.offset), Some(value));
        Ok(())
    }

    /// The customer was erased: its timeline goes, with the exits that tell of it.
    fn erase(&mut self, prefix: &[u8]) -> Result<(), StoreError> {
        let mut after: Option<Box<[u8]>> = None;
        loop {
            let found = self.store.scan_state(prefix, after.as_deref(), SCAN)?;
            after = found.last().map(|(key, _)| key.clone());
            let is_last = found.len() < SCAN;
            self.rows.extend(found.into_iter().map(|(key, _)| (key.into_vec(), None)));
            if is_last {
                break;
            }
        }
        self.rows.range_mut(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)).for_each(|(_, value)| *value = None);
        Ok(())
    }

    fn moved(&mut self, partition: Partition, moved: &Move) -> Result<(), StoreError> {
        let Some(prefix) = rows::ladder(partition, moved.ladder.as_str()) else { return Ok(()) };
        let hour = gathered(&mut self.moves, self.store, rows::hour_key(&prefix, HourNumber::of(moved.at)))?;
        *hour.entry(moved.from.to_string()).or_default().entry(moved.to.to_string()).or_default() += 1;
        Ok(())
    }

    fn into_rows(self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let hours = self.hours.into_iter().filter_map(|(key, hour)| Some((key, Some(serde_json::to_vec(&hour).ok()?))));
        let moves = self.moves.into_iter().filter_map(|(key, moves)| Some((key, Some(serde_json::to_vec(&moves).ok()?))));
        self.rows.into_iter().chain(hours).chain(moves).collect()
    }
}

/// The figures of an hour with what this batch has added to them so far.
fn gathered<'a, T: Default + DeserializeOwned>(
    gathered: &'a mut BTreeMap<Vec<u8>, T>,
    store: &Store,
    key: Vec<u8>,
) -> Result<&'a mut T, StoreError> {
    use std::collections::btree_map::Entry;
    match gathered.entry(key) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => {
            let stored = store.get(entry.key())?.and_then(|value| serde_json::from_slice(&value).ok());
            Ok(entry.insert(stored.unwrap_or_default()))
        }
    }
}

/// A thread that panicked while it held the lock left a value that is whole: it is copied in and out.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
