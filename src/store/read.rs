//! Reading a store: values by key, timers by instant, and where the store stands.

use rocksdb::{DBRawIterator, PrefixRange, ReadOptions};

use super::{Family, Pinned, Store, StoreError, Timer, keys};
use crate::id::Offset;
use crate::time::EventTime;

/// A changelog key with its value.
pub type State = (Box<[u8]>, Box<[u8]>);

impl Store {
    /// The value of a changelog key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Pinned<'_>>, StoreError> {
        self.db.get_pinned_cf(self.family(Family::State)?, key).map_err(|e| self.error(e))
    }

    /// The values of many changelog keys, in the order of `keys`; about twice as fast if they are sorted.
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Pinned<'_>>>, StoreError> {
        // Told wrongly that they are sorted, RocksDB would not find what is there.
        let sorted = keys.is_sorted_by(|a, b| a.as_ref() <= b.as_ref());
        let values = self.db.batched_multi_get_cf(self.family(Family::State)?, keys, sorted);
        values.into_iter().map(|value| value.map_err(|e| self.error(e))).collect()
    }

    /// The next changelog offset to read: what is stored stands for everything before it. `None`: a new store.
    pub fn position(&self) -> Result<Option<Offset>, StoreError> {
        let Some(bytes) = self.meta(keys::CHANGELOG_NEXT)? else { return Ok(None) };
        match <[u8; 8]>::try_from(&bytes[..]) {
            Ok(bytes) => Ok(Some(Offset(i64::from_be_bytes(bytes)))),
            Err(_) => Err(self.corrupt(format!("a changelog offset has {} bytes", bytes.len()))),
        }
    }

    /// The manifest of the last transaction that is stored.
    pub fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.meta(keys::MANIFEST)
    }

    pub(super) fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(key).map_err(|e| self.error(e))
    }

    /// Up to `limit` timers, ascending by (due, customer), from (`due`, `customer`) on, inclusive.
    ///
    /// Give the last one that fired: what lies below it are the tombstones of everything that ever fired, and walking
    /// over those is what makes such a scan slow.
    pub fn timers_from(&self, due: EventTime, customer: &[u8], limit: usize) -> Result<Vec<Timer>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(keys::timer_key(due, customer));
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(Family::Timers)?, options);
        iterator.seek_to_first();
        self.collect(iterator, limit, |key, _| {
            keys::read_timer_key(key).ok_or_else(|| self.corrupt(format!("a timer's key has {} bytes", key.len())))
        })
    }

    /// Up to `limit` states whose key starts with `prefix`, ascending, after the key `after`; `None`: from the first.
    /// For scans over everything, so it leaves the block cache to the hot path.
    pub fn scan_state(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<State>, StoreError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_iterate_range(PrefixRange(prefix));
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(Family::State)?, options);
        match after {
            None => iterator.seek_to_first(),
            Some(after) => iterator.seek([after, &[0]].concat()),
        }
        self.collect(iterator, limit, |key, value| Ok((key.into(), value.into())))
    }

    pub(super) fn collect<T>(
        &self,
        mut iterator: DBRawIterator<'_>,
        limit: usize,
        read: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        while found.len() < limit
            && let Some((key, value)) = iterator.item()
        {
            found.push(read(key, value)?);
            iterator.next();
        }
        // An iterator that failed looks like one that ended: only the status tells.
        iterator.status().map_err(|e| self.error(e))?;
        Ok(found)
    }

    fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), reason }
    }
}
