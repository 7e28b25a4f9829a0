//! What goes out, as bytes: transitions and moves as NDJSON lines and as `track` records, memberships, dead letters.
//!
//! Written straight into a buffer: a tree of values for each transition would cost more than deciding it.
//!
//! **Invariant:** equal arguments give equal bytes, field order included: a repeat after a crash is the same record.

mod moves;

use std::borrow::Cow;

use super::json::ObjectWriter;
use super::reject::Reject;
use crate::id::{CustomerId, SegmentKey, SourcePosition};
use crate::time::EventTime;
use crate::transition::{Direction, Evidence, Transition, Trigger};

pub use moves::{MoveRecord, move_line};

/// A Kafka header, as text.
pub type Header<'a> = (&'static str, Cow<'a, str>);

/// Appends a transition as one line of NDJSON, its line feed included.
pub fn transition_line(transition: &Transition, out: &mut Vec<u8>) {
    let mut line = ObjectWriter::begin(out);
    transition_fields(transition, &mut line);
    line.end();
    out.push(b'\n');
}

/// The members of a transition, in the order that the contract shows. Absent: not applicable. Null: none.
fn transition_fields(transition: &Transition, line: &mut ObjectWriter<'_>) {
    line.text("customer", transition.customer.as_str());
    line.text("segment", transition.segment.as_str());
    line.text("transition", transition.direction.as_str());
    line.instant("at", transition.at);
    line.number("sequence", transition.sequence);
    line.number("entry", transition.entry);
    line.instant("decided_at", transition.decided_at);
    line.text("cause", transition.cause.as_str());
    line.object_or_null("trigger", transition.trigger.as_ref(), trigger_fields);
    line.objects("evidence", &transition.evidence, evidence_fields);
    if transition.direction == Direction::Entered {
        line.instant_or_null("valid_until", transition.valid_until);
    }
    line.text("version", &transition.version);
    if let Some(since) = transition.since {
        line.object("previous", |previous| previous.instant("since", since));
    }
}

/// Names of the members above: a segment's key that is one of them cannot be a member beside them.
const TRANSITION_FIELDS: [&str; 13] = [
    "customer",
    "segment",
    "transition",
    "at",
    "sequence",
    "entry",
    "decided_at",
    "cause",
    "trigger",
    "evidence",
    "valid_until",
    "version",
    "previous",
];
const AUDIENCE_KEY: &str = "audience_key";

fn trigger_fields(trigger: &Trigger, object: &mut ObjectWriter<'_>) {
    object.text("stream", &trigger.stream);
    object.text("event_id", trigger.event_id.as_str());
    if let Some(position) = &trigger.position {
        object.text("topic", &position.topic.0);
        object.number("partition", position.partition.0);
        object.number("offset", position.offset.0);
    }
}

fn evidence_fields(evidence: &Evidence, object: &mut ObjectWriter<'_>) {
    object.text("aggregate", &evidence.aggregate);
    object.text_or_null("value", evidence.value.as_deref());
    object.text("op", evidence.op);
    object.text_or_null("threshold", evidence.threshold.as_deref());
    object.boolean("met", evidence.met);
}

/// A transition as a record of the transitions or entries topic: a Segment `track`, and a CloudEvent in binary mode.
///
/// Source: Segment, "Engage: using audience events" (`Audience Entered`, `audience_key`); CloudEvents 1.0, Kafka
/// protocol binding §3.2.
pub struct TransitionRecord<'a> {
    transition: &'a Transition,
    deployment: &'a str,
    id: String,
}

impl<'a> TransitionRecord<'a> {
    pub fn new(transition: &'a Transition, deployment: &'a str) -> TransitionRecord<'a> {
        TransitionRecord { transition, deployment, id: transition.id(deployment) }
    }

    /// The record's key, which also decides its partition.
    pub fn key(&self) -> &'a [u8] {
        self.transition.customer.as_str().as_bytes()
    }

    /// Appends the record's value.
    pub fn write_value(&self, out: &mut Vec<u8>) {
        let transition = self.transition;
        let entered = transition.direction == Direction::Entered;
        let mut record = ObjectWriter::begin(out);
        record.text("type", "track");
        record.text("event", if entered { "Audience Entered" } else { "Audience Exited" });
        record.text("messageId", &self.id);
        record.text("userId", transition.customer.as_str());
        record.instant("timestamp", transition.at);
        record.object("properties", |properties| {
            let segment = transition.segment.as_str();
            properties.text(AUDIENCE_KEY, segment);
            // Two members of one name would be read differently by different readers; `transition` says the same.
            if segment != AUDIENCE_KEY && !TRANSITION_FIELDS.contains(&segment) {
                properties.boolean(segment, entered);
            }
            transition_fields(transition, properties);
        });
        record.end();
    }

    pub fn headers(&self) -> [Header<'_>; 9] {
        let transition = self.transition;
        let kind = match transition.direction {
            Direction::Entered => "segmentd.audience.entered",
            Direction::Exited => "segmentd.audience.exited",
        };
        [
            ("ce_specversion", "1.0".into()),
            ("ce_id", self.id.as_str().into()),
            ("ce_source", self.deployment.into()),
            ("ce_type", kind.into()),
            ("ce_subject", transition.customer.as_str().into()),
            ("ce_time", transition.at.to_string().into()),
            ("segment", transition.segment.as_str().into()),
            ("transition", transition.direction.as_str().into()),
            ("content-type", "application/json".into()),
        ]
    }
}

/// One membership that holds.
#[derive(Clone, Copy, Debug)]
pub struct Membership<'a> {
    pub segment: &'a SegmentKey,
    pub since: EventTime,
    pub entry: u64,
    pub sequence: u64,
    /// `None`: it does not end by time alone.
    pub valid_until: Option<EventTime>,
    pub version: &'a str,
}

/// The value of a customer's record in the membership topic; `None`, a tombstone, once no membership holds.
pub fn membership_value<'a>(
    customer: &CustomerId,
    memberships: impl IntoIterator<Item = Membership<'a>>,
    updated_at: EventTime,
) -> Option<Vec<u8>> {
    let mut memberships = memberships.into_iter().peekable();
    memberships.peek()?;
    let mut out = Vec::with_capacity(256);
    let mut record = ObjectWriter::begin(&mut out);
    record.text("customer", customer.as_str());
    record.object("segments", |segments| {
        for membership in memberships {
            segments.object(membership.segment.as_str(), |object| membership_fields(&membership, object));
        }
    });
    record.instant("updated_at", updated_at);
    record.end();
    Some(out)
}

fn membership_fields(membership: &Membership<'_>, object: &mut ObjectWriter<'_>) {
    object.instant("since", membership.since);
    object.number("entry", membership.entry);
    object.number("sequence", membership.sequence);
    object.instant_or_null("valid_until", membership.valid_until);
    object.text("version", membership.version);
}

/// The headers of a dead letter; its key and value are the original bytes.
pub fn dead_letter_headers<'a>(reject: &'a Reject, source: &'a SourcePosition) -> [Header<'a>; 5] {
    [
        ("error_code", reject.code.as_str().into()),
        ("error_message", reject.message.as_str().into()),
        ("source_topic", (&*source.topic.0).into()),
        ("source_partition", source.partition.0.to_string().into()),
        ("source_offset", source.offset.0.to_string().into()),
    ]
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
