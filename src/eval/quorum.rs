//! The flip of a count against a number: the instant at which the row passes that makes it one too many or too few.
//!
//! **Invariant:** exact, or early by [`PASSED_AT_MOST`] rows. `count(… last W) > N` flips when the (N+1)-th newest event is
//! W old, whatever lies before it.

use super::At;
use crate::customer::Standing;
use crate::plan::{AggregatePlan, Quorum};
use crate::time::EventTime;
use crate::window::Window;

/// How many rows are let pass in search of the flip: a long history costs an event no more than this.
const PASSED_AT_MOST: usize = 64;

impl At<'_> {
    /// The cursor of the quorum's window stands at `self.t`.
    pub(super) fn quorum_flip(&self, quorum: &Quorum, standing: &Standing) -> EventTime {
        let aggregate = &self.plan.aggregates[quorum.aggregate];
        match aggregate.window {
            Window::Last(_) | Window::This(_) => self.emptied(quorum, aggregate, standing),
            _ => self.passed(quorum, aggregate, standing),
        }
    }

    /// Rows only leave: it turns back when the youngest leaves without whom there are too few.
    fn emptied(&self, quorum: &Quorum, aggregate: &AggregatePlan, standing: &Standing) -> EventTime {
        if quorum.reached_at <= 0 || quorum.count(&standing.totals) < quorum.reached_at {
            return EventTime::MAX;
        }
        let members = standing.cursors[aggregate.through].members();
        let newest = self.facts.histories[aggregate.stream].rows().range(members).rev();
        let before = quorum.reached_at as usize - 1;
        let deciding = match aggregate.condition {
            None => newest.clone().nth(before),
            Some(_) => newest.clone().filter(|row| aggregate.sees(row)).nth(before),
        };
        deciding.map_or(EventTime::MAX, |row| aggregate.window.leaves_at(row.time))
    }

    /// Rows enter and leave.
    fn passed(&self, quorum: &Quorum, aggregate: &AggregatePlan, standing: &Standing) -> EventTime {
        let rows = self.facts.histories[aggregate.stream].rows();
        let members = standing.cursors[aggregate.through].members();
        let (mut from, mut to) = (members.start, members.end);
        let mut count = quorum.count(&standing.totals);
        let (holds, mut t) = (quorum.holds(count), self.t);
        for _ in 0..PASSED_AT_MOST {
            let enters = rows.get(to).map_or(EventTime::MAX, |row| aggregate.window.enters_at(row.time));
            let leaves = if from < to { aggregate.window.leaves_at(rows[from].time) } else { EventTime::MAX };
            let next = enters.min(leaves);
            // All that pass at one instant have passed.
            if next > t && quorum.holds(count) != holds {
                return t;
            }
            if next == EventTime::MAX {
                return EventTime::MAX;
            }
            t = next;
            if enters <= leaves {
                count += i64::from(aggregate.sees(&rows[to]));
                to += 1;
            } else {
                count -= i64::from(aggregate.sees(&rows[from]));
                from += 1;
            }
        }
        t
    }
}
