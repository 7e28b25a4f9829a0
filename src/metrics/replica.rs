//! How far a read replica is behind the membership topic.

use prometheus::{GaugeVec, IntCounter, IntGaugeVec, Result};

use super::Declare;
use crate::id::Partition;
use crate::time::EventTime;

pub struct ReplicaMetrics {
    /// Copies that were emptied and read again.
    pub started_over: IntCounter,
    lag: IntGaugeVec,
    as_of: GaugeVec,
}

impl ReplicaMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<ReplicaMetrics> {
        Ok(ReplicaMetrics {
            started_over: declare.counter("segmentd_replica_started_over_total", "Copies that were emptied and read again")?,
            lag: declare.gauges("segmentd_replica_lag_records", "Offsets that a copy is behind its partition", &["partition"])?,
            as_of: declare.float_gauges(
                "segmentd_replica_as_of_timestamp_seconds",
                "Everything committed by then is in the copy, in Unix time",
                &["partition"],
            )?,
        })
    }

    /// Shows one copy; as of when it is only once it has been read to its end.
    pub fn show(&self, partition: Partition, lag: u64, as_of: Option<EventTime>) {
        let partition = partition.0.to_string();
        self.lag.with_label_values(&[&partition]).set(i64::try_from(lag).unwrap_or(i64::MAX));
        if let Some(as_of) = as_of {
            self.as_of.with_label_values(&[&partition]).set(as_of.millis() as f64 / 1000.0);
        }
    }
}
