//! What came in, and what became of it.

use prometheus::{IntCounter, IntCounterVec, Result};

use super::{Declare, Labels};

/// Every consumed record ends in exactly one of applied, duplicate, rejected and skipped; late and unmatched are
/// properties of applied ones.
pub struct EventMetrics {
    /// Records read, for each input topic in the order of [`Labels::topics`].
    pub consumed: Vec<IntCounter>,
    /// For each stream, by its index in the catalogue.
    pub streams: Vec<StreamMetrics>,
    /// Records that no stream takes.
    pub skipped: IntCounter,
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
        Ok(EventMetrics {
            consumed: labels.topics.iter().map(|topic| consumed.with_label_values(&[&topic.0])).collect(),
            streams: StreamMetrics::all(declare, labels)?,
            skipped: declare.counter("segmentd_events_skipped_total", "Records that no stream takes")?,
            rejected,
            dead_letters,
        })
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

impl StreamMetrics {
    fn all(declare: &Declare<'_>, labels: &Labels) -> Result<Vec<StreamMetrics>> {
        let applied = declare.counters("segmentd_events_applied_total", "Events that changed a customer's history", &["stream"])?;
        let duplicate = declare.counters("segmentd_events_duplicate_total", "Events whose id had been seen", &["stream"])?;
        let late = declare.counters("segmentd_events_late_total", "Applied events older than the task clock", &["stream"])?;
        let unmatched = declare.counters("segmentd_events_unmatched_total", "Events about an order that is not remembered", &["stream"])?;
        let handles = |name: &str| StreamMetrics {
            applied: applied.with_label_values(&[name]),
            duplicate: duplicate.with_label_values(&[name]),
            late: late.with_label_values(&[name]),
            unmatched: unmatched.with_label_values(&[name]),
        };
        Ok(labels.streams.iter().map(|name| handles(name)).collect())
    }
}
