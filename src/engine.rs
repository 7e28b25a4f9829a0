//! One customer advances by one input: the function that the product is.
//!
//! Law (the oracle of `tests/law.rs`): after any sequence of inputs, at any instant, memberships equal those found by
//! evaluating every rule from scratch over the accepted history.
//!
//! ```text
//!     event ─apply─▶ touched predicates ─┐
//!     time  ─flips─▶ due predicates ─────┴─evaluate─▶ flipped ─▶ segments over them ─▶ new minus old = changes
//! ```
//!
//! **Invariant:** pure. Same plan, state, input and instant: same answer; no clock, no IO, no failure. A membership
//! changes in one place, [`Settling::decide`], and nowhere else; but for those whose segment is gone ([`former`]).

mod former;
mod outlook;
mod partition;

pub use former::{SegmentName, SegmentNames};
pub use partition::{Accepted, Loaded, Partition, Resident, Slot};

use crate::customer::{Applied, CustomerState, Facts, Standing, Touched, Truth, apply};
use crate::eval::At;
use crate::event::Event;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::time::EventTime;
use crate::transition::{Direction, Evidence};

/// What leads to an evaluation.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Event(&'a Event),
    /// Time alone: what is due.
    Time,
    /// The rules, or the lists they name, are others than those by which the state was decided: everything is looked at.
    Definitions,
}

/// A membership that began or ended, before it is told to anybody.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub segment: usize,
    pub direction: Direction,
    pub sequence: u64,
    pub entry: u64,
    /// Of an exit: when the membership had begun.
    pub since: Option<EventTime>,
    /// Of an entry: when it ends if nothing more happens.
    pub valid_until: Option<EventTime>,
    pub evidence: Vec<Evidence>,
}

/// Room that is used again for each step, and the changes of the last one.
#[derive(Debug, Default)]
pub struct Outcome {
    pub changes: Vec<Change>,
    touched: Touched,
    dirty: Vec<u64>,
}

impl Outcome {
    fn clear_touched(&mut self) {
        self.touched.grown.clear();
        self.touched.changed.clear();
    }
}

/// Advances one customer by one input at instant `now`; the changes are left in `out`, in dependency order.
///
/// `now` is the task clock, not before the event's own time nor before the state's last evaluation. The caller has
/// fired what was due before it.
pub fn step(plan: &Plan, customer: &CustomerId, state: &mut CustomerState, input: Input<'_>, now: EventTime, out: &mut Outcome) -> Applied {
    out.changes.clear();
    out.clear_touched();
    let applied = match input {
        Input::Event(event) => apply(plan, state, event, now, &mut out.touched),
        Input::Time | Input::Definitions => Applied::Accepted { matched: true },
    };
    if applied == Applied::Duplicate {
        return applied;
    }
    let everything = matches!(input, Input::Definitions) || state.standing.at == EventTime::MIN;
    let at = At { plan, facts: &state.facts, customer, t: now };
    settle(&at, &mut state.standing, everything, out);
    explain(&at, &mut state.standing, &mut out.changes);
    applied
}

/// Evaluates what was touched or is due, and decides every segment over what flipped.
fn settle(at: &At<'_>, standing: &mut Standing, everything: bool, out: &mut Outcome) {
    out.dirty.clear();
    out.dirty.resize(at.plan.order.len().div_ceil(64), if everything { u64::MAX } else { 0 });
    if standing.next_flip <= at.t {
        let due = standing.predicates.iter().enumerate().filter(|(_, p)| p.flip <= at.t);
        out.touched.changed.extend(due.map(|(predicate, _)| predicate));
    }
    for touched in [&mut out.touched.grown, &mut out.touched.changed] {
        touched.sort_unstable();
        touched.dedup();
    }
    let mut settling = Settling { at, standing, dirty: &mut out.dirty, changes: &mut out.changes };
    out.touched.changed.iter().for_each(|predicate| settling.evaluate(*predicate));
    out.touched.grown.iter().for_each(|predicate| settling.evaluate_grown(*predicate));
    settling.decide_dirty();
    standing.next_flip = standing.predicates.iter().map(|p| p.flip).min().unwrap_or(EventTime::MAX);
    standing.at = at.t;
}

struct Settling<'a> {
    at: &'a At<'a>,
    standing: &'a mut Standing,
    /// One bit for each segment, by position in the plan's order.
    dirty: &'a mut Vec<u64>,
    changes: &'a mut Vec<Change>,
}

impl Settling<'_> {
    /// Looks at a predicate again; who names it must be decided anew if it flipped.
    fn evaluate(&mut self, predicate: usize) {
        let truth = self.at.truth(self.standing, predicate);
        self.set(predicate, truth);
    }

    /// The same after an event was added, and nothing else.
    fn evaluate_grown(&mut self, predicate: usize) {
        let truth = self.at.truth_of_grown(self.standing, predicate);
        self.set(predicate, truth);
    }

    fn set(&mut self, predicate: usize, truth: Truth) {
        let before = std::mem::replace(&mut self.standing.predicates[predicate], truth);
        if before.holds != truth.holds {
            for position in &self.at.plan.predicates[predicate].users {
                self.dirty[position / 64] |= 1 << (position % 64);
            }
        }
    }

    /// Decides in dependency order: who stands later sees what was decided before.
    fn decide_dirty(&mut self) {
        for position in 0..self.at.plan.order.len() {
            if self.dirty[position / 64] >> (position % 64) & 1 == 1 {
                self.decide(self.at.plan.order[position]);
            }
        }
    }

    /// New minus old: the only place that changes a membership.
    fn decide(&mut self, segment: usize) {
        let plan = &self.at.plan.segments[segment];
        let truth = |predicate: usize| self.standing.predicates[predicate].holds;
        let membership = self.standing.memberships[segment];
        let is = match &plan.exit_when {
            Some(exit_when) => !exit_when.holds(&truth) && (membership.is_member() || plan.when.holds(&truth)),
            None => plan.when.holds(&truth),
        };
        if is == membership.is_member() {
            return;
        }
        let now = &mut self.standing.memberships[segment];
        now.sequence += 1;
        now.changed_at = self.at.t;
        let (sequence, entry) = (now.sequence, now.entry());
        let direction = if is { Direction::Entered } else { Direction::Exited };
        self.changes.push(Change {
            segment,
            direction,
            sequence,
            entry,
            since: membership.since(),
            valid_until: None,
            evidence: Vec::new(),
        });
        plan.dependents.iter().for_each(|predicate| self.evaluate(*predicate));
    }
}

/// Adds to each change why it came, and to an entry how long it will last.
fn explain(at: &At<'_>, standing: &mut Standing, changes: &mut [Change]) {
    for change in changes {
        change.evidence = at.evidence(standing, change.segment);
        if change.direction == Direction::Entered {
            change.valid_until = outlook::valid_until(at, standing, change.segment);
        }
    }
}

/// When a membership that holds ends if nothing more happens; `None`: never.
pub fn valid_until(plan: &Plan, customer: &CustomerId, state: &CustomerState, segment: usize) -> Option<EventTime> {
    let at = At { plan, facts: &state.facts, customer, t: state.standing.at };
    outlook::valid_until(&at, &state.standing, segment)
}

/// Rebuilds from facts what the store does not keep: cursors, truths and flips as of the state's last evaluation.
pub fn rebuild(plan: &Plan, customer: &CustomerId, facts: &Facts, standing: &mut Standing) {
    let at = At { plan, facts, customer, t: standing.at };
    for predicate in 0..plan.predicates.len() {
        standing.predicates[predicate] = at.truth(standing, predicate);
    }
    standing.next_flip = standing.predicates.iter().map(|p| p.flip).min().unwrap_or(EventTime::MAX);
}
