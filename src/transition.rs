//! What happened to a membership, why, and under which id it is published.
//!
//! **Invariant:** for one customer and segment, transitions alternate entered, exited, entered …; `sequence` counts
//! them from 1 without a gap, and the id is a function of (deployment, customer, segment, sequence) alone, so that a
//! repeat repeats the id.

use std::sync::Arc;

use smol_str::SmolStr;
use xxhash_rust::xxh3::xxh3_128;

use crate::id::{CustomerId, EventId, LadderKey, SegmentKey, SourcePosition};
use crate::time::EventTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Entered,
    Exited,
}

/// The kind of input that led to the evaluation (semantics §5); `LateEvent` goes before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    Event,
    LateEvent,
    Time,
    Refund,
    Cancellation,
    Trait,
    List,
    Definition,
}

/// The record that led to a transition; there is none when time alone did.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub stream: SmolStr,
    pub event_id: EventId,
    /// Absent in a replay from files.
    pub position: Option<SourcePosition>,
}

/// One predicate of the rule as it stood: `count(orders last 30d)` was `3`, compared `>` with `2`, and that held.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub aggregate: Arc<str>,
    /// `None`: null.
    pub value: Option<String>,
    pub op: &'static str,
    pub threshold: Option<String>,
    pub met: bool,
}

/// From one stage of a ladder to another: an exit and an entry at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub ladder: LadderKey,
    pub from: SegmentKey,
}

/// A membership that began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub customer: CustomerId,
    pub segment: SegmentKey,
    pub direction: Direction,
    /// The effective instant, exact to the millisecond.
    pub at: EventTime,
    /// When it was decided: the wall clock, or in a replay the task clock.
    pub decided_at: EventTime,
    /// Counts this customer's transitions of this segment, from 1.
    pub sequence: u64,
    /// Counts the entries, from 1; an exit carries the number of the entry that it ends.
    pub entry: u64,
    pub cause: Cause,
    pub trigger: Option<Trigger>,
    pub evidence: Vec<Evidence>,
    /// Of an entry: the instant at which it ends if nothing more happens; `None`: never.
    pub valid_until: Option<EventTime>,
    /// Fingerprint of the segment's definition, hexadecimal.
    pub version: Arc<str>,
    /// Of an exit: when the membership that ends had begun.
    pub since: Option<EventTime>,
    /// Of an entry into a ladder's stage that follows an exit from another: the two are a move.
    pub moved: Option<Move>,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Entered => "entered",
            Direction::Exited => "exited",
        }
    }
}

impl Cause {
    pub const ALL: [Cause; 8] =
        [Cause::Event, Cause::LateEvent, Cause::Time, Cause::Refund, Cause::Cancellation, Cause::Trait, Cause::List, Cause::Definition];

    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Event => "event",
            Cause::LateEvent => "late_event",
            Cause::Time => "time",
            Cause::Refund => "refund",
            Cause::Cancellation => "cancellation",
            Cause::Trait => "trait",
            Cause::List => "list",
            Cause::Definition => "definition",
        }
    }
}

impl Transition {
    /// The deterministic id (`messageId`, `ce_id`): 32 hexadecimal digits.
    pub fn id(&self, deployment: &str) -> String {
        self.hashed(&[deployment, self.customer.as_str(), self.segment.as_str()])
    }

    /// The id of the record of the move that this entry is part of; no transition has it.
    pub fn move_id(&self, deployment: &str, moved: &Move) -> String {
        self.hashed(&[deployment, self.customer.as_str(), self.segment.as_str(), moved.ladder.as_str()])
    }

    fn hashed(&self, parts: &[&str]) -> String {
        // Lengths keep ("a", "bc") and ("ab", "c") apart.
        let mut text = Vec::with_capacity(96);
        for part in parts {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        text.extend_from_slice(&self.sequence.to_le_bytes());
        format!("{:032x}", xxh3_128(&text))
    }
}
