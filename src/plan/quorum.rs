//! Counts of events against one number: `count(orders last 30d) > 2`, `any(…)`, `none(…)`.
//!
//! The commonest predicates of all, decided and followed into the future by counting rows. Other comparisons of counts and
//! sums are [linear](super::linear).
//!
//! **Invariant:** with fewer than `reached_at` events the truth is `below`, with as many or more it is the other one: as by the
//! formula that the quorum was made of.

use super::formula::{Formula, Leaf};
use super::{AggregatePlan, FieldRef, Measure};
use crate::aggregate::Accumulator;
use crate::money::Number;
use crate::rule::ast::{CompareOp, Function};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    pub aggregate: usize,
    pub reached_at: i64,
    below: bool,
}

impl Quorum {
    /// `None`: the formula is of another form.
    pub(super) fn of(formula: &Formula, aggregates: &[AggregatePlan]) -> Option<Quorum> {
        let Formula::Compare { op, left, right } = formula else { return None };
        let (Formula::Leaf(Leaf::Aggregate(aggregate)), Formula::Number(threshold)) = (&**left, &**right) else { return None };
        let counted = &aggregates[*aggregate];
        let is_count = counted.measure == Measure::Function(Function::Count) && counted.field == FieldRef::Event;
        let (reached_at, below) = turning_point(*op, threshold)?;
        is_count.then_some(Quorum { aggregate: *aggregate, reached_at, below })
    }

    /// The truth over so many events.
    #[inline]
    pub fn holds(&self, count: i64) -> bool {
        (count < self.reached_at) == self.below
    }

    /// How many events the aggregate has seen.
    #[inline]
    pub fn count(&self, totals: &[Accumulator]) -> i64 {
        match totals[self.aggregate] {
            Accumulator::Count(count) => count,
            _ => 0,
        }
    }

    /// The same over the aggregate's position in another plan.
    pub(super) fn at(self, aggregate: usize) -> Quorum {
        Quorum { aggregate, ..self }
    }
}

/// The count from which on the comparison is otherwise than of nothing, and what it is of nothing.
fn turning_point(op: CompareOp, threshold: &Number) -> Option<(i64, bool)> {
    let (units, over) = threshold.small()?;
    let (floor, is_whole) = (units.div_euclid(over), units % over == 0);
    let reached = if is_whole { floor } else { floor + 1 };
    match op {
        CompareOp::Greater => Some((floor + 1, false)),
        CompareOp::GreaterOrEqual => Some((reached, false)),
        CompareOp::Less => Some((reached, true)),
        CompareOp::LessOrEqual => Some((floor + 1, true)),
        CompareOp::Equal if threshold.is_zero() => Some((1, true)),
        CompareOp::NotEqual if threshold.is_zero() => Some((1, false)),
        CompareOp::Equal | CompareOp::NotEqual => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Catalogue, Scalar};
    use crate::plan;
    use crate::rule::{Names, load_text};
    use rstest::rstest;

    fn predicate(rule: &str) -> plan::Predicate {
        let catalogue = Arc::new(Catalogue::segment_spec());
        let text = format!("segments: [{{key: all, when: '{rule}'}}]");
        let loaded = load_text("plan", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
        plan::compile(&loaded.definitions.unwrap(), catalogue, Vec::new()).predicates[0].clone()
    }

    #[rstest]
    fn it_turns_where_the_formula_does(
        #[values("<", "<=", ">", ">=")] op: &str,
        #[values("-1.5", "-1", "0", "0.5", "2", "2.25")] threshold: &str,
    ) {
        let predicate = predicate(&format!("count(orders last 30d) {op} {threshold}"));
        let quorum = predicate.quorum.unwrap();
        for count in 0..5 {
            let by_formula = predicate.formula.holds(&|_| Scalar::Number(Number::integer(count)));
            assert_eq!(quorum.holds(count), by_formula, "{count} {op} {threshold}");
        }
    }

    #[test]
    fn only_of_zero_equality_turns_once() {
        assert!(predicate("count(orders last 30d) == 0").quorum.unwrap().holds(0));
        assert!(!predicate("count(orders last 30d) != 0").quorum.unwrap().holds(0));
        assert!(predicate("none(orders last 30d: total > 20)").quorum.unwrap().holds(0));
        assert_eq!(predicate("count(orders last 30d) == 2").quorum, None);
        assert_eq!(predicate("sum(orders.total last 30d) > 2").quorum, None);
        assert_eq!(predicate("count(orders.coupon last 30d) > 2").quorum, None);
    }
}
