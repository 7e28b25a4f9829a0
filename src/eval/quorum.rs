//! The flip of a count or a sum against a number: the instant at which the row passes that makes it too much or too little.
//!
//! **Invariant:** exact, or early by as many rows as are looked at. `count(… last W) > N` flips when the (N+1)-th newest
//! event is W old, whatever lies before it; a sum of nothing below zero when the event is that it needs together with the
//! newer ones.

use super::At;
use super::linear::{NEWEST, share_of};
use crate::customer::{Passage, Row, Standing};
use crate::plan::{AggregatePlan, Quorum, Unit};
use crate::time::EventTime;

/// How many rows are let pass in search of the flip: a long history costs an event no more than this.
const PASSED_AT_MOST: usize = 64;

impl At<'_> {
    /// The cursor of the quorum's window stands at `self.t`. `None`: it has to be found by its sums.
    pub(super) fn quorum_flip(&self, quorum: &Quorum, standing: &Standing) -> Option<EventTime> {
        self.quorum_turn(quorum, standing).or_else(|| match quorum.unit {
            Unit::Events => Some(self.passed(quorum, standing, quorum.amount(&standing.totals)?)),
            Unit::Millionths => None,
        })
    }

    /// The very instant at which time alone changes the truth of a quorum over a window that rows only leave. `None`: it has
    /// to be looked for.
    pub(crate) fn quorum_turn(&self, quorum: &Quorum, standing: &Standing) -> Option<EventTime> {
        let aggregate = &self.plan.aggregates[quorum.aggregate];
        let amount = quorum.amount(&standing.totals)?;
        match quorum.unit {
            _ if !aggregate.window.only_empties() => None,
            _ if self.is_out_of_reach(quorum, aggregate, amount) => Some(EventTime::MAX),
            Unit::Events => Some(self.emptied(quorum, aggregate, standing)),
            Unit::Millionths => self.covered(quorum, aggregate, standing),
        }
    }

    /// Rows only leave, and less than there is would change nothing.
    fn is_out_of_reach(&self, quorum: &Quorum, aggregate: &AggregatePlan, amount: i64) -> bool {
        let only_falls = quorum.unit == Unit::Events || self.facts.histories[aggregate.stream].is_free_of_debits();
        only_falls && (quorum.reached_at <= 0 || amount < quorum.reached_at)
    }

    /// It turns back when the youngest leaves without whom there are too few.
    fn emptied(&self, quorum: &Quorum, aggregate: &AggregatePlan, standing: &Standing) -> EventTime {
        let mut newest = self.newest(aggregate, standing);
        let before = quorum.reached_at as usize - 1;
        let deciding = match aggregate.condition {
            None => newest.nth(before),
            Some(_) => newest.filter(|row| aggregate.sees(row)).nth(before),
        };
        deciding.map_or(EventTime::MAX, |row| aggregate.window.leaves_at(row.time))
    }

    /// The same of a sum. `None`: some row lowers it, or the newest are not enough. [`At::linear_flip`] would find it too, for
    /// inequalities of all kinds; with a hundred sums that makes a replay 6 % longer.
    fn covered(&self, quorum: &Quorum, aggregate: &AggregatePlan, standing: &Standing) -> Option<EventTime> {
        let history = &self.facts.histories[aggregate.stream];
        if !history.is_free_of_debits() {
            return None;
        }
        let mut covered = 0i64;
        for row in self.newest(aggregate, standing).take(NEWEST).filter(|row| aggregate.sees(row)) {
            covered = covered.checked_add(share_of(aggregate.field, row, history)?.sum)?;
            if covered >= quorum.reached_at {
                return Some(aggregate.window.leaves_at(row.time));
            }
        }
        None
    }

    /// The rows of its window, from the newest on.
    fn newest(&self, aggregate: &AggregatePlan, standing: &Standing) -> impl Iterator<Item = &Row> {
        let members = standing.cursors[aggregate.through].members();
        self.facts.histories[aggregate.stream].rows().range(members).rev()
    }

    /// Rows enter and leave.
    fn passed(&self, quorum: &Quorum, standing: &Standing, amount: i64) -> EventTime {
        let aggregate = &self.plan.aggregates[quorum.aggregate];
        let history = &self.facts.histories[aggregate.stream];
        let mut cursor = standing.cursors[aggregate.through];
        let (holds, mut count, mut passed) = (quorum.holds(amount), amount, 0);
        loop {
            let t = cursor.quiet_until();
            if t == EventTime::MAX {
                return t;
            }
            cursor.advance(&aggregate.window, history, t, |passage, row| {
                passed += 1;
                match passage {
                    Passage::Enters => count += i64::from(aggregate.sees(row)),
                    Passage::Leaves => count -= i64::from(aggregate.sees(row)),
                }
            });
            if quorum.holds(count) != holds || passed >= PASSED_AT_MOST {
                return t;
            }
        }
    }
}
