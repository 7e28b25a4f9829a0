//! Where one aggregate stands over a customer's sorted history: which rows its window holds, and their total.
//!
//! ```text
//!     rows    o  o  o  o  o  o
//!                ▲        ▲
//!              from       to        members: from..to
//! ```
//!
//! Time only moves both ends to the right, one row at a time; the cost of a row's whole life is one add and one remove.
//!
//! **Invariant:** `total` is the accumulator over the base (rows that are no longer kept) and the members that meet the
//! aggregate's condition, and over nothing else.

use super::history::{Base, History, Row};
use crate::aggregate::{Accumulator, Removal, each_value};
use crate::event::Scalar;
use crate::money::Number;
use crate::plan::{AggregatePlan, Measure};
use crate::rule::ast::Function;
use crate::time::{EventTime, Span};

#[derive(Clone, Debug)]
pub struct Cursor {
    pub(super) from: usize,
    pub(super) to: usize,
    total: Accumulator,
    /// No row enters or leaves before this instant. Most calls of `advance` end here, without touching a row.
    quiet_until: EventTime,
}

impl Cursor {
    pub fn new(aggregate: &AggregatePlan) -> Cursor {
        Cursor { from: 0, to: 0, total: aggregate.empty(), quiet_until: EventTime::MIN }
    }

    /// A cursor at the start of a history that was read back: only what is no longer kept is in its total.
    pub(super) fn over_base(aggregate: &AggregatePlan, history: &History) -> Cursor {
        let total = history.base(aggregate).map_or_else(|| aggregate.empty(), |base| base.total.clone());
        Cursor { from: 0, to: 0, total, quiet_until: EventTime::MIN }
    }

    /// The rows that the window holds.
    pub fn members(&self) -> std::ops::Range<usize> {
        self.from..self.to
    }

    /// Lets rows enter and leave up to and including instant `t`.
    pub fn advance(&mut self, aggregate: &AggregatePlan, history: &History, t: EventTime) {
        if t < self.quiet_until {
            return;
        }
        let rows = history.rows();
        while let Some(row) = rows.get(self.to)
            && aggregate.window.enters_at(row.time) <= t
        {
            self.add(aggregate, history, row);
            self.to += 1;
        }
        let mut removal = Removal::Done;
        while self.from < self.to && aggregate.window.leaves_at(rows[self.from].time) <= t {
            if self.remove(aggregate, history, &rows[self.from]) == Removal::Rescan {
                removal = Removal::Rescan;
            }
            self.from += 1;
        }
        if removal == Removal::Rescan {
            self.rescan(aggregate, history);
        }
        let leaves = (self.from < self.to).then(|| aggregate.window.leaves_at(rows[self.from].time));
        let enters = rows.get(self.to).map(|row| aggregate.window.enters_at(row.time));
        self.quiet_until = leaves.into_iter().chain(enters).min().unwrap_or(EventTime::MAX);
    }

    /// A row came or went: the positions are right, but whether anything is due must be found again.
    pub(super) fn disturb(&mut self) {
        self.quiet_until = EventTime::MIN;
    }

    /// The first instant after `t` at which the value may change by time alone. The cursor stands at `t`.
    pub fn next_change(&self, aggregate: &AggregatePlan, history: &History, t: EventTime) -> EventTime {
        let seen = |row: &&Row| aggregate.sees(row);
        let rows = history.rows();
        let members = if aggregate.window.is_left() { self.from..self.to } else { self.to..self.to };
        let leaves = rows.range(members).find(seen).map(|row| aggregate.window.leaves_at(row.time));
        let enters = rows.range(self.to..).find(seen).map(|row| aggregate.window.enters_at(row.time));
        let next = leaves.into_iter().chain(enters).chain(self.next_day(aggregate, history, t)).min();
        next.unwrap_or(EventTime::MAX)
    }

    /// `days_since` also changes each full day after the event that it looks at.
    fn next_day(&self, aggregate: &AggregatePlan, history: &History, t: EventTime) -> Option<EventTime> {
        let Measure::Function(Function::DaysSince | Function::DaysSinceFirst) = aggregate.measure else { return None };
        let since = self.edge(aggregate, history).map(|(time, _)| time)?;
        let days = (t.millis() - since.millis()).div_euclid(Span::DAY.millis());
        Some(EventTime::from_millis(since.millis() + (days + 1) * Span::DAY.millis()))
    }

    /// The aggregate's value, the cursor standing at `t`.
    pub fn value<'a>(&'a self, aggregate: &'a AggregatePlan, history: &'a History, t: EventTime) -> Scalar<'a> {
        match aggregate.measure {
            Measure::Returned { .. } => Scalar::Bool(self.newest_return(aggregate, history).is_some()),
            Measure::Function(Function::First | Function::Latest) => self.edge(aggregate, history).map_or(Scalar::Null, |(_, value)| value),
            Measure::Function(Function::DaysSince | Function::DaysSinceFirst) => {
                self.edge(aggregate, history).map_or(Scalar::Null, |(time, _)| {
                    Scalar::Number(Number::integer((t.millis() - time.millis()).div_euclid(Span::DAY.millis())))
                })
            }
            Measure::Function(function) => self.total.value(function == Function::Avg).map_or(Scalar::Null, Scalar::Number),
        }
    }

    /// The newest member that came at least so long after its predecessor in the stream (semantics §3, `returned`).
    pub fn newest_return(&self, aggregate: &AggregatePlan, history: &History) -> Option<EventTime> {
        let Measure::Returned { after } = aggregate.measure else { return None };
        let rows = history.rows();
        let predecessor = |at: usize| at.checked_sub(1).map_or(history.newest_dropped(), |before| Some(rows[before].time));
        let is_return = |at: &usize| predecessor(*at).is_some_and(|before| before.plus(after) <= rows[*at].time);
        (self.from..self.to).rev().find(is_return).map(|at| rows[at].time)
    }

    /// The event that `first`, `latest` and `days_since` look at: its time, and its value of the field.
    fn edge<'a>(&self, aggregate: &AggregatePlan, history: &'a History) -> Option<(EventTime, Scalar<'a>)> {
        let members = history.rows().range(self.from..self.to);
        let base = history.base(aggregate);
        let of_row = |row: &'a Row, last: bool| aggregate.value_of(row, history, last).map(|value| (row.time, value));
        if matches!(aggregate.measure, Measure::Function(Function::Latest | Function::DaysSince)) {
            let kept = members.rev().find_map(|row| of_row(row, true));
            kept.or_else(|| base.and_then(|b| b.latest.as_ref()).map(|(time, value)| (*time, value.as_scalar())))
        } else {
            let dropped = base.and_then(|b| b.first.as_ref()).map(|(time, value)| (*time, value.as_scalar()));
            let kept = members.clone().find_map(|row| of_row(row, false));
            match (dropped, kept) {
                (Some(dropped), Some(kept)) if kept.0 < dropped.0 => Some(kept),
                (dropped, kept) => dropped.or(kept),
            }
        }
    }

    pub(super) fn add(&mut self, aggregate: &AggregatePlan, history: &History, row: &Row) {
        if aggregate.sees(row) {
            each_value(row.field(aggregate.field, history.total_cell()), |value| self.total.add(&value));
        }
    }

    pub(super) fn remove(&mut self, aggregate: &AggregatePlan, history: &History, row: &Row) -> Removal {
        let mut removal = Removal::Done;
        if aggregate.sees(row) {
            each_value(row.field(aggregate.field, history.total_cell()), |value| {
                if self.total.remove(&value) == Removal::Rescan {
                    removal = Removal::Rescan;
                }
            });
        }
        removal
    }

    /// Computes the total anew: an extreme has left and the next one is not known otherwise.
    pub(super) fn rescan(&mut self, aggregate: &AggregatePlan, history: &History) {
        self.total = Cursor::over_base(aggregate, history).total;
        for row in history.rows().range(self.from..self.to) {
            self.add(aggregate, history, row);
        }
    }
}

impl AggregatePlan {
    /// The accumulator over nothing.
    pub fn empty(&self) -> Accumulator {
        match self.measure {
            Measure::Function(Function::Count) => Accumulator::Count(0),
            Measure::Function(Function::Sum | Function::Avg) => Accumulator::Total { count: 0, sum: Number::ZERO },
            Measure::Function(Function::Min) => Accumulator::Min(None),
            Measure::Function(Function::Max) => Accumulator::Max(None),
            Measure::Function(Function::Distinct) => Accumulator::Distinct(Box::default()),
            Measure::Function(_) | Measure::Returned { .. } => Accumulator::Positional,
        }
    }

    /// Whether a row meets the aggregate's condition.
    pub fn sees(&self, row: &Row) -> bool {
        self.condition.is_none_or(|condition| row.meets(condition))
    }

    /// The (last or first) value that the aggregate sees in a row, if any.
    fn value_of<'a>(&self, row: &'a Row, history: &History, last: bool) -> Option<Scalar<'a>> {
        let mut found = None;
        if self.sees(row) {
            each_value(row.field(self.field, history.total_cell()), |value| {
                if last || found.is_none() {
                    found = Some(value);
                }
            });
        }
        found
    }

    /// Takes a row that is dropped from the history into the aggregate's base.
    pub(super) fn fold(&self, base: &mut Base, row: &Row, history_total_cell: Option<usize>) {
        if !self.sees(row) {
            return;
        }
        each_value(row.field(self.field, history_total_cell), |value| {
            base.total.add(&value);
            base.remember_edges(row.time, &value);
        });
    }

    pub(super) fn empty_base(&self) -> Base {
        Base { key: self.key, total: self.empty(), first: None, latest: None }
    }
}
