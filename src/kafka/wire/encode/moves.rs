//! A customer's move from one stage of a ladder to another, as bytes: the third record beside the exit and the entry.
//!
//! **Invariant:** made of the entry alone, so that exit, entry and move always go out together, in this order.

use super::super::json::ObjectWriter;
use super::{Header, trigger_fields};
use crate::transition::{Move, Transition};

/// Appends the move that an entry is part of as one line of NDJSON; nothing, if it is none.
pub fn move_line(entry: &Transition, out: &mut Vec<u8>) {
    if let Some(moved) = &entry.moved {
        let mut line = ObjectWriter::begin(out);
        move_fields(entry, moved, &mut line);
        line.end();
        out.push(b'\n');
    }
}

fn move_fields(entry: &Transition, moved: &Move, line: &mut ObjectWriter<'_>) {
    line.text("customer", entry.customer.as_str());
    line.text("ladder", moved.ladder.as_str());
    line.text("transition", "moved");
    line.text("from", moved.from.as_str());
    line.text("to", entry.segment.as_str());
    line.instant("at", entry.at);
    line.number("entry", entry.entry);
    line.instant("decided_at", entry.decided_at);
    line.text("cause", entry.cause.as_str());
    line.object_or_null("trigger", entry.trigger.as_ref(), trigger_fields);
    line.text("version", &entry.version);
}

/// A move as a record of the transitions topic: a Segment `track`, and a CloudEvent in binary mode.
pub struct MoveRecord<'a> {
    entry: &'a Transition,
    moved: &'a Move,
    deployment: &'a str,
    id: String,
}

impl<'a> MoveRecord<'a> {
    /// `None`: the transition is not part of a move, or is its exit.
    pub fn of(entry: &'a Transition, deployment: &'a str) -> Option<MoveRecord<'a>> {
        let moved = entry.moved.as_ref()?;
        Some(MoveRecord { entry, moved, deployment, id: entry.move_id(deployment, moved) })
    }

    /// Appends the record's value.
    pub fn write_value(&self, out: &mut Vec<u8>) {
        let mut record = ObjectWriter::begin(out);
        record.text("type", "track");
        record.text("event", "Stage Changed");
        record.text("messageId", &self.id);
        record.text("userId", self.entry.customer.as_str());
        record.instant("timestamp", self.entry.at);
        record.object("properties", |properties| move_fields(self.entry, self.moved, properties));
        record.end();
    }

    pub fn headers(&self) -> [Header<'_>; 9] {
        [
            ("ce_specversion", "1.0".into()),
            ("ce_id", self.id.as_str().into()),
            ("ce_source", self.deployment.into()),
            ("ce_type", "segmentd.stage.changed".into()),
            ("ce_subject", self.entry.customer.as_str().into()),
            ("ce_time", self.entry.at.to_string().into()),
            ("ladder", self.moved.ladder.as_str().into()),
            ("transition", "moved".into()),
            ("content-type", "application/json".into()),
        ]
    }
}
