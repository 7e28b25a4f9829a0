//! How long a customer stays in or out of a segment if nothing more happens: time passes over a copy of the customer's standing.
//!
//! **Invariant:** what is found is what the engine will do, since it is the engine that is run: over the part of the plan
//! that decides the segment, from flip to flip, until its membership changes. Where one flip decides, it is asked for alone.

use super::{Outcome, next_flip, settle};
use crate::customer::{Inherited, Standing};
use crate::eval::At;
use crate::plan::Outlook;
use crate::time::{EventTime, Span};

/// What lies further ahead is called never; only rules over `days_since` can flip so late.
const HORIZON: Span = Span::from_days(36_525);

/// What comes then or later is called never: it is too far away, or no record could say when.
fn never(t: EventTime) -> EventTime {
    t.plus(HORIZON).min(EventTime::YEAR_10000)
}

/// The instant after `at.t` at which time alone makes the customer leave the segment, or enter it; `None`: never.
pub(super) fn next_change(at: &At<'_>, standing: &Standing, segment: usize) -> Option<EventTime> {
    let outlook = at.plan.segments[segment].outlook.as_deref()?;
    if let Some(turn) = sole_turn(at, standing, segment) {
        return Some(turn).filter(|turn| *turn < never(at.t));
    }
    let mut standing = part_of(standing, outlook);
    let before = standing.memberships[outlook.target].is_member();
    let mut out = Outcome::default();
    while standing.next_flip < never(at.t) {
        let t = standing.next_flip;
        let later = At { plan: &outlook.plan, facts: at.facts, customer: at.customer, t };
        out.touched.clear();
        settle(&later, &mut standing, false, &mut out);
        if standing.memberships[outlook.target].is_member() != before {
            return Some(t);
        }
    }
    None
}

/// What a membership that is the truth of one quorum needs no look ahead for: the commonest segments, whose ends are told with
/// each batch that their customers are in.
fn sole_turn(at: &At<'_>, standing: &Standing, segment: usize) -> Option<EventTime> {
    let predicate = &at.plan.predicates[at.plan.segments[segment].sole_predicate()?];
    at.quorum_turn(predicate.quorum.as_ref()?, standing)
}

fn part_of(standing: &Standing, outlook: &Outlook) -> Standing {
    let inherited = |(segment, of): (usize, &usize)| Some(Inherited { segment, ..*standing.inherited(*of)? });
    let mut part = Standing {
        at: standing.at,
        cursors: outlook.windows.iter().map(|w| standing.cursors[*w]).collect(),
        totals: outlook.aggregates.iter().map(|a| standing.totals[*a].clone()).collect(),
        predicates: outlook.predicates.iter().map(|p| standing.predicates[*p]).collect(),
        memberships: outlook.segments.iter().map(|s| standing.memberships[*s]).collect(),
        former: Vec::new(),
        told: Vec::new(),
        exposures: Vec::new(),
        inherited: outlook.segments.iter().enumerate().filter_map(inherited).collect(),
        cuts: standing.cuts.clone(),
        next_flip: EventTime::MAX,
        common: None,
    };
    part.next_flip = next_flip(&outlook.plan, &part);
    part
}
