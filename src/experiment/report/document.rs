//! A report for programs (docs/experiments.md, "As JSON").
//!
//! **Invariant:** what is written can be read back to the same sums; everything else in it follows from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Report;
use crate::experiment::statistics::{CONFIDENCE, POWER};
use crate::experiment::{Arms, Estimate, Experiment, Figures, Finding, Goal, Holdout};
use crate::id::SegmentKey;
use crate::money::Number;
use crate::time::{EventTime, Span};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Experiment")]
pub struct Document {
    /// Key of its segment.
    pub experiment: String,
    salt: String,
    /// Intended share of the control arm.
    holdout: String,
    goal: Option<Counted>,
    /// The task clock up to which everything is counted; of several partitions, the earliest. Null: nothing has happened yet.
    as_of: Option<String>,
    arms: Sides,
    confidence: f64,
    power: f64,
    /// Difference of the shares that converted, of 1.
    conversion: Difference,
    /// Difference of the values for each exposed customer.
    value: Difference,
    /// Whether the arms are those that were dealt; null: too few to tell.
    sample_ratio: Option<SampleRatio>,
    /// The same in plain words, the most important first.
    verdict: Vec<String>,
}

/// What is counted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExperimentGoal")]
struct Counted {
    stream: String,
    value: Option<String>,
    within: Option<String>,
    steps: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExperimentArms")]
struct Sides {
    treatment: Side,
    control: Side,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExperimentArm")]
struct Side {
    exposed: u64,
    /// Of them those whose time is not over.
    open: u64,
    /// Of them those who were exposed under another goal, and may be counted only in part.
    recounted: u64,
    /// Of them those with an event of the goal.
    converted: u64,
    /// Events of the goal.
    goals: u64,
    /// Their values added up, an exact decimal.
    value: String,
    /// The squares of the customers' values added up, an exact decimal.
    squares: String,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExperimentStep")]
struct Step {
    stream: String,
    /// Customers who came so far, one step after the other.
    reached: u64,
}

/// Treatment less control.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExperimentDifference")]
struct Difference {
    /// `higher`, `lower`, `inconclusive` or `unknown`.
    finding: String,
    #[serde(flatten)]
    estimate: Option<Interval>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExperimentInterval")]
struct Interval {
    difference: f64,
    low: f64,
    high: f64,
    /// The smallest true difference that these many customers would have shown; null: there is none.
    detectable: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct SampleRatio {
    chi_square: f64,
    p: f64,
    plausible: bool,
}

impl From<&Report> for Document {
    fn from(report: &Report) -> Document {
        let sample_ratio =
            report.comparison.dealt.map(|dealt| SampleRatio { chi_square: dealt.chi_square, p: dealt.p, plausible: dealt.is_plausible() });
        Document {
            experiment: report.segment.to_string(),
            salt: report.experiment.salt.to_string(),
            holdout: report.experiment.holdout.to_string(),
            goal: report.experiment.goal.as_ref().map(Counted::from),
            as_of: report.as_of.map(|as_of| as_of.to_string()),
            arms: Sides { treatment: Side::of(report, &report.arms.treatment), control: Side::of(report, &report.arms.control) },
            confidence: CONFIDENCE,
            power: POWER,
            conversion: report.comparison.conversion.into(),
            value: report.comparison.value.into(),
            sample_ratio,
            verdict: report.verdict(),
        }
    }
}

impl Document {
    /// The report that this was; `None`: it is none of ours.
    pub fn to_report(&self) -> Option<Report> {
        let goal = match &self.goal {
            Some(goal) => Some(goal.to_goal()?),
            None => None,
        };
        let as_of = match &self.as_of {
            Some(text) => Some(EventTime::parse(text)?),
            None => None,
        };
        let experiment = Experiment { holdout: Holdout::parse(&self.holdout)?, salt: self.salt.as_str().into(), goal };
        let arms = Arms { treatment: self.arms.treatment.to_figures()?, control: self.arms.control.to_figures()? };
        Some(Report::new(SegmentKey::from(self.experiment.as_str()), experiment, as_of, arms))
    }
}

impl From<&Goal> for Counted {
    fn from(goal: &Goal) -> Counted {
        Counted {
            stream: goal.stream.to_string(),
            value: goal.value.as_ref().map(ToString::to_string),
            within: goal.within.map(|within| within.to_string()),
            steps: goal.steps.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Counted {
    fn to_goal(&self) -> Option<Goal> {
        let within = match &self.within {
            Some(text) => Some(Span::parse(text)?),
            None => None,
        };
        let steps = self.steps.iter().map(|step| step.as_str().into()).collect();
        Some(Goal { stream: self.stream.as_str().into(), value: self.value.as_deref().map(Into::into), within, steps })
    }
}

impl Side {
    fn of(report: &Report, figures: &Figures) -> Side {
        let step = |(step, stream): (usize, &str)| Step { stream: stream.into(), reached: figures.reached(step) };
        Side {
            exposed: figures.exposed,
            open: figures.open,
            recounted: figures.recounted,
            converted: figures.converted,
            goals: figures.goals,
            value: figures.value.to_string(),
            squares: figures.squares.to_string(),
            steps: report.steps().into_iter().enumerate().map(step).collect(),
        }
    }

    fn to_figures(&self) -> Option<Figures> {
        Some(Figures {
            exposed: self.exposed,
            open: self.open,
            recounted: self.recounted,
            converted: self.converted,
            goals: self.goals,
            value: Number::parse(&self.value)?,
            squares: Number::parse(&self.squares)?,
            reached: self.steps.iter().map(|step| step.reached).collect(),
        })
    }
}

impl From<Option<Estimate>> for Difference {
    fn from(estimate: Option<Estimate>) -> Difference {
        let finding = Finding::from(estimate).as_str().into();
        let interval = |Estimate { difference, low, high, detectable }| Interval { difference, low, high, detectable };
        Difference { finding, estimate: estimate.map(interval) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_back_to_the_last_digit() {
        let goal =
            Goal { stream: "orders".into(), value: Some("total".into()), within: Span::parse("30d"), steps: vec!["sessions".into()] };
        let experiment = Experiment { holdout: Holdout::parse("12.5%").unwrap(), salt: "spring".into(), goal: Some(goal) };
        let large = Number::integer(i64::MAX).times(&Number::ratio(i64::MAX, 10_000));
        let treatment = Figures { exposed: 3, open: 1, converted: 2, goals: 4, value: Number::ratio(-1, 100), ..Figures::default() };
        let control = Figures { exposed: 2, recounted: 1, squares: large, reached: vec![2, 1], ..Figures::default() };
        let arms = Arms { treatment: Figures { reached: vec![1, 0], ..treatment }, control };
        let report = Report::new("loyal".into(), experiment, EventTime::parse("2026-01-01T00:00:00Z"), arms);
        let text = serde_json::to_string(&Document::from(&report)).unwrap();
        let read: Document = serde_json::from_str(&text).unwrap();
        let again = read.to_report().unwrap();
        assert_eq!((&again.arms, &again.experiment, again.as_of), (&report.arms, &report.experiment, report.as_of));
        assert_eq!(serde_json::to_string(&Document::from(&again)).unwrap(), text);
    }

    #[test]
    fn reports_of_several_processes_add_up_and_others_do_not() {
        let report = |salt: &str, exposed: u64, as_of: i64| {
            let experiment = Experiment { holdout: Holdout::parse("50%").unwrap(), salt: salt.into(), goal: None };
            let arms = Arms { treatment: Figures { exposed, ..Figures::default() }, control: Figures::default() };
            Report::new("loyal".into(), experiment, Some(EventTime::from_millis(as_of)), arms)
        };
        let both = report("a", 2, 9).with(report("a", 3, 7)).unwrap();
        assert_eq!((both.arms.exposed(), both.as_of), (5, Some(EventTime::from_millis(7))));
        assert!(report("a", 2, 9).with(report("b", 3, 7)).is_none());
    }
}
