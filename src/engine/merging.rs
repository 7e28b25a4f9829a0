//! Of a merge only the net is told: a membership that goes on is entered once more under the customer's own id, and kept
//! from campaigns, which have heard of it; one that does not was never entered.
//!
//! **Invariant:** afterwards each membership's number is the number of its transitions, those of this evaluation included.

use super::Change;
use crate::customer::Standing;
use crate::eval::At;
use crate::transition::{Direction, Withheld};

/// `carried`: segments in which the customer was taken for a member, ascending. Entries come first, in order of decision.
pub(super) fn net(at: &At<'_>, standing: &mut Standing, carried: &[usize], changes: &mut Vec<Change>) {
    if carried.is_empty() {
        return;
    }
    let mut entries = Vec::new();
    for segment in at.plan.order.iter().filter(|segment| carried.binary_search(segment).is_ok()) {
        match changes.iter().position(|change| change.segment == *segment) {
            Some(exit) => {
                changes.remove(exit);
                undo(at, standing, *segment);
            }
            None => entries.push(entry(standing, *segment)),
        }
    }
    changes.splice(0..0, entries);
}

/// It ended under the other id.
fn undo(at: &At<'_>, standing: &mut Standing, segment: usize) {
    let membership = &mut standing.memberships[segment];
    membership.sequence -= 2;
    let inherited = standing.inherited_mut(segment);
    inherited.entries += 1;
    inherited.left_at = Some(at.t);
}

fn entry(standing: &Standing, segment: usize) -> Change {
    let membership = &standing.memberships[segment];
    Change {
        segment,
        direction: Direction::Entered,
        sequence: membership.sequence,
        entry: membership.entry(),
        since: None,
        valid_until: None,
        evidence: Vec::new(),
        from: None,
        arm: None,
        withheld: Some(Withheld::Merge),
    }
}
