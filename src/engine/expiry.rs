//! Announcing that a membership will end by time alone, some time before it does.
//!
//! ```text
//!     entered ──────────────o─────────────▶ end            end = valid_until, as of the last event
//!                       end − expiring: announced
//! ```
//!
//! Time alone does not move the end of a membership; an event may, and then the new end is announced in its turn. Where
//! `end − expiring` is past when the end becomes known, it is announced at once.
//!
//! **Invariant:** the same end of the same membership is not announced twice in a row, and the customer's timer is never
//! later than the next announcement.

use super::{Input, Outcome, outlook};
use crate::customer::{Standing, Told};
use crate::eval::At;
use crate::time::EventTime;

/// A membership whose end is announced, before it is told to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub segment: usize,
    pub sequence: u64,
    pub entry: u64,
    pub since: EventTime,
    pub valid_until: EventTime,
}

/// Announces what is due at `at.t`, and lets the customer's timer fire for what is not yet.
pub(super) fn announce(at: &At<'_>, standing: &mut Standing, input: &Input<'_>, out: &mut Outcome) {
    for &segment in &at.plan.expiring {
        if !standing.decides(segment) {
            continue;
        }
        if may_move(input, out) || out.changes.iter().any(|change| change.segment == segment) {
            look_ahead(at, standing, segment);
        }
        let Some((due, end)) = pending(at, standing, segment) else { continue };
        if at.t < due {
            standing.next_flip = standing.next_flip.min(due);
            continue;
        }
        let membership = standing.memberships[segment];
        standing.told_mut(segment).announced = Some(end);
        out.expiries.extend(membership.since().map(|since| Expiry {
            segment,
            sequence: membership.sequence,
            entry: membership.entry(),
            since,
            valid_until: end,
        }));
    }
}

/// An event that touched no predicate moves no end, and neither does time.
fn may_move(input: &Input<'_>, out: &Outcome) -> bool {
    match input {
        Input::Time | Input::Cuts => false,
        Input::Event(_) => out.moved,
        Input::Definitions | Input::Lists | Input::Erasure | Input::Departure(_) | Input::Merge(_) => true,
    }
}

/// Finds again what is not stored.
pub(super) fn rebuild(at: &At<'_>, standing: &mut Standing) {
    for &segment in &at.plan.expiring {
        if !standing.decides(segment) {
            continue;
        }
        look_ahead(at, standing, segment);
        if let Some((due, _)) = pending(at, standing, segment) {
            standing.next_flip = standing.next_flip.min(due);
        }
    }
}

/// Notes when the membership ends by time alone; what was told of one that is over is forgotten.
fn look_ahead(at: &At<'_>, standing: &mut Standing, segment: usize) {
    if standing.memberships[segment].is_member() {
        let end = outlook::next_change(at, standing, segment);
        standing.told_mut(segment).end = end;
    } else if let Some(told) = standing.told(segment).copied() {
        *standing.told_mut(segment) = Told { announced: None, end: None, ..told };
    }
}

/// The end that is not announced yet, and when it is due to be.
fn pending(at: &At<'_>, standing: &Standing, segment: usize) -> Option<(EventTime, EventTime)> {
    let span = at.plan.segments[segment].publication.expiring?;
    let told = standing.told(segment)?;
    let end = told.end.filter(|end| told.announced != Some(*end))?;
    Some((end.minus(span), end))
}
