//! What a lane tells the metrics. Nothing here decides anything.
//!
//! Outputs are counted when their transaction is committed, so that a redone batch is counted once; inputs are counted
//! when they are applied.
//!
//! **Invariant:** no look-up by name and no lock on the way of an event; what is rare may look up.

use std::time::Duration;

use super::batch::{Fate, Letter};
use crate::customer::Applied;
use crate::engine::Accepted;
use crate::event::StreamIndex;
use crate::id::TopicName;
use crate::kafka::Message;
use crate::kafka::wire::RejectCode;
use crate::metrics::{Metrics, StreamMetrics};
use crate::money::Number;
use crate::plan::Plan;
use crate::rank::Cuts;
use crate::runtime::committed::Showing;
use crate::time::EventTime;
use crate::transition::{Cause, Direction, Transition};

pub struct Figures {
    metrics: Metrics,
    /// The inputs, in the order of the metric's labels.
    inputs: Vec<TopicName>,
    /// By stream index of the plan in force.
    streams: Vec<StreamMetrics>,
    idle_delay_ms: i64,
    timers_shown: i64,
}

impl Figures {
    pub fn new(metrics: Metrics, inputs: Vec<TopicName>, idle_delay: Duration, plan: &Plan) -> Figures {
        let idle_delay_ms = i64::try_from(idle_delay.as_millis()).unwrap_or(0);
        let mut figures = Figures { metrics, inputs, streams: Vec::new(), idle_delay_ms, timers_shown: 0 };
        figures.redefined(plan);
        figures
    }

    /// Another plan is in force: its streams may stand elsewhere.
    pub fn redefined(&mut self, plan: &Plan) {
        self.streams = plan.catalogue.streams.iter().map(|stream| self.metrics.events.stream(&stream.name)).collect();
    }

    /// Other cuts are in force.
    pub fn recut(&self, plan: &Plan, cuts: &Cuts) {
        self.metrics.cuts.show(plan.cut_texts().enumerate().map(|(index, text)| (text, cuts.at(index).map(Number::approximate))));
    }

    pub fn consumed(&self, message: &Message) {
        let topic = message.topic();
        let index = self.inputs.iter().position(|input| *input.0 == *topic);
        if let Some(counter) = index.and_then(|index| self.metrics.events.consumed.get(index)) {
            counter.inc();
        }
    }

    pub fn skipped(&self) {
        self.metrics.events.skipped.inc();
    }

    /// A record of an erased customer, from before the erasure.
    pub fn erased(&self) {
        self.metrics.events.rejected(RejectCode::Erased.as_str()).inc();
    }

    pub fn accepted(&self, stream: StreamIndex, accepted: Accepted) {
        let Some(stream) = self.streams.get(usize::from(stream.0)) else { return };
        match accepted.applied {
            Applied::Duplicate => stream.duplicate.inc(),
            Applied::Erased => self.erased(),
            // Counted where it goes: with another partition's records, or with the dead letters.
            Applied::Redirected | Applied::Circular => {}
            Applied::Accepted { matched } => {
                stream.applied.inc();
                if !matched {
                    stream.unmatched.inc();
                }
                if accepted.late {
                    stream.late.inc();
                }
            }
        }
    }

    /// One task's part of a committed transaction. `caused`: timestamps of the records that led to transitions.
    pub fn committed(&self, transitions: &[Transition], letters: &[Letter], caused: &[i64], wall: EventTime, showing: &Showing) {
        for transition in transitions {
            let direction = transition.direction;
            if let Some(segment) = self.metrics.transitions.segment(&transition.segment) {
                segment.transitions(direction, transition.cause).inc();
                segment.changed_at(transition.at);
                showing.moved(&transition.segment, if direction == Direction::Entered { 1 } else { -1 }, &segment.members);
            }
            // The delay is what was asked for; what comes on top of it is the lag.
            if transition.cause == Cause::Time {
                self.metrics.transitions.timer_lag.observe(seconds(wall.millis() - transition.at.millis() - self.idle_delay_ms));
            }
        }
        for timestamp in caused {
            self.metrics.transitions.latency.observe(seconds(wall.millis() - timestamp));
        }
        for letter in letters {
            if let Fate::Dead(reject) = &letter.fate {
                self.metrics.events.rejected(reject.code.as_str()).inc();
                self.metrics.events.dead_letters(reject.code.as_str()).inc();
            }
        }
    }

    pub fn commit_took(&self, took: Duration) {
        self.metrics.commits.committed.inc();
        self.metrics.commits.duration.observe(took.as_secs_f64());
    }

    pub fn aborted(&self) {
        self.metrics.commits.aborted.inc();
    }

    pub fn outcome_unknown(&self) {
        self.metrics.commits.unknown.inc();
    }

    /// Timers of all the lane's tasks. The gauge is the sum over lanes, so the difference is added.
    pub fn show_timers(&mut self, pending: usize) {
        let pending = i64::try_from(pending).unwrap_or(i64::MAX);
        self.metrics.tasks.timers_pending.add(pending - self.timers_shown);
        self.timers_shown = pending;
    }
}

fn seconds(millis: i64) -> f64 {
    millis.max(0) as f64 / 1000.0
}
