//! How far the history of this process is behind the transitions topic.

use prometheus::{IntCounter, IntGaugeVec, Result};

use super::Declare;
use crate::id::Partition;

pub struct HistoryMetrics {
    /// Partitions whose history was emptied and read again.
    pub started_over: IntCounter,
    lag: IntGaugeVec,
}

impl HistoryMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<HistoryMetrics> {
        Ok(HistoryMetrics {
            started_over: declare.counter("segmentd_history_started_over_total", "Partitions whose history was emptied and read again")?,
            lag: declare.gauges(
                "segmentd_history_lag_records",
                "Offsets that the history is behind the transitions topic",
                &["partition"],
            )?,
        })
    }

    pub fn show(&self, partition: Partition, lag: u64) {
        self.lag.with_label_values(&[&partition.0.to_string()]).set(i64::try_from(lag).unwrap_or(i64::MAX));
    }

    /// A partition that went to another process.
    pub fn forget(&self, partition: Partition) {
        // It may never have been shown.
        let _ = self.lag.remove_label_values(&[&partition.0.to_string()]);
    }
}
