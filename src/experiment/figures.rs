//! What the customers of an arm amount to: sums, so that partitions and processes can be added up.
//!
//! Law: for any division of the exposed customers into groups, whoever counts them and in whatever order, the sums of the
//! groups added up are the sums of all.
//!
//! **Invariant:** sums are exact; a float appears only where something is estimated from them.

use super::Arm;
use crate::money::Number;

/// What came of one customer's exposure, as of an instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Events of the goal.
    pub goals: u64,
    /// Their values added up.
    pub value: Number,
    /// Steps of the funnel, one after the other; the goal itself is the last.
    pub reached: usize,
    /// The time in which events count is not over.
    pub open: bool,
    /// The goal was another one for a while, so that something may not have been counted.
    pub recounted: bool,
}

/// One arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub exposed: u64,
    /// Of them those whose time is not over.
    pub open: u64,
    /// Of them those who may have been counted only in part.
    pub recounted: u64,
    /// Of them those with an event of the goal.
    pub converted: u64,
    pub goals: u64,
    pub value: Number,
    /// Of the customers' values.
    pub squares: Number,
    /// By step: customers who reached it.
    pub reached: Vec<u64>,
}

/// Both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arms {
    pub treatment: Figures,
    pub control: Figures,
}

impl Figures {
    pub fn add_customer(&mut self, tally: &Tally) {
        self.exposed += 1;
        self.open += u64::from(tally.open);
        self.recounted += u64::from(tally.recounted);
        self.converted += u64::from(tally.goals > 0);
        self.goals += tally.goals;
        self.value = self.value.plus(&tally.value);
        self.squares = self.squares.plus(&tally.value.times(&tally.value));
        self.make_room(tally.reached);
        self.reached[..tally.reached].iter_mut().for_each(|customers| *customers += 1);
    }

    /// Adds what others were counted as.
    pub fn add(&mut self, other: &Figures) {
        self.exposed += other.exposed;
        self.open += other.open;
        self.recounted += other.recounted;
        self.converted += other.converted;
        self.goals += other.goals;
        self.value = self.value.plus(&other.value);
        self.squares = self.squares.plus(&other.squares);
        self.make_room(other.reached.len());
        self.reached.iter_mut().zip(&other.reached).for_each(|(customers, others)| *customers += others);
    }

    fn make_room(&mut self, steps: usize) {
        self.reached.resize(self.reached.len().max(steps), 0);
    }

    /// Customers who reached a step, from 0.
    pub fn reached(&self, step: usize) -> u64 {
        self.reached.get(step).copied().unwrap_or(0)
    }

    /// The share of the exposed who converted; `None`: nobody was exposed.
    pub fn rate(&self) -> Option<f64> {
        (self.exposed > 0).then(|| self.converted as f64 / self.exposed as f64)
    }

    /// Value for each exposed customer; `None`: nobody was exposed.
    pub fn mean(&self) -> Option<Number> {
        self.value.divided_by(&count(self.exposed))
    }

    /// Of the customers' values, unbiased; `None`: of fewer than two. Exact up to the last step, so nothing cancels out.
    pub fn variance(&self) -> Option<f64> {
        let square_of_mean = self.value.times(&self.value).divided_by(&count(self.exposed))?;
        let variance = self.squares.minus(&square_of_mean).divided_by(&count(self.exposed.checked_sub(1)?))?;
        Some(variance.approximate())
    }
}

fn count(customers: u64) -> Number {
    Number::integer(i64::try_from(customers).unwrap_or(i64::MAX))
}

impl Arms {
    pub fn of(&self, arm: Arm) -> &Figures {
        match arm {
            Arm::Treatment => &self.treatment,
            Arm::Control => &self.control,
        }
    }

    pub fn of_mut(&mut self, arm: Arm) -> &mut Figures {
        match arm {
            Arm::Treatment => &mut self.treatment,
            Arm::Control => &mut self.control,
        }
    }

    pub fn add(&mut self, other: &Arms) {
        Arm::ALL.iter().for_each(|arm| self.of_mut(*arm).add(other.of(*arm)));
    }

    /// In both.
    pub fn exposed(&self) -> u64 {
        self.treatment.exposed + self.control.exposed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tallies() -> impl Strategy<Value = Vec<(Tally, bool)>> {
        let tally =
            (0u64..3, -500i64..100_000, 0usize..4, any::<bool>(), any::<bool>()).prop_map(|(goals, cents, reached, open, recounted)| {
                Tally { goals, value: Number::ratio(cents, 100), reached, open, recounted }
            });
        prop::collection::vec((tally, any::<bool>()), 0..40)
    }

    fn sums<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Figures {
        let mut figures = Figures::default();
        tallies.for_each(|tally| figures.add_customer(tally));
        figures
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_however_customers_are_divided(tallies in tallies()) {
            let whole = sums(tallies.iter().map(|(tally, _)| tally));
            let part = |side: bool| sums(tallies.iter().filter(|(_, of)| *of == side).map(|(tally, _)| tally));
            let mut added = part(true);
            added.add(&part(false));
            let steps = |figures: &Figures| (0..4).map(|step| figures.reached(step)).collect::<Vec<_>>();
            prop_assert_eq!(steps(&added), steps(&whole));
            prop_assert_eq!(Figures { reached: vec![], ..added }, Figures { reached: vec![], ..whole });
        }
    }

    #[test]
    fn the_variance_of_values_that_differ_in_the_last_cent_is_not_lost() {
        let value = |cents: i64| Tally { value: Number::ratio(9_000_000_000_000_000 + cents, 100), ..Tally::default() };
        let figures = sums([value(0), value(1), value(2)].iter());
        assert_eq!(figures.variance(), Some(0.0001));
    }

    #[test]
    fn of_one_customer_there_is_no_variance_and_of_nobody_no_rate() {
        let nobody = Figures::default();
        assert_eq!((nobody.rate(), nobody.mean(), nobody.variance()), (None, None, None));
        assert_eq!(sums([Tally::default()].iter()).variance(), None);
    }
}
