//! What goes out, as bytes: transitions, moves and announcements as NDJSON lines and as `track` records, memberships,
//! dead letters.
//!
//! Written straight into a buffer: a tree of values for each transition would cost more than deciding it.
//!
//! **Invariant:** equal arguments give equal bytes, field order included: a repeat after a crash is the same record.

mod moves;

use std::borrow::Cow;

use super::json::ObjectWriter;
use super::reject::Reject;
use crate::experiment::Arm;
use crate::id::{CustomerId, SegmentKey, SourcePosition};
use crate::time::EventTime;
use crate::transition::{Announcement, Direction, Evidence, Output, Transition, Trigger};

pub use moves::{MoveRecord, move_line};

/// A Kafka header, as text.
pub type Header<'a> = (&'static str, Cow<'a, str>);

/// Appends a transition or an announcement as one line of NDJSON, its line feed included.
pub fn output_line(output: Output<'_>, out: &mut Vec<u8>) {
    let mut line = ObjectWriter::begin(out);
    output_fields(output, &mut line);
    line.end();
    out.push(b'\n');
}

fn output_fields(output: Output<'_>, line: &mut ObjectWriter<'_>) {
    match output {
        Output::Transition(transition) => transition_fields(transition, line),
        Output::Announcement(announcement) => announcement_fields(announcement, line),
    }
}

/// The members of a transition, in the order that the contract shows. Absent: not applicable. Null: none.
fn transition_fields(transition: &Transition, line: &mut ObjectWriter<'_>) {
    line.text("customer", transition.customer.as_str());
    line.text("segment", transition.segment.as_str());
    line.word("transition", transition.direction.as_str());
    line.instant("at", transition.at);
    line.number("sequence", transition.sequence);
    line.number("entry", transition.entry);
    line.instant("decided_at", transition.decided_at);
    line.word("cause", transition.cause.as_str());
    line.object_or_null("trigger", transition.trigger.as_ref(), trigger_fields);
    line.objects("evidence", &transition.evidence, evidence_fields);
    if transition.direction == Direction::Entered {
        line.instant_or_null("valid_until", transition.valid_until);
    }
    line.text("version", &transition.version);
    if let Some(since) = transition.since {
        line.object("previous", |previous| previous.instant("since", since));
    }
    experiment_field(transition.arm, line);
    if let Some(withheld) = transition.withheld {
        line.word("withheld", withheld.as_str());
    }
}

fn announcement_fields(announcement: &Announcement, line: &mut ObjectWriter<'_>) {
    line.text("customer", announcement.customer.as_str());
    line.text("segment", announcement.segment.as_str());
    line.word("announcement", EXPIRING);
    line.instant("at", announcement.at);
    line.number("sequence", announcement.sequence);
    line.number("entry", announcement.entry);
    line.instant("decided_at", announcement.decided_at);
    line.word("cause", announcement.cause.as_str());
    line.instant("since", announcement.since);
    line.instant("valid_until", announcement.valid_until);
    line.text("version", &announcement.version);
    experiment_field(announcement.arm, line);
}

fn experiment_field(arm: Option<Arm>, line: &mut ObjectWriter<'_>) {
    if let Some(arm) = arm {
        line.object("experiment", |experiment| experiment.word("arm", arm.as_str()));
    }
}

/// The only kind of announcement.
pub const EXPIRING: &str = "expiring";

/// Names of the members above: a segment's key that is one of them cannot be a member beside them.
const OUTPUT_FIELDS: [&str; 17] = [
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
    "experiment",
    "withheld",
    "announcement",
    "since",
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
    object.word("op", evidence.op);
    object.text_or_null("threshold", evidence.threshold.as_deref());
    object.boolean("met", evidence.met);
    if evidence.approximate {
        object.boolean("approximate", true);
    }
}

/// A transition or an announcement as a record of the transitions or an entry topic: a Segment `track`, and a CloudEvent
/// in binary mode.
///
/// Source: Segment, "Engage: using audience events" (`Audience Entered`, `audience_key`); CloudEvents 1.0, Kafka
/// protocol binding §3.2.
pub struct OutputRecord<'a> {
    output: Output<'a>,
    customer: &'a CustomerId,
    segment: &'a SegmentKey,
    at: EventTime,
    deployment: &'a str,
    id: String,
    names: &'static Names,
}

/// How a reader tells the kinds of records apart.
struct Names {
    event: &'static str,
    ce_type: &'static str,
    /// A plain header: name and value.
    header: (&'static str, &'static str),
}

const ENTERED: Names = Names { event: "Audience Entered", ce_type: "segmentd.audience.entered", header: ("transition", "entered") };
const EXITED: Names = Names { event: "Audience Exited", ce_type: "segmentd.audience.exited", header: ("transition", "exited") };
const ANNOUNCED: Names = Names { event: "Audience Expiring", ce_type: "segmentd.audience.expiring", header: ("announcement", EXPIRING) };

impl<'a> OutputRecord<'a> {
    pub fn new(output: Output<'a>, deployment: &'a str) -> OutputRecord<'a> {
        let (customer, segment, at, id, names) = match output {
            Output::Transition(t) => {
                let names = if t.direction == Direction::Entered { &ENTERED } else { &EXITED };
                (&t.customer, &t.segment, t.at, t.id(deployment), names)
            }
            Output::Announcement(a) => (&a.customer, &a.segment, a.at, a.id(deployment), &ANNOUNCED),
        };
        OutputRecord { output, customer, segment, at, deployment, id, names }
    }

    /// The record's key, which also decides its partition.
    pub fn key(&self) -> &'a [u8] {
        self.customer.as_str().as_bytes()
    }

    /// Appends the record's value.
    pub fn write_value(&self, out: &mut Vec<u8>) {
        let mut record = ObjectWriter::begin(out);
        record.word("type", "track");
        record.word("event", self.names.event);
        record.text("messageId", &self.id);
        record.text("userId", self.customer.as_str());
        record.instant("timestamp", self.at);
        record.object("properties", |properties| {
            let segment = self.segment.as_str();
            properties.text(AUDIENCE_KEY, segment);
            // Two members of one name would be read differently by different readers; `transition` says the same.
            if segment != AUDIENCE_KEY && !OUTPUT_FIELDS.contains(&segment) {
                properties.boolean(segment, self.names.event != EXITED.event);
            }
            output_fields(self.output, properties);
        });
        record.end();
    }

    pub fn headers(&self) -> [Header<'_>; 9] {
        let (kind, value) = self.names.header;
        [
            ("ce_specversion", "1.0".into()),
            ("ce_id", self.id.as_str().into()),
            ("ce_source", self.deployment.into()),
            ("ce_type", self.names.ce_type.into()),
            ("ce_subject", self.customer.as_str().into()),
            ("ce_time", self.at.to_string().into()),
            ("segment", self.segment.as_str().into()),
            (kind, value.into()),
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
