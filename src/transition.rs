//! What happened to a membership, why, and under which id it is published.
//!
//! **Invariant:** for one customer and segment, transitions alternate entered, exited, entered …; `sequence` counts
//! them from 1 without a gap, and the id is a function of (deployment, customer, segment, sequence) alone, so that a
//! repeat repeats the id. An announcement is no transition: it changes nothing, and is not counted.

use std::sync::Arc;

use smol_str::SmolStr;
use xxhash_rust::xxh3::xxh3_128;

use crate::experiment::Arm;
use crate::id::{CustomerId, EventId, LadderKey, SegmentKey, SourcePosition, TopicName};
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
    /// Two customers were found to be one.
    Merge,
    /// The customer was erased.
    Delete,
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
    /// The threshold is a cut among all customers, which is known to about 2 %.
    pub approximate: bool,
}

/// From one stage of a ladder to another: an exit and an entry at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub ladder: LadderKey,
    pub from: SegmentKey,
}

/// What keeps an entry out of the entry topic; mostly an option of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// `entry`: the policy does not let it through.
    Entry,
    /// `on_create: silent`: it came with the definition.
    OnCreate,
    /// `experiment`: the customer is in the control arm.
    Experiment,
    /// No option: the membership goes on that another id of the customer's began.
    Merge,
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
    /// Where the segment has an experiment.
    pub arm: Option<Arm>,
    /// Of an entry: why it is not in the entry topic; `None`: it is.
    pub withheld: Option<Withheld>,
    /// The segment's own entry topic, if it has one.
    pub entry_topic: Option<TopicName>,
}

/// A membership that will end by time alone, told some time before (`expiring`).
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    pub customer: CustomerId,
    pub segment: SegmentKey,
    /// The effective instant: so long before the end, or later if the end was not known by then.
    pub at: EventTime,
    pub decided_at: EventTime,
    /// Of the entry.
    pub sequence: u64,
    pub entry: u64,
    pub since: EventTime,
    pub cause: Cause,
    /// When it ends if nothing more happens.
    pub valid_until: EventTime,
    pub version: Arc<str>,
    pub arm: Option<Arm>,
    pub entry_topic: Option<TopicName>,
}

/// What a task tells, in the order in which it was decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output<'a> {
    Transition(&'a Transition),
    Announcement(&'a Announcement),
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
    pub const ALL: [Cause; 10] = [
        Cause::Event,
        Cause::LateEvent,
        Cause::Time,
        Cause::Refund,
        Cause::Cancellation,
        Cause::Trait,
        Cause::List,
        Cause::Definition,
        Cause::Merge,
        Cause::Delete,
    ];

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
            Cause::Merge => "merge",
            Cause::Delete => "delete",
        }
    }
}

impl Withheld {
    pub const ALL: [Withheld; 4] = [Withheld::Entry, Withheld::OnCreate, Withheld::Experiment, Withheld::Merge];

    /// The name of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            Withheld::Entry => "entry",
            Withheld::OnCreate => "on_create",
            Withheld::Experiment => "experiment",
            Withheld::Merge => "merge",
        }
    }
}

impl Transition {
    /// The deterministic id (`messageId`, `ce_id`): 32 hexadecimal digits.
    pub fn id(&self, deployment: &str) -> String {
        id(&[deployment, self.customer.as_str(), self.segment.as_str()], &[self.sequence])
    }

    /// The id of the record of the move that this entry is part of; no transition has it.
    pub fn move_id(&self, deployment: &str, moved: &Move) -> String {
        id(&[deployment, self.customer.as_str(), self.segment.as_str(), moved.ladder.as_str()], &[self.sequence])
    }

    /// Whether it goes to the entry topic.
    pub fn is_published_entry(&self) -> bool {
        self.direction == Direction::Entered && self.withheld.is_none()
    }
}

impl Announcement {
    /// The deterministic id: another end, another announcement.
    pub fn id(&self, deployment: &str) -> String {
        let parts = [deployment, self.customer.as_str(), self.segment.as_str()];
        id(&parts, &[self.sequence, self.valid_until.millis() as u64])
    }

    /// Whether it goes to the entry topic too: not for the control arm, which campaigns leave alone.
    pub fn is_for_campaigns(&self) -> bool {
        self.arm != Some(Arm::Control)
    }
}

fn id(parts: &[&str], numbers: &[u64]) -> String {
    // Lengths keep ("a", "bc") and ("ab", "c") apart.
    let mut text = Vec::with_capacity(96);
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    numbers.iter().for_each(|number| text.extend_from_slice(&number.to_le_bytes()));
    format!("{:032x}", xxh3_128(&text))
}
