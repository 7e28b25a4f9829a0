//! Why a customer is or is not a member: each predicate as it stands, what would have to change, and when time alone
//! changes it.
//!
//! **Invariant:** reads and never decides: memberships and truths are those of the engine's last evaluation.

use super::outlook;
use crate::customer::CustomerState;
use crate::eval::{At, Distance};
use crate::id::CustomerId;
use crate::plan::{Logic, Plan, SegmentPlan};
use crate::time::EventTime;
use crate::transition::Evidence;

/// A customer's place in one segment, with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    pub member: bool,
    /// When it entered; of who has left, when it left; `None`: it never was a member.
    pub since: Option<EventTime>,
    /// How often it has entered.
    pub entries: u64,
    /// Each predicate of the rules, in the order of the text.
    pub reasons: Vec<Reason>,
    /// The fewest reasons, by position, which being otherwise would change the membership. None for a ladder's
    /// stage, which its own rules do not decide alone.
    pub needed: Vec<usize>,
    /// When the membership changes if nothing more happens; `None`: never.
    pub changes_at: Option<EventTime>,
}

/// A predicate and how far it is from being otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub evidence: Evidence,
    pub distance: Option<Distance>,
}

/// Explains a segment for a customer at `t`, at or after the last evaluation, before anything more is due.
pub fn why(plan: &Plan, customer: &CustomerId, state: &CustomerState, segment: usize, t: EventTime) -> Why {
    let at = At { plan, facts: &state.facts, customer, t };
    let mut standing = state.standing.clone();
    let membership = standing.memberships[segment];
    let predicates = predicates(&plan.segments[segment]);
    let truth = |predicate: usize| standing.predicates[predicate].holds;
    let needed = needed(&plan.segments[segment], membership.is_member(), &truth);
    let changes_at = outlook::next_change(&at, &standing, segment);
    let reason = |predicate: &usize| Reason {
        evidence: at.evidence_of(&mut standing, *predicate),
        // A condition that stands by itself, as `every(…)`, is no comparison that its author wrote.
        distance: if plan.predicates[*predicate].subject.op == "is" { None } else { at.distance(&mut standing, *predicate) },
    };
    Why {
        member: membership.is_member(),
        since: (membership.sequence > 0).then_some(membership.changed_at),
        entries: membership.entry(),
        reasons: predicates.iter().map(reason).collect(),
        needed: predicates.iter().enumerate().filter(|(_, p)| needed.contains(p)).map(|(i, _)| i).collect(),
        changes_at,
    }
}

/// Each once, `when` before `exit_when`.
fn predicates(segment: &SegmentPlan) -> Vec<usize> {
    let mut found = Vec::new();
    for logic in [Some(&segment.when), segment.exit_when.as_ref()].into_iter().flatten() {
        logic.each_predicate(&mut |predicate| {
            if !found.contains(&predicate) {
                found.push(predicate);
            }
        });
    }
    found
}

fn needed(segment: &SegmentPlan, member: bool, truth: &impl Fn(usize) -> bool) -> Vec<usize> {
    if segment.stage.is_some() {
        return Vec::new();
    }
    match (&segment.exit_when, member) {
        (Some(exit_when), true) => fewest(exit_when, true, truth),
        (Some(exit_when), false) => [fewest(exit_when, false, truth), fewest(&segment.when, true, truth)].concat(),
        (None, _) => fewest(&segment.when, !member, truth),
    }
}

/// The fewest predicates which being otherwise gives the logic this truth.
fn fewest(logic: &Logic, wanted: bool, truth: &impl Fn(usize) -> bool) -> Vec<usize> {
    if logic.holds(truth) == wanted {
        return Vec::new();
    }
    let all = |parts: &[Logic]| parts.iter().flat_map(|part| fewest(part, wanted, truth)).collect();
    let one = |parts: &[Logic]| parts.iter().map(|part| fewest(part, wanted, truth)).min_by_key(Vec::len).unwrap_or_default();
    match (logic, wanted) {
        (Logic::Predicate(index), _) => vec![*index],
        (Logic::Not(inner), _) => fewest(inner, !wanted, truth),
        (Logic::And(parts), true) | (Logic::Or(parts), false) => all(parts),
        (Logic::And(parts), false) | (Logic::Or(parts), true) => one(parts),
    }
}
