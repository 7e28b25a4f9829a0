//! The flip of a predicate that can only go one way while time passes: `count(orders last 30d) > 2`, `every(…)`.
//!
//! In a window that rows only leave, what is left at a later instant is always a suffix of what is there now. Where the
//! predicate is monotone in the suffix, its flip is the instant at which the shortest suffix that still decides as now
//! begins to crumble. That suffix is found from the newest row back, usually after as many rows as the threshold says.
//!
//! **Invariant:** exact. `count(… last W) > N` flips when the (N+1)-th newest event is W old, whatever lies before it.

use smallvec::SmallVec;

use super::At;
use crate::aggregate::{Accumulator, each_value};
use crate::customer::Row;
use crate::event::Scalar;
use crate::plan::{AggregatePlan, Leaf, Predicate};
use crate::time::EventTime;

impl At<'_> {
    /// The flip of a [`Predicate::monotone`] one whose truth is `holds` and whose cursor `members` are those of now.
    pub(super) fn suffix_flip(&self, predicate: &Predicate, members: std::ops::Range<usize>, holds: bool) -> EventTime {
        let Some(first) = predicate.aggregates.first().map(|index| &self.plan.aggregates[*index]) else { return EventTime::MAX };
        let history = &self.facts.histories[first.stream];
        let mut suffix =
            Suffix { at: self, predicate, totals: predicate.aggregates.iter().map(|a| self.plan.aggregates[*a].empty()).collect() };
        if suffix.holds() == holds {
            return EventTime::MAX;
        }
        for row in history.rows().range(members).rev() {
            if suffix.add(row, history.total_cell()) && suffix.holds() == holds {
                return first.window.leaves_at(row.time);
            }
        }
        EventTime::MAX
    }
}

/// The newest rows so far, as the predicate's aggregates see them.
struct Suffix<'a> {
    at: &'a At<'a>,
    predicate: &'a Predicate,
    /// As in the predicate's list of aggregates.
    totals: SmallVec<[Accumulator; 2]>,
}

impl Suffix<'_> {
    /// Takes one more row in front; `false`: no aggregate sees it.
    fn add(&mut self, row: &Row, total_cell: Option<usize>) -> bool {
        let mut seen = false;
        for (index, total) in self.predicate.aggregates.iter().zip(&mut self.totals) {
            let aggregate: &AggregatePlan = &self.at.plan.aggregates[*index];
            if aggregate.sees(row) {
                seen = true;
                each_value(row.field(aggregate.field, total_cell), |value| total.add(&value));
            }
        }
        seen
    }

    #[inline]
    fn holds(&self) -> bool {
        if let Some(band) = &self.predicate.band {
            return band.holds(&self.totals[0]);
        }
        self.predicate.formula.holds(&|leaf| match leaf {
            Leaf::Aggregate(index) => {
                let local = self.predicate.aggregates.iter().position(|a| *a == index);
                local.and_then(|local| self.totals[local].value(false)).map_or(Scalar::Null, Scalar::Number)
            }
            _ => Scalar::Null,
        })
    }
}
