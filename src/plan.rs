//! The plan: all rules compiled together, so that work follows what an event touches and not how many segments there are.
//!
//! ```text
//!     event ─▶ stream ─▶ aggregates over it ─▶ predicates over them ─▶ segments whose logic names them
//! ```
//!
//! Equal aggregates, row conditions and predicates are kept once, whoever names them (hash-consing by canonical text).
//!
//! **Invariant:** a plan never changes. It is made whole from checked definitions, and swapped whole.

mod band;
mod common;
mod compile;
mod experiment;
pub mod formula;
mod kept;
pub mod linear;
mod list;
mod monotone;
mod quorum;
mod ranking;
mod restrict;
pub mod sequence;
mod subject;

use std::sync::Arc;

use smol_str::SmolStr;

pub use band::Band;
pub use common::Common;
pub use compile::compile;
pub use experiment::{ExperimentPlan, GoalPlan};
pub use formula::{Formula, Leaf};
pub use kept::Kept;
pub use linear::Linear;
pub use list::List;
pub use quorum::{Quorum, Unit};
pub use ranking::{CutPlan, RankingPlan};
pub use sequence::{SequencePlan, Watch};

use crate::event::streams::StreamRole;
use crate::event::{Catalogue, Projection};
use crate::id::{LadderKey, ListKey, SegmentKey};
use crate::rule::Publication;
pub use crate::rule::Stage;
use crate::rule::ast::Function;
use crate::time::Span;
use crate::window::Window;

/// Everything that the engine needs to know of rules and streams.
#[derive(Debug)]
pub struct Plan {
    pub catalogue: Arc<Catalogue>,
    pub projection: Arc<Projection>,
    /// By stream index.
    pub streams: Arc<Vec<StreamPlan>>,
    pub aggregates: Vec<AggregatePlan>,
    pub windows: Vec<WindowPlan>,
    /// Windows over each stream.
    pub over_stream: Vec<Vec<usize>>,
    pub sequences: Arc<Vec<SequencePlan>>,
    /// Predicates that look at each stream through a sequence.
    pub watches: Vec<Vec<Watch>>,
    pub predicates: Vec<Predicate>,
    /// Predicates that compare with a cut.
    pub ranked: Vec<usize>,
    /// In order of definition.
    pub segments: Vec<SegmentPlan>,
    /// Segment indexes such that a segment stands after those that it names.
    pub order: Vec<usize>,
    /// Segments with a `min_stay`.
    pub stays: Vec<usize>,
    pub ladders: Vec<LadderPlan>,
    pub lists: Arc<Vec<(ListKey, List)>>,
    /// Segments whose ends are announced; none in a part to look ahead in.
    pub expiring: Vec<usize>,
    /// In the order of their segments; none in a part to look ahead in.
    pub experiments: Vec<ExperimentPlan>,
    /// Values by which customers are ranked; none in such a part either.
    pub rankings: Vec<RankingPlan>,
    pub cuts: Vec<CutPlan>,
    /// Of all definitions: another fingerprint, another plan.
    pub fingerprint: u64,
}

/// What is kept of a stream, and what looks at it.
#[derive(Debug, Default)]
pub struct StreamPlan {
    pub name: SmolStr,
    /// Some rule looks at it, or at something that it changes. Other streams only move the clock.
    pub tracked: bool,
    /// The fields that rows keep: name, and position in an event of this stream.
    pub cells: Vec<(SmolStr, usize)>,
    /// The cell that refunds lower.
    pub total_cell: Option<usize>,
    /// Filters, each a bit of every row; an aggregate names its filter by position.
    pub conditions: Vec<Formula>,
    /// How long rows can be changed and are kept; `None`: for ever.
    pub retention: Option<Span>,
    /// A sequence or a funnel names it: rows of one instant keep the order in which they came among all such streams.
    pub ordered: bool,
    /// An experiment counts its events: rows are kept, whatever else looks at them.
    pub measured: bool,
    /// A sequence looks back for ever: no row is dropped.
    pub whole: bool,
    /// Positions in an event of this stream, where the engine itself needs the field.
    pub order_id: Option<usize>,
    pub total: Option<usize>,
    pub coupon: Option<usize>,
}

/// Which field an aggregate sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRef {
    /// No field: the event itself.
    Event,
    Cell(usize),
    Redeemed,
}

/// What an aggregate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Function(Function),
    /// `returned`: is there an event whose predecessor in the stream is at least this much older?
    Returned {
        after: Span,
    },
}

/// A window over a stream, and the aggregates that look through it. They all hold the same rows, found once.
#[derive(Clone, Debug)]
pub struct WindowPlan {
    pub stream: usize,
    pub window: Window,
    pub aggregates: Vec<usize>,
}

/// One shared aggregate: a measure over a field of the events of a window that meet a condition.
#[derive(Clone, Debug)]
pub struct AggregatePlan {
    pub measure: Measure,
    pub stream: usize,
    pub field: FieldRef,
    pub window: Window,
    /// Position of its window in [`Plan::windows`].
    pub through: usize,
    pub condition: Option<usize>,
    /// Canonical text, with the zone where it matters. Stored state is found again by its hash.
    pub text: Arc<str>,
    pub key: u64,
    /// Predicates that look at it.
    pub predicates: Vec<usize>,
}

/// A part of a rule that is not itself `and`, `or` or `not`: the unit that flips.
#[derive(Clone, Debug)]
pub struct Predicate {
    pub formula: Formula,
    /// The formula once more, where it is of this form.
    pub quorum: Option<Quorum>,
    /// The same.
    pub linear: Option<Linear>,
    /// The same.
    pub band: Option<Band>,
    pub subject: Subject,
    /// Rows only leave its window, and while they do its truth changes at most once.
    pub monotone: bool,
    /// The same of each of its inequalities, as long as no number is below zero.
    pub falling: bool,
    /// It looks at a `days_since`, which changes without any event.
    pub counts_days: bool,
    /// It compares with a cut: every change of its value matters, since it moves the customer's rank.
    pub ranks: bool,
    pub aggregates: Vec<usize>,
    /// The windows of its aggregates, each once.
    pub windows: Vec<usize>,
    pub traits: Vec<usize>,
    pub sequences: Vec<usize>,
    /// Segments that it names, with `last W` where given.
    pub segments: Vec<(usize, Option<Span>)>,
    /// Segments (by position in [`Plan::order`]) whose logic names this predicate.
    pub users: Vec<usize>,
}

/// A predicate's text in three parts, for evidence: `sum(orders.total lifetime)`, `in`, `[100, 300)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub aggregate: Arc<str>,
    pub op: &'static str,
    pub threshold: Arc<str>,
}

/// How a segment's predicates combine.
#[derive(Clone, Debug, PartialEq)]
pub enum Logic {
    Predicate(usize),
    Not(Box<Logic>),
    And(Vec<Logic>),
    Or(Vec<Logic>),
}

#[derive(Debug)]
pub struct SegmentPlan {
    pub key: SegmentKey,
    /// Stored memberships are found again by it.
    pub hash: u64,
    pub version: Arc<str>,
    pub when: Logic,
    pub exit_when: Option<Logic>,
    /// How long nobody who entered leaves.
    pub min_stay: Option<Span>,
    /// The predicate that puts a customer in whatever the rules say.
    pub pin: Option<usize>,
    /// The one that keeps a customer out, even one who is pinned.
    pub ban: Option<usize>,
    /// Its place, if it is a stage of a ladder.
    pub stage: Option<Stage>,
    /// What is told of its memberships.
    pub publication: Arc<Publication>,
    /// All that decides it, in the order of the text, each once; pin and ban stand last.
    pub predicates: Vec<usize>,
    /// Predicates that name this segment.
    pub dependents: Vec<usize>,
    /// Position in [`Plan::order`].
    pub position: usize,
    /// The part of the plan that decides this segment, to look ahead in; absent in such a part itself.
    pub outlook: Option<Box<Outlook>>,
}

/// Segments of which every customer is in exactly one.
#[derive(Clone, Debug)]
pub struct LadderPlan {
    pub key: LadderKey,
    /// Segment indexes by rank.
    pub stages: Vec<usize>,
}

/// A plan of one segment and what it rests on, with the indexes that its parts have in the whole plan.
#[derive(Debug)]
pub struct Outlook {
    pub plan: Plan,
    pub target: usize,
    pub windows: Vec<usize>,
    pub aggregates: Vec<usize>,
    pub predicates: Vec<usize>,
    pub segments: Vec<usize>,
}

impl Plan {
    pub fn role(&self, stream: usize) -> StreamRole {
        self.catalogue.streams[stream].role
    }
}

impl StreamPlan {
    /// Somebody looks at its events one by one; of other streams only the ids are known. `windows`: those over it.
    pub fn has_rows(&self, windows: &[usize]) -> bool {
        !windows.is_empty() || self.ordered || self.measured
    }
}

impl SegmentPlan {
    /// The predicate that its membership is the truth of, at every instant.
    pub fn sole_predicate(&self) -> Option<usize> {
        match self.when {
            Logic::Predicate(predicate) if self.is_plain() => Some(predicate),
            _ => None,
        }
    }

    /// Nothing but `when` has a say.
    fn is_plain(&self) -> bool {
        self.exit_when.is_none() && self.min_stay.is_none() && self.pin.is_none() && self.ban.is_none() && self.stage.is_none()
    }

    /// What its own rules say of who is a member, or is not. Asks no further than it must.
    pub fn holds(&self, member: bool, truth: &mut impl FnMut(usize) -> bool) -> bool {
        match &self.exit_when {
            Some(exit_when) => !exit_when.holds(truth) && (member || self.when.holds(truth)),
            None => self.when.holds(truth),
        }
    }

    /// Asks all that the decision over a member, or over who is none, rests on as everything stands.
    pub fn ask(&self, member: bool, truth: &mut impl FnMut(usize) -> bool) {
        let listed = [self.ban, self.pin].into_iter().flatten().any(&mut *truth);
        if !listed {
            self.holds(member, truth);
        }
    }

    /// Fills in what decides it, once that is known.
    pub(super) fn link(&mut self) {
        let mut found = Vec::new();
        let mut find = |predicate| {
            if !found.contains(&predicate) {
                found.push(predicate);
            }
        };
        [Some(&self.when), self.exit_when.as_ref()].into_iter().flatten().for_each(|logic| logic.each_predicate(&mut find));
        [self.pin, self.ban].into_iter().flatten().for_each(find);
        self.predicates = found;
    }
}

impl AggregatePlan {
    pub fn counts_days(&self) -> bool {
        matches!(self.measure, Measure::Function(Function::DaysSince | Function::DaysSinceFirst))
    }
}

impl Logic {
    /// Asks from the first part on, and no further than it must.
    pub fn holds(&self, truth: &mut impl FnMut(usize) -> bool) -> bool {
        match self {
            Logic::Predicate(index) => truth(*index),
            Logic::Not(inner) => !inner.holds(truth),
            Logic::And(parts) => parts.iter().all(|part| part.holds(truth)),
            Logic::Or(parts) => parts.iter().any(|part| part.holds(truth)),
        }
    }

    /// Calls `f` with every predicate, in the order of the text.
    pub fn each_predicate(&self, f: &mut impl FnMut(usize)) {
        match self {
            Logic::Predicate(index) => f(*index),
            Logic::Not(inner) => inner.each_predicate(f),
            Logic::And(parts) | Logic::Or(parts) => parts.iter().for_each(|part| part.each_predicate(f)),
        }
    }
}
