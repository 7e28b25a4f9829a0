//! What is told of memberships, as the contract says it: entry policies, arms and announcements, from the whole past.
//!
//! **Invariant:** shares nothing with the engine but the options' text and the hash that deals the arms.

use std::collections::BTreeMap;

use segmentd::experiment::Arm;
use segmentd::id::CustomerId;
use segmentd::time::Span;
use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_64;

/// The options of a segment that do not decide who is a member.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    entry: String,
    /// ms
    pub expiring: Option<i64>,
    experiment: Option<(f64, String)>,
    pub goal: Option<Goal>,
}

/// What an experiment counts.
#[derive(Clone, Debug)]
pub struct Goal {
    pub stream: String,
    pub value: Option<String>,
    /// ms
    pub within: Option<i64>,
    pub steps: Vec<String>,
}

pub fn of(key: &str, options: &BTreeMap<String, Json>) -> Publication {
    let text = |name: &str| options.get(name).and_then(|value| value.as_str());
    let experiment = options.get("experiment").map(|experiment| {
        let share: f64 = experiment["holdout"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
        (share / 100.0, experiment["salt"].as_str().unwrap_or(key).to_owned())
    });
    let goal = options.get("experiment").and_then(goal);
    Publication { entry: text("entry").unwrap_or("always").to_owned(), expiring: text("expiring").map(millis), experiment, goal }
}

fn goal(experiment: &Json) -> Option<Goal> {
    let text = |value: &Json| value.as_str().map(String::from);
    let steps = experiment["steps"].as_array().into_iter().flatten().filter_map(text).collect();
    let within = experiment["within"].as_str().map(millis);
    Some(Goal { stream: text(&experiment["goal"])?, value: text(&experiment["value"]), within, steps })
}

impl Goal {
    /// The streams of the funnel, the goal's own last; empty where no steps are named.
    pub fn funnel(&self) -> Vec<&str> {
        if self.steps.is_empty() { Vec::new() } else { self.steps.iter().chain([&self.stream]).map(String::as_str).collect() }
    }
}

impl Publication {
    pub fn arm(&self, customer: &CustomerId) -> Option<Arm> {
        let (share, salt) = self.experiment.as_ref()?;
        let place = xxh3_64(format!("{salt}\0{customer}").as_bytes()) as f64 / 2f64.powi(64);
        Some(if place < *share { Arm::Control } else { Arm::Treatment })
    }

    /// Whether an entry is let through; `before`: all entries before it with whether they were.
    pub fn lets_through(&self, at: i64, before: &[(i64, bool)]) -> bool {
        match self.entry.split_whitespace().collect::<Vec<_>>()[..] {
            ["always"] => true,
            ["once"] => before.is_empty(),
            ["at_most", most] => before.len() < most.parse().unwrap(),
            ["after", span] => before.iter().filter(|(_, through)| *through).all(|(earlier, _)| at - earlier >= millis(span)),
            _ => panic!("no entry policy: {}", self.entry),
        }
    }
}

fn millis(text: &str) -> i64 {
    Span::parse(text).unwrap().millis()
}
