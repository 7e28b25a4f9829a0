//! How large the state is, and how well the disk keeps up with it.

use prometheus::{IntCounter, IntGauge, Result};

use super::Declare;

/// Sums over the stores of this process.
pub struct StateMetrics {
    pub customers: IntGauge,
    /// Decoded; bounded by half of `state.memory`.
    pub memory_bytes: IntGauge,
    /// From the stores, one by one: they were not in memory.
    pub reads: IntCounter,
    /// On disk and not yet flushed.
    pub bytes: IntGauge,
    /// Blocks and memtables; bounded by the other half.
    pub block_cache_bytes: IntGauge,
    pub block_cache_pinned_bytes: IntGauge,
    pub write_buffer_bytes: IntGauge,
    pub pending_compaction_bytes: IntGauge,
    /// Stores whose writes are stopped at this moment.
    pub write_stopped_stores: IntGauge,
    /// Writes slowed down or stopped, counted over the life of the process.
    pub stalls: IntCounter,
}

impl StateMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<StateMetrics> {
        Ok(StateMetrics {
            customers: declare.gauge("segmentd_state_customers", "Customers in this process's partitions")?,
            memory_bytes: declare.gauge("segmentd_state_memory_bytes", "Customers in memory")?,
            reads: declare.counter("segmentd_state_reads_total", "Customers that were read from the stores for an event or a timer")?,
            bytes: declare.gauge("segmentd_state_bytes", "Size of the stores, on disk and in memtables")?,
            block_cache_bytes: declare.gauge("segmentd_rocksdb_block_cache_bytes", "Blocks and memtables in memory")?,
            block_cache_pinned_bytes: declare.gauge("segmentd_rocksdb_block_cache_pinned_bytes", "Blocks that cannot be evicted now")?,
            write_buffer_bytes: declare.gauge("segmentd_rocksdb_write_buffer_bytes", "Memtables in memory")?,
            pending_compaction_bytes: declare.gauge("segmentd_rocksdb_pending_compaction_bytes", "Bytes that compaction has to rewrite")?,
            write_stopped_stores: declare.gauge("segmentd_rocksdb_write_stopped_stores", "Stores whose writes are stopped now")?,
            stalls: declare.counter("segmentd_rocksdb_stalls_total", "Writes that were slowed down or stopped")?,
        })
    }
}
