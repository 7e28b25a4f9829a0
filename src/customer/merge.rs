//! Merging what is known of another id into a customer: as if all that the other had accepted came now, in its order.
//!
//! ```text
//!     rows, marks, traits    the union; of a repeat the customer's own stands, and what refers to an order finds it
//!     totals                 of rows that are no longer kept: added
//!     memberships            one that only the other held goes on; what it did before is inherited
//! ```
//!
//! *Why facts and not totals:* the truths are found again over the union, so the law holds by the very code that holds it
//! for one customer.
//!
//! **Invariant:** afterwards nothing is evaluated: all predicates are asleep. What had happened by the instant up to which the
//! customer was erased is left behind.

use super::apply::{Application, take_pending};
use super::history::{Base, OrderChange, Pending, Row};
use super::{Cursor, CustomerState, Exposure, Membership, Touched, Truth, arrival};
use crate::event::streams::StreamRole;
use crate::plan::Plan;
use crate::time::EventTime;

/// Takes over what is known of `other` at instant `now`. Gives the segments, ascending, in which the membership of the other
/// one goes on: the customer stands there as a member who has entered once more, which is still to be decided.
pub fn merge(plan: &Plan, state: &mut CustomerState, other: &CustomerState, now: EventTime) -> Vec<usize> {
    let after = state.erased.map_or(EventTime::MIN, |erased| erased.at);
    // First, since no cursor could stand among rows that come and go from elsewhere.
    state.standing.cursors.fill(Cursor::START);
    state.standing.predicates.fill(Truth::ASLEEP);
    state.standing.next_flip = EventTime::MIN;
    let mut merging = Merging { plan, state, other, now, after };
    merging.rows();
    merging.retired();
    merging.pending();
    merging.traits();
    merging.bases();
    merging.told();
    let carried = merging.memberships();
    state.standing.begin_totals(plan, &state.facts);
    carried
}

struct Merging<'a> {
    plan: &'a Plan,
    state: &'a mut CustomerState,
    other: &'a CustomerState,
    now: EventTime,
    /// What happened later than this counts.
    after: EventTime,
}

impl Merging<'_> {
    /// In order of arrival, as far as it is known: rows of one instant in different streams have it (`arrival`).
    fn rows(&mut self) {
        let other = self.other;
        let streams = other.facts.histories.iter();
        let all = streams.flat_map(|(stream, history)| history.rows.iter().enumerate().map(move |(at, row)| (row, stream, at)));
        let (mut coming, past): (Vec<(&Row, usize, usize)>, Vec<_>) = all.partition(|(row, ..)| row.time > self.after);
        for (row, stream, _) in past {
            self.retire(stream, row.id);
        }
        coming.sort_by_key(|(row, stream, at)| (row.time, row.arrival, *stream, *at));
        for (row, stream, _) in coming {
            if self.state.facts.histories[stream].ids.insert(row.id) {
                self.row(stream, row.clone());
            } else {
                self.repeat(stream, row);
            }
        }
    }

    fn row(&mut self, stream: usize, mut row: Row) {
        let plan = &self.plan.streams[stream];
        row.arrival = if plan.ordered { arrival::next(self.plan, &self.state.facts, row.time) } else { 0 };
        let is_order = self.plan.role(stream) == StreamRole::Orders;
        let is_young = self.remembers(stream, row.time);
        let (retention, now) = (plan.retention, self.now);
        let history = &mut self.state.facts.histories[stream];
        history.total_cell = plan.total_cell.filter(|_| is_order);
        history.pending.retain(|pending| retention.is_none_or(|span| pending.time.plus(span) > now));
        if is_order && is_young && take_pending(&mut history.pending, &mut row) {
            history.retired.push(row.id);
            return;
        }
        row.set_conditions(&plan.conditions, history.total_cell);
        history.has_debits |= row.is_debit(history.total_cell);
        let at = history.place_for(row.time);
        history.insert(at, row);
    }

    /// Both have the event. What was done to the other one's is done to the customer's own.
    fn repeat(&mut self, stream: usize, row: &Row) {
        let Some(at) = self.young(stream, |own| own.id == row.id) else { return };
        if row.redeemed {
            self.change_row(stream, at, OrderChange::Redeemed);
        }
        if let Some(refund) = row.refund.as_deref() {
            self.change_row(stream, at, OrderChange::Refunded(Some(refund.amount.clone())));
            if refund.whole {
                self.change_row(stream, at, OrderChange::Refunded(None));
            }
        }
    }

    /// Ids without rows. One whose row the customer still has is that of an order that was cancelled under the other id.
    fn retired(&mut self) {
        for (stream, history) in self.other.facts.histories.iter() {
            for id in &history.retired {
                let used = self.retire(stream, *id);
                let at = if used && self.plan.role(stream) == StreamRole::Orders { self.young(stream, |own| own.id == *id) } else { None };
                at.into_iter().for_each(|at| self.change_row(stream, at, OrderChange::Cancelled));
            }
        }
    }

    /// An id that was used stays so. `true`: it was used here, too.
    fn retire(&mut self, stream: usize, id: u64) -> bool {
        let history = &mut self.state.facts.histories[stream];
        let new = history.ids.insert(id);
        history.retired.extend(new.then_some(id));
        !new
    }

    /// What waits for an order finds it, if the customer has it.
    fn pending(&mut self) {
        let (other, after) = (self.other, self.after);
        for (stream, history) in other.facts.histories.iter() {
            for pending in history.pending.iter().filter(|pending| pending.time > after) {
                self.refer(stream, pending);
            }
        }
    }

    /// The two find each other where both are remembered.
    fn refer(&mut self, stream: usize, pending: &Pending) {
        if !self.remembers(stream, pending.time) {
            return;
        }
        if let Some(at) = self.young(stream, |own| own.order == pending.order) {
            return self.change_row(stream, at, pending.change.clone());
        }
        let history = &mut self.state.facts.histories[stream];
        if !history.ids.contains(&pending.order) {
            history.pending.push(pending.clone());
        }
    }

    fn remembers(&self, stream: usize, time: EventTime) -> bool {
        self.plan.streams[stream].retention.is_none_or(|span| time.plus(span) > self.now)
    }

    /// Where a row of the customer's stands that may still be changed.
    fn young(&self, stream: usize, is: impl Fn(&Row) -> bool) -> Option<usize> {
        let rows = &self.state.facts.histories[stream].rows;
        rows.iter().rposition(is).filter(|at| self.remembers(stream, rows[*at].time))
    }

    fn change_row(&mut self, stream: usize, at: usize, change: OrderChange) {
        let history = &mut self.state.facts.histories[stream];
        if change == OrderChange::Cancelled {
            history.retired.extend(history.rows.remove(at).map(|row| row.id));
            return history.blocks.removed(at);
        }
        history.rows[at].change(change);
        history.rows[at].set_conditions(&self.plan.streams[stream].conditions, history.total_cell);
        history.has_debits |= history.rows[at].is_debit(history.total_cell);
        history.blocks.changed(at);
    }

    fn traits(&mut self) {
        for (own, theirs) in self.state.facts.traits.iter_mut().zip(&self.other.facts.traits) {
            let newer = |(at, _): &&(EventTime, _)| *at > self.after && own.as_ref().is_none_or(|(known, _)| known <= at);
            if let Some(theirs) = theirs.as_ref().filter(newer) {
                *own = Some(theirs.clone());
            }
        }
    }

    /// Rows that are older than some that the other one does not keep go where those went: what is kept is newer than
    /// what is not.
    fn bases(&mut self) {
        if self.after > EventTime::MIN {
            return;
        }
        for (stream, theirs) in self.other.facts.histories.iter() {
            let own = &mut self.state.facts.histories[stream];
            theirs.bases.iter().for_each(|base| own.absorb(base));
            own.newest_dropped = own.newest_dropped.max(theirs.newest_dropped);
            let (until, whole) = (own.newest_dropped, self.plan.streams[stream].whole);
            while !whole && self.state.facts.histories[stream].rows.front().is_some_and(|row| Some(row.time) <= until) {
                self.drop_oldest(stream);
            }
        }
    }

    fn drop_oldest(&mut self, stream: usize) {
        let Some(until) = self.state.facts.histories[stream].rows.front().map(|row| row.time) else { return };
        for exposure in &mut self.state.standing.exposures {
            exposure.settle(self.plan, &self.state.facts, stream, until);
        }
        Application { plan: self.plan, state: self.state, t: self.now, touched: &mut Touched::default() }.drop_oldest_row(stream);
        self.state.facts.histories[stream].blocks.removed(0);
    }

    /// What was told of memberships, and to which experiments the customer was exposed: to each once, when first it was.
    fn told(&mut self) {
        let standing = &mut self.state.standing;
        for theirs in &self.other.standing.told {
            if theirs.entered_at > Some(self.after) {
                let own = standing.told_mut(theirs.segment);
                own.entered_at = own.entered_at.max(theirs.entered_at);
            }
        }
        for theirs in self.other.standing.exposures.iter().filter(|theirs| theirs.at > self.after) {
            match standing.exposures.iter_mut().find(|own| own.experiment == theirs.experiment) {
                Some(own) => *own = Exposure::earlier(own, theirs),
                None => standing.exposures.push(theirs.clone()),
            }
        }
    }

    fn memberships(&mut self) -> Vec<usize> {
        let known = self.state.is_known();
        let segments = 0..self.plan.segments.len();
        segments.filter(|segment| self.other.standing.entries(*segment) > 0 && self.membership(*segment, known)).collect()
    }

    /// `true`: the other one's goes on. A customer who is on a ladder already stays where it is: nobody is on two stages.
    fn membership(&mut self, segment: usize, known: bool) -> bool {
        let (theirs, own) = (self.other.standing.memberships[segment], self.state.standing.memberships[segment]);
        let (entries, left_at) = (self.other.standing.entries(segment), self.other.standing.left_at(segment));
        if theirs.sequence > 0 && theirs.since().max(left_at) <= Some(self.after) {
            return false;
        }
        let placed = known && self.plan.segments[segment].stage.is_some();
        let goes_on = theirs.is_member() && !own.is_member() && !placed;
        let ended = (theirs.is_member() && !own.is_member() && placed).then_some(self.now);
        let inherited = self.state.standing.inherited_mut(segment);
        inherited.entries += entries - u64::from(goes_on);
        inherited.left_at = inherited.left_at.max(left_at).max(ended);
        if goes_on {
            self.state.standing.memberships[segment] = Membership { sequence: own.sequence + 1, changed_at: theirs.changed_at };
            let announced = self.other.standing.told(segment).and_then(|told| told.announced);
            if announced.is_some() {
                self.state.standing.told_mut(segment).announced = announced;
            }
        }
        goes_on
    }
}

impl super::History {
    /// Adds what another history's rows amount to that are no longer kept.
    fn absorb(&mut self, theirs: &Base) {
        let Some(own) = self.bases.iter_mut().find(|own| own.key == theirs.key) else { return self.bases.push(theirs.clone()) };
        own.total.absorb(&theirs.total);
        let time = |edge: &Option<(EventTime, _)>| edge.as_ref().map(|(time, _)| *time);
        if time(&own.first).is_none() || time(&theirs.first).is_some_and(|theirs| Some(theirs) < time(&own.first)) {
            own.first.clone_from(&theirs.first);
        }
        if time(&theirs.latest) >= time(&own.latest) {
            own.latest.clone_from(&theirs.latest);
        }
    }
}
