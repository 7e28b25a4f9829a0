//! What went out: transitions by segment, direction and cause, how late they were, and who is in.

use std::collections::HashMap;

use prometheus::{Histogram, IntCounter, IntGauge, Result};

use super::Declare;
use crate::id::SegmentKey;
use crate::transition::{Cause, Direction};

pub struct TransitionMetrics {
    segments: HashMap<SegmentKey, SegmentMetrics, foldhash::fast::RandomState>,
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
    /// By direction, then by cause.
    transitions: [[IntCounter; Cause::ALL.len()]; 2],
}

impl TransitionMetrics {
    pub(super) fn new(declare: &Declare<'_>, segments: &[SegmentKey]) -> Result<TransitionMetrics> {
        let labels = ["segment", "transition", "cause"];
        let transitions = declare.counters("segmentd_transitions_total", "Committed transitions", &labels)?;
        let members = declare.gauges("segmentd_segment_members", "Members of a segment in this process's partitions", &["segment"])?;
        let counter = |key: &SegmentKey, direction: Direction, cause: Cause| {
            transitions.with_label_values(&[key.as_str(), direction.as_str(), cause.as_str()])
        };
        let handles = |key: &SegmentKey| SegmentMetrics {
            members: members.with_label_values(&[key.as_str()]),
            transitions: [Direction::Entered, Direction::Exited].map(|direction| Cause::ALL.map(|cause| counter(key, direction, cause))),
        };
        Ok(TransitionMetrics {
            segments: segments.iter().map(|key| (key.clone(), handles(key))).collect(),
            latency: declare
                .latency("segmentd_transition_latency_seconds", "From a record's source timestamp to its committed transition")?,
            timer_lag: declare.latency("segmentd_timer_lag_seconds", "From the instant at which a timer was due by the task clock (clock.idle_delay behind the wall clock) to its committed effect")?,
        })
    }

    /// The handles of a segment; `None` if it was not named at start. Callers keep them.
    pub fn segment(&self, key: &SegmentKey) -> Option<&SegmentMetrics> {
        self.segments.get(key)
    }
}

impl SegmentMetrics {
    /// Counts one committed transition.
    pub fn transitions(&self, direction: Direction, cause: Cause) -> &IntCounter {
        &self.transitions[direction as usize][cause as usize]
    }
}
