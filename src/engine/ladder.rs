//! A ladder's stages: of each customer one is a member, found from the first stage to the last.
//!
//! A stage is decided after those above it, like a segment that names them: as the plan orders it, and only when a
//! predicate of its own flipped, or when the customer has just been let go above.
//!
//! ```text
//!     on stage 2, its rule fails  ─▶ 2 is left ─▶ 3, 4, … are looked at: the first that holds is entered
//!     on stage 2, stage 1 holds   ─▶ 2 is left, 1 is entered
//! ```
//!
//! **Invariant:** between two evaluations every customer is on exactly one stage; no stage above it holds, unless it
//! must still be stayed in.

use super::{Settling, stay};
use crate::plan::Stage;

impl<'a> Settling<'a> {
    /// The ladder's segments, by rank.
    fn stages(&self, stage: Stage) -> &'a [usize] {
        &self.at.plan.ladders[stage.ladder].stages
    }

    /// Whether this stage has the customer, those above being decided.
    pub(super) fn has(&mut self, stage: Stage) -> bool {
        let stages = self.stages(stage);
        let current = stages.iter().position(|segment| self.is_member(*segment));
        match current {
            Some(current) if current < stage.rank => false,
            Some(current) if stay::holds(self.at.plan, self.standing, stages[current], self.at.t) => current == stage.rank,
            _ => self.holds(stages[stage.rank]),
        }
    }

    /// Before a stage is entered: lets go of the one that the customer was on.
    pub(super) fn leave_others(&mut self, stage: Stage) {
        for segment in self.stages(stage) {
            if self.is_member(*segment) {
                self.change(*segment);
            }
        }
    }

    /// The stages from this rank on are decided anew: those below one that was left for none above it; all of them
    /// once one need not be stayed in any longer.
    pub(super) fn look_from(&mut self, ladder: usize, rank: usize) {
        let plan = self.at.plan;
        plan.ladders[ladder].stages[rank..].iter().for_each(|segment| self.mark(plan.segments[*segment].position));
    }

    /// The stage of this ladder that was left in this evaluation.
    pub(super) fn left(&self, stage: Stage) -> Option<usize> {
        let segments = &self.at.plan.segments;
        self.changes.iter().map(|change| change.segment).find(|left| segments[*left].stage.is_some_and(|s| s.ladder == stage.ladder))
    }
}
