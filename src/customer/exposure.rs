//! Exposures: who was let into an experiment, on which side, and what came of it.
//!
//! Nothing is counted as events come. What a customer amounts to is found in the rows when somebody asks; only what rows
//! that are no longer kept amounted to is carried along, as the bases of unbounded aggregates are.
//!
//! ```text
//!     ──o────────(──────o────────o───────────o─────]──────o──▶
//!            exposed    counts, once it is in   within
//!                  ├ dropped: carried ┤├ rows ┤
//! ```
//!
//! **Invariant:** a customer is exposed once to an experiment, by the first entry that the policy let through in either
//! arm, and stays so whatever becomes of the membership. What was counted of a row is what rules would see of it: an order's
//! total less its refunds, and nothing of a cancelled one.

use super::history::Row;
use super::{Facts, Standing};
use crate::event::Scalar;
use crate::experiment::{Arm, Arms, Tally};
use crate::money::Number;
use crate::plan::{ExperimentPlan, FieldRef, GoalPlan, Plan};
use crate::time::EventTime;

/// A customer's part in one experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    /// The experiment's key.
    pub experiment: u64,
    pub arm: Arm,
    /// When the entry was; what counts comes after it.
    pub at: EventTime,
    /// Key of the goal that `dropped` was counted for; 0: none.
    pub goal: u64,
    /// The goal was another one for a while, so that something may not have been counted.
    pub recounted: bool,
    pub(super) dropped: Dropped,
}

/// What rows that are no longer kept amount to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dropped {
    pub(super) goals: u64,
    pub(super) value: Number,
    /// Steps that were reached by events up to `until`, which decide nothing any more.
    pub(super) reached: usize,
    pub(super) until: EventTime,
}

impl Dropped {
    pub(super) const NOTHING: Dropped = Dropped { goals: 0, value: Number::ZERO, reached: 0, until: EventTime::MIN };
}

impl Standing {
    /// Notes an entry that counts, unless there was one before.
    pub fn expose(&mut self, experiment: &ExperimentPlan, arm: Arm, at: EventTime) {
        if self.exposures.iter().all(|exposure| exposure.experiment != experiment.key) {
            let goal = experiment.goal_key();
            self.exposures.push(Exposure { experiment: experiment.key, arm, at, goal, recounted: false, dropped: Dropped::NOTHING });
        }
    }
}

/// Adds what the customer amounts to at instant `now` to each experiment of the plan.
pub fn measure(plan: &Plan, facts: &Facts, standing: &Standing, now: EventTime, sums: &mut [Arms]) {
    for (experiment, sums) in plan.experiments.iter().zip(sums) {
        let Some(exposure) = standing.exposures.iter().find(|exposure| exposure.experiment == experiment.key) else { continue };
        let tally = experiment.goal.as_ref().map_or_else(Tally::default, |goal| exposure.tally(goal, facts, now));
        sums.of_mut(exposure.arm).add_customer(&tally);
    }
}

impl Exposure {
    fn tally(&self, goal: &GoalPlan, facts: &Facts, now: EventTime) -> Tally {
        let history = &facts.histories[goal.stream];
        let end = goal.end(self.at);
        let mut tally = Tally {
            goals: self.dropped.goals,
            value: self.dropped.value.clone(),
            reached: self.reached(goal, facts, end),
            open: goal.within.is_some() && end > now,
            recounted: self.recounted,
        };
        let from = history.rows().partition_point(|row| row.time <= self.at);
        for row in history.rows().range(from..).take_while(|row| row.time <= end) {
            tally.goals += 1;
            tally.value = tally.value.plus(&value(goal, row, history.total_cell()));
        }
        tally
    }

    /// How many steps were reached, one after the other, by events up to and including `end`.
    fn reached(&self, goal: &GoalPlan, facts: &Facts, end: EventTime) -> usize {
        let (mut reached, mut after) = (self.dropped.reached, Place::end_of(self.at.max(self.dropped.until)));
        let next = |reached: usize, after: Place| first_after(after, *goal.steps.get(reached)?, facts);
        while let Some(place) = next(reached, after).filter(|place| place.time <= end) {
            (reached, after) = (reached + 1, place);
        }
        reached
    }

    /// A row of the goal's stream is forgotten.
    pub(super) fn drop_row(&mut self, plan: &Plan, stream: usize, row: &Row, total_cell: Option<usize>) {
        let Some(goal) = self.goal(plan).filter(|goal| goal.stream == stream) else { return };
        if self.at < row.time && row.time <= goal.end(self.at) {
            self.dropped.goals += 1;
            self.dropped.value = self.dropped.value.plus(&value(goal, row, total_cell));
        }
    }

    /// Rows of a stream between these instants may still decide how far the customer came: they are not to be forgotten.
    pub(super) fn holds(&self, plan: &Plan, stream: usize, oldest: EventTime, newest: EventTime, now: EventTime) -> bool {
        self.goal(plan).filter(|goal| goal.steps.contains(&stream)).is_some_and(|goal| {
            let counts = newest > self.at && oldest <= goal.end(self.at);
            counts && goal.settles_after.is_some_and(|span| newest.plus(span) > now)
        })
    }

    /// Rows of a stream up to `until` are about to be forgotten: what they did for the funnel is decided.
    pub(super) fn settle(&mut self, plan: &Plan, facts: &Facts, stream: usize, until: EventTime) {
        let Some(goal) = self.goal(plan).filter(|goal| goal.steps.contains(&stream) && until > self.dropped.until) else { return };
        self.dropped.reached = self.reached(goal, facts, until.min(goal.end(self.at)));
        self.dropped.until = until;
    }

    /// Of two exposures of one customer, under two ids: the earlier, with what was counted of the rows of both.
    pub(super) fn earlier(own: &Exposure, theirs: &Exposure) -> Exposure {
        let (mut first, later) = if theirs.at < own.at { (theirs.clone(), own) } else { (own.clone(), theirs) };
        first.dropped.goals += later.dropped.goals;
        first.dropped.value = first.dropped.value.plus(&later.dropped.value);
        // Of the later one's rows those that came between the two were not counted when they went.
        first.recounted |= later.recounted || later.dropped != Dropped::NOTHING;
        first
    }

    fn goal<'a>(&self, plan: &'a Plan) -> Option<&'a GoalPlan> {
        plan.experiments.iter().find(|experiment| experiment.key == self.experiment)?.goal.as_ref()
    }

    /// Read back under a plan: what another goal had counted is of no use.
    pub(super) fn under(mut self, plan: &Plan) -> Exposure {
        let goal = plan.experiments.iter().find(|experiment| experiment.key == self.experiment).map_or(0, ExperimentPlan::goal_key);
        if self.goal != goal {
            (self.goal, self.recounted, self.dropped) = (goal, true, Dropped::NOTHING);
        }
        self
    }
}

/// Where an event stands among all of a customer's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time: EventTime,
    arrival: u32,
    stream: usize,
    row: usize,
}

impl Place {
    fn end_of(time: EventTime) -> Place {
        Place { time, arrival: u32::MAX, stream: usize::MAX, row: usize::MAX }
    }
}

/// The first event of a stream that stands behind a place.
fn first_after(after: Place, stream: usize, facts: &Facts) -> Option<Place> {
    let rows = facts.histories[stream].rows();
    let place = |row: usize| Place { time: rows[row].time, arrival: rows[row].arrival, stream, row };
    let from = rows.partition_point(|row| row.time < after.time);
    (from..rows.len()).map(place).find(|place| *place > after)
}

fn value(goal: &GoalPlan, row: &Row, total_cell: Option<usize>) -> Number {
    match goal.value.map(|cell| row.field(FieldRef::Cell(cell), total_cell)) {
        Some(Scalar::Number(value)) => value,
        _ => Number::ZERO,
    }
}
