//! Erasing a customer, or letting it become another one: every membership ends, and of everything else nothing is left.
//!
//! *Why without evidence:* what is erased must not be told once more on the way out; and no rule decided it.
//!
//! **Invariant:** afterwards the state is that of somebody who never was, but for the instant up to which nothing is
//! accepted, the numbers that are used up, and whom it became.

use super::{Input, Outcome, Settling, publish};
use crate::customer::{Applied, CustomerState, Erased, Kin};
use crate::eval::At;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::time::EventTime;

/// Ends all memberships, in dependency order, and forgets the customer as of `now`. Nothing is matched where nobody was
/// known.
pub(super) fn erase(
    plan: &Plan,
    customer: &CustomerId,
    state: &mut CustomerState,
    input: &Input<'_>,
    now: EventTime,
    out: &mut Outcome,
) -> Applied {
    let known = state.is_known();
    let at = At { plan, facts: &state.facts, customer, t: now };
    // Who refers to a segment that is being left would have to be decided anew; nobody is.
    out.dirty.clear();
    out.dirty.resize(plan.order.len().div_ceil(64), 0);
    let mut leaving = Settling { at: &at, standing: &mut state.standing, dirty: &mut out.dirty, changes: &mut out.changes };
    for segment in &plan.order {
        if leaving.is_member(*segment) {
            leaving.change(*segment);
        }
    }
    publish::publish(&at, &mut state.standing, input, &mut out.changes);
    out.number(state);
    let lives = state.erased.map_or(0, |erased| erased.lives) + u32::from(known);
    let (erased, kin) = match input {
        // What had been erased stays so.
        Input::Departure(into) => {
            let at = state.erased.map_or(EventTime::MIN, |erased| erased.at);
            (Erased { at, lives }, Some(Box::new(Kin { into: Some((*into).clone()), from: Vec::new() })))
        }
        _ => (Erased { at: now, lives }, None),
    };
    *state = CustomerState { erased: Some(erased), kin, ..CustomerState::new(plan) };
    Applied::Accepted { matched: known }
}
