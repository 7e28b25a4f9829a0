//! Looking ahead: the same predicate at the later instants at which its inputs change by time alone.
//!
//! **Invariant:** a step goes to the very next change of any input; between two steps nothing can flip.

use smallvec::SmallVec;

use super::At;
use crate::aggregate::Accumulator;
use crate::customer::{self, Cursor, History, Standing};
use crate::event::Scalar;
use crate::plan::{AggregatePlan, Leaf, Predicate};
use crate::time::EventTime;

/// A predicate on its way into the future, with cursors and totals of its own.
pub(super) struct Ahead<'a> {
    at: &'a At<'a>,
    predicate: &'a Predicate,
    standing: &'a Standing,
    t: EventTime,
    /// As in the predicate's list of windows.
    cursors: SmallVec<[Cursor; 2]>,
    /// As in the predicate's list of aggregates.
    totals: SmallVec<[Accumulator; 2]>,
}

impl<'a> Ahead<'a> {
    /// From `at.t` on; the predicate's cursors stand there.
    pub(super) fn new(at: &'a At<'a>, predicate: &'a Predicate, standing: &'a Standing) -> Ahead<'a> {
        let cursors = predicate.windows.iter().map(|window| standing.cursors[*window]).collect();
        let totals = predicate.aggregates.iter().map(|index| standing.totals[*index].clone()).collect();
        Ahead { at, predicate, standing, t: at.t, cursors, totals }
    }

    pub(super) fn t(&self) -> EventTime {
        self.t
    }

    /// Goes to the next instant at which an input changes; `false`: there is none.
    pub(super) fn go_to_next_change(&mut self) -> bool {
        loop {
            let passing = self.cursors.iter().map(Cursor::quiet_until).min().unwrap_or(EventTime::MAX);
            let others = self.at.still_change(self.predicate, self.standing, self.t).min(self.next_day());
            self.t = passing.min(others);
            if self.t == EventTime::MAX {
                return false;
            }
            // A row that no aggregate sees changes nothing.
            if self.advance() || others <= self.t {
                return true;
            }
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.predicate.formula.holds(&|leaf| self.leaf(leaf))
    }

    /// Lets rows pass up to `t`; `false`: no aggregate saw one of them.
    fn advance(&mut self) -> bool {
        let mut seen = false;
        for (window, cursor) in self.predicate.windows.iter().zip(&mut self.cursors) {
            let over = &self.at.plan.windows[*window];
            let aggregates = self.predicate.aggregates.iter().map(|index| &self.at.plan.aggregates[*index]).enumerate();
            let through = aggregates.filter(|(_, aggregate)| aggregate.through == *window);
            seen |= customer::advance(cursor, &over.window, &self.at.facts.histories[over.stream], self.t, through, &mut self.totals);
        }
        seen
    }

    fn leaf(&self, leaf: Leaf) -> Scalar<'_> {
        let (Leaf::Aggregate(index) | Leaf::Ranked(index)) = leaf else { return self.at.still_leaf(leaf, self.standing, self.t) };
        let local = self.predicate.aggregates.iter().position(|a| *a == index);
        if leaf == Leaf::Ranked(index) && local.is_some_and(|local| self.totals[local].is_empty()) {
            return Scalar::Null;
        }
        let aggregate = &self.at.plan.aggregates[index];
        local.map_or(Scalar::Null, |local| aggregate.value(self.cursor(aggregate), &self.totals[local], self.history(aggregate), self.t))
    }

    /// The next instant at which a `days_since` counts one more day.
    fn next_day(&self) -> EventTime {
        if !self.predicate.counts_days {
            return EventTime::MAX;
        }
        let aggregates = self.predicate.aggregates.iter().map(|index| &self.at.plan.aggregates[*index]);
        let days = aggregates.filter_map(|a| a.next_day(self.cursor(a), self.history(a), self.t));
        days.min().unwrap_or(EventTime::MAX)
    }

    fn cursor(&self, aggregate: &AggregatePlan) -> &Cursor {
        let local = self.predicate.windows.iter().position(|window| *window == aggregate.through);
        &self.cursors[local.unwrap_or(0)]
    }

    fn history(&self, aggregate: &AggregatePlan) -> &'a History {
        &self.at.facts.histories[aggregate.stream]
    }
}
