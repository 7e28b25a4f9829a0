//! What a record of the transitions topic says, as far as history is made of it.
//!
//! **Invariant:** announcements change nothing and are left out; so is whatever is no record of ours. Nothing is derived: what is
//! kept of a transition is what was published, member by member.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::id::{LadderKey, SegmentKey};
use crate::time::EventTime;

/// What happened to one customer.
#[derive(Debug, PartialEq)]
pub enum Happened {
    Transition(Transition),
    /// Its exit and its entry stand before it, as transitions.
    Move(Move),
}

#[derive(Debug, PartialEq)]
pub struct Transition {
    pub segment: SegmentKey,
    pub entered: bool,
    pub at: EventTime,
    pub sequence: u64,
    pub cause: String,
    /// JSON, as `segmentd replay` prints it.
    pub line: Vec<u8>,
}

#[derive(Debug, PartialEq)]
pub struct Move {
    pub ladder: LadderKey,
    pub from: SegmentKey,
    pub to: SegmentKey,
    pub at: EventTime,
}

#[derive(Deserialize)]
struct Record {
    properties: Map<String, Value>,
}

/// Reads the value of a record; `None`: it is an announcement, or not ours.
pub fn read(value: &[u8]) -> Option<Happened> {
    let Record { properties } = serde_json::from_slice(value).ok()?;
    match text(&properties, "transition")? {
        "moved" => moved(&properties).map(Happened::Move),
        "entered" => transition(properties, true).map(Happened::Transition),
        "exited" => transition(properties, false).map(Happened::Transition),
        _ => None,
    }
}

fn transition(mut properties: Map<String, Value>, entered: bool) -> Option<Transition> {
    let segment = SegmentKey::new(text(&properties, "segment")?);
    let cause = text(&properties, "cause")?.to_owned();
    let (at, sequence) = (instant(&properties)?, properties.get("sequence")?.as_u64()?);
    // What a record has beside a line: the segment's key, and under it whether the customer is in it. The others keep their order.
    properties.shift_remove("audience_key");
    if properties.get(segment.as_str()).is_some_and(Value::is_boolean) {
        properties.shift_remove(segment.as_str());
    }
    Some(Transition { segment, entered, at, sequence, cause, line: serde_json::to_vec(&properties).ok()? })
}

fn moved(properties: &Map<String, Value>) -> Option<Move> {
    Some(Move {
        ladder: LadderKey::new(text(properties, "ladder")?),
        from: SegmentKey::new(text(properties, "from")?),
        to: SegmentKey::new(text(properties, "to")?),
        at: instant(properties)?,
    })
}

fn text<'a>(properties: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    properties.get(name)?.as_str()
}

fn instant(properties: &Map<String, Value>) -> Option<EventTime> {
    EventTime::parse(text(properties, "at")?)
}
