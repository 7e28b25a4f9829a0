//! `min_stay`: nobody who entered leaves before its end, and at its end whoever would have left does.
//!
//! The end follows from the membership alone, so nothing of it is stored; a customer wakes at each end, also where it
//! then turns out that there is nothing to decide.
//!
//! **Invariant:** from the entry until (excluding) the end the membership stays; at the end it is decided anew.

use crate::customer::Standing;
use crate::plan::Plan;
use crate::time::EventTime;

/// Until when (excluding) a member must stay; `None`: no member, or free to leave.
fn end(plan: &Plan, standing: &Standing, segment: usize) -> Option<EventTime> {
    Some(standing.memberships[segment].since()?.plus(plan.segments[segment].min_stay?))
}

/// A member who must not leave at `t`.
pub(super) fn holds(plan: &Plan, standing: &Standing, segment: usize, t: EventTime) -> bool {
    end(plan, standing, segment).is_some_and(|end| end > t)
}

/// A member who had to stay at the last evaluation, and is free to leave at `t`.
pub(super) fn has_ended(plan: &Plan, standing: &Standing, segment: usize, t: EventTime) -> bool {
    end(plan, standing, segment).is_some_and(|end| end > standing.at && end <= t)
}

/// The next end after the last evaluation.
pub(super) fn next_end(plan: &Plan, standing: &Standing) -> Option<EventTime> {
    plan.stays.iter().filter_map(|segment| end(plan, standing, *segment)).filter(|end| *end > standing.at).min()
}
