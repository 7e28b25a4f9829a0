//! What one commit changes, applied as a whole or not at all.
//!
//! **Law:** for batches b1 … bn written in order and a process that ends at any instant, the store found afterwards
//! equals b1 … bk applied to what was there before, for one k, and its offset is that of bk. k counts at least every
//! write that had returned; only the machine's own failure (not the process's) may lower it, since nothing is fsynced.

use rocksdb::{WriteBatch, WriteOptions};

use super::{Family, Store, StoreError, keys};
use crate::id::Offset;
use crate::time::EventTime;

/// Changes of one commit. For a key that is changed twice the later change wins.
#[derive(Default)]
pub struct Batch<'a> {
    states: Vec<(&'a [u8], Option<&'a [u8]>)>,
    timers: Vec<(EventTime, &'a [u8], TimerChange)>,
    manifest: Option<&'a [u8]>,
}

#[derive(Clone, Copy)]
enum TimerChange {
    Set,
    Removed,
}

impl<'a> Batch<'a> {
    pub fn new() -> Batch<'a> {
        Batch::default()
    }

    /// Sets the value of a changelog key.
    pub fn put(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.states.push((key, Some(value)));
    }

    /// Removes a changelog key, as its tombstone says.
    pub fn delete(&mut self, key: &'a [u8]) {
        self.states.push((key, None));
    }

    pub fn set_timer(&mut self, due: EventTime, customer: &'a [u8]) {
        self.timers.push((due, customer, TimerChange::Set));
    }

    pub fn remove_timer(&mut self, due: EventTime, customer: &'a [u8]) {
        self.timers.push((due, customer, TimerChange::Removed));
    }

    /// A customer's timer fires at another instant than it did; [`EventTime::MAX`]: there is none.
    pub fn move_timer(&mut self, customer: &'a [u8], before: EventTime, after: EventTime) {
        if before == after {
            return;
        }
        if before != EventTime::MAX {
            self.remove_timer(before, customer);
        }
        if after != EventTime::MAX {
            self.set_timer(after, customer);
        }
    }

    /// The manifest of the transaction that this batch materialises.
    pub fn set_manifest(&mut self, manifest: &'a [u8]) {
        self.manifest = Some(manifest);
    }

    /// How many changes of states and timers it holds.
    pub fn len(&self) -> usize {
        self.states.len() + self.timers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.manifest.is_none()
    }

    /// Sorted keys halve the cost of the insertion into the memtable. The sort is stable: the later change of a key
    /// has to stay behind the earlier one.
    fn sort(&mut self) {
        self.states.sort_by(|a, b| a.0.cmp(b.0));
        self.timers.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    }

    fn bytes(&self) -> usize {
        let states: usize = self.states.iter().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len) + 16).sum();
        let timers: usize = self.timers.iter().map(|(_, customer, _)| customer.len() + 24).sum();
        states + timers + self.manifest.map_or(0, <[u8]>::len) + 128
    }
}

impl Store {
    /// Applies a batch and moves the changelog offset to `changelog_next`, the next one to read, in one atomic write.
    ///
    /// Errors: [`StoreError::Full`], [`StoreError::Failed`]: nothing of the batch is in force, and RocksDB may refuse
    /// all that follows; drop the store, reopen it and replay the changelog from [`Store::position`].
    pub fn write(&self, mut batch: Batch<'_>, changelog_next: Offset) -> Result<(), StoreError> {
        batch.sort();
        let mut writes = WriteBatch::with_capacity_bytes(batch.bytes());
        self.add_states(&mut writes, &batch)?;
        self.add_timers(&mut writes, &batch)?;
        if let Some(manifest) = batch.manifest {
            writes.put(keys::MANIFEST, manifest);
        }
        writes.put(keys::CHANGELOG_NEXT, changelog_next.0.to_be_bytes());
        self.commit(writes)
    }

    fn add_states(&self, writes: &mut WriteBatch, batch: &Batch<'_>) -> Result<(), StoreError> {
        let family = self.family(Family::State)?;
        for (key, value) in &batch.states {
            match value {
                Some(value) => writes.put_cf(family, key, value),
                None => writes.delete_cf(family, key),
            }
        }
        Ok(())
    }

    fn add_timers(&self, writes: &mut WriteBatch, batch: &Batch<'_>) -> Result<(), StoreError> {
        let family = self.family(Family::Timers)?;
        for (due, customer, change) in &batch.timers {
            let key = keys::timer_key(*due, customer);
            match change {
                TimerChange::Set => writes.put_cf(family, key, b""),
                TimerChange::Removed => writes.delete_cf(family, key),
            }
        }
        Ok(())
    }

    /// Empties the store, its position included, for a restore from the first offset: atomically, so that a process
    /// killed half-way finds either everything or nothing. Then gives the space back.
    pub fn clear(&self) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        for family in [Family::State, Family::Timers] {
            if let Some(last) = self.last_key(family)? {
                let handle = self.family(family)?;
                writes.delete_range_cf(handle, &b""[..], &last[..]);
                writes.delete_cf(handle, &last);
            }
        }
        writes.delete(keys::MANIFEST);
        writes.delete(keys::CHANGELOG_NEXT);
        self.commit(writes)?;
        for family in [Family::State, Family::Timers] {
            // Otherwise every read of the restore would walk over the range tombstone.
            self.db.compact_range_cf(self.family(family)?, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    fn last_key(&self, family: Family) -> Result<Option<Vec<u8>>, StoreError> {
        let mut iterator = self.db.raw_iterator_cf(self.family(family)?);
        iterator.seek_to_last();
        iterator.status().map_err(|e| self.error(e))?;
        Ok(iterator.key().map(<[u8]>::to_vec))
    }

    /// The write-ahead log is on, so that the write survives the process; it is not fsynced, since what the machine
    /// loses is in the changelog.
    fn commit(&self, writes: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        // The keys of a batch are sorted: each is looked for from where the one before went.
        options.set_memtable_insert_hint_per_batch(true);
        self.db.write_opt(writes, &options).map_err(|e| self.error(e))
    }
}
