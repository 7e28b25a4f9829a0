//! What RocksDB says of itself, for `segmentd_rocksdb_*` and `segmentd_state_bytes`.

use rocksdb::CStrLike;
use rocksdb::properties;

use super::{Family, Shared, Store, StoreError};

/// Figures of one store, summed over its column families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Files on disk, without the write-ahead log.
    pub file_bytes: u64,
    pub memtable_bytes: u64,
    /// What compaction still has to rewrite; growing without end, writes come faster than the disk allows.
    pub pending_compaction_bytes: u64,
    /// Writes that were slowed down or stopped since the store was opened.
    pub stalls: u64,
    /// Writes are stopped at this moment.
    pub stopped: bool,
}

/// Figures of what all stores share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedStats {
    /// Blocks and memtables together; bounded by half of `state.memory`.
    pub cache_bytes: u64,
    /// The part of it that cannot be evicted at this moment.
    pub cache_pinned_bytes: u64,
    pub write_buffer_bytes: u64,
}

impl Shared {
    pub fn stats(&self) -> SharedStats {
        SharedStats {
            cache_bytes: self.cache().get_usage() as u64,
            cache_pinned_bytes: self.cache().get_pinned_usage() as u64,
            write_buffer_bytes: self.write_buffers().get_usage() as u64,
        }
    }
}

impl Store {
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        Ok(StoreStats {
            file_bytes: self.sum(properties::LIVE_SST_FILES_SIZE)?,
            memtable_bytes: self.sum(properties::CUR_SIZE_ALL_MEM_TABLES)?,
            pending_compaction_bytes: self.sum(properties::ESTIMATE_PENDING_COMPACTION_BYTES)?,
            stalls: self.stalls()?,
            stopped: self.sum(properties::IS_WRITE_STOPPED)? > 0,
        })
    }

    /// Bytes that the state takes, on disk and not yet flushed.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.sum(properties::LIVE_SST_FILES_SIZE)? + self.sum(properties::CUR_SIZE_ALL_MEM_TABLES)?)
    }

    /// About how many values the state has; RocksDB counts a key that was written twice twice until it is compacted.
    pub fn estimated_values(&self) -> Result<u64, StoreError> {
        let value = self.db.property_int_value_cf(self.family(Family::State)?, properties::ESTIMATE_NUM_KEYS).map_err(|e| self.error(e))?;
        Ok(value.unwrap_or(0))
    }

    fn sum(&self, property: impl CStrLike + Copy) -> Result<u64, StoreError> {
        Family::ALL.iter().try_fold(0, |sum, family| {
            let value = self.db.property_int_value_cf(self.family(*family)?, property).map_err(|e| self.error(e))?;
            Ok(sum + value.unwrap_or(0))
        })
    }

    fn stalls(&self) -> Result<u64, StoreError> {
        Family::ALL.iter().try_fold(0, |sum, family| {
            let text = self.db.property_value_cf(self.family(*family)?, c"rocksdb.cf-write-stall-stats").map_err(|e| self.error(e))?;
            Ok(sum + text.as_deref().map_or(0, read_stalls))
        })
    }
}

/// Sums `total-delays` and `total-stops` of RocksDB's text `Write Stall (count): name: n, name: n, …`.
fn read_stalls(text: &str) -> u64 {
    let counts = text.split(", ").filter_map(|part| part.trim().rsplit_once(": "));
    counts
        .filter(|(name, _)| name.ends_with("total-delays") || name.ends_with("total-stops"))
        .filter_map(|(_, n)| n.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_are_delays_and_stops_counted_once() {
        let text = "Write Stall (count): cf-l0-file-count-limit-delays-with-ongoing-compaction: 3, memtable-limit-stops: 2, total-delays: 3, total-stops: 2\n";
        assert_eq!(read_stalls(text), 5);
        assert_eq!(read_stalls(""), 0);
    }
}
