//! The two arms held against each other.
//!
//! **Invariant:** by intention to treat: whoever was exposed counts in the arm that the hash dealt, and nobody is left out
//! for what came after. That is what makes the arms comparable, and no figure here is over anybody else.

use super::statistics::{Sample, Share, means, rates, sample_ratio};
use super::{Arms, Estimate, Experiment, Figures, SampleRatio};

/// What an estimate lets one say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Treatment is higher: the whole interval is above 0.
    Higher,
    Lower,
    /// The interval contains 0.
    Inconclusive,
    /// There is too little to estimate anything.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Of the shares that converted.
    pub conversion: Option<Estimate>,
    /// Of the value for each exposed customer; `None` also where the goal has none.
    pub value: Option<Estimate>,
    /// `None`: too few were exposed to tell.
    pub dealt: Option<SampleRatio>,
}

impl Finding {
    pub fn as_str(self) -> &'static str {
        match self {
            Finding::Higher => "higher",
            Finding::Lower => "lower",
            Finding::Inconclusive => "inconclusive",
            Finding::Unknown => "unknown",
        }
    }
}

impl From<Option<Estimate>> for Finding {
    fn from(estimate: Option<Estimate>) -> Finding {
        match estimate {
            None => Finding::Unknown,
            Some(estimate) if !estimate.is_conclusive() => Finding::Inconclusive,
            Some(estimate) if estimate.difference > 0.0 => Finding::Higher,
            Some(_) => Finding::Lower,
        }
    }
}

impl Comparison {
    pub fn of(experiment: &Experiment, arms: &Arms) -> Comparison {
        let goal = experiment.goal.as_ref();
        let control = Share { count: arms.control.exposed, of: arms.exposed() };
        Comparison {
            conversion: goal.and_then(|_| rates(converted(&arms.treatment), converted(&arms.control))),
            value: goal.and_then(|goal| goal.value.as_ref()).and_then(|_| means(values(&arms.treatment)?, values(&arms.control)?)),
            dealt: sample_ratio(control, experiment.holdout.share()),
        }
    }
}

fn converted(figures: &Figures) -> Share {
    Share { count: figures.converted, of: figures.exposed }
}

fn values(figures: &Figures) -> Option<Sample> {
    Some(Sample { size: figures.exposed, mean: figures.mean()?.approximate(), variance: figures.variance()? })
}
