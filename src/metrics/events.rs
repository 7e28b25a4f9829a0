//! What came in, and what became of it.

use prometheus::{IntCounter, IntCounterVec, Result};

use super::{Declare, Labels};

/// Every consumed record ends in exactly one of applied, duplicate, rejected and skipped; late and unmatched are
/// properties of applied ones.
pub struct EventMetrics {
    /// Records read, for each input topic in the order of [`Labels::topics`].
    pub consumed: Vec<IntCounter>,
    /// Records that no stream takes.
    pub skipped: IntCounter,
    streams: StreamCounters,
    rejected: IntCounterVec,
    dead_letters: IntCounterVec,
}

/// Handles of one stream.
#[derive(Clone)]
pub struct StreamMetrics {
    pub applied: IntCounter,
    /// Repeats of an event id that was seen before.
    pub duplicate: IntCounter,
    /// Applied events that were older than the task clock.
    pub late: IntCounter,
    /// Refunds, cancellations and marks of an order that is not remembered.
    pub unmatched: IntCounter,
}

impl EventMetrics {
    pub(super) fn new(declare: &Declare<'_>, labels: &Labels) -> Result<EventMetrics> {
        let consumed = declare.counters("segmentd_events_consumed_total", "Records read from an input topic", &["topic"])?;
        let rejected = declare.counters("segmentd_events_rejected_total", "Records that cannot be an event, by reason", &["reason"])?;
        let dead_letters = declare.counters("segmentd_dead_letters_total", "Records sent to the dead-letter topic", &["reason"])?;
        for reason in &labels.reject_reasons {
            rejected.with_label_values(&[reason]);
            dead_letters.with_label_values(&[reason]);
        }
        let streams = StreamCounters::new(declare)?;
        labels.streams.iter().for_each(|name| drop(streams.stream(name)));
        Ok(EventMetrics {
            consumed: labels.topics.iter().map(|topic| consumed.with_label_values(&[&topic.0])).collect(),
            streams,
            skipped: declare.counter("segmentd_events_skipped_total", "Records that no stream takes")?,
            rejected,
            dead_letters,
        })
    }

    /// The handles of a stream, whose series exist from now on. Callers keep them.
    pub fn stream(&self, name: &str) -> StreamMetrics {
        self.streams.stream(name)
    }

    /// Records rejected for one reason. Looked up by name: rejections are rare.
    pub fn rejected(&self, reason: &'static str) -> IntCounter {
        self.rejected.with_label_values(&[reason])
    }

    /// Records sent to the dead-letter topic for one reason.
    pub fn dead_letters(&self, reason: &'static str) -> IntCounter {
        self.dead_letters.with_label_values(&[reason])
    }
}

/// The counters of all streams.
struct StreamCounters {
    applied: IntCounterVec,
    duplicate: IntCounterVec,
    late: IntCounterVec,
    unmatched: IntCounterVec,
}

impl StreamCounters {
    fn new(declare: &Declare<'_>) -> Result<StreamCounters> {
        let counters = |name: &str, help: &str| declare.counters(name, help, &["stream"]);
        Ok(StreamCounters {
            applied: counters("segmentd_events_applied_total", "Events that changed a customer's history")?,
            duplicate: counters("segmentd_events_duplicate_total", "Events whose id had been seen")?,
            late: counters("segmentd_events_late_total", "Applied events older than the task clock")?,
            unmatched: counters("segmentd_events_unmatched_total", "Events about an order that is not remembered")?,
        })
    }

    fn stream(&self, name: &str) -> StreamMetrics {
        StreamMetrics {
            applied: self.applied.with_label_values(&[name]),
            duplicate: self.duplicate.with_label_values(&[name]),
            late: self.late.with_label_values(&[name]),
            unmatched: self.unmatched.with_label_values(&[name]),
        }
    }
}
