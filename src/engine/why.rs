//! Why a customer is or is not a member: each predicate as it stands, what would have to change, and when time alone
//! changes it.
//!
//! **Invariant:** reads and never decides: memberships and truths are those of the engine's last evaluation.

use std::sync::Arc;

use super::asleep::ask;
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
    /// Each predicate of the rules, in the order of the text; pin and ban stand last.
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
    /// It is the list of a pin, or of a ban, and no part of the rules.
    pub list: Option<PinOrBan>,
    pub evidence: Evidence,
    pub distance: Option<Distance>,
}

/// Which option of a segment a list stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinOrBan {
    Pin,
    Ban,
}

/// Explains a segment for a customer at `t`, at or after the last evaluation, before anything more is due.
pub fn why(plan: &Plan, customer: &CustomerId, state: &CustomerState, segment: usize, t: EventTime) -> Why {
    let at = At { plan, facts: &state.facts, customer, t };
    let mut standing = state.standing.clone();
    let membership = standing.memberships[segment];
    let predicates = &plan.segments[segment].predicates;
    let changes_at = outlook::next_change(&at, &standing, segment);
    for predicate in predicates {
        ask(&at, &mut standing, *predicate);
    }
    let truth = |predicate: usize| standing.predicates[predicate].holds;
    let needed = needed(&plan.segments[segment], membership.is_member(), &truth);
    let reason = |predicate: &usize| Reason {
        list: list(&plan.segments[segment], *predicate),
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

/// Every shared aggregate that some rule looks at, with its value at `t`; `None`: null.
pub fn aggregates(plan: &Plan, customer: &CustomerId, state: &CustomerState, t: EventTime) -> Vec<(Arc<str>, Option<String>)> {
    let at = At { plan, facts: &state.facts, customer, t };
    let mut standing = state.standing.clone();
    plan.aggregates.iter().enumerate().map(|(index, aggregate)| (aggregate.text.clone(), at.value_of(&mut standing, index))).collect()
}

fn list(segment: &SegmentPlan, predicate: usize) -> Option<PinOrBan> {
    let options = [(segment.ban, PinOrBan::Ban), (segment.pin, PinOrBan::Pin)];
    options.into_iter().find(|(list, _)| *list == Some(predicate)).map(|(_, option)| option)
}

/// Of who is on the list of a pin or a ban: to be taken off it, and what the rules ask then. A list is no way in or
/// out for anybody else.
fn needed(segment: &SegmentPlan, member: bool, truth: &impl Fn(usize) -> bool) -> Vec<usize> {
    if segment.stage.is_some() {
        return Vec::new();
    }
    let listed = |list: Option<usize>| list.filter(|predicate| truth(*predicate));
    match (listed(segment.ban), listed(segment.pin)) {
        (Some(ban), Some(_)) => vec![ban],
        (ban, pin) => ban.into_iter().chain(pin).chain(needed_by_rules(segment, member, truth)).collect(),
    }
}

fn needed_by_rules(segment: &SegmentPlan, member: bool, truth: &impl Fn(usize) -> bool) -> Vec<usize> {
    match (&segment.exit_when, member) {
        (Some(exit_when), true) => fewest(exit_when, true, truth),
        (Some(exit_when), false) => [fewest(exit_when, false, truth), fewest(&segment.when, true, truth)].concat(),
        (None, _) => fewest(&segment.when, !member, truth),
    }
}

/// The fewest predicates which being otherwise gives the logic this truth.
fn fewest(logic: &Logic, wanted: bool, truth: &impl Fn(usize) -> bool) -> Vec<usize> {
    if logic.holds(&mut |predicate| truth(predicate)) == wanted {
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
