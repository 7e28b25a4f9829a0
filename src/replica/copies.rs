//! The copies of all partitions: written by one thread, looked up by many.
//!
//! **Invariant:** a lookup waits for no write and for no broker. `as_of` is read before the record, so that a record may
//! be newer than it says and never older.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::id::{Offset, Partition};
use crate::kafka::freshness::Freshness;
use crate::kafka::partitioner;
use crate::store::{self, Batch, Shared, Store, StoreError};
use crate::time::EventTime;

/// What is known of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The value of its record in the membership topic; `None`: it holds no membership, or was never seen.
    pub record: Option<Vec<u8>>,
    /// Everything that was committed by then is in the answer.
    pub as_of: EventTime,
    /// Offsets of the customer's partition that are not in the answer, as far as is known.
    pub lag: u64,
}

/// Why there is no answer.
#[derive(thiserror::Error, Debug)]
pub enum LookupError {
    /// "Not a member" would be a guess: ask again later.
    #[error("the copy of the customer's partition has not been read to its end yet")]
    NotYet,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What lookups ask. Empty until the topic is known.
#[derive(Default)]
pub struct Memberships(RwLock<Option<Arc<Copies>>>);

/// One incarnation of the topic.
pub struct Copies {
    copies: Vec<Copy>,
    /// The topic's id; `None` where the broker does not tell.
    pub topic_id: Option<String>,
}

/// One partition.
pub struct Copy {
    store: Store,
    freshness: Mutex<Freshness>,
}

/// What is stored beside the offset.
#[derive(Default, Serialize, Deserialize)]
struct Manifest {
    topic_id: Option<String>,
    as_of: Option<i64>,
}

impl Memberships {
    pub fn lookup(&self, customer: &str) -> Result<Standing, LookupError> {
        self.current().ok_or(LookupError::NotYet)?.lookup(customer)
    }

    pub fn publish(&self, copies: Arc<Copies>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(copies);
    }

    /// Takes the copies back; lookups that have them may still be using them.
    pub fn withdraw(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn current(&self) -> Option<Arc<Copies>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Copies {
    /// Opens a copy of each partition below `folder`. One that is not of this topic, or damaged, starts over.
    ///
    /// Errors: a folder that cannot be used.
    pub fn open(folder: &Path, memory_bytes: u64, topic: &str, partitions: usize, topic_id: Option<String>) -> Result<Copies, StoreError> {
        let stores = Shared::new(memory_bytes);
        let open = |number: usize| {
            let path = folder.join(number.to_string());
            let store = open_store(&stores, &path, &format!("replica/{topic}/{number}"))?;
            Copy::take(store, topic_id.as_deref())
        };
        Ok(Copies { copies: (0..partitions).map(open).collect::<Result<_, _>>()?, topic_id })
    }

    pub fn lookup(&self, customer: &str) -> Result<Standing, LookupError> {
        let partition = partitioner::partition(customer.as_bytes(), u32::try_from(self.copies.len()).unwrap_or(u32::MAX));
        self.get(partition).ok_or(LookupError::NotYet)?.lookup(customer.as_bytes())
    }

    pub fn get(&self, partition: Partition) -> Option<&Copy> {
        self.copies.get(usize::try_from(partition.0).ok()?)
    }

    /// Every partition with its copy.
    pub fn iter(&self) -> impl Iterator<Item = (Partition, &Copy)> {
        self.copies.iter().enumerate().map(|(number, copy)| (Partition(i32::try_from(number).unwrap_or(i32::MAX)), copy))
    }

    pub fn len(&self) -> usize {
        self.copies.len()
    }

    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }
}

impl Copy {
    /// A store of another incarnation of the topic is emptied.
    fn take(store: Store, topic_id: Option<&str>) -> Result<Copy, StoreError> {
        let manifest: Manifest = store.manifest()?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let next = store.position()?;
        let as_of = manifest.as_of.map(EventTime::from_millis);
        let copy = Copy { store, freshness: Mutex::new(Freshness::stored(next.unwrap_or(Offset(0)), as_of)) };
        if next.is_some() && topic_id.is_some() && manifest.topic_id.as_deref() != topic_id {
            tracing::warn!(path = %copy.store.path().display(), "the topic was made anew since this copy was; starting over");
            copy.clear()?;
        }
        Ok(copy)
    }

    fn lookup(&self, customer: &[u8]) -> Result<Standing, LookupError> {
        let before = self.freshness();
        let as_of = before.as_of.ok_or(LookupError::NotYet)?;
        let record = self.store.get(customer)?.map(|value| value.to_vec());
        // It may have been emptied in between.
        self.freshness().as_of.ok_or(LookupError::NotYet)?;
        Ok(Standing { record, as_of, lag: before.lag() })
    }

    /// Applies records in their order; `next`: the next offset to read. `None` as a value removes.
    pub fn apply(&self, records: &[(&[u8], Option<&[u8]>)], next: Offset, topic_id: Option<&str>) -> Result<(), StoreError> {
        let manifest = Manifest { topic_id: topic_id.map(str::to_owned), as_of: self.freshness().as_of.map(EventTime::millis) };
        let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
        let mut batch = Batch::new();
        for (key, value) in records {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch.set_manifest(&manifest);
        self.store.write(batch, next)?;
        // Only now: `as_of` is about what can be read.
        self.locked().advance(next);
        Ok(())
    }

    /// Empties the copy, for a read from the start. Lookups are refused from before that until it is read to its end.
    pub fn clear(&self) -> Result<(), StoreError> {
        *self.locked() = Freshness::stored(Offset(0), None);
        self.store.clear()
    }

    pub fn note_end(&self, end: Offset, asked_at: EventTime) {
        self.locked().note_end(end, asked_at);
    }

    pub fn freshness(&self) -> Freshness {
        *self.locked()
    }

    /// A thread that panicked while it held the lock left a value that is whole: it is copied in and out.
    fn locked(&self) -> MutexGuard<'_, Freshness> {
        self.freshness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy is a cache: what cannot be trusted is thrown away.
fn open_store(stores: &Shared, path: &Path, origin: &str) -> Result<Store, StoreError> {
    match Store::open(stores, path, origin) {
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Foreign { .. })) => {
            tracing::warn!(%error, "discarding a copy that cannot be used; starting over");
            store::discard(path)?;
            Store::open(stores, path, origin)
        }
        opened => opened,
    }
}
