//! The flip of a linear predicate: each row that enters or leaves a window adds its weight to the inequalities, or takes it.
//!
//! **Invariant:** the same instants as by [`Ahead`](super::ahead::Ahead) and [`suffix_flip`](super::At::suffix_flip), found
//! with integers. `None`: some number does not fit, and the others have to look.

use smallvec::SmallVec;

use super::At;
use crate::aggregate::each_value;
use crate::customer::{Added, Cursor, History, Passage, Row, Standing};
use crate::event::{Scalar, Value};
use crate::money;
use crate::plan::linear::{Linear, Share, Sums};
use crate::plan::{FieldRef, Predicate};
use crate::time::EventTime;

/// How many rows are looked at from the newest on: where more than these are needed, the oldest decide sooner.
pub(super) const NEWEST: usize = 32;

impl At<'_> {
    /// The flip of a predicate whose truth is `holds`, its cursors standing at `self.t`.
    pub(super) fn linear_flip(
        &self,
        predicate: &Predicate,
        linear: &Linear,
        standing: &Standing,
        holds: bool,
        changes: usize,
    ) -> Option<EventTime> {
        let newest = if predicate.monotone || self.only_falls(predicate) { self.suffix(predicate, linear, standing) } else { None };
        newest.or_else(|| self.ahead(predicate, linear, standing, holds, changes))
    }

    /// The next instant at which the truth changes, or up to which it was looked for.
    fn ahead(&self, predicate: &Predicate, linear: &Linear, standing: &Standing, holds: bool, changes: usize) -> Option<EventTime> {
        let mut sums = linear.sums(&standing.totals)?;
        let mut cursors: SmallVec<[Cursor; 2]> = predicate.windows.iter().map(|window| standing.cursors[*window]).collect();
        let mut t = self.t;
        for _ in 0..changes {
            t = cursors.iter().map(Cursor::quiet_until).min().unwrap_or(EventTime::MAX);
            if t == EventTime::MAX {
                break;
            }
            for (window, cursor) in predicate.windows.iter().zip(&mut cursors) {
                self.pass(linear, *window, cursor, t, &mut sums)?;
            }
            if linear.holds(&sums) != holds {
                break;
            }
        }
        Some(t)
    }

    /// A row that came pushes no inequality towards the other truth, by none of the windows that hold it: it leaves them one
    /// after the other. So that truth lasts at least as long as it was going to, and once the row has left all is as it
    /// would have been without it.
    pub(super) fn confirms(&self, predicate: &Predicate, added: Added, holds: bool) -> bool {
        let history = &self.facts.histories[added.stream];
        let row = history.rows().len().checked_sub(added.from_newest).and_then(|at| history.rows().get(at));
        let confirms = |linear: &Linear, row: &Row, window: usize| {
            let mut pushed = Sums::default();
            self.weigh(linear, window, row, history, Passage::Enters, &mut pushed).is_some() && linear.is_confirmed(&pushed, holds)
        };
        predicate.linear.as_ref().zip(row).is_some_and(|(linear, row)| {
            let mut holding = predicate.windows.iter().filter(|window| self.is_inside(**window, added.stream, row));
            holding.all(|window| confirms(linear, row, *window))
        })
    }

    /// The window holds a row of that stream now. One that enters later is waited for at its instant.
    fn is_inside(&self, window: usize, stream: usize, row: &Row) -> bool {
        let over = &self.plan.windows[window];
        over.stream == stream && over.window.enters_at(row.time) <= self.t && self.t < over.window.leaves_at(row.time)
    }

    /// Lets the rows pass that enter or leave a window up to `t`.
    #[inline]
    fn pass(&self, linear: &Linear, window: usize, cursor: &mut Cursor, t: EventTime, sums: &mut Sums) -> Option<()> {
        let over = &self.plan.windows[window];
        let history = &self.facts.histories[over.stream];
        let mut exact = Some(());
        if cursor.quiet_until() <= t {
            cursor.advance(&over.window, history, t, |passage, row| {
                exact = exact.and(self.weigh(linear, window, row, history, passage, sums));
            });
        }
        exact
    }

    /// Until another event comes, its inequalities only fall.
    pub(super) fn only_falls(&self, predicate: &Predicate) -> bool {
        let stream = || self.plan.windows[predicate.windows[0]].stream;
        predicate.falling && self.facts.histories[stream()].is_free_of_debits()
    }

    /// The instant at which the shortest suffix crumbles that still is on the side of each inequality on which all rows are;
    /// the same as [`At::suffix_flip`]. `None`: it was not found among the newest rows.
    fn suffix(&self, predicate: &Predicate, linear: &Linear, standing: &Standing) -> Option<EventTime> {
        let sides = linear.sides(&linear.sums(&standing.totals)?);
        let mut suffix = linear.nothing();
        if linear.sides(&suffix) == sides {
            return Some(EventTime::MAX);
        }
        let window = predicate.windows[0];
        let over = &self.plan.windows[window];
        let history = &self.facts.histories[over.stream];
        for row in history.rows().range(standing.cursors[window].members()).rev().take(NEWEST) {
            self.weigh(linear, window, row, history, Passage::Enters, &mut suffix)?;
            if linear.sides(&suffix) == sides {
                return Some(over.window.leaves_at(row.time));
            }
        }
        None
    }

    /// Adds a row of a window to every inequality that looks through it, or takes it away.
    #[inline]
    fn weigh(&self, linear: &Linear, window: usize, row: &Row, history: &History, passage: Passage, sums: &mut Sums) -> Option<()> {
        for term in &linear.terms {
            let aggregate = &self.plan.aggregates[term.aggregate];
            if aggregate.through == window && aggregate.sees(row) {
                let share = share_of(aggregate.field, row, history)?;
                match passage {
                    Passage::Enters => term.add(share, sums),
                    Passage::Leaves => term.subtract(share, sums),
                }
            }
        }
        Some(())
    }
}

/// What a row adds to an aggregate that sees it.
#[inline(always)]
pub(super) fn share_of(field: FieldRef, row: &Row, history: &History) -> Option<Share> {
    match row.plain(field) {
        Some(Value::Number(number)) => Some(Share { count: 1, sum: money::millionths(number)? }),
        _ if field == FieldRef::Event => Some(Share { count: 1, sum: 0 }),
        _ => share_of_others(field, row, history),
    }
}

/// Of a total that refunds have lowered, an array, or what is no number and can only be counted.
fn share_of_others(field: FieldRef, row: &Row, history: &History) -> Option<Share> {
    let mut share = Some(Share::default());
    each_value(row.field(field, history.total_cell()), |value| {
        let sum = if let Scalar::Number(number) = value { number.millionths() } else { Some(0) };
        share = share.zip(sum).and_then(|(share, sum)| Some(Share { count: share.count + 1, sum: share.sum.checked_add(sum)? }));
    });
    share
}
