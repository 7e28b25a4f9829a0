//! A store as it stood at one instant, for those who read beside its writer.
//!
//! A customer's head names blocks that stand under keys of their own: read one after the other while a batch is written,
//! they would not fit each other.
//!
//! **Invariant:** everything that is read through one view is of one batch. A view keeps old values from being cleaned up, so it
//! is held for one answer and no longer.

use std::path::Path;

use rocksdb::{PrefixRange, ReadOptions, Snapshot};

use super::read::State;
use super::{Family, Pinned, Store, StoreError, keys};

/// What is read by key: of a store as it is now, or of a [`View`].
pub trait Values {
    /// The value of a changelog key.
    fn get(&self, key: &[u8]) -> Result<Option<Pinned<'_>>, StoreError>;

    /// The manifest of the last transaction that is stored.
    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError>;

    fn path(&self) -> &Path;
}

impl Values for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Pinned<'_>>, StoreError> {
        Store::get(self, key)
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Store::manifest(self)
    }

    fn path(&self) -> &Path {
        Store::path(self)
    }
}

/// The values of one instant.
pub struct View<'a> {
    store: &'a Store,
    snapshot: Snapshot<'a>,
}

impl Store {
    pub fn view(&self) -> View<'_> {
        View { store: self, snapshot: self.db.snapshot() }
    }
}

impl Values for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Pinned<'_>>, StoreError> {
        self.snapshot.get_pinned_cf(self.store.family(Family::State)?, key).map_err(|e| self.store.error(e))
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot.get(keys::MANIFEST).map_err(|e| self.store.error(e))
    }

    fn path(&self) -> &Path {
        self.store.path()
    }
}

impl View<'_> {
    /// As [`Store::scan_state`].
    pub fn scan_state(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<State>, StoreError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_iterate_range(PrefixRange(prefix));
        let mut iterator = self.snapshot.raw_iterator_cf_opt(self.store.family(Family::State)?, options);
        match after {
            None => iterator.seek_to_first(),
            Some(after) => iterator.seek([after, &[0]].concat()),
        }
        self.store.collect(iterator, limit, |key, value| Ok((key.into(), value.into())))
    }
}
