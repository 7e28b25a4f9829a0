//! Applying one event to a customer's facts: a row comes, changes or goes, and every aggregate over it follows.
//!
//! **Invariant:** an aggregate's total changes by exactly what the row was and is. Whoever looks at a changed row is in
//! `touched`; nothing else is evaluated because of the event.

use xxhash_rust::xxh3::xxh3_64;

use super::cursor::Place;
use super::history::{Conditions, OrderChange, Pending, Refund, Row};
use super::{CustomerState, arrival};
use crate::aggregate::Removal;
use crate::event::streams::StreamRole;
use crate::event::{Body, Event, Value};
use crate::money::Number;
use crate::plan::{Measure, Plan};
use crate::time::EventTime;
use crate::window::Reach;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It counts. `matched: false`: it names an order that is gone or too old to be changed.
    Accepted { matched: bool },
    /// Its id had been used.
    Duplicate,
    /// It had happened by the time at which the customer was erased.
    Erased,
    /// Its customer is another one by now, who is to have it.
    Redirected,
    /// It would make two customers each other's.
    Circular,
}

/// Predicates that an event may have changed; some may stand there more than once.
#[derive(Debug, Default)]
pub struct Touched {
    /// Some aggregate of theirs got one more event.
    pub grown: Vec<usize>,
    /// Some aggregate of theirs will get one at this instant, and is as it was until then.
    pub growing: Vec<(usize, EventTime)>,
    /// An event that an aggregate of theirs had seen changed or went, or a trait changed, or they are due.
    pub changed: Vec<usize>,
    /// The row that came.
    pub added: Option<Added>,
}

/// Where a row that came stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    pub stream: usize,
    /// Counted from the newest: rows are dropped at the other end. The newest is 1.
    pub from_newest: usize,
}

impl Touched {
    pub fn is_empty(&self) -> bool {
        self.grown.is_empty() && self.growing.is_empty() && self.changed.is_empty()
    }

    pub fn clear(&mut self) {
        self.grown.clear();
        self.growing.clear();
        self.changed.clear();
        self.added = None;
    }
}

/// Applies an event at instant `t` (the task clock, not before the event's own time), and adds to `touched` every
/// predicate that may now be different.
pub fn apply(plan: &Plan, state: &mut CustomerState, event: &Event, t: EventTime, touched: &mut Touched) -> Applied {
    let stream = usize::from(event.stream.0);
    if !plan.streams[stream].tracked {
        return Applied::Accepted { matched: true };
    }
    let id = hash(event.id.as_str());
    if state.facts.histories[stream].ids.contains(&id) {
        return Applied::Duplicate;
    }
    Application { plan, state, t, touched }.accept(stream, id, event)
}

pub(super) struct Application<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: &'a mut CustomerState,
    pub(super) t: EventTime,
    pub(super) touched: &'a mut Touched,
}

impl Application<'_> {
    fn accept(mut self, stream: usize, id: u64, event: &Event) -> Applied {
        let fields = match &event.body {
            Body::Traits(traits) => {
                self.set_traits(event.time, traits);
                &[][..]
            }
            Body::Fields(fields) => fields,
        };
        let changed = self.order_change(stream, fields);
        self.add(stream, id, event.time, fields);
        let matched = changed.is_none_or(|(order, change)| self.change_order(order, event.time, change));
        Applied::Accepted { matched }
    }

    fn set_traits(&mut self, time: EventTime, traits: &[(usize, Value)]) {
        for (index, value) in traits {
            let known = &mut self.state.facts.traits[*index];
            if known.as_ref().is_none_or(|(at, _)| *at <= time) {
                *known = Some((time, value.clone()));
                let users = self.plan.predicates.iter().enumerate().filter(|(_, p)| p.traits.contains(index));
                self.touched.changed.extend(users.map(|(predicate, _)| predicate));
            }
        }
    }

    /// What the event does to an order that it names, if that is what its stream is for.
    fn order_change(&self, stream: usize, fields: &[Value]) -> Option<(u64, OrderChange)> {
        let plan = &self.plan.streams[stream];
        let change = match self.plan.role(stream) {
            StreamRole::Coupons => OrderChange::Redeemed,
            StreamRole::Refunds => OrderChange::Refunded(number(fields.get(plan.total?)?)),
            StreamRole::Cancellations => OrderChange::Cancelled,
            StreamRole::Orders | StreamRole::Traits | StreamRole::Erasures | StreamRole::Aliases | StreamRole::Plain => return None,
        };
        match fields.get(plan.order_id?)? {
            Value::Text(order) => Some((hash(order), change)),
            _ => None,
        }
    }

    /// Adds the event as a row, or only its id where no aggregate looks at the stream.
    fn add(&mut self, stream: usize, id: u64, time: EventTime, fields: &[Value]) {
        let plan = &self.plan.streams[stream];
        let is_order = self.plan.role(stream) == StreamRole::Orders;
        let mut row = Row {
            time,
            id,
            arrival: 0,
            order: plan.order_id.filter(|_| is_order).map_or(0, |at| text(fields.get(at)).map_or(0, hash)),
            cells: plan.cells.iter().map(|(_, at)| fields.get(*at).cloned().unwrap_or_default()).collect(),
            redeemed: is_order && plan.coupon.is_some_and(|at| text(fields.get(at)).is_some_and(|coupon| !coupon.is_empty())),
            refund: None,
            conditions: Conditions::None,
        };
        let history = &mut self.state.facts.histories[stream];
        history.total_cell = plan.total_cell.filter(|_| is_order);
        history.ids.insert(id);
        let (retention, now) = (plan.retention, self.t);
        history.pending.retain(|pending| retention.is_none_or(|span| pending.time.plus(span) > now));
        let cancelled = is_order && take_pending(&mut history.pending, &mut row);
        if cancelled || !plan.has_rows(&self.plan.over_stream[stream]) {
            history.retired.push(id);
            return;
        }
        self.insert(stream, row);
        self.drop_old(stream);
    }

    fn insert(&mut self, stream: usize, mut row: Row) {
        self.advance_all(stream);
        if self.plan.streams[stream].ordered {
            row.arrival = arrival::next(self.plan, &self.state.facts, row.time);
        }
        let history = &mut self.state.facts.histories[stream];
        row.set_conditions(&self.plan.streams[stream].conditions, history.total_cell);
        history.has_debits |= row.is_debit(history.total_cell);
        let watching = self.plan.watches[stream].iter().filter(|watch| watch.condition.is_none_or(|condition| row.meets(condition)));
        self.touched.changed.extend(watching.map(|watch| watch.predicate));
        let at = history.place_for(row.time);
        for window in &self.plan.over_stream[stream] {
            let over = &self.plan.windows[*window];
            let place = self.state.standing.cursors[*window].inserted(&over.window, row.time, self.t);
            for index in &over.aggregates {
                let aggregate = &self.plan.aggregates[*index];
                if matches!(aggregate.measure, Measure::Returned { .. }) {
                    // The row may also be the predecessor of one inside.
                    self.touched.grown.extend(&aggregate.predicates);
                } else if aggregate.sees(&row) {
                    match place {
                        Place::Behind => {}
                        Place::Inside => {
                            aggregate.add(&mut self.state.standing.totals[*index], history, &row);
                            self.touched.grown.extend(&aggregate.predicates);
                        }
                        Place::Ahead { enters } => self.touched.growing.extend(aggregate.predicates.iter().map(|p| (*p, enters))),
                    }
                }
            }
        }
        history.insert(at, row);
        self.touched.added = Some(Added { stream, from_newest: history.rows.len() - at });
    }

    /// Changes the order that was named, or keeps the change until it comes. `false`: it is gone, or too old.
    fn change_order(&mut self, order: u64, time: EventTime, change: OrderChange) -> bool {
        let Some(orders) = self.plan.catalogue.with_role(StreamRole::Orders).map(|s| usize::from(s.0)) else { return false };
        if !self.plan.streams[orders].tracked {
            return true;
        }
        let retention = self.plan.streams[orders].retention;
        let remembered = |time: EventTime| retention.is_none_or(|span| time.plus(span) > self.t);
        let history = &mut self.state.facts.histories[orders];
        if let Some(at) = history.rows.iter().rposition(|row| row.order == order) {
            let young = remembered(history.rows[at].time);
            if young {
                self.change_row(orders, at, change);
            }
            return young;
        }
        history.pending.retain(|pending| remembered(pending.time));
        let gone = history.ids.contains(&order);
        if !gone {
            history.pending.push(Pending { order, time, change });
        }
        !gone
    }

    fn change_row(&mut self, stream: usize, at: usize, change: OrderChange) {
        if change == OrderChange::Redeemed && self.state.facts.histories[stream].rows[at].redeemed {
            return;
        }
        self.advance_all(stream);
        self.touched.changed.extend(self.plan.watches[stream].iter().map(|watch| watch.predicate));
        let rescan = self.retract(stream, at);
        let history = &mut self.state.facts.histories[stream];
        if change == OrderChange::Cancelled {
            self.remove_row(stream, at);
        } else {
            history.rows[at].change(change);
            let row = &mut history.rows[at];
            row.set_conditions(&self.plan.streams[stream].conditions, history.total_cell);
            history.has_debits |= row.is_debit(history.total_cell);
            history.blocks.changed(at);
            self.restore(stream, at);
        }
        for index in rescan {
            let aggregate = &self.plan.aggregates[index];
            let cursor = &self.state.standing.cursors[aggregate.through];
            self.state.standing.totals[index] = aggregate.total(cursor, &self.state.facts.histories[stream]);
        }
    }

    /// Takes a row out of every total that holds it; gives back the aggregates that must look again.
    fn retract(&mut self, stream: usize, at: usize) -> Vec<usize> {
        let history = &self.state.facts.histories[stream];
        let row = &history.rows[at];
        let mut rescan = Vec::new();
        for window in &self.plan.over_stream[stream] {
            let is_member = self.state.standing.cursors[*window].members().contains(&at);
            for index in &self.plan.windows[*window].aggregates {
                let aggregate = &self.plan.aggregates[*index];
                let total = &mut self.state.standing.totals[*index];
                if is_member && aggregate.sees(row) && aggregate.remove(total, history, row) == Removal::Rescan {
                    rescan.push(*index);
                }
                self.touched.changed.extend(&aggregate.predicates);
            }
        }
        rescan
    }

    /// Puts a changed row back into every total whose window holds it.
    fn restore(&mut self, stream: usize, at: usize) {
        let history = &self.state.facts.histories[stream];
        for window in &self.plan.over_stream[stream] {
            if self.state.standing.cursors[*window].members().contains(&at) {
                for index in &self.plan.windows[*window].aggregates {
                    let (aggregate, row) = (&self.plan.aggregates[*index], &history.rows[at]);
                    if aggregate.sees(row) {
                        aggregate.add(&mut self.state.standing.totals[*index], history, row);
                    }
                }
            }
        }
    }

    fn remove_row(&mut self, stream: usize, at: usize) {
        let history = &mut self.state.facts.histories[stream];
        if let Some(row) = history.rows.remove(at) {
            history.retired.push(row.id);
        }
        history.blocks.removed(at);
        for window in &self.plan.over_stream[stream] {
            self.state.standing.cursors[*window].removed(&self.plan.windows[*window].window, history, at);
        }
    }

    fn advance_all(&mut self, stream: usize) {
        for window in &self.plan.over_stream[stream] {
            self.state.standing.advance(self.plan, &self.state.facts, *window, self.t);
        }
    }

    /// Takes rows that nothing can change any more into the bases of the unbounded aggregates, and forgets them.
    fn drop_old(&mut self, stream: usize) {
        let Some(retention) = self.plan.streams[stream].retention.filter(|_| !self.plan.streams[stream].whole) else { return };
        loop {
            let history = &self.state.facts.histories[stream];
            let count = history.blocks.oldest();
            let [oldest, newest] = [0, count - 1].map(|at| history.rows.get(at).map(|row| row.time));
            let Some((oldest, until)) = oldest.zip(newest).filter(|(_, newest)| newest.plus(retention) <= self.t) else { return };
            if self.state.standing.exposures.iter().any(|exposure| exposure.holds(self.plan, stream, oldest, until, self.t)) {
                return;
            }
            for exposure in &mut self.state.standing.exposures {
                exposure.settle(self.plan, &self.state.facts, stream, until);
            }
            (0..count).for_each(|_| self.drop_oldest_row(stream));
            self.state.facts.histories[stream].blocks.dropped_oldest();
        }
    }

    pub(super) fn drop_oldest_row(&mut self, stream: usize) {
        let history = &mut self.state.facts.histories[stream];
        let Some(row) = history.rows.pop_front() else { return };
        let total_cell = history.total_cell;
        for window in &self.plan.over_stream[stream] {
            let over = &self.plan.windows[*window];
            self.state.standing.cursors[*window].removed(&over.window, history, 0);
            if matches!(over.window.reach(), Reach::Unbounded { .. }) && over.window.leaves_at(row.time) > self.t {
                for aggregate in over.aggregates.iter().map(|index| &self.plan.aggregates[*index]) {
                    aggregate.fold(history.base_mut(aggregate), &row, total_cell);
                }
            }
        }
        for exposure in &mut self.state.standing.exposures {
            exposure.drop_row(self.plan, stream, &row, total_cell);
        }
        history.newest_dropped = history.newest_dropped.max(Some(row.time));
        history.retired.push(row.id);
    }
}

impl Row {
    pub(super) fn change(&mut self, change: OrderChange) {
        match change {
            OrderChange::Redeemed => self.redeemed = true,
            OrderChange::Refunded(amount) => {
                let refund: &mut Refund = self.refund.get_or_insert_default();
                match amount {
                    Some(amount) => refund.amount = refund.amount.plus(&amount),
                    None => refund.whole = true,
                }
            }
            OrderChange::Cancelled => {}
        }
    }
}

/// Applies what was waiting for this order; `true`: it had been cancelled.
pub(super) fn take_pending(pending: &mut Vec<Pending>, row: &mut Row) -> bool {
    let mut cancelled = false;
    pending.retain(|waiting| {
        let mine = row.order != 0 && waiting.order == row.order;
        if mine {
            cancelled |= waiting.change == OrderChange::Cancelled;
            row.change(waiting.change.clone());
        }
        !mine
    });
    cancelled
}

fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(n) => Some(Number::from(n)),
        _ => None,
    }
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}
