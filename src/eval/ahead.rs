//! Looking ahead: the same predicate at the later instants at which its inputs change by time alone.
//!
//! **Invariant:** a step goes to the very next change of any input; between two steps nothing can flip.

use smallvec::SmallVec;

use super::At;
use crate::customer::{Cursor, Standing};
use crate::event::Scalar;
use crate::plan::{Leaf, Predicate};
use crate::time::EventTime;

/// A predicate on its way into the future, with cursors of its own.
pub(super) struct Ahead<'a> {
    at: &'a At<'a>,
    predicate: &'a Predicate,
    standing: &'a Standing,
    t: EventTime,
    /// As in the predicate's list of aggregates.
    cursors: SmallVec<[Cursor; 2]>,
}

impl<'a> Ahead<'a> {
    /// From `at.t` on; the predicate's cursors stand there.
    pub(super) fn new(at: &'a At<'a>, predicate: &'a Predicate, standing: &'a Standing) -> Ahead<'a> {
        let cursors = predicate.aggregates.iter().map(|index| standing.cursors[*index].clone()).collect();
        Ahead { at, predicate, standing, t: at.t, cursors }
    }

    pub(super) fn t(&self) -> EventTime {
        self.t
    }

    /// Goes to the next instant at which an input changes; `false`: there is none.
    pub(super) fn go_to_next_change(&mut self) -> bool {
        let (plan, facts, t) = (self.at.plan, self.at.facts, self.t);
        let of_cursor = |(index, cursor): (&usize, &Cursor)| {
            let aggregate = &plan.aggregates[*index];
            cursor.next_change(aggregate, &facts.histories[aggregate.stream], t)
        };
        let of_aggregates = self.predicate.aggregates.iter().zip(&self.cursors).map(of_cursor).min();
        let next = self.at.still_change(self.predicate, self.standing, t).min(of_aggregates.unwrap_or(EventTime::MAX));
        if next == EventTime::MAX {
            return false;
        }
        self.t = next;
        for (index, cursor) in self.predicate.aggregates.iter().zip(&mut self.cursors) {
            let aggregate = &plan.aggregates[*index];
            cursor.advance(aggregate, &facts.histories[aggregate.stream], next);
        }
        true
    }

    pub(super) fn holds(&self) -> bool {
        self.predicate.formula.holds(&|leaf| self.leaf(leaf))
    }

    fn leaf(&self, leaf: Leaf) -> Scalar<'_> {
        let Leaf::Aggregate(index) = leaf else { return self.at.still_leaf(leaf, self.standing, self.t) };
        let local = self.predicate.aggregates.iter().position(|a| *a == index);
        let aggregate = &self.at.plan.aggregates[index];
        local.map_or(Scalar::Null, |local| self.cursors[local].value(aggregate, &self.at.facts.histories[aggregate.stream], self.t))
    }
}
