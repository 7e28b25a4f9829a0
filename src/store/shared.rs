//! What the stores of one process share: one memory budget, whatever the number of partitions.
//!
//! Blocks read from disk and memtables are charged to the same cache, so half of `state.memory` is the bound of both together,
//! and partitions that are busy take it from those that are not.

use rocksdb::{BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, DataBlockIndexType, LogLevel, Options, WriteBufferManager};

use super::Family;

const MIB: usize = 1 << 20;

/// Made once a process and lent to every [`Store::open`](super::Store::open).
#[derive(Clone)]
pub struct Shared {
    cache: Cache,
    write_buffers: WriteBufferManager,
    compaction: DBCompactionStyle,
}

impl Shared {
    /// `memory_bytes` bounds blocks and memtables of all stores together. At least 8 MiB are taken.
    pub fn new(memory_bytes: u64) -> Shared {
        let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX).max(8 * MIB);
        let cache = Cache::new_lru_cache(memory);
        // A third for writes: enough to batch flushes, while reads keep most of it. No stall at the bound: memtables
        // are flushed earlier instead, and a stalled writer would hold up a transaction.
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(memory / 3, false, cache.clone());
        Shared { cache, write_buffers, compaction: DBCompactionStyle::Level }
    }

    /// For stores to which rows are added all the time and which are seldom read: what was written is merged as rarely as can
    /// be. By levels, small memtables would have each row rewritten dozens of times.
    ///
    /// Source: RocksDB wiki, "Universal Compaction".
    pub fn for_additions(memory_bytes: u64) -> Shared {
        Shared { compaction: DBCompactionStyle::Universal, ..Shared::new(memory_bytes) }
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(super) fn write_buffers(&self) -> &WriteBufferManager {
        &self.write_buffers
    }

    pub(super) fn database_options(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_write_buffer_manager(&self.write_buffers);
        // Bounds what is replayed at the next open, and how long the small families keep old logs alive.
        options.set_max_total_wal_size(128 * MIB as u64);
        options.set_max_background_jobs(2);
        options.set_max_open_files(512);
        // One writer a store: the locks of concurrent insertion are paid for nothing.
        options.set_allow_concurrent_memtable_write(false);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(MIB);
        options.set_stats_dump_period_sec(0);
        options
    }

    pub(super) fn family_options(&self, family: Family) -> Options {
        let mut options = Options::default();
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_compaction_style(self.compaction);
        options.set_block_based_table_factory(&self.table_options(family));
        options.set_write_buffer_size(match family {
            Family::State => 64 * MIB,
            Family::Timers => 8 * MIB,
            // Rewritten at every commit; flushed, only the last version of each key is left.
            Family::Meta => 2 * MIB,
        });
        options
    }

    fn table_options(&self, family: Family) -> BlockBasedOptions {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(8 * 1024);
        // Index and filters count against the budget too; those of the newest files are needed by every read.
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        if let Family::State = family {
            // New customers are common: a filter answers "not there" without reading a block.
            table.set_bloom_filter(10.0, false);
            table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        }
        table
    }
}
