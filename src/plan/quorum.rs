//! A count, or a sum, against one number: `count(orders last 30d) > 2`, `any(…)`, `sum(orders.total last 90d) >= 500`.
//!
//! The commonest predicates of all, decided by one comparison and followed into the future by walking rows. Other
//! comparisons of counts and sums are [linear](super::linear).
//!
//! **Invariant:** below `reached_at` the truth is `below`, from there on it is the other one: as by the formula that the
//! quorum was made of. Where a sum is not a 64-bit count of millionths there is no answer, and the formula has to be asked.

use super::formula::{Formula, Leaf};
use super::{AggregatePlan, FieldRef, Measure};
use crate::aggregate::Accumulator;
use crate::money::Number;
use crate::rule::ast::{CompareOp, Function};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    pub aggregate: usize,
    pub unit: Unit,
    /// In its unit.
    pub reached_at: i64,
    below: bool,
}

/// What there have to be so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Events,
    Millionths,
}

impl Quorum {
    /// `None`: the formula is of another form, or its literal too fine or too large.
    pub(super) fn of(formula: &Formula, aggregates: &[AggregatePlan]) -> Option<Quorum> {
        let Formula::Compare { op, left, right } = formula else { return None };
        let (Formula::Leaf(Leaf::Aggregate(aggregate)), Formula::Number(threshold)) = (&**left, &**right) else { return None };
        let unit = match (aggregates[*aggregate].measure, aggregates[*aggregate].field) {
            (Measure::Function(Function::Count), FieldRef::Event) => Unit::Events,
            (Measure::Function(Function::Sum), _) => Unit::Millionths,
            _ => return None,
        };
        let (reached_at, below) = unit.turning_point(*op, threshold)?;
        Some(Quorum { aggregate: *aggregate, unit, reached_at, below })
    }

    /// The truth over so much, in its unit.
    #[inline]
    pub fn holds(&self, amount: i64) -> bool {
        (amount < self.reached_at) == self.below
    }

    /// How much there is of it.
    #[inline]
    pub fn amount(&self, totals: &[Accumulator]) -> Option<i64> {
        match &totals[self.aggregate] {
            Accumulator::Count(count) => Some(*count),
            Accumulator::Total { sum, .. } => sum.millionths(),
            _ => None,
        }
    }

    /// The same over the aggregate's position in another plan.
    pub(super) fn at(self, aggregate: usize) -> Quorum {
        Quorum { aggregate, ..self }
    }
}

impl Unit {
    /// From where on the comparison is otherwise than of less, and what it is of less. One unit lies between two amounts.
    fn turning_point(self, op: CompareOp, threshold: &Number) -> Option<(i64, bool)> {
        let (units, over) = threshold.small()?;
        let amount = match self {
            Unit::Events => units,
            Unit::Millionths => units.checked_mul(Number::MILLION)?,
        };
        let (floor, is_whole) = (amount.div_euclid(over), amount % over == 0);
        let reached = if is_whole { floor } else { floor + 1 };
        match op {
            CompareOp::Greater => Some((floor + 1, false)),
            CompareOp::GreaterOrEqual => Some((reached, false)),
            CompareOp::Less => Some((reached, true)),
            CompareOp::LessOrEqual => Some((floor + 1, true)),
            // No count is below zero.
            CompareOp::Equal if self == Unit::Events && threshold.is_zero() => Some((1, true)),
            CompareOp::NotEqual if self == Unit::Events && threshold.is_zero() => Some((1, false)),
            CompareOp::Equal | CompareOp::NotEqual => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Catalogue, Scalar};
    use crate::plan;
    use crate::rule::{Names, load_text};

    fn predicate(rule: &str) -> plan::Predicate {
        let catalogue = Arc::new(Catalogue::segment_spec());
        let text = format!("segments: [{{key: all, when: '{rule}'}}]");
        let loaded = load_text("plan", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
        plan::compile(&loaded.definitions.unwrap(), catalogue, Vec::new()).predicates[0].clone()
    }

    fn turns_where_its_formula_does(rule: &str) {
        let predicate = predicate(rule);
        let quorum = predicate.quorum.unwrap();
        for quarters in (0..20).filter(|n| quorum.unit == Unit::Millionths || n % 4 == 0) {
            let value = Number::ratio(quarters, 4);
            let total = match quorum.unit {
                Unit::Events => Accumulator::Count(quarters / 4),
                Unit::Millionths => Accumulator::Total { count: 1, sum: value.clone() },
            };
            let by_formula = predicate.formula.holds(&|_| Scalar::Number(value.clone()));
            assert_eq!(quorum.holds(quorum.amount(&[total]).unwrap()), by_formula, "{value}: {rule}");
        }
    }

    #[test]
    fn it_turns_where_the_formula_does() {
        for aggregate in ["count(orders last 30d)", "sum(orders.total last 30d)"] {
            for op in ["<", "<=", ">", ">="] {
                for threshold in ["-1.5", "-1", "0", "0.5", "2", "2.25", "2.000001"] {
                    turns_where_its_formula_does(&format!("{aggregate} {op} {threshold}"));
                }
            }
        }
    }

    #[test]
    fn only_a_count_turns_once_by_equality_and_only_at_zero() {
        assert!(predicate("count(orders last 30d) == 0").quorum.unwrap().holds(0));
        assert!(!predicate("count(orders last 30d) != 0").quorum.unwrap().holds(0));
        assert!(predicate("none(orders last 30d: total > 20)").quorum.unwrap().holds(0));
        for other in ["count(orders last 30d) == 2", "sum(orders.total last 30d) == 0", "count(orders.coupon last 30d) > 2"] {
            assert_eq!(predicate(other).quorum, None, "{other}");
        }
    }

    #[test]
    fn a_sum_without_exact_millionths_is_left_to_the_formula() {
        let quorum = predicate("sum(orders.total last 30d) > 2").quorum.unwrap();
        assert_eq!(quorum.amount(&[Accumulator::Total { count: 1, sum: Number::ratio(1, 3) }]), None);
    }
}
