//! What went out: transitions by segment, direction and cause, how late they were, and who is in.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Result};

use super::Declare;
use crate::id::SegmentKey;
use crate::time::EventTime;
use crate::transition::{Cause, Direction};

pub struct TransitionMetrics {
    /// Definitions change while the service runs; a transition is rare enough for a lock that nobody holds for long.
    segments: RwLock<HashMap<SegmentKey, Arc<SegmentMetrics>, foldhash::fast::RandomState>>,
    transitions: IntCounterVec,
    members: IntGaugeVec,
    last_change: GaugeVec,
    complete_since: GaugeVec,
    /// The same for who asks, without making a series.
    known_since: RwLock<HashMap<SegmentKey, EventTime>>,
    /// From the source timestamp of a record to the commit of the transition that it caused, in seconds.
    pub latency: Histogram,
    /// From a timer's due instant to the commit of what it fired, in seconds; while loading history it is large.
    pub timer_lag: Histogram,
}

/// Handles of one segment.
#[derive(Clone)]
pub struct SegmentMetrics {
    /// Members among the customers of this process's partitions.
    pub members: IntGauge,
    last_change: Gauge,
    /// By direction, then by cause.
    transitions: [[IntCounter; Cause::ALL.len()]; 2],
}

impl TransitionMetrics {
    pub(super) fn new(declare: &Declare<'_>, segments: &[SegmentKey]) -> Result<TransitionMetrics> {
        let labels = ["segment", "transition", "cause"];
        let transitions = declare.counters("segmentd_transitions_total", "Committed transitions", &labels)?;
        let members = declare.gauges("segmentd_segment_members", "Members of a segment in this process's partitions", &["segment"])?;
        let metrics = TransitionMetrics {
            segments: RwLock::default(),
            transitions,
            members,
            last_change: declare.float_gauges(
                "segmentd_segment_last_change_timestamp_seconds",
                "The effective instant of the last entry or exit that this process has committed, in Unix time; 0: none",
                &["segment"],
            )?,
            known_since: RwLock::default(),
            complete_since: declare.float_gauges(
                "segmentd_segment_complete_since_timestamp_seconds",
                "A segment was defined after this, and knows nothing of what happened before, in Unix time",
                &["segment"],
            )?,
            latency: declare
                .latency("segmentd_transition_latency_seconds", "From a record's source timestamp to its committed transition")?,
            timer_lag: declare.latency("segmentd_timer_lag_seconds", "From the instant at which a timer was due by the task clock (clock.idle_delay behind the wall clock) to its committed effect")?,
        };
        metrics.name(segments);
        Ok(metrics)
    }

    /// Makes the series of segments that have none yet. Those of a segment that is taken out stay: its exits are counted.
    pub fn name(&self, segments: &[SegmentKey]) {
        let mut known = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        for key in segments {
            known.entry(key.clone()).or_insert_with(|| Arc::new(self.handles(key)));
        }
    }

    /// Notes that a segment knows what happened since an instant, and not all that happened before. Of several partitions
    /// the latest counts.
    pub fn complete_since(&self, key: &SegmentKey, since: EventTime) {
        let gauge = self.complete_since.with_label_values(&[key.as_str()]);
        gauge.set(gauge.get().max(since.millis() as f64 / 1000.0));
        let mut known = self.known_since.write().unwrap_or_else(PoisonError::into_inner);
        let latest = known.entry(key.clone()).or_insert(since);
        *latest = since.max(*latest);
    }

    /// Since when a segment knows everything, where that is not always; see [`Self::complete_since`].
    pub fn known_since(&self, key: &SegmentKey) -> Option<EventTime> {
        self.known_since.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// The handles of a segment; `None` if it was never named.
    pub fn segment(&self, key: &SegmentKey) -> Option<Arc<SegmentMetrics>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn handles(&self, key: &SegmentKey) -> SegmentMetrics {
        let counter =
            |direction: Direction, cause: Cause| self.transitions.with_label_values(&[key.as_str(), direction.as_str(), cause.as_str()]);
        SegmentMetrics {
            members: self.members.with_label_values(&[key.as_str()]),
            last_change: self.last_change.with_label_values(&[key.as_str()]),
            transitions: [Direction::Entered, Direction::Exited].map(|direction| Cause::ALL.map(|cause| counter(direction, cause))),
        }
    }
}

impl SegmentMetrics {
    /// Notes the effective instant of a transition.
    pub fn changed_at(&self, at: EventTime) {
        self.last_change.set(self.last_change.get().max(at.millis() as f64 / 1000.0));
    }

    /// The latest of them; `None`: there was none.
    pub fn last_change(&self) -> Option<EventTime> {
        let seconds = Some(self.last_change.get()).filter(|seconds| *seconds > 0.0)?;
        Some(EventTime::from_millis((seconds * 1000.0).round() as i64))
    }

    /// Counts one committed transition.
    pub fn transitions(&self, direction: Direction, cause: Cause) -> &IntCounter {
        &self.transitions[direction as usize][cause as usize]
    }
}
