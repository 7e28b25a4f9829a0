//! What one task's store adds to the process's figures.
//!
//! Tasks live on several lanes and come and go; the metrics are sums. Each task moves the sums by the difference to
//! what it showed before, so that no thread has to know all stores.
//!
//! **Invariant:** the gauges are the sum over the footprints that live; a dropped one takes its share away.

use std::sync::Arc;

use super::task::CustomerMemory;
use crate::metrics::StateMetrics;
use crate::store::{SharedStats, StoreStats};

/// One store's share of the gauges.
pub struct Footprint {
    metrics: Arc<StateMetrics>,
    shown: StoreStats,
}

impl Footprint {
    pub fn new(metrics: Arc<StateMetrics>) -> Footprint {
        Footprint { metrics, shown: StoreStats::default() }
    }

    /// Shows what the store says of itself now. Every few seconds is enough: it asks RocksDB.
    pub fn show(&mut self, stats: StoreStats) {
        let bytes = |stats: &StoreStats| stats.file_bytes + stats.memtable_bytes;
        self.metrics.bytes.add(difference(bytes(&self.shown), bytes(&stats)));
        self.metrics.pending_compaction_bytes.add(difference(self.shown.pending_compaction_bytes, stats.pending_compaction_bytes));
        self.metrics.write_stopped_stores.add(i64::from(stats.stopped) - i64::from(self.shown.stopped));
        // A store that was reopened counts from zero.
        self.metrics.stalls.inc_by(stats.stalls.saturating_sub(self.shown.stalls));
        self.shown = stats;
    }
}

impl Drop for Footprint {
    fn drop(&mut self) {
        self.show(StoreStats::default());
    }
}

/// Shows what all stores share, and the memory of all tasks.
pub fn show_shared(metrics: &StateMetrics, stats: SharedStats, memory: &CustomerMemory) {
    metrics.memory_bytes.set(memory.taken() as i64);
    metrics.block_cache_bytes.set(stats.cache_bytes as i64);
    metrics.block_cache_pinned_bytes.set(stats.cache_pinned_bytes as i64);
    metrics.write_buffer_bytes.set(stats.write_buffer_bytes as i64);
}

fn difference(before: u64, after: u64) -> i64 {
    after as i64 - before as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Labels, Metrics};

    #[test]
    fn gauges_are_the_sum_over_the_stores_that_are_here() {
        let state = Metrics::new(&Labels::default()).unwrap().state;
        let stats = |file_bytes, stalls, stopped| StoreStats { file_bytes, stalls, stopped, ..StoreStats::default() };
        let (mut a, mut b) = (Footprint::new(state.clone()), Footprint::new(state.clone()));
        a.show(stats(100, 2, true));
        b.show(stats(10, 1, true));
        a.show(stats(70, 5, false));
        assert_eq!((state.bytes.get(), state.write_stopped_stores.get(), state.stalls.get()), (80, 1, 6));
        drop(b);
        assert_eq!((state.bytes.get(), state.write_stopped_stores.get(), state.stalls.get()), (70, 0, 6));
    }
}
