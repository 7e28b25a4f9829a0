//! A band: the interval that a predicate wants an extreme or a number of values to lie in. `max(…) >= 150`,
//! `distinct(…) in [2, 5)`.
//!
//! It is decided by two comparisons instead of a walk over its formula. Counts, sums and averages are
//! [linear](super::linear).
//!
//! **Invariant:** a value is in the band iff the formula that the band was made of holds for it.

use std::cmp::Ordering;

use super::formula::{self, Formula, Leaf};
use super::{AggregatePlan, Measure};
use crate::aggregate::Accumulator;
use crate::money::Number;
use crate::rule::ast::Function;

#[derive(Clone, Debug)]
pub struct Band {
    pub aggregate: usize,
    low: Option<End>,
    high: Option<End>,
}

/// One end, and whether it belongs to the band.
#[derive(Clone, Debug)]
struct End {
    at: Number,
    included: bool,
}

impl Band {
    /// `None`: the formula is of another form, or over another aggregate.
    pub(super) fn of(formula: &Formula, aggregates: &[AggregatePlan]) -> Option<Band> {
        let (value, low, high) = formula.interval()?;
        let (aggregate, low, high) = (leaf(value)?, fixed(low)?, fixed(high)?);
        let Measure::Function(function) = aggregates[aggregate].measure else { return None };
        matches!(function, Function::Min | Function::Max | Function::Distinct).then_some(Band { aggregate, low, high })
    }

    /// Whether the aggregate's value lies in the band. No value does not.
    #[inline]
    pub fn holds(&self, total: &Accumulator) -> bool {
        total.value(false).is_some_and(|value| {
            let above = self.low.as_ref().is_none_or(|low| low.allows(value.cmp(&low.at), Ordering::Greater));
            above && self.high.as_ref().is_none_or(|high| high.allows(value.cmp(&high.at), Ordering::Less))
        })
    }

    /// The same band around the aggregate's position in another plan.
    pub(super) fn at(&self, aggregate: usize) -> Band {
        Band { aggregate, ..self.clone() }
    }
}

impl End {
    fn allows(&self, found: Ordering, inside: Ordering) -> bool {
        found == inside || self.included && found == Ordering::Equal
    }
}

fn leaf(formula: &Formula) -> Option<usize> {
    match formula {
        Formula::Leaf(Leaf::Aggregate(index)) => Some(*index),
        _ => None,
    }
}

/// The end with its number; `None`: there is one, and it is no literal.
fn fixed(end: Option<formula::End<'_>>) -> Option<Option<End>> {
    let Some((at, included)) = end else { return Some(None) };
    Some(Some(End { at: literal(at)?.clone(), included }))
}

fn literal(formula: &Formula) -> Option<&Number> {
    match formula {
        Formula::Number(n) => Some(n),
        _ => None,
    }
}
