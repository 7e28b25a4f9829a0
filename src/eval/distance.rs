//! How far a comparison is from being otherwise: what a customer lacks, or has to spare.
//!
//! **Invariant:** moving the value by the distance (if [`Distance::beyond`], by any bit more than that) changes the truth, and
//! by less does not.

use super::At;
use crate::customer::Standing;
use crate::event::Scalar;
use crate::money::Number;
use crate::plan::Measure;
use crate::plan::formula::{self, Formula, Leaf};
use crate::rule::ast::Function;

/// How much a value would have to change for its comparison to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Distance {
    /// Not negative.
    pub by: Number,
    /// Upwards, or downwards.
    pub more: bool,
    /// By more than that: exactly so much does not change it.
    pub beyond: bool,
}

/// An end of what holds, and whether it holds there.
type End = (Number, bool);

impl At<'_> {
    /// `None`: no comparison of numbers, or null is one of them.
    pub fn distance(&self, standing: &mut Standing, predicate: usize) -> Option<Distance> {
        let predicate = &self.plan.predicates[predicate];
        self.advance(predicate, standing);
        let number = |formula: &Formula| match formula.evaluate(&|leaf| self.leaf(leaf, standing, self.t)) {
            Scalar::Number(number) => Some(number),
            _ => None,
        };
        let (value, low, high) = predicate.formula.interval()?;
        let known = |end: Option<formula::End<'_>>| match end {
            Some((at, included)) => Some(Some((number(at)?, included))),
            None => Some(None),
        };
        let (low, high) = (known(low)?, known(high)?);
        let distance = nearest(&number(value)?, low, high)?;
        Some(if self.is_count(value) { distance.of_whole_numbers() } else { distance })
    }

    fn is_count(&self, value: &Formula) -> bool {
        let Formula::Leaf(Leaf::Aggregate(index) | Leaf::Ranked(index)) = value else { return false };
        let measure = self.plan.aggregates[*index].measure;
        matches!(measure, Measure::Function(Function::Count | Function::Distinct | Function::DaysSince | Function::DaysSinceFirst))
    }
}

/// To the nearest number on the other side of an end.
fn nearest(value: &Number, low: Option<End>, high: Option<End>) -> Option<Distance> {
    let above = low.as_ref().is_none_or(|(n, included)| value > n || *included && value == n);
    let below = high.as_ref().is_none_or(|(n, included)| value < n || *included && value == n);
    let up = |(n, included): End, holds: bool| Distance { by: n.minus(value), more: true, beyond: included == holds };
    let down = |(n, included): End, holds: bool| Distance { by: value.minus(&n), more: false, beyond: included == holds };
    match (above, below) {
        (true, true) => {
            [low.map(|end| down(end, true)), high.map(|end| up(end, true))].into_iter().flatten().min_by(|a, b| a.by.cmp(&b.by))
        }
        (false, _) => low.map(|end| up(end, false)),
        (_, false) => high.map(|end| down(end, false)),
    }
}

impl Distance {
    /// Beyond a whole number the next one is one further.
    fn of_whole_numbers(self) -> Distance {
        let whole = self.by.to_decimal().is_some_and(|by| by.fract().is_zero());
        if self.beyond && whole { Distance { by: self.by.plus(&Number::from(1)), beyond: false, ..self } } else { self }
    }
}
