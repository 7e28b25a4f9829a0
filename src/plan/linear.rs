//! Linear predicates: weighted counts and sums against constants. `count(…) > 2`, `avg(…) in [50, 100)`,
//! `sum(…) < 0.5 * sum(…)`, `every(…)`.
//!
//! ```text
//!     sum(a) < 0.5 * sum(b)        2·sum(a) − sum(b) < 0
//!     avg(a) in [50, 100)          sum(a) − 50·count(a) >= 0,  sum(a) − 100·count(a) < 0,  count(a) > 0
//! ```
//!
//! Nearly all predicates are of this form. A row has a fixed weight in each inequality, so that the predicate is decided,
//! and followed into the future, by adding and subtracting integers.
//!
//! **Invariant:** the inequalities all hold iff the formula that they were made of does. Where a number is not a 64-bit
//! count of millionths there is no answer (`None`), and the formula has to be asked.

use std::array::from_fn;
use std::cmp::Ordering;

use num_integer::Integer;

use super::formula::{End, Formula, Leaf};
use super::{AggregatePlan, Measure};
use crate::aggregate::Accumulator;
use crate::money::Number;
use crate::rule::ast::{ArithmeticOp, CompareOp, Function};

/// Inequalities that have to hold together, over the same aggregates.
#[derive(Clone, Debug)]
pub struct Linear {
    /// One for each aggregate.
    pub terms: Vec<Term>,
    /// What each inequality wants its sum to be, compared with 0.
    ops: Vec<CompareOp>,
    /// What each inequality adds to its sum in any case.
    constants: Sums,
    /// More of anything that is counted or not below zero raises every inequality, or leaves it where it is.
    pub rises: bool,
}

/// What an aggregate weighs in each inequality; nothing where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub aggregate: usize,
    weights: [Weight; MOST_INEQUALITIES],
}

/// How often an aggregate's count, in millionths, and its sum are taken. Both fit 53 bits, so that no product of theirs
/// with a share, and no sum over all rows that there could be, leaves 128.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    count: i64,
    sum: i64,
}

/// What an aggregate holds, or what one row adds to it: a number of values, and their sum in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub count: i64,
    pub sum: i64,
}

/// Both ends of an interval, and that an average is of something.
const MOST_INEQUALITIES: usize = 3;

/// Where each inequality stands, in millionths; nothing where there is none.
pub type Sums = [i128; MOST_INEQUALITIES];

impl Linear {
    /// `None`: the formula is of another form, or its literals are too fine or too large.
    pub(super) fn of(formula: &Formula, aggregates: &[AggregatePlan]) -> Option<Linear> {
        let (value, low, high) = formula.interval()?;
        let averaged = average(value, aggregates);
        let mut inequalities = Vec::new();
        for ((end, _), op) in ends(low, high).into_iter().flatten() {
            let end = Combination::of(end, aggregates)?;
            let difference = match averaged {
                Some(aggregate) => Combination::part(aggregate, Part::Sum).minus(&end.of_average(aggregate)?),
                None => Combination::of(value, aggregates)?.minus(&end),
            };
            inequalities.push((difference, op));
        }
        if let Some(aggregate) = averaged {
            inequalities.push((Combination::part(aggregate, Part::Count), CompareOp::Greater));
        }
        Linear::together(&inequalities)
    }

    fn together(inequalities: &[(Combination, CompareOp)]) -> Option<Linear> {
        let mut aggregates: Vec<usize> = inequalities.iter().flat_map(|(c, _)| c.terms.iter().map(|(a, _, _)| *a)).collect();
        aggregates.sort_unstable();
        aggregates.dedup();
        let mut constants = [0; MOST_INEQUALITIES];
        let mut rows = Vec::new();
        for ((combination, _), constant) in inequalities.iter().zip(&mut constants) {
            let (weights, whole) = combination.whole(&aggregates)?;
            rows.push(weights);
            *constant = i128::from(whole);
        }
        let ops: Vec<CompareOp> = inequalities.iter().map(|(_, op)| *op).collect();
        let weight = |row: usize, at: usize| rows.get(row).map_or(Weight::default(), |weights| weights[at]);
        let term = |(at, aggregate): (usize, &usize)| Term { aggregate: *aggregate, weights: from_fn(|row| weight(row, at)) };
        let terms: Vec<Term> = aggregates.iter().enumerate().map(term).collect();
        let has_two_sides = ops.iter().all(|op| !matches!(op, CompareOp::Equal | CompareOp::NotEqual));
        let rises = has_two_sides && terms.iter().flat_map(|term| &term.weights).all(|weight| weight.count >= 0 && weight.sum >= 0);
        Some(Linear { terms, ops, constants, rises })
    }

    /// Over no rows at all.
    pub fn nothing(&self) -> Sums {
        self.constants
    }

    /// Over the rows of these totals.
    #[inline]
    pub fn sums(&self, totals: &[Accumulator]) -> Option<Sums> {
        let mut sums = self.nothing();
        for term in &self.terms {
            term.add(Share::of(&totals[term.aggregate])?, &mut sums);
        }
        Some(sums)
    }

    #[inline]
    pub fn holds(&self, sums: &[i128]) -> bool {
        self.ops.iter().zip(sums).all(|(op, sum)| op.accepts(sum.cmp(&0)))
    }

    /// Which inequalities hold, one bit each.
    pub fn sides(&self, sums: &[i128]) -> u64 {
        let holds = self.ops.iter().zip(sums).map(|(op, sum)| op.accepts(sum.cmp(&0)));
        holds.enumerate().fold(0, |sides, (at, holds)| sides | u64::from(holds) << at)
    }

    /// Whether pushing every inequality so far leaves a truth as it is, wherever the sums stand: all hold and are pushed
    /// further in, or the only one does not and is pushed further out.
    pub fn is_confirmed(&self, pushed: &[i128], holds: bool) -> bool {
        let mut directions = self.ops.iter().zip(pushed).map(|(op, push)| direction(*op, *push));
        let other = if holds { Way::Out } else { Way::In };
        (holds || self.ops.len() == 1) && directions.all(|way| way != other && way != Way::Either)
    }

    /// The same over the aggregates' positions in another plan.
    pub(super) fn with_aggregates(&self, change: &impl Fn(usize) -> usize) -> Linear {
        let terms = self.terms.iter().map(|term| Term { aggregate: change(term.aggregate), ..*term }).collect();
        Linear { terms, ..self.clone() }
    }
}

impl Term {
    /// Adds what its aggregate got.
    #[inline]
    pub fn add(&self, share: Share, sums: &mut Sums) {
        for (weight, sum) in self.weights.iter().zip(sums) {
            *sum += weight.of(share);
        }
    }

    /// Takes away what its aggregate lost.
    #[inline]
    pub fn subtract(&self, share: Share, sums: &mut Sums) {
        for (weight, sum) in self.weights.iter().zip(sums) {
            *sum -= weight.of(share);
        }
    }
}

/// Where a push moves an inequality.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
    /// It is in or out, depending on where the sum stands.
    Either,
    Nowhere,
}

/// Which way a push moves an inequality.
fn direction(op: CompareOp, push: i128) -> Way {
    match (op, push.cmp(&0)) {
        (_, Ordering::Equal) => Way::Nowhere,
        (CompareOp::Greater | CompareOp::GreaterOrEqual, Ordering::Greater) => Way::In,
        (CompareOp::Less | CompareOp::LessOrEqual, Ordering::Less) => Way::In,
        // Whoever is equal is pushed off; who is not may be pushed there.
        (CompareOp::Equal | CompareOp::NotEqual, _) => Way::Either,
        _ => Way::Out,
    }
}

impl Weight {
    #[inline]
    fn of(self, share: Share) -> i128 {
        i128::from(self.count) * i128::from(share.count) + i128::from(self.sum) * i128::from(share.sum)
    }
}

impl Share {
    fn of(total: &Accumulator) -> Option<Share> {
        match total {
            Accumulator::Count(count) => Some(Share { count: *count, sum: 0 }),
            Accumulator::Total { count, sum } => Some(Share { count: *count, sum: sum.millionths()? }),
            _ => None,
        }
    }
}

type Comparison<'a> = Option<(End<'a>, CompareOp)>;

fn ends<'a>(low: Option<End<'a>>, high: Option<End<'a>>) -> [Comparison<'a>; 2] {
    // An end that is left out leaves nothing between two that are equal.
    if low == high && low.is_none_or(|(_, included)| included) {
        return [low.map(|end| (end, CompareOp::Equal)), None];
    }
    let above = |(_, included): &End<'_>| if *included { CompareOp::GreaterOrEqual } else { CompareOp::Greater };
    let below = |(_, included): &End<'_>| if *included { CompareOp::LessOrEqual } else { CompareOp::Less };
    [low.map(|end| (end, above(&end))), high.map(|end| (end, below(&end)))]
}

/// The aggregate of a bare `avg(…)`.
fn average(formula: &Formula, aggregates: &[AggregatePlan]) -> Option<usize> {
    match formula {
        Formula::Leaf(Leaf::Aggregate(index)) if aggregates[*index].measure == Measure::Function(Function::Avg) => Some(*index),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Count,
    Sum,
}

/// An inequality on its way, with rational weights.
#[derive(Clone)]
struct Combination {
    terms: Vec<(usize, Part, Number)>,
    constant: Number,
}

impl Combination {
    fn part(aggregate: usize, part: Part) -> Combination {
        Combination { terms: vec![(aggregate, part, Number::integer(1))], constant: Number::ZERO }
    }

    fn of(formula: &Formula, aggregates: &[AggregatePlan]) -> Option<Combination> {
        match formula {
            Formula::Number(n) => Some(Combination { terms: Vec::new(), constant: n.clone() }),
            Formula::Leaf(Leaf::Aggregate(index)) => match aggregates[*index].measure {
                Measure::Function(Function::Count) => Some(Combination::part(*index, Part::Count)),
                Measure::Function(Function::Sum) => Some(Combination::part(*index, Part::Sum)),
                _ => None,
            },
            Formula::Negate(inner) => Some(Combination::of(inner, aggregates)?.times(&Number::integer(-1))),
            Formula::Arithmetic { op, left, right } => {
                let (left, right) = (Combination::of(left, aggregates)?, Combination::of(right, aggregates)?);
                match op {
                    ArithmeticOp::Add => Some(left.minus(&right.times(&Number::integer(-1)))),
                    ArithmeticOp::Subtract => Some(left.minus(&right)),
                    ArithmeticOp::Multiply if left.terms.is_empty() => Some(right.times(&left.constant)),
                    ArithmeticOp::Multiply if right.terms.is_empty() => Some(left.times(&right.constant)),
                    ArithmeticOp::Divide if right.terms.is_empty() => Some(left.times(&Number::integer(1).divided_by(&right.constant)?)),
                    ArithmeticOp::Multiply | ArithmeticOp::Divide => None,
                }
            }
            _ => None,
        }
    }

    /// What an average is compared with, times the count: both sides of the comparison multiplied by what is positive.
    fn of_average(&self, aggregate: usize) -> Option<Combination> {
        self.terms.is_empty().then(|| Combination::part(aggregate, Part::Count).times(&self.constant))
    }

    fn times(&self, factor: &Number) -> Combination {
        let terms = self.terms.iter().map(|(aggregate, part, times)| (*aggregate, *part, times.times(factor)));
        Combination { terms: terms.collect(), constant: self.constant.times(factor) }
    }

    fn minus(mut self, other: &Combination) -> Combination {
        let other = other.times(&Number::integer(-1));
        self.terms.extend(other.terms);
        self.constant = self.constant.plus(&other.constant);
        self
    }

    /// With whole weights, for each of the aggregates: all is multiplied by a common denominator, which changes no sign.
    fn whole(&self, aggregates: &[usize]) -> Option<(Vec<Weight>, i64)> {
        let common = self.terms.iter().try_fold(1i64, |common, (_, _, times)| {
            let (_, over) = times.small()?;
            (common.checked_div(common.gcd(&over))?).checked_mul(over)
        })?;
        let scaled = self.times(&Number::integer(common));
        let mut weights = vec![Weight::default(); aggregates.len()];
        for (aggregate, part, times) in &scaled.terms {
            let weight = &mut weights[aggregates.binary_search(aggregate).ok()?];
            let times = i64::from(i32::try_from(whole(times)?).ok()?);
            match part {
                Part::Count => weight.count += times * Number::MILLION,
                Part::Sum => weight.sum += times,
            }
        }
        Some((weights, whole(&scaled.constant.times(&Number::integer(Number::MILLION)))?))
    }
}

fn whole(number: &Number) -> Option<i64> {
    let (units, over) = number.small()?;
    (units % over == 0).then_some(units / over)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Catalogue;
    use crate::plan::{self, Plan};
    use crate::rule::{Names, load_text};
    use proptest::prelude::*;

    fn plan(rule: &str) -> Plan {
        let catalogue = Arc::new(Catalogue::segment_spec());
        let text = format!("segments: [{{key: all, when: '{rule}'}}]");
        let loaded = load_text("plan", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
        plan::compile(&loaded.definitions.unwrap(), catalogue, Vec::new())
    }

    const RULES: [&str; 8] = [
        "count(orders last 30d) > 2",
        "count(orders last 30d) == 2",
        "sum(orders.total last 30d) between -3 and 7.5",
        "avg(orders.total last 90d) in [-1, 2.25)",
        "avg(orders.total last 90d) == 2",
        "sum(orders.total last 30d) < 0.5 * sum(orders.total from 60d to 30d ago)",
        "-sum(orders.total last 30d) / 3 + 1 >= count(orders last 30d) - 0.25 * sum(orders.total last 90d)",
        "every(orders last 30d: total > 20)",
    ];

    #[test]
    fn rules_over_counts_and_sums_are_linear() {
        for rule in RULES {
            assert!(plan(rule).predicates[0].linear.is_some(), "{rule}");
        }
    }

    #[test]
    fn others_are_not() {
        for rule in [
            "max(orders.total last 30d) > 2",
            "sum(orders.total last 30d) / count(orders last 30d) > 2",
            "count(orders last 30d) != 2",
            "sum(orders.total last 30d) > 0.00000001",
            "avg(orders.total last 30d) > count(orders last 30d)",
        ] {
            assert!(plan(rule).predicates[0].linear.is_none(), "{rule}");
        }
    }

    #[test]
    fn what_has_no_exact_millionths_is_left_to_the_formula() {
        let plan = plan("sum(orders.total last 30d) > 2");
        let total = Accumulator::Total { count: 1, sum: Number::ratio(1, 3) };
        assert!(plan.predicates[0].linear.as_ref().unwrap().sums(&[total]).is_none());
    }

    #[test]
    fn a_row_confirms_what_it_pushes_further() {
        let confirmed = |rule: &str, row: Share, holds| {
            let plan = plan(rule);
            let linear = plan.predicates[0].linear.clone().unwrap();
            let mut pushed = Sums::default();
            linear.terms[0].add(row, &mut pushed);
            linear.is_confirmed(&pushed, holds)
        };
        let row = |units: i64| Share { count: 1, sum: units * Number::MILLION };
        assert!(confirmed("sum(orders.total last 30d) > 100", row(1), true));
        assert!(!confirmed("sum(orders.total last 30d) > 100", row(-1), true));
        assert!(!confirmed("sum(orders.total last 30d) > 100", row(1), false));
        assert!(confirmed("sum(orders.total last 30d) < 100", row(1), false));
        // Out at one end of the band may be in by way of the other.
        assert!(confirmed("avg(orders.total last 30d) in [10, 20)", row(15), true));
        assert!(!confirmed("avg(orders.total last 30d) in [10, 20)", row(25), true));
        assert!(!confirmed("avg(orders.total last 30d) in [10, 20)", row(25), false));
        assert!(!confirmed("sum(orders.total last 30d) == 100", row(1), false));
        assert!(confirmed("sum(orders.total last 30d) == 100", row(0), true));
    }

    proptest! {
        #[test]
        fn inequalities_hold_iff_the_formula_does(rule in 0..RULES.len(), values in prop::collection::vec((0..4i64, -400..400i64), 4)) {
            let plan = plan(RULES[rule]);
            let totals: Vec<Accumulator> = plan.aggregates.iter().zip(values).map(|(aggregate, (count, cents))| match aggregate.empty() {
                Accumulator::Count(_) => Accumulator::Count(count),
                _ => Accumulator::Total { count, sum: if count == 0 { Number::ZERO } else { Number::ratio(cents, 100) } },
            }).collect();
            let predicate = &plan.predicates[0];
            let linear = predicate.linear.as_ref().unwrap();
            let expected = predicate.formula.holds(&|leaf| match leaf {
                Leaf::Aggregate(index) => {
                    let average = plan.aggregates[index].measure == Measure::Function(Function::Avg);
                    totals[index].value(average).map_or(crate::event::Scalar::Null, crate::event::Scalar::Number)
                }
                _ => crate::event::Scalar::Null,
            });
            prop_assert_eq!(linear.holds(&linear.sums(&totals).unwrap()), expected);
        }
    }
}
