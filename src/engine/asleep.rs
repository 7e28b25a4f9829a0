//! Which predicates are kept up: those on which some decision rests as everything stands.
//!
//! ```text
//!     trait.tier == "gold" and count(orders last 14d) >= 2
//!     does not hold: that decides ──┘    └── asleep: no event and no timer wakes it, until the first one holds and it is asked
//! ```
//!
//! *Why:* most customers are far from most segments. What is asleep costs neither an evaluation nor an instant to wake at.
//!
//! **Invariant:** after an evaluation, every predicate that is asked when a segment is decided, from its first one on and no
//! further than needed, is awake. A segment changes only when one of these flips, or when what lets it off its rules ends (a
//! stay, a stage above); then it is decided anew, and whom it asks wakes.

use super::Settling;
use crate::customer::{Standing, Truth};
use crate::eval::At;

/// A predicate that more segments name is kept up in any case: to look whether one of them rests on it would cost more.
const ASKED_AT_MOST: usize = 8;

/// Whether a predicate holds. Who asks rests on it: it is kept up from now on, unless it is left to a scan.
pub(super) fn ask(at: &At<'_>, standing: &mut Standing, predicate: usize) -> bool {
    if standing.predicates[predicate].asleep && standing.evaluates(predicate) {
        standing.predicates[predicate] = at.truth(standing, predicate);
    }
    standing.predicates[predicate].holds
}

impl Settling<'_> {
    /// What the segment rested on, and neither it nor another one rests on any more, is not kept up.
    pub(super) fn put_to_sleep(&mut self, segment: usize) {
        for predicate in &self.at.plan.segments[segment].predicates {
            if !self.is_of_use(*predicate) {
                self.standing.predicates[*predicate] = Truth::ASLEEP;
            }
        }
    }

    fn is_of_use(&self, predicate: usize) -> bool {
        let plan = &self.at.plan.predicates[predicate];
        let rests = |position: &usize| self.rests_on(self.at.plan.order[*position], predicate);
        plan.ranks || plan.users.len() > ASKED_AT_MOST || plan.users.iter().any(rests)
    }

    /// One that waits to be decided in this very evaluation may be taken wrongly, and asks for itself then.
    fn rests_on(&self, segment: usize, predicate: usize) -> bool {
        let mut found = false;
        self.at.plan.segments[segment].ask(self.is_member(segment), &mut |asked| {
            found |= asked == predicate;
            self.standing.predicates[asked].holds
        });
        found
    }
}
