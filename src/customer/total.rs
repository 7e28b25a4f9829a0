//! What an aggregate makes of the rows that its window holds: a running total, and the value that rules see.
//!
//! **Invariant:** a total is the accumulator over the base (rows that are no longer kept) and the window's rows that meet
//! the aggregate's condition, and over nothing else.

use smallvec::SmallVec;

use super::Cursor;
use super::cursor::Passage;
use super::history::{Base, History, Row};
use crate::aggregate::{Accumulator, Removal, each_value};
use crate::event::{Scalar, Value};
use crate::money::Number;
use crate::plan::{AggregatePlan, FieldRef, Measure};
use crate::rule::ast::Function;
use crate::time::{EventTime, Span};
use crate::window::Window;

/// Lets rows enter and leave a window up to `t`, and the totals of `aggregates` over it follow; each stands at its
/// position in `totals`. `false`: none of them saw a row that did. Of a customer who was read back just now, only the rows
/// that the window holds are looked at.
#[inline]
pub fn advance<'p>(
    cursor: &mut Cursor,
    window: &Window,
    history: &History,
    t: EventTime,
    aggregates: impl Iterator<Item = (usize, &'p AggregatePlan)> + Clone,
    totals: &mut [Accumulator],
) -> bool {
    if t < cursor.quiet_until() {
        return false;
    }
    if cursor.is_at_start() {
        *cursor = Cursor::placed(window, history, t);
        aggregates.for_each(|(at, aggregate)| totals[at] = aggregate.total(cursor, history));
        return true;
    }
    let mut seen = false;
    let mut rescan: SmallVec<[usize; 4]> = SmallVec::new();
    cursor.advance(window, history, t, |passage, row| {
        for (at, aggregate) in aggregates.clone().filter(|(_, aggregate)| aggregate.sees(row)) {
            seen = true;
            match passage {
                Passage::Enters => aggregate.add(&mut totals[at], history, row),
                Passage::Leaves if aggregate.remove(&mut totals[at], history, row) == Removal::Rescan => rescan.push(at),
                Passage::Leaves => {}
            }
        }
    });
    for (at, aggregate) in aggregates.filter(|(at, _)| rescan.contains(at)) {
        totals[at] = aggregate.total(cursor, history);
    }
    seen
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

    /// The accumulator over what is no longer kept: where a cursor starts.
    pub(super) fn total_of_base(&self, history: &History) -> Accumulator {
        history.base(self).map_or_else(|| self.empty(), |base| base.total.clone())
    }

    /// The total computed anew: an extreme has left and the next one is not known otherwise.
    pub(super) fn total(&self, cursor: &Cursor, history: &History) -> Accumulator {
        let mut total = self.total_of_base(history);
        let members = history.rows().range(cursor.members());
        members.filter(|row| self.sees(row)).for_each(|row| self.add(&mut total, history, row));
        total
    }

    /// Whether a row meets the aggregate's condition.
    pub fn sees(&self, row: &Row) -> bool {
        self.condition.is_none_or(|condition| row.meets(condition))
    }

    /// Adds a row that it sees.
    #[inline]
    pub(super) fn add(&self, total: &mut Accumulator, history: &History, row: &Row) {
        match (&mut *total, row.plain(self.field)) {
            (Accumulator::Count(count), _) if self.field == FieldRef::Event => *count += 1,
            (Accumulator::Total { count, sum }, Some(Value::Number(number))) => {
                *count += 1;
                sum.add(number);
            }
            _ => each_value(row.field(self.field, history.total_cell()), |value| total.add(&value)),
        }
    }

    /// Removes a row that it sees, and had been added.
    #[inline]
    pub(super) fn remove(&self, total: &mut Accumulator, history: &History, row: &Row) -> Removal {
        let mut removal = Removal::Done;
        match (&mut *total, row.plain(self.field)) {
            (Accumulator::Count(count), _) if self.field == FieldRef::Event => *count -= 1,
            (Accumulator::Total { count, sum }, Some(Value::Number(number))) => {
                *count -= 1;
                sum.subtract(number);
            }
            _ => each_value(row.field(self.field, history.total_cell()), |value| {
                if total.remove(&value) == Removal::Rescan {
                    removal = Removal::Rescan;
                }
            }),
        }
        removal
    }

    /// `days_since` changes by time alone each full day after the event that it looks at: the next such instant after
    /// `t`. The cursor stands at `t`.
    pub fn next_day(&self, cursor: &Cursor, history: &History, t: EventTime) -> Option<EventTime> {
        if !self.counts_days() {
            return None;
        }
        let since = self.edge(cursor, history).map(|(time, _)| time)?;
        let days = (t.millis() - since.millis()).div_euclid(Span::DAY.millis());
        Some(EventTime::from_millis(since.millis() + (days + 1) * Span::DAY.millis()))
    }

    /// The aggregate's value, cursor and total standing at `t`.
    pub fn value<'a>(&self, cursor: &Cursor, total: &Accumulator, history: &'a History, t: EventTime) -> Scalar<'a> {
        match self.measure {
            Measure::Returned { .. } => Scalar::Bool(self.newest_return(cursor, history).is_some()),
            Measure::Function(Function::First | Function::Latest) => self.edge(cursor, history).map_or(Scalar::Null, |(_, value)| value),
            Measure::Function(Function::DaysSince | Function::DaysSinceFirst) => {
                self.edge(cursor, history).map_or(Scalar::Null, |(time, _)| {
                    Scalar::Number(Number::integer((t.millis() - time.millis()).div_euclid(Span::DAY.millis())))
                })
            }
            Measure::Function(function) => total.value(function == Function::Avg).map_or(Scalar::Null, Scalar::Number),
        }
    }

    /// The newest member that came at least so long after its predecessor in the stream (semantics §3, `returned`).
    pub fn newest_return(&self, cursor: &Cursor, history: &History) -> Option<EventTime> {
        let Measure::Returned { after } = self.measure else { return None };
        let rows = history.rows();
        let predecessor = |at: usize| at.checked_sub(1).map_or(history.newest_dropped(), |before| Some(rows[before].time));
        let is_return = |at: &usize| predecessor(*at).is_some_and(|before| before.plus(after) <= rows[*at].time);
        cursor.members().rev().find(is_return).map(|at| rows[at].time)
    }

    /// The event that `first`, `latest` and `days_since` look at: its time, and its value of the field.
    fn edge<'a>(&self, cursor: &Cursor, history: &'a History) -> Option<(EventTime, Scalar<'a>)> {
        let members = history.rows().range(cursor.members());
        let base = history.base(self);
        let of_row = |row: &'a Row, last: bool| self.value_of(row, history, last).map(|value| (row.time, value));
        if matches!(self.measure, Measure::Function(Function::Latest | Function::DaysSince)) {
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
