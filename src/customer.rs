//! One customer's state: facts, and where every shared aggregate, predicate and membership stands over them.
//!
//! [`Facts`] change by events alone. [`Standing`] also changes by time alone; but for the memberships it can be rebuilt
//! from the facts, and is when a customer is read from the store ([`codec`]).
//!
//! **Invariant:** after every call of the engine, each predicate's truth in `standing` is the truth over `facts` at every
//! instant from `standing.at` until (excluding) its `flip`; but for those that are asleep, on which nothing rests, and those
//! that are left to a scan ([`Common`]), which are asleep too.

mod apply;
mod arrival;
mod blocks;
mod carried;
pub mod codec;
mod cursor;
mod erased;
mod exposure;
mod footprint;
mod halves;
mod histories;
mod history;
mod kin;
mod merge;
mod total;

pub use apply::{Added, Applied, Touched, apply};
pub use carried::Succession;
pub use cursor::{Cursor, Passage};
pub use erased::Erased;
pub use exposure::{Exposure, measure};
pub use histories::Histories;
pub use history::{History, Row};
pub use kin::{Inherited, Kin};
pub use merge::merge;
pub use total::advance;

use std::sync::Arc;

use crate::aggregate::Accumulator;
use crate::event::Value;
use crate::plan::{AggregatePlan, Common, Plan};
use crate::rank::Cuts;
use crate::time::EventTime;

/// What is known of a customer, and what follows from it.
#[derive(Clone, Debug)]
pub struct CustomerState {
    pub facts: Facts,
    pub standing: Standing,
    /// If the id was erased before: the life before this one.
    pub erased: Option<Erased>,
    /// If the id is not its only one, or is another customer's by now.
    pub kin: Option<Box<Kin>>,
}

/// What happened: rows of the tracked streams, and traits.
#[derive(Clone, Debug)]
pub struct Facts {
    /// By stream index; those of untracked streams stay empty.
    pub histories: Histories,
    /// By position in the projection's traits: when the value was given, and the value.
    pub traits: Vec<Option<(EventTime, Value)>>,
}

/// What follows at one instant.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The instant of the last evaluation.
    pub at: EventTime,
    /// By window of the plan. Each stands at its own instant, between the last change of its rows and `at`.
    pub cursors: Vec<Cursor>,
    /// By aggregate, over the rows at which its window's cursor stands.
    pub totals: Vec<Accumulator>,
    /// By predicate.
    pub predicates: Vec<Truth>,
    /// By segment.
    pub memberships: Vec<Membership>,
    /// In segments that the plan does not have: their numbers go on if the segment comes back.
    pub former: Vec<Former>,
    /// The earliest instant at which time alone does something, be it a flip or an announcement: the one timer that this
    /// customer needs.
    pub next_flip: EventTime,
    /// Ascending by segment; only where a policy had something to remember.
    pub told: Vec<Told>,
    /// To experiments, also those that the plan does not have.
    pub exposures: Vec<Exposure>,
    /// From other ids, by segment, ascending; only where there is something.
    pub inherited: Vec<Inherited>,
    /// By which the truths are found.
    pub cuts: Cuts,
    /// Decided by the plan before, and going on by what it has in common with this one; `None`: by the whole plan.
    pub common: Option<Arc<Common>>,
}

/// What was told of a customer's memberships in one segment, as far as its policy needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub segment: usize,
    /// The last entry that `entry: after` let through.
    pub entered_at: Option<EventTime>,
    /// The end of the membership that was announced last; none of this membership.
    pub announced: Option<EventTime>,
    /// When the membership ends by time alone, as of the last event. Not stored: it is found again.
    pub end: Option<EventTime>,
}

/// A membership in a segment that is not defined any more, or not by this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    /// Hash of the segment's key.
    pub segment: u64,
    pub membership: Membership,
}

/// A predicate's truth, and the first instant at which it may change by time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    pub holds: bool,
    /// No decision rests on it: it is not kept up, and is found when somebody asks.
    pub asleep: bool,
    pub flip: EventTime,
}

impl Truth {
    pub const ASLEEP: Truth = Truth { holds: false, asleep: true, flip: EventTime::MAX };

    /// One that is kept up.
    pub fn new(holds: bool, flip: EventTime) -> Truth {
        Truth { holds, asleep: false, flip }
    }
}

/// A customer's history in one segment, as far as rules and records need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Transitions so far: odd while a member.
    pub sequence: u64,
    /// The instant of the last one: since when a member, or when it ended.
    pub changed_at: EventTime,
}

impl Membership {
    pub const NONE: Membership = Membership { sequence: 0, changed_at: EventTime::MIN };

    pub fn is_member(&self) -> bool {
        self.sequence % 2 == 1
    }

    /// How many memberships have begun.
    pub fn entry(&self) -> u64 {
        self.sequence.div_ceil(2)
    }

    pub fn since(&self) -> Option<EventTime> {
        self.is_member().then_some(self.changed_at)
    }

    /// When the last membership ended, for who is no member now.
    pub fn left_at(&self) -> Option<EventTime> {
        (!self.is_member() && self.sequence > 0).then_some(self.changed_at)
    }
}

impl CustomerState {
    /// A customer of whom nothing is known yet.
    pub fn new(plan: &Plan) -> CustomerState {
        let facts = Facts { histories: Histories::default(), traits: vec![None; plan.projection.traits.len()] };
        CustomerState { standing: Standing::new(plan), facts, erased: None, kin: None }
    }

    /// Something was accepted: the customer exists.
    pub fn is_known(&self) -> bool {
        self.standing.at != EventTime::MIN
    }

    /// As the records and the transitions show a number of this customer's.
    pub fn published(&self, sequence: u64) -> u64 {
        self.erased.map_or(0, |erased| erased.numbered_from()) + sequence
    }
}

impl Standing {
    /// Nothing evaluated, all asleep: the first evaluation decides everything, and asks what it needs.
    pub fn new(plan: &Plan) -> Standing {
        Standing {
            at: EventTime::MIN,
            cursors: vec![Cursor::START; plan.windows.len()],
            totals: plan.aggregates.iter().map(AggregatePlan::empty).collect(),
            predicates: vec![Truth::ASLEEP; plan.predicates.len()],
            memberships: vec![Membership::NONE; plan.segments.len()],
            former: Vec::new(),
            next_flip: EventTime::MIN,
            told: Vec::new(),
            exposures: Vec::new(),
            inherited: Vec::new(),
            cuts: Cuts::default(),
            common: None,
        }
    }

    /// Every total as it is over what is no longer kept: where a cursor starts.
    fn begin_totals(&mut self, plan: &Plan, facts: &Facts) {
        for (total, aggregate) in self.totals.iter_mut().zip(&plan.aggregates) {
            *total = aggregate.total_of_base(&facts.histories[aggregate.stream]);
        }
    }

    /// The segment is decided, not left to a scan.
    pub fn decides(&self, segment: usize) -> bool {
        self.common.as_ref().is_none_or(|common| common.decides(segment))
    }

    /// Somebody who is decided looks at the predicate.
    pub fn evaluates(&self, predicate: usize) -> bool {
        self.common.as_ref().is_none_or(|common| common.evaluates(predicate))
    }

    /// What was told of a segment, if anything.
    pub fn told(&self, segment: usize) -> Option<&Told> {
        self.told.binary_search_by_key(&segment, |told| told.segment).ok().map(|at| &self.told[at])
    }

    /// The same, to be filled in.
    pub fn told_mut(&mut self, segment: usize) -> &mut Told {
        let at = self.told.binary_search_by_key(&segment, |told| told.segment).unwrap_or_else(|at| {
            self.told.insert(at, Told { segment, entered_at: None, announced: None, end: None });
            at
        });
        &mut self.told[at]
    }

    /// When a membership that is over ended last, be it one of another id of the customer's.
    pub fn left_at(&self, segment: usize) -> Option<EventTime> {
        let own = &self.memberships[segment];
        let inherited = self.inherited(segment).and_then(|inherited| inherited.left_at).filter(|_| !own.is_member());
        own.left_at().max(inherited)
    }

    /// Lets rows enter and leave a window of the plan up to and including `t`. Mostly none does, which is seen here, before plan and
    /// rows are looked for.
    #[inline]
    pub fn advance(&mut self, plan: &Plan, facts: &Facts, window: usize, t: EventTime) {
        if self.cursors[window].quiet_until() <= t {
            self.let_pass(plan, facts, window, t);
        }
    }

    fn let_pass(&mut self, plan: &Plan, facts: &Facts, window: usize, t: EventTime) {
        let over = &plan.windows[window];
        let aggregates = over.aggregates.iter().map(|index| (*index, &plan.aggregates[*index]));
        let history = &facts.histories[over.stream];
        advance(&mut self.cursors[window], &over.window, history, t, aggregates, &mut self.totals);
    }
}
