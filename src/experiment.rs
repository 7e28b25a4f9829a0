//! Experiments: who is left alone, so that what a campaign did can be told from what would have happened anyway.
//!
//! The arm is a hash of (salt, customer): it needs no state, is the same on every partition and after every restart, and
//! whoever has the salt can compute it again.
//!
//! **Invariant:** equal salt and customer, equal arm, for ever. Arms are uniform over customers, and independent between
//! experiments whose salts differ.

mod comparison;
mod figures;
mod report;
mod statistics;
mod verdict;

use std::fmt;

use smol_str::SmolStr;
use xxhash_rust::xxh3::xxh3_64;

use crate::id::CustomerId;
use crate::time::Span;
pub use comparison::{Comparison, Finding};
pub use figures::{Arms, Figures, Tally};
pub use report::{Document, Report, earliest};
pub use statistics::{Estimate, SampleRatio};
pub use verdict::Scale;

/// The side of an experiment that a customer is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    Treatment,
    /// Withheld from campaigns.
    Control,
}

/// An experiment over the members of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    pub holdout: Holdout,
    /// Another salt deals the arms anew.
    pub salt: SmolStr,
    /// What the campaign is for; `None`: only the arms matter.
    pub goal: Option<Goal>,
}

/// What counts as success, for whoever compares the arms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// An event of this stream is a conversion.
    pub stream: SmolStr,
    /// The number of that event which is the revenue.
    pub value: Option<SmolStr>,
    /// How long after the entry a conversion counts; `None`: always.
    pub within: Option<Span>,
    /// Streams on the way to the goal, in order.
    pub steps: Vec<SmolStr>,
}

/// The control arm's share of the customers, in millionths; neither nobody nor everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holdout(u32);

impl Arm {
    pub const ALL: [Arm; 2] = [Arm::Treatment, Arm::Control];

    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Treatment => "treatment",
            Arm::Control => "control",
        }
    }
}

impl Holdout {
    const WHOLE: u32 = 1_000_000;

    /// Of 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Holdout::WHOLE)
    }

    /// `50%`, `12.5%`: up to four digits after the point. `None`: no such text, or not between nobody and everybody.
    pub fn parse(text: &str) -> Option<Holdout> {
        let number = text.strip_suffix('%')?;
        let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
        let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || fraction.is_some_and(|fraction| !digits(fraction, 4)) {
            return None;
        }
        let millionths: u32 = format!("{whole}{:0<4}", fraction.unwrap_or_default()).parse().ok()?;
        (0 < millionths && millionths < Holdout::WHOLE).then_some(Holdout(millionths))
    }
}

/// As [`Holdout::parse`] reads it.
impl fmt::Display for Holdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, format!("{:04}", self.0 % 10_000));
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            fraction => write!(f, "{whole}.{fraction}%"),
        }
    }
}

impl Experiment {
    pub fn arm(&self, customer: &CustomerId) -> Arm {
        // NUL cannot stand in a salt: ("a", "bc") and ("ab", "c") stay apart.
        let text = [self.salt.as_bytes(), &[0], customer.as_str().as_bytes()].concat();
        let share = u128::from(xxh3_64(&text)) * u128::from(Holdout::WHOLE);
        if share < u128::from(self.holdout.0) << 64 { Arm::Control } else { Arm::Treatment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holdout_is_written_as_it_is_read() {
        for text in ["50%", "12.5%", "33.3333%", "0.0001%", "5.05%"] {
            assert_eq!(Holdout::parse(text).unwrap().to_string(), text);
        }
    }

    const CUSTOMERS: usize = 100_000;

    fn experiment(holdout: &str, salt: &str) -> Experiment {
        Experiment { holdout: Holdout::parse(holdout).unwrap(), salt: salt.into(), goal: None }
    }

    /// The arms of customers whose ids differ as little as ids do.
    fn controls(experiment: &Experiment) -> Vec<bool> {
        (0..CUSTOMERS).map(|i| experiment.arm(&CustomerId::new(format!("hh-{i}"))) == Arm::Control).collect()
    }

    /// How many standard deviations a count of a binomial distribution is from its mean.
    fn deviations(count: usize, of: usize, share: f64) -> f64 {
        let n = of as f64;
        (count as f64 - n * share).abs() / (n * share * (1.0 - share)).sqrt()
    }

    #[test]
    fn the_control_arm_has_the_share_that_is_held_out() {
        for (holdout, share) in [("0.5%", 0.005), ("10%", 0.1), ("33.3333%", 0.333_333), ("50%", 0.5), ("99%", 0.99)] {
            for salt in ["a", "b", "spring 2026", "loyal"] {
                let count = controls(&experiment(holdout, salt)).iter().filter(|control| **control).count();
                assert!(deviations(count, CUSTOMERS, share) < 4.0, "{holdout} {salt}: {count}");
            }
        }
    }

    #[test]
    fn the_arms_of_two_salts_are_independent() {
        for (one, other) in [("a", "b"), ("loyal", "loyal2"), ("x", "xx")] {
            let (one, other) = (controls(&experiment("50%", one)), controls(&experiment("50%", other)));
            let both = one.iter().zip(&other).filter(|(a, b)| **a && **b).count();
            assert!(deviations(both, CUSTOMERS, 0.25) < 4.0, "{both}");
        }
    }

    #[test]
    fn a_larger_holdout_takes_customers_in_and_lets_none_go() {
        let (small, large) = (controls(&experiment("10%", "a")), controls(&experiment("20%", "a")));
        assert!(small.iter().zip(&large).all(|(small, large)| !small || *large));
    }

    /// Arms that are published cannot be dealt again: what is computed here is part of the contract.
    #[test]
    fn the_arm_of_a_customer_never_changes() {
        let arms: String =
            (0..16).map(|i| experiment("50%", "salt").arm(&CustomerId::new(format!("c-{i}"))).as_str()).map(|arm| &arm[..1]).collect();
        assert_eq!(arms, "ctttttttccctcttt");
    }

    #[test]
    fn a_holdout_is_a_percentage_between_nobody_and_everybody() {
        let millionths = |text| Holdout::parse(text).map(|holdout| holdout.0);
        assert_eq!(millionths("50%"), Some(500_000));
        assert_eq!(millionths("12.5%"), Some(125_000));
        assert_eq!(millionths("0.0001%"), Some(1));
        assert_eq!(millionths("099.9999%"), Some(999_999));
        for wrong in ["0%", "100%", "100.5%", "50", "%", ".5%", "5.%", "-5%", "5 %", "0.00001%", "1e1%", "1000%"] {
            assert_eq!(millionths(wrong), None, "{wrong}");
        }
    }
}
