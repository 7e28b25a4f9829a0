//! Changes of definitions, lists and streams while the service runs.

use prometheus::{Gauge, IntCounter, Result};

use super::Declare;
use crate::time::EventTime;

pub struct ReloadMetrics {
    succeeded: IntCounter,
    /// Refused: what was in force stays in force.
    pub failed: IntCounter,
    last_success: Gauge,
}

impl ReloadMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<ReloadMetrics> {
        let reloads =
            declare.counters("segmentd_config_reloads_total", "Reloads of definitions, lists and streams by result", &["result"])?;
        let last_success = "When the definitions in force were loaded, in Unix time";
        Ok(ReloadMetrics {
            succeeded: reloads.with_label_values(&["success"]),
            failed: reloads.with_label_values(&["failure"]),
            last_success: declare
                .float_gauges("segmentd_config_last_reload_success_timestamp_seconds", last_success, &[])?
                .with_label_values::<&str>(&[]),
        })
    }

    /// Counts a reload that succeeded.
    pub fn succeeded(&self, at: EventTime) {
        self.succeeded.inc();
        self.loaded(at);
    }

    /// Notes when the definitions in force were loaded, also at start.
    pub fn loaded(&self, at: EventTime) {
        self.last_success.set(at.millis() as f64 / 1000.0);
    }
}
