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
//! changes in one place, [`Settling::change`], and nowhere else; but for those whose segment is gone ([`former`]).

mod asleep;
mod epochs;
mod erase;
mod expiry;
mod former;
mod ladder;
mod merging;
mod outlook;
mod partition;
mod publish;
mod stay;
mod why;

pub use epochs::{Epochs, nobody, redrawn};
pub use expiry::Expiry;
pub use former::{SegmentName, SegmentNames};
pub use partition::{Accepted, Carried, Loaded, Parcel, Partition, Posted, Resident, Slot, accept_among};
pub use why::{PinOrBan, Reason, Why, aggregates, why};

use crate::customer::{Added, Applied, CustomerState, Facts, Standing, Touched, Truth, apply, merge};
use crate::eval::At;
use crate::event::Event;
use crate::experiment::Arm;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::time::EventTime;
use crate::transition::{Direction, Evidence, Withheld};
use asleep::ask;

/// What leads to an evaluation.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Event(&'a Event),
    /// Time alone: what is due.
    Time,
    /// The rules are others than those by which the state was decided: everything is looked at.
    Definitions,
    /// The same, where only the lists that they name are others.
    Lists,
    /// Others have moved the cuts: what compares with one is looked at.
    Cuts,
    /// Nothing of the customer is to be left.
    Erasure,
    /// The customer is that one from now on.
    Departure(&'a CustomerId),
    /// What was known of another id is this customer's from now on.
    Merge(&'a CustomerState),
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
    /// Of an entry into a ladder's stage: the stage that was left for it.
    pub from: Option<usize>,
    pub arm: Option<Arm>,
    /// Of an entry: why it is not published.
    pub withheld: Option<Withheld>,
}

/// Room that is used again for each step, and the changes of the last one.
#[derive(Debug, Default)]
pub struct Outcome {
    pub changes: Vec<Change>,
    /// Memberships whose end is announced, after the changes.
    pub expiries: Vec<Expiry>,
    touched: Touched,
    /// Something was touched, be it asleep.
    moved: bool,
    /// Predicates whose cut may be another than when they were last looked at: who names them is decided in any case.
    recut: Vec<usize>,
    dirty: Vec<u64>,
}

impl Outcome {
    /// Nothing is told to anybody.
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.expiries.is_empty()
    }

    /// Gives everything the numbers under which it is published.
    fn number(&mut self, state: &CustomerState) {
        self.changes.iter_mut().for_each(|change| change.sequence = state.published(change.sequence));
        self.expiries.iter_mut().for_each(|expiry| expiry.sequence = state.published(expiry.sequence));
    }
}

/// Advances one customer by one input at instant `now`; the changes are left in `out`, in dependency order.
///
/// `now` is the task clock, not before the event's own time nor before the state's last evaluation. The caller has
/// fired what was due before it.
pub fn step(plan: &Plan, customer: &CustomerId, state: &mut CustomerState, input: Input<'_>, now: EventTime, out: &mut Outcome) -> Applied {
    out.changes.clear();
    out.expiries.clear();
    out.touched.clear();
    let mut carried = Vec::new();
    let applied = match input {
        Input::Event(event) => apply(plan, state, event, now, &mut out.touched),
        Input::Time | Input::Definitions | Input::Lists | Input::Cuts => Applied::Accepted { matched: true },
        Input::Merge(other) => {
            carried = merge(plan, state, other, now);
            Applied::Accepted { matched: true }
        }
        Input::Erasure | Input::Departure(_) => return erase::erase(plan, customer, state, &input, now, out),
    };
    if applied == Applied::Duplicate {
        return applied;
    }
    let everything = matches!(input, Input::Definitions | Input::Lists | Input::Merge(_)) || state.standing.at == EventTime::MIN;
    let at = At { plan, facts: &state.facts, customer, t: now };
    if matches!(input, Input::Cuts) {
        out.recut.extend(&plan.ranked);
    }
    settle(&at, &mut state.standing, everything, out);
    merging::net(&at, &mut state.standing, &carried, &mut out.changes);
    explain(&at, &mut state.standing, &mut out.changes);
    publish::publish(&at, &mut state.standing, &input, &mut out.changes);
    expiry::announce(&at, &mut state.standing, &input, out);
    out.number(state);
    applied
}

/// Evaluates what was touched or is due, and decides every segment over what flipped.
fn settle(at: &At<'_>, standing: &mut Standing, everything: bool, out: &mut Outcome) {
    out.dirty.clear();
    out.dirty.resize(at.plan.order.len().div_ceil(64), if everything { u64::MAX } else { 0 });
    out.moved = !out.touched.is_empty();
    if standing.next_flip <= at.t {
        let due = standing.predicates.iter().enumerate().filter(|(_, p)| p.flip <= at.t);
        out.touched.changed.extend(due.map(|(predicate, _)| predicate));
    }
    for touched in [&mut out.touched.grown, &mut out.touched.changed] {
        touched.retain(|predicate| !standing.predicates[*predicate].asleep);
        touched.sort_unstable();
        touched.dedup();
    }
    out.touched.growing.retain(|(predicate, _)| !standing.predicates[*predicate].asleep);
    let mut settling = Settling { at, standing, dirty: &mut out.dirty, changes: &mut out.changes };
    settling.end_stays();
    at.plan.ranked.iter().for_each(|predicate| _ = settling.ask(*predicate));
    out.recut.drain(..).for_each(|predicate| settling.evaluate_recut(predicate));
    out.touched.changed.iter().for_each(|predicate| settling.evaluate(*predicate));
    out.touched.grown.iter().for_each(|predicate| settling.evaluate_grown(*predicate, out.touched.added));
    out.touched.growing.iter().for_each(|(predicate, at)| settling.wake(*predicate, *at));
    settling.decide_dirty();
    standing.at = at.t;
    standing.next_flip = next_flip(at.plan, standing);
}

/// The first instant after the last evaluation at which time alone may change something.
fn next_flip(plan: &Plan, standing: &Standing) -> EventTime {
    let flips = standing.predicates.iter().map(|p| p.flip);
    flips.chain(stay::next_end(plan, standing)).min().unwrap_or(EventTime::MAX)
}

fn lowest_bit(bits: u64) -> Option<u32> {
    (bits != 0).then(|| bits.trailing_zeros())
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
    fn evaluate_grown(&mut self, predicate: usize, added: Option<Added>) {
        let truth = self.at.truth_of_grown(self.standing, predicate, added);
        self.set(predicate, truth);
    }

    /// What it looks at changes at that instant, whatever was found before.
    fn wake(&mut self, predicate: usize, at: EventTime) {
        let truth = &mut self.standing.predicates[predicate];
        truth.flip = truth.flip.min(at);
    }

    /// A state that was read has found the truth by the new cut already: only the segments are to be decided.
    fn evaluate_recut(&mut self, predicate: usize) {
        self.evaluate(predicate);
        self.at.plan.predicates[predicate].users.iter().for_each(|position| self.mark(*position));
    }

    fn set(&mut self, predicate: usize, truth: Truth) {
        let before = std::mem::replace(&mut self.standing.predicates[predicate], truth);
        if before.holds != truth.holds {
            self.at.plan.predicates[predicate].users.iter().for_each(|position| self.mark(*position));
        }
    }

    /// The segment at this position of the order must be decided anew.
    fn mark(&mut self, position: usize) {
        self.dirty[position / 64] |= 1 << (position % 64);
    }

    /// Who had to stay up to now may have to leave.
    fn end_stays(&mut self) {
        let plan = self.at.plan;
        for segment in &plan.stays {
            if stay::has_ended(plan, self.standing, *segment, self.at.t) {
                match plan.segments[*segment].stage {
                    Some(stage) => self.look_from(stage.ladder, 0),
                    None => self.mark(plan.segments[*segment].position),
                }
            }
        }
    }

    /// Decides in dependency order: who stands later sees what was decided before. Deciding marks others, all of them later.
    fn decide_dirty(&mut self) {
        for word in 0..self.dirty.len() {
            let mut passed = 0;
            while let Some(bit) = lowest_bit(self.dirty[word] & !passed) {
                passed = u64::MAX >> (63 - bit);
                let Some(segment) = self.at.plan.order.get(word * 64 + bit as usize).copied() else { break };
                if self.standing.decides(segment) {
                    self.decide(segment);
                    self.put_to_sleep(segment);
                }
            }
        }
    }

    /// New minus old.
    fn decide(&mut self, segment: usize) {
        let is = self.belongs(segment);
        if is == self.is_member(segment) {
            return;
        }
        let stage = self.at.plan.segments[segment].stage;
        if let Some(stage) = stage.filter(|_| is) {
            self.leave_others(stage);
        }
        self.change(segment);
        if let Some(stage) = stage.filter(|_| !is) {
            self.look_from(stage.ladder, stage.rank + 1);
        }
    }

    fn belongs(&mut self, segment: usize) -> bool {
        let plan = &self.at.plan.segments[segment];
        match plan.stage {
            Some(stage) => self.has(stage),
            None if self.is_on(plan.ban) => false,
            None if self.is_on(plan.pin) => true,
            None => stay::holds(self.at.plan, self.standing, segment, self.at.t) || self.holds(segment),
        }
    }

    fn is_on(&mut self, list: Option<usize>) -> bool {
        list.is_some_and(|predicate| self.ask(predicate))
    }

    /// What the segment's own rules say.
    fn holds(&mut self, segment: usize) -> bool {
        let plan = &self.at.plan.segments[segment];
        plan.holds(self.is_member(segment), &mut |predicate| self.ask(predicate))
    }

    fn ask(&mut self, predicate: usize) -> bool {
        ask(self.at, self.standing, predicate)
    }

    fn is_member(&self, segment: usize) -> bool {
        self.standing.memberships[segment].is_member()
    }

    /// Begins a membership, or ends it: the only place that changes one.
    fn change(&mut self, segment: usize) {
        let plan = &self.at.plan.segments[segment];
        let since = self.standing.memberships[segment].since();
        let direction = if since.is_none() { Direction::Entered } else { Direction::Exited };
        let from = plan.stage.filter(|_| since.is_none()).and_then(|stage| self.left(stage));
        let now = &mut self.standing.memberships[segment];
        now.sequence += 1;
        now.changed_at = self.at.t;
        let (sequence, entry) = (now.sequence, now.entry());
        self.changes.push(Change {
            segment,
            direction,
            sequence,
            entry,
            since,
            valid_until: None,
            evidence: Vec::new(),
            from,
            arm: None,
            withheld: None,
        });
        for predicate in &plan.dependents {
            if !self.standing.predicates[*predicate].asleep {
                self.evaluate(*predicate);
            }
        }
    }
}

/// Adds to each change why it came, and to an entry how long it will last.
fn explain(at: &At<'_>, standing: &mut Standing, changes: &mut [Change]) {
    for change in changes {
        change.evidence = at.evidence(standing, change.segment);
        if change.direction == Direction::Entered {
            change.valid_until = outlook::next_change(at, standing, change.segment);
        }
    }
}

/// When a membership that holds ends if nothing more happens; `None`: never.
pub fn valid_until(plan: &Plan, customer: &CustomerId, state: &CustomerState, segment: usize) -> Option<EventTime> {
    let at = At { plan, facts: &state.facts, customer, t: state.standing.at };
    outlook::next_change(&at, &state.standing, segment)
}

/// Rebuilds from facts what the store does not keep: cursors, truths and flips as of the state's last evaluation.
pub fn rebuild(plan: &Plan, customer: &CustomerId, facts: &Facts, standing: &mut Standing) {
    let at = At { plan, facts, customer, t: standing.at };
    standing.predicates.fill(Truth::ASLEEP);
    for (index, segment) in plan.segments.iter().enumerate() {
        segment.ask(standing.memberships[index].is_member(), &mut |predicate| ask(&at, standing, predicate));
    }
    plan.ranked.iter().for_each(|predicate| _ = ask(&at, standing, *predicate));
    standing.next_flip = next_flip(plan, standing);
    expiry::rebuild(&at, standing);
}
