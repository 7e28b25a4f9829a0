//! What a partition remembers of the definitions that it has been under: one record of its state.
//!
//! *Names:* states know segments by hashes. When a segment is taken out of the definitions, also while the process is
//! down, its exits need its name. *What was kept:* a new rule looks at a past that was kept for others.
//!
//! **Invariant:** a name is on record before, or in, the transaction in which somebody enters the segment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Change;
use crate::engine::{SegmentName, SegmentNames};
use crate::id::SegmentKey;
use crate::plan::{Kept, Plan};
use crate::store::{StoreError, Values};
use crate::time::EventTime;

/// The key of the record; no customer's key begins so (docs/stored-format.md).
const KEY: &[u8] = b"n";

/// The version of the record.
const VERSION: u8 = 1;

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    segments: Vec<Name>,
    kept: Kept,
}

#[derive(Serialize, Deserialize)]
struct Name {
    key: SegmentKey,
    version: Arc<str>,
}

pub struct Register {
    names: SegmentNames,
    kept: Kept,
    saved: bool,
}

impl Register {
    /// As the store has it.
    pub fn read(store: &impl Values) -> Result<Register, StoreError> {
        let value = store.get(KEY)?;
        let stored: Stored = match value.as_deref() {
            None => Stored::default(),
            Some([VERSION, json @ ..]) => serde_json::from_slice(json).map_err(|_| damaged(store))?,
            Some([found, ..]) if *found > VERSION => {
                return Err(StoreError::Newer { path: store.path().to_owned(), found: *found, known: VERSION });
            }
            Some(_) => return Err(damaged(store)),
        };
        let hash = |key: &SegmentKey| xxhash_rust::xxh3::xxh3_64(key.as_str().as_bytes());
        let names = stored.segments.into_iter().map(|name| (hash(&name.key), SegmentName { key: name.key, version: name.version }));
        Ok(Register { names: names.collect(), kept: stored.kept, saved: true })
    }

    /// Notes a plan that is in force from `now` on.
    pub fn note(&mut self, plan: &Plan, now: EventTime) {
        for segment in &plan.segments {
            let name = SegmentName { key: segment.key.clone(), version: segment.version.clone() };
            self.saved &= self.names.insert(segment.hash, name.clone()).as_ref() == Some(&name);
        }
        let kept = self.kept.under(plan, now);
        self.saved &= kept == self.kept;
        self.kept = kept;
    }

    pub fn names(&self) -> &SegmentNames {
        &self.names
    }

    /// Segments that do not know everything that they ask for, and since when they do.
    pub fn incomplete(&self, plan: &Plan, now: EventTime) -> Vec<(SegmentKey, EventTime)> {
        let since = plan.segments.iter().enumerate().map(|(index, segment)| (segment.key.clone(), self.kept.since(plan, index, now)));
        since.filter(|(_, since)| *since != EventTime::MIN).collect()
    }

    /// It says something that is not stored yet.
    pub fn is_new(&self) -> bool {
        !self.saved
    }

    /// The record to be written with the next batch, if it says anything new.
    pub fn change(&self) -> Option<Change> {
        if self.saved {
            return None;
        }
        let segments = self.names.values().map(|name| Name { key: name.key.clone(), version: name.version.clone() }).collect();
        let stored = Stored { segments, kept: self.kept.clone() };
        let mut value = vec![VERSION];
        value.extend(serde_json::to_vec(&stored).unwrap_or_default());
        Some((KEY.to_vec(), Some(value)))
    }

    pub fn saved(&mut self) {
        self.saved = true;
    }
}

fn damaged(store: &impl Values) -> StoreError {
    StoreError::Corrupt { path: store.path().to_owned(), reason: "the names of segments cannot be read".into() }
}
