//! An experiment's report: what its arms amount to, how they compare, and what that lets one say.
//!
//! **Invariant:** a report is made from sums and the definition alone, so that whoever has the sums of every partition has
//! the report.

use serde_json::{Value, json};

use super::statistics::{CONFIDENCE, POWER};
use super::{Arm, Arms, Comparison, Estimate, Experiment, Figures, Finding};
use crate::id::SegmentKey;
use crate::time::EventTime;

pub struct Report {
    pub segment: SegmentKey,
    pub experiment: Experiment,
    /// The task clock; of several, the earliest.
    pub as_of: EventTime,
    pub arms: Arms,
    pub comparison: Comparison,
}

impl Report {
    pub fn new(segment: SegmentKey, experiment: Experiment, as_of: EventTime, arms: Arms) -> Report {
        let comparison = Comparison::of(&experiment, &arms);
        Report { segment, experiment, as_of, arms, comparison }
    }

    /// The streams of the funnel, in order; the goal's own is the last. Empty: no steps are named.
    pub fn steps(&self) -> Vec<&str> {
        let Some(goal) = self.experiment.goal.as_ref().filter(|goal| !goal.steps.is_empty()) else { return Vec::new() };
        goal.steps.iter().map(|step| step.as_str()).chain([goal.stream.as_str()]).collect()
    }

    /// For programs (docs/experiments.md, "As JSON").
    pub fn to_json(&self) -> Value {
        let goal = self.experiment.goal.as_ref().map(|goal| {
            let within = goal.within.map(|within| within.to_string());
            json!({"stream": goal.stream, "value": goal.value, "within": within, "steps": goal.steps})
        });
        let arms: serde_json::Map<String, Value> =
            Arm::ALL.iter().map(|arm| (arm.as_str().to_owned(), self.arm_json(self.arms.of(*arm)))).collect();
        let dealt = self.comparison.dealt;
        let dealt = dealt.map(|dealt| json!({"chi_square": dealt.chi_square, "p": dealt.p, "plausible": dealt.is_plausible()}));
        json!({
            "experiment": self.segment, "salt": self.experiment.salt, "holdout": self.experiment.holdout.to_string(),
            "goal": goal, "as_of": self.as_of.to_string(), "arms": arms, "confidence": CONFIDENCE, "power": POWER,
            "conversion": estimate_json(self.comparison.conversion), "value": estimate_json(self.comparison.value),
            "sample_ratio": dealt, "verdict": self.verdict(),
        })
    }

    fn arm_json(&self, figures: &Figures) -> Value {
        let steps = self.steps();
        let funnel: Vec<Value> =
            steps.iter().enumerate().map(|(step, stream)| json!({"stream": stream, "reached": figures.reached(step)})).collect();
        json!({
            "exposed": figures.exposed, "open": figures.open, "recounted": figures.recounted, "converted": figures.converted,
            "goals": figures.goals, "value": figures.value.to_string(), "squares": figures.squares.to_string(), "steps": funnel,
        })
    }
}

fn estimate_json(estimate: Option<Estimate>) -> Value {
    let finding = Finding::from(estimate).as_str();
    match estimate {
        None => json!({"finding": finding}),
        Some(Estimate { difference, low, high, detectable }) => {
            json!({"finding": finding, "difference": difference, "low": low, "high": high, "detectable": detectable})
        }
    }
}
