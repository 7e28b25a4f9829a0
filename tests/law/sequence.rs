//! `sequence`, by trying every event for every step: no order of search, no memory, no shortcut but stopping at a match.
//!
//! **Invariant:** independent of how the engine walks: a match is found by its definition (semantics §3), forwards.

use std::rc::Rc;

use segmentd::rule::ast::{CompareOp, Sequence, Step};

use super::eval::View;
use super::history::Row;
use super::value::Scalar;

/// An event's time and arrival; the moment before all events of an instant has the arrival -1.
type Point = (i64, i64);

impl View<'_> {
    pub fn sequence(&self, sequence: &Sequence) -> bool {
        let all: Vec<Rc<Vec<Row>>> = sequence.steps.iter().map(|step| self.rows(&step.stream)).collect();
        let passes = |step: &Step, row: &Row| step.filter.as_ref().is_none_or(|filter| self.value(filter, Some(row)).is_true());
        let rows = sequence.steps.iter().zip(&all).map(|(step, rows)| rows.iter().filter(|row| passes(step, row)).collect());
        let rows: Vec<Vec<&Row>> = rows.collect();
        let starts = rows[0].iter().copied().filter(|row| same(&sequence.steps[0], row, row));
        let counts = |at: i64| at <= self.now && sequence.last.is_none_or(|last| self.now - last.millis() < at);
        let mut starts = starts.map(|row| Attempt { sequence, rows: &rows, first: row, counts: &counts });
        starts.any(|attempt| attempt.goes_on(1, (attempt.first.time, attempt.first.arrival), &[]))
    }
}

/// Whether an event has what the step asks it to have in common with the first.
fn same(step: &Step, row: &Row, first: &Row) -> bool {
    let field = |row: &Row, name: &str| row.fields.get(name).cloned().unwrap_or(Scalar::Null);
    step.same.as_ref().is_none_or(|name| field(row, &name.text).compare(CompareOp::Equal, &field(first, &name.text)))
}

/// All matches that begin with one event.
struct Attempt<'a> {
    sequence: &'a Sequence,
    /// Those that each step may be: they are of its stream and pass its filter.
    rows: &'a [Vec<&'a Row>],
    first: &'a Row,
    counts: &'a dyn Fn(i64) -> bool,
}

impl Attempt<'_> {
    /// Whether the steps from `step` on can be completed so that it counts, the steps before them having been completed
    /// at `since`; `forbidden` are the steps without an end that stand between.
    fn goes_on(&self, step: usize, since: Point, forbidden: &[usize]) -> bool {
        let Some(next) = self.sequence.steps.get(step) else {
            return (self.counts)(since.0) && !self.any_between(forbidden, since, (i64::MAX, 0));
        };
        let with_next = [forbidden, &[step]].concat();
        match (next.absent, next.within) {
            (true, None) => self.goes_on(step + 1, since, &with_next),
            (true, Some(within)) => {
                let end = (since.0 + within.millis(), -1);
                !self.any_between(&with_next, since, end) && self.goes_on(step + 1, end, &[])
            }
            (false, within) => self.served(step).any(|row| {
                let at = (row.time, row.arrival);
                let in_time = within.is_none_or(|within| row.time < since.0 + within.millis());
                at > since && in_time && !self.any_between(forbidden, since, at) && self.goes_on(step + 1, at, &[])
            }),
        }
    }

    fn any_between(&self, steps: &[usize], since: Point, until: Point) -> bool {
        steps.iter().any(|step| self.served(*step).any(|row| since < (row.time, row.arrival) && (row.time, row.arrival) < until))
    }

    fn served(&self, step: usize) -> impl Iterator<Item = &Row> {
        self.rows[step].iter().copied().filter(move |row| same(&self.sequence.steps[step], row, self.first))
    }
}
