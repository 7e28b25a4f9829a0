//! Which predicates can flip only once while their window empties.
//!
//! **Invariant:** if a predicate is said to be monotone, then over every run of rows, as the oldest leave one by one, its
//! truth changes at most once. (`count`, `distinct` and `max` only fall when a row leaves; null, the `max` of nothing,
//! compares false like a value below every threshold does with `>` and `>=`.)

use super::{AggregatePlan, FieldRef, Formula, Leaf, Linear, Measure};
use crate::rule::ast::{CompareOp, Function};

/// Whether inequalities that rise with what comes look through one window that only empties: then each of them turns at most
/// once while it does, unless some number is below zero.
pub(super) fn is_falling(linear: &Linear, aggregates: &[AggregatePlan]) -> bool {
    let mut over = linear.terms.iter().map(|term| &aggregates[term.aggregate]);
    let Some(first) = over.next() else { return false };
    linear.rises && first.window.only_empties() && over.all(|other| (other.stream, &other.window) == (first.stream, &first.window))
}

pub(super) fn is_monotone(formula: &Formula, aggregates: &[AggregatePlan]) -> bool {
    let Formula::Compare { op, left, right } = formula else { return false };
    match (&**left, &**right) {
        (Formula::Leaf(Leaf::Aggregate(a)), Formula::Number(threshold)) => {
            aggregates[*a].window.only_empties() && falls(&aggregates[*a], *op, threshold.is_zero())
        }
        (Formula::Leaf(Leaf::Aggregate(met)), Formula::Leaf(Leaf::Aggregate(all))) => {
            *op == CompareOp::Equal && is_part(&aggregates[*met], &aggregates[*all])
        }
        _ => false,
    }
}

fn falls(aggregate: &AggregatePlan, op: CompareOp, zero: bool) -> bool {
    let ordered = matches!(op, CompareOp::Less | CompareOp::LessOrEqual | CompareOp::Greater | CompareOp::GreaterOrEqual);
    match aggregate.measure {
        Measure::Function(Function::Count | Function::Distinct) => ordered || zero,
        Measure::Function(Function::Max) => matches!(op, CompareOp::Greater | CompareOp::GreaterOrEqual),
        _ => false,
    }
}

/// `every` as it is compiled, and whatever is written like it: as many meet a condition as there are at all.
fn is_part(met: &AggregatePlan, all: &AggregatePlan) -> bool {
    let counts = |a: &AggregatePlan| a.measure == Measure::Function(Function::Count) && a.field == FieldRef::Event;
    counts(met)
        && counts(all)
        && all.condition.is_none()
        && all.window.only_empties()
        && met.window == all.window
        && met.stream == all.stream
}
