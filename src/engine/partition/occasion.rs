//! What is told of a step: changes and expiries with the occasion that they came by.
//!
//! **Invariant:** nothing is decided here; a transition says what the step did.

use crate::engine::{Change, Expiry};
use crate::event::Event;
use crate::id::{CustomerId, SourcePosition};
use crate::plan::Plan;
use crate::time::EventTime;
use crate::transition::{Announcement, Cause, Move, Transition, Trigger};

/// Why and when a step is made, for its transitions.
pub struct Occasion<'a> {
    pub cause: Cause,
    pub event: Option<&'a Event>,
    pub position: Option<&'a SourcePosition>,
    pub decided_at: EventTime,
}

impl Occasion<'_> {
    pub fn transition(&self, plan: &Plan, customer: &CustomerId, change: Change, at: EventTime) -> Transition {
        let segment = &plan.segments[change.segment];
        Transition {
            customer: customer.clone(),
            segment: segment.key.clone(),
            direction: change.direction,
            at,
            decided_at: self.decided_at,
            sequence: change.sequence,
            entry: change.entry,
            cause: self.cause,
            trigger: self.event.map(|event| Trigger {
                stream: plan.catalogue.stream(event.stream).name.clone(),
                event_id: event.id.clone(),
                position: self.position.cloned(),
            }),
            evidence: change.evidence,
            valid_until: change.valid_until,
            version: segment.version.clone(),
            since: change.since,
            moved: segment
                .stage
                .zip(change.from)
                .map(|(stage, from)| Move { ladder: plan.ladders[stage.ladder].key.clone(), from: plan.segments[from].key.clone() }),
            arm: change.arm,
            withheld: change.withheld,
            entry_topic: segment.publication.entry_topic.clone(),
        }
    }

    pub fn announcement(&self, plan: &Plan, customer: &CustomerId, expiry: &Expiry, at: EventTime) -> Announcement {
        let segment = &plan.segments[expiry.segment];
        Announcement {
            customer: customer.clone(),
            segment: segment.key.clone(),
            at,
            decided_at: self.decided_at,
            sequence: expiry.sequence,
            entry: expiry.entry,
            since: expiry.since,
            cause: self.cause,
            valid_until: expiry.valid_until,
            version: segment.version.clone(),
            arm: segment.publication.experiment.as_ref().map(|experiment| experiment.arm(customer)),
            entry_topic: segment.publication.entry_topic.clone(),
        }
    }
}
