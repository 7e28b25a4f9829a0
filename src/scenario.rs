//! A test is a page: segments, events and the transitions that they must lead to, as text that a person reads.
//!
//! The same form stands in `tests/scenarios/*.yaml`, in the `tests:` of a user's definitions and in the documentation;
//! random tests print their smallest failing case in it.
//!
//! ```yaml
//! name: the third order over $20 enters, and time alone ends it
//! segments:
//!   - {key: loyal, when: 'count(orders last 30d) > 2 and every(orders last 30d: total > 20)'}
//! ladders:
//!   - {key: life, stages: [{key: active, when: 'count(orders last 30d) > 0'}, {key: dormant}]}
//! events:
//!   - {at: 2026-01-01T10:00:00Z, orders: {order_id: a, total: 25}}
//!   - {at: 2026-01-02T10:00:00Z, customer: anna, identify: {plan: gold}}
//! until: 2026-03-01T00:00:00Z
//! expect:
//!   - {at: 2026-01-03T10:00:00Z, entered: loyal, cause: event, published: true}
//!   - {at: 2026-02-02T10:00:00Z, entered: dormant, from: active, cause: time}
//!   - {never: silver}
//! ```
//!
//! Where an event names no `customer:` it is `c`'s; without `partition:` it is in partition 0; without `id:` its id is
//! its order id, or else its stream and its place on the page.
//!
//! Before `until` may stand `epoch: 1h`, for how often the cuts of `top p%` are sought.
//!
//! **Invariant:** `expect` is complete for the segments it names, and says nothing about the others.

mod compare;
mod parse;
mod print;
mod run;
mod value;

pub use compare::{Line, Outcome, compare, differences};
pub use parse::{parse, read, read_tests};

use std::sync::Arc;

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::event::{Body, Catalogue, Event, Projection, StreamIndex, Value};
use crate::experiment::Arm;
use crate::id::{CustomerId, EventId, LadderKey, ListKey, Partition, SegmentKey};
use crate::rule::diagnostic::Source;
use crate::rule::yaml::Node;
use crate::time::{EventTime, Span};
use crate::transition::{Cause, Direction};

/// Whose events those are that name nobody.
pub const DEFAULT_CUSTOMER: &str = "c";

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub name: String,
    pub lists: Vec<(ListKey, Vec<CustomerId>)>,
    /// Empty in a test that stands inside the definitions it tests.
    pub segments: Vec<PageSegment>,
    pub ladders: Vec<PageLadder>,
    /// In order of arrival, which need not be the order of their times.
    pub events: Vec<PageEvent>,
    /// How often cuts are sought; `None`: as often as by default.
    pub epoch: Option<Span>,
    /// Where the clock of every partition is set at the end; `None`: it stays where the last event left it.
    pub until: Option<EventTime>,
    pub expect: Vec<Expectation>,
}

/// A page and where it stands.
#[derive(Clone, Debug)]
pub struct Written {
    pub page: Page,
    source: Arc<Source>,
    node: Node,
}

/// A segment as its author writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSegment {
    pub key: SegmentKey,
    pub timezone: Option<String>,
    pub when: String,
    pub exit_when: Option<String>,
    /// Every other option by name.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// A ladder as its author writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLadder {
    pub key: LadderKey,
    pub timezone: Option<String>,
    pub stages: Vec<PageStage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageStage {
    pub key: SegmentKey,
    /// `None`: of the last stage.
    pub when: Option<String>,
    pub exit_when: Option<String>,
    /// Every other option by name.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// An input record as a page writes it: decoded and typed, but with all its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct PageEvent {
    pub at: EventTime,
    pub customer: CustomerId,
    pub partition: Partition,
    pub id: EventId,
    pub stream: StreamIndex,
    /// Fields by name; of an `identify`, traits by name.
    pub fields: Vec<(SmolStr, Value)>,
}

/// One line of `expect`.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    Transition(ExpectedTransition),
    /// `{never: key}`: the page speaks of this segment, and nobody enters or leaves it.
    Never(SegmentKey),
}

/// What a line of `expect` says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    Entered,
    Exited,
    /// Its end was announced.
    Expiring,
}

/// A transition or an announcement that must come; what is `None` may be anything.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedTransition {
    pub at: EventTime,
    pub customer: CustomerId,
    pub segment: SegmentKey,
    pub happening: Happening,
    pub cause: Option<Cause>,
    pub sequence: Option<u64>,
    pub entry: Option<u64>,
    /// `Some(None)`: `valid_until: null`, it never ends by itself.
    pub valid_until: Option<Option<EventTime>>,
    /// Of an entry into a ladder's stage: the stage that was left for it. `Some(None)`: `from: null`, none.
    pub from: Option<Option<SegmentKey>>,
    /// Whether it goes to the entry topic too; an exit never does.
    pub published: Option<bool>,
    pub arm: Option<Arm>,
}

impl Page {
    /// The segments that `expect` speaks of.
    pub fn named_segments(&self) -> std::collections::BTreeSet<&SegmentKey> {
        self.expect.iter().map(Expectation::segment).collect()
    }
}

impl Happening {
    pub const ALL: [Happening; 3] = [Happening::Entered, Happening::Exited, Happening::Expiring];

    pub fn as_str(self) -> &'static str {
        match self {
            Happening::Entered => "entered",
            Happening::Exited => "exited",
            Happening::Expiring => "expiring",
        }
    }
}

impl From<Direction> for Happening {
    fn from(direction: Direction) -> Happening {
        match direction {
            Direction::Entered => Happening::Entered,
            Direction::Exited => Happening::Exited,
        }
    }
}

impl Expectation {
    pub fn segment(&self) -> &SegmentKey {
        match self {
            Expectation::Transition(expected) => &expected.segment,
            Expectation::Never(segment) => segment,
        }
    }
}

impl PageEvent {
    /// The event as the decoder would have made it: only the fields that the projection keeps.
    pub fn to_event(&self, catalogue: &Catalogue, projection: &Projection) -> Event {
        let traits = projection.traits.iter().enumerate();
        let body = match self.is_identify(catalogue) {
            true => Body::Traits(traits.filter_map(|(i, name)| Some((i, self.field(name)?.clone()))).collect()),
            false => Body::Fields(self.kept_fields(catalogue, projection)),
        };
        Event { customer: self.customer.clone(), stream: self.stream, time: self.at, id: self.id.clone(), body }
    }

    /// The value of a field or trait that the page gives, null included.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    fn is_identify(&self, catalogue: &Catalogue) -> bool {
        catalogue.stream(self.stream).role == crate::event::streams::StreamRole::Traits
    }

    fn kept_fields(&self, catalogue: &Catalogue, projection: &Projection) -> Vec<Value> {
        let fields = &catalogue.stream(self.stream).fields;
        let kept = projection.fields.get(usize::from(self.stream.0)).map_or(&[][..], Vec::as_slice);
        kept.iter().map(|i| self.field(&fields[usize::from(i.0)].name).cloned().unwrap_or_default()).collect()
    }
}
