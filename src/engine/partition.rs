//! One partition's customers, clock and timers, in memory: what a task drives over a store and a replay without one.
//!
//! The clock is monotone and follows the events (semantics §2). When it passes to t, every timer due before t fires
//! first, in due order, each at its own instant; what is due at t itself waits for the event at t, or for the clock to
//! go on.
//!
//! **Invariant:** every loaded customer whose `next_flip` is not [`EventTime::MAX`] has a timer armed at or before it. A
//! timer that fires early does nothing but arm the next one.

mod erasure;
mod merging;
mod occasion;
mod ranks;
mod residents;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use super::former::{SegmentNames, retire};
use super::{Input, Outcome, rebuild, step};
use crate::customer::{Applied, Succession};
use crate::event::Event;
use crate::event::streams::StreamRole;
use crate::id::{CustomerId, SourcePosition};
use crate::plan::Plan;
use crate::time::EventTime;
use crate::transition::{Announcement, Cause, Direction, Output, Transition};
pub use merging::{Parcel, Posted, accept_among};
use occasion::Occasion;
use ranks::Ranks;
pub use residents::{Carried, Loaded, Resident};

/// A customer's place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

/// What became of an event, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub applied: Applied,
    pub late: bool,
}

pub struct Partition {
    plan: Arc<Plan>,
    clock: EventTime,
    index: HashMap<CustomerId, Slot, foldhash::fast::FixedState>,
    residents: Vec<Resident>,
    timers: BinaryHeap<Reverse<(EventTime, Slot)>>,
    /// Every segment that anybody here may have been in, by the hash of its key.
    names: SegmentNames,
    outcome: Outcome,
    transitions: Vec<Transition>,
    /// Each with the number of transitions before it.
    announcements: Vec<(usize, Announcement)>,
    changed: Vec<Slot>,
    /// Erased, or another customer by now, since the last [`Partition::settled`].
    gone: BTreeSet<Slot>,
    /// Customers who are there, less those who were, since everything was settled last.
    came: i64,
    /// For other customers, since then.
    posted: Vec<Posted>,
    /// Places of customers who were forgotten.
    vacant: Vec<Slot>,
    ranks: Ranks,
    /// From the plan by which residents stand that were not carried over yet.
    succession: Option<Succession>,
    /// Bytes of all states in memory.
    footprint: usize,
    /// Customers who were read back since everything was settled last.
    reads: u64,
}

impl Partition {
    pub fn new(plan: Arc<Plan>, clock: EventTime) -> Partition {
        Partition {
            ranks: Ranks::new(&plan),
            plan,
            clock,
            index: HashMap::default(),
            residents: Vec::new(),
            timers: BinaryHeap::new(),
            names: SegmentNames::default(),
            outcome: Outcome::default(),
            transitions: Vec::new(),
            announcements: Vec::new(),
            changed: Vec::new(),
            gone: BTreeSet::new(),
            came: 0,
            posted: Vec::new(),
            vacant: Vec::new(),
            succession: None,
            footprint: 0,
            reads: 0,
        }
    }

    pub fn clock(&self) -> EventTime {
        self.clock
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Tells the names of segments that may be gone from the plan, so that leaving them can be published.
    pub fn set_names(&mut self, names: SegmentNames) {
        self.names = names;
    }

    /// Takes one accepted record: moves the clock, fires what was due before, and advances its customer.
    ///
    /// `decided_at` is the wall clock, or `None` in a replay. `load` reads a customer that is not in memory.
    pub fn accept<E>(
        &mut self,
        event: &Event,
        position: Option<&SourcePosition>,
        decided_at: Option<EventTime>,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<Accepted, E> {
        let late = event.time < self.clock;
        while self.fire_next(event.time, decided_at, load)? {}
        self.clock = self.clock.max(event.time);
        let cause = self.cause_of(event, late);
        let slot = self.slot(&event.customer);
        let occasion = Occasion { cause, event: Some(event), position, decided_at: decided_at.unwrap_or(self.clock) };
        if cause == Cause::Delete {
            self.load(slot, load)?;
        } else {
            self.ensure(slot, decided_at, load)?;
        }
        let applied = match cause {
            _ if cause != Cause::Delete && self.is_erased(slot, event.time) => Applied::Erased,
            _ if self.became(slot).is_some() => Applied::Redirected,
            Cause::Delete => self.erase(slot, &occasion),
            Cause::Merge => self.depart(slot, event, &occasion),
            _ => self.step(slot, Input::Event(event), self.clock, &occasion),
        };
        Ok(Accepted { applied, late })
    }

    /// Fires the earliest timer that is due before `before`; `false`: there is none.
    pub fn fire_next<E>(
        &mut self,
        before: EventTime,
        decided_at: Option<EventTime>,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<bool, E> {
        let Some((due, slot)) = self.next_timer().filter(|(due, _)| *due < before) else { return Ok(false) };
        self.timers.pop();
        self.clock = self.clock.max(due);
        self.ensure(slot, decided_at, load)?;
        self.residents[slot.at()].armed = EventTime::MAX;
        let occasion = Occasion { cause: Cause::Time, event: None, position: None, decided_at: decided_at.unwrap_or(self.clock) };
        self.step(slot, Input::Time, due, &occasion);
        Ok(true)
    }

    /// Moves the clock to `to`, once everything due before it has fired.
    pub fn set_clock(&mut self, to: EventTime) {
        self.clock = self.clock.max(to);
    }

    /// When the earliest timer is due; [`EventTime::MAX`]: there is none.
    pub fn next_due(&mut self) -> EventTime {
        self.next_timer().map_or(EventTime::MAX, |(due, _)| due)
    }

    /// How many customers have a timer.
    pub fn timers_pending(&self) -> usize {
        self.residents.iter().filter(|resident| resident.armed != EventTime::MAX).count()
    }

    /// The transitions since the last [`Partition::settled`], in order.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// The same with the announcements between them.
    pub fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        let mut announcements = self.announcements.iter().peekable();
        let mut transitions = self.transitions.iter().enumerate().peekable();
        std::iter::from_fn(move || {
            let place = transitions.peek().map_or(usize::MAX, |(place, _)| *place);
            match announcements.next_if(|(before, _)| *before <= place) {
                Some((_, announcement)) => Some(Output::Announcement(announcement)),
                None => transitions.next().map(|(_, transition)| Output::Transition(transition)),
            }
        })
    }

    /// Customers whose state changed since the last [`Partition::settled`], each once.
    pub fn changed(&self) -> &[Slot] {
        &self.changed
    }

    /// By how many more customers there are than when everything was settled last.
    pub fn came(&self) -> i64 {
        self.came
    }

    /// The changes are kept elsewhere (or given up): the next batch begins.
    pub fn settled(&mut self) {
        for slot in self.changed.drain(..) {
            self.residents[slot.at()].changed = false;
        }
        self.gone.clear();
        self.came = 0;
        self.reads = 0;
        self.posted.clear();
        self.transitions.clear();
        self.announcements.clear();
        self.ranks.moved.clear();
    }

    /// Arms a customer's timer as it was stored; its state stays where it is until it is of use.
    pub fn arm_stored(&mut self, customer: &CustomerId, due: EventTime) {
        let slot = self.slot(customer);
        self.residents[slot.at()].stored = due;
        self.arm(slot, due);
    }

    /// Has a customer in memory, decided by this plan and its lists; or by what the one before has in common with it, if it was
    /// loaded so.
    ///
    /// What is decided anew is decided as of just before the clock: what is due at the clock itself is still to come, by
    /// its own cause.
    pub fn ensure<E>(
        &mut self,
        slot: Slot,
        decided_at: Option<EventTime>,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<(), E> {
        let Some(redecide) = self.load(slot, load)? else {
            self.recut_resident(slot, false, decided_at);
            return Ok(());
        };
        if let Some((cause, at)) = redecide {
            self.redecide(slot, cause, at, decided_at);
        } else {
            self.recut_resident(slot, true, decided_at);
        }
        Ok(())
    }

    /// Decides by the whole plan a customer in memory who goes on by what it has in common with the one before.
    pub fn complete(&mut self, slot: Slot, decided_at: Option<EventTime>) {
        let resident = &mut self.residents[slot.at()];
        let Some(state) = resident.state.as_deref_mut().filter(|state| state.standing.common.is_some()) else { return };
        state.standing.common = None;
        rebuild(&self.plan, &resident.customer, &state.facts, &mut state.standing);
        let at = state.standing.at;
        self.redecide(slot, Cause::Definition, at, decided_at);
    }

    /// Looks at everything once more. `at`: when that was done last.
    fn redecide(&mut self, slot: Slot, cause: Cause, at: EventTime, decided_at: Option<EventTime>) {
        let now = just_before(self.clock).max(at);
        let occasion = Occasion { cause, event: None, position: None, decided_at: decided_at.unwrap_or(self.clock) };
        // Who moves from a stage that is gone to another one leaves first, as in every move.
        self.retire(slot, now, &occasion);
        let input = if cause == Cause::List { Input::Lists } else { Input::Definitions };
        self.step(slot, input, now, &occasion);
    }

    /// Ends the customer's memberships in segments that are not defined any more.
    fn retire(&mut self, slot: Slot, now: EventTime, occasion: &Occasion<'_>) {
        let resident = &mut self.residents[slot.at()];
        let Some(state) = resident.state.as_deref_mut() else { return };
        for departure in retire(&mut state.standing, &self.names, now) {
            let decided_at = occasion.decided_at;
            let sequence = state.published(departure.membership.sequence);
            self.transitions.push(Transition {
                customer: resident.customer.clone(),
                segment: departure.name.key,
                direction: Direction::Exited,
                at: now,
                decided_at,
                sequence,
                entry: departure.membership.entry(),
                cause: occasion.cause,
                trigger: None,
                evidence: Vec::new(),
                valid_until: None,
                version: departure.name.version,
                since: departure.since,
                moved: None,
                arm: None,
                withheld: None,
                entry_topic: None,
            });
        }
    }

    fn step(&mut self, slot: Slot, input: Input<'_>, now: EventTime, occasion: &Occasion<'_>) -> Applied {
        let resident = &mut self.residents[slot.at()];
        let Some(state) = resident.state.as_deref_mut() else { return Applied::Duplicate };
        let was_known = state.is_known();
        let applied = step(&self.plan, &resident.customer, state, input, now, &mut self.outcome);
        let next_flip = state.standing.next_flip;
        self.came += i64::from(state.is_known()) - i64::from(was_known);
        let ranks_moved = !self.plan.rankings.is_empty() && self.rank(slot);
        let resident = &mut self.residents[slot.at()];
        // A timer that fired early changed nothing that is stored: after a restart it fires again.
        let by_itself = matches!(input, Input::Time | Input::Cuts);
        let idle = applied == Applied::Duplicate || by_itself && self.outcome.is_empty() && !ranks_moved;
        if !idle && !resident.changed {
            resident.changed = true;
            self.changed.push(slot);
        }
        for change in self.outcome.changes.drain(..) {
            self.transitions.push(occasion.transition(&self.plan, &resident.customer, change, now));
        }
        for expiry in self.outcome.expiries.drain(..) {
            let announcement = occasion.announcement(&self.plan, &resident.customer, &expiry, now);
            self.announcements.push((self.transitions.len(), announcement));
        }
        self.arm(slot, next_flip);
        applied
    }

    /// Lets the customer's timer fire at `due` at the latest.
    fn arm(&mut self, slot: Slot, due: EventTime) {
        let resident = &mut self.residents[slot.at()];
        if due < resident.armed {
            resident.armed = due;
            self.timers.push(Reverse((due, slot)));
        }
    }

    /// The earliest timer that is still armed; those that an earlier one has replaced are dropped on the way.
    fn next_timer(&mut self) -> Option<(EventTime, Slot)> {
        while let Some(Reverse((due, slot))) = self.timers.peek().copied() {
            if self.residents[slot.at()].armed == due {
                return Some((due, slot));
            }
            self.timers.pop();
        }
        None
    }

    fn cause_of(&self, event: &Event, late: bool) -> Cause {
        match self.plan.role(usize::from(event.stream.0)) {
            StreamRole::Erasures => Cause::Delete,
            StreamRole::Aliases => Cause::Merge,
            _ if late => Cause::LateEvent,
            StreamRole::Refunds => Cause::Refund,
            StreamRole::Cancellations => Cause::Cancellation,
            StreamRole::Traits => Cause::Trait,
            StreamRole::Orders | StreamRole::Coupons | StreamRole::Plain => Cause::Event,
        }
    }
}

/// What is due at `t` itself is still to come.
fn just_before(t: EventTime) -> EventTime {
    EventTime::from_millis(t.millis().saturating_sub(1))
}

impl Slot {
    fn at(self) -> usize {
        self.0 as usize
    }
}
