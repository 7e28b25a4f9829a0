//! Aggregates: what a rule counts or sums over the events of a window, kept up to date by adding and removing.
//!
//! Laws, for every accumulator `a` and values `x`, `y` (tested below):
//!
//! - order does not matter: adding `x` then `y` gives what adding `y` then `x` gives;
//! - removing undoes adding, except that an extreme says [`Removal::Rescan`] when the removed value was the extreme.
//!
//! `first`, `latest`, `days_since` and `returned` are found by position in the sorted history and need no accumulator.
//!
//! **Invariant:** an accumulator over a set of events is a function of that set alone, never of the way it came about.

use std::collections::HashMap;

use smol_str::SmolStr;

use crate::event::{Scalar, Value};
use crate::money::Number;

/// A running total of one kind. Which kind is the aggregate's function and never changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Accumulator {
    /// `count`
    Count(i64),
    /// `sum`, `avg`
    Total { count: i64, sum: Number },
    /// `min`
    Min(Option<Number>),
    /// `max`
    Max(Option<Number>),
    /// `distinct`: how many events have each value.
    Distinct(Box<HashMap<Distinct, u32, foldhash::fast::FixedState>>),
    /// `first`, `latest`, `days_since`, `days_since_first`, `returned`
    Positional,
}

/// A value as `distinct` tells it from others: 10 and 10.00 are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Distinct {
    Bool(bool),
    Number(Number),
    Text(SmolStr),
}

/// Whether an accumulator is right after a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    Done,
    /// The extreme itself was removed: the caller looks at the events that are left.
    Rescan,
}

impl Accumulator {
    /// Adds one event's value; null is not seen. `count` is given `Bool(true)` where it has no field.
    #[inline]
    pub fn add(&mut self, value: &Scalar<'_>) {
        if *value == Scalar::Null {
            return;
        }
        match (self, value) {
            (Accumulator::Count(n), _) => *n += 1,
            (Accumulator::Total { count, sum }, Scalar::Number(x)) => {
                *count += 1;
                *sum = sum.plus(x);
            }
            (Accumulator::Min(min), Scalar::Number(x)) if min.as_ref().is_none_or(|m| x < m) => *min = Some(x.clone()),
            (Accumulator::Max(max), Scalar::Number(x)) if max.as_ref().is_none_or(|m| x > m) => *max = Some(x.clone()),
            (Accumulator::Distinct(values), value) => {
                if let Some(key) = Distinct::of(value) {
                    *values.entry(key).or_insert(0) += 1;
                }
            }
            _ => {}
        }
    }

    /// Adds all that another of the same kind has seen.
    pub fn absorb(&mut self, other: &Accumulator) {
        match (self, other) {
            (Accumulator::Count(n), Accumulator::Count(more)) => *n += more,
            (Accumulator::Total { count, sum }, Accumulator::Total { count: more, sum: theirs }) => {
                *count += more;
                *sum = sum.plus(theirs);
            }
            (extreme @ Accumulator::Min(_), Accumulator::Min(Some(x))) | (extreme @ Accumulator::Max(_), Accumulator::Max(Some(x))) => {
                extreme.add(&Scalar::Number(x.clone()));
            }
            (Accumulator::Distinct(values), Accumulator::Distinct(more)) => {
                more.iter().for_each(|(key, count)| *values.entry(key.clone()).or_insert(0) += count);
            }
            _ => {}
        }
    }

    /// It has seen nothing. What is found by position says so itself.
    pub fn is_empty(&self) -> bool {
        match self {
            Accumulator::Count(count) | Accumulator::Total { count, .. } => *count == 0,
            Accumulator::Min(extreme) | Accumulator::Max(extreme) => extreme.is_none(),
            Accumulator::Distinct(values) => values.is_empty(),
            Accumulator::Positional => false,
        }
    }

    /// Removes one event's value that had been added.
    #[inline]
    pub fn remove(&mut self, value: &Scalar<'_>) -> Removal {
        if *value == Scalar::Null {
            return Removal::Done;
        }
        match (self, value) {
            (Accumulator::Count(n), _) => *n -= 1,
            (Accumulator::Total { count, sum }, Scalar::Number(x)) => {
                *count -= 1;
                *sum = sum.minus(x);
            }
            (Accumulator::Min(extreme) | Accumulator::Max(extreme), Scalar::Number(x)) if extreme.as_ref() == Some(x) => {
                return Removal::Rescan;
            }
            (Accumulator::Distinct(values), value) => remove_distinct(values, value),
            _ => {}
        }
        Removal::Done
    }

    /// The value of `count`, `sum`, `avg`, `min`, `max`, `distinct`; null over nothing where semantics §3 says so.
    #[inline]
    pub fn value(&self, average: bool) -> Option<Number> {
        match self {
            Accumulator::Count(n) => Some(Number::integer(*n)),
            Accumulator::Total { count, sum } if average => sum.divided_by(&Number::integer(*count)),
            Accumulator::Total { sum, .. } => Some(sum.clone()),
            Accumulator::Min(extreme) | Accumulator::Max(extreme) => extreme.clone(),
            Accumulator::Distinct(values) => Some(Number::integer(values.len() as i64)),
            Accumulator::Positional => None,
        }
    }
}

fn remove_distinct(values: &mut HashMap<Distinct, u32, foldhash::fast::FixedState>, value: &Scalar<'_>) {
    let Some(key) = Distinct::of(value) else { return };
    if let Some(count) = values.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            values.remove(&key);
        }
    }
}

impl Distinct {
    fn of(value: &Scalar<'_>) -> Option<Distinct> {
        match value {
            Scalar::Bool(b) => Some(Distinct::Bool(*b)),
            Scalar::Number(n) => Some(Distinct::Number(n.clone())),
            Scalar::Text(text) => Some(Distinct::Text(SmolStr::new(text))),
            Scalar::Null | Scalar::List(_) => None,
        }
    }
}

/// Calls `f` with each value that an aggregate sees in a field: every element of an array, nothing for null.
#[inline]
pub fn each_value<'a>(field: Scalar<'a>, mut f: impl FnMut(Scalar<'a>)) {
    match field {
        Scalar::Null => {}
        Scalar::List(items) => items.iter().filter(|v| **v != Value::Null).for_each(|v| f(v.as_scalar())),
        scalar => f(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn empty(kind: usize) -> Accumulator {
        match kind {
            0 => Accumulator::Count(0),
            1 => Accumulator::Total { count: 0, sum: Number::ZERO },
            2 => Accumulator::Min(None),
            3 => Accumulator::Max(None),
            _ => Accumulator::Distinct(Box::default()),
        }
    }

    fn over(kind: usize, values: &[i64]) -> Accumulator {
        let mut accumulator = empty(kind);
        values.iter().for_each(|v| accumulator.add(&Scalar::Number(Number::ratio(*v, 10))));
        accumulator
    }

    proptest! {
        #[test]
        fn order_does_not_matter(kind in 0..5usize, mut values in prop::collection::vec(-20i64..20, 0..12)) {
            let forward = over(kind, &values);
            values.reverse();
            prop_assert_eq!(forward, over(kind, &values));
        }

        #[test]
        fn absorbing_is_adding_all_that_the_other_has_seen(kind in 0..5usize, values in prop::collection::vec(-20i64..20, 0..12), at in 0..12usize) {
            let (one, other) = values.split_at(at.min(values.len()));
            let mut both = over(kind, one);
            both.absorb(&over(kind, other));
            prop_assert_eq!(both, over(kind, &values));
        }

        #[test]
        fn removing_undoes_adding_or_asks_for_a_rescan(kind in 0..5usize, values in prop::collection::vec(-20i64..20, 1..12)) {
            let mut accumulator = over(kind, &values);
            let removed = Scalar::Number(Number::ratio(values[0], 10));
            if accumulator.remove(&removed) == Removal::Done {
                prop_assert_eq!(accumulator, over(kind, &values[1..]));
            }
        }
    }

    #[test]
    fn distinct_is_by_value() {
        let mut distinct = empty(4);
        distinct.add(&Scalar::Number(Number::ratio(10, 1)));
        distinct.add(&Scalar::Number(Number::ratio(1000, 100)));
        assert_eq!(distinct.value(false), Some(Number::integer(1)));
    }

    #[test]
    fn avg_of_nothing_is_null_and_sum_is_zero() {
        assert_eq!(empty(1).value(true), None);
        assert_eq!(empty(1).value(false), Some(Number::ZERO));
    }
}
