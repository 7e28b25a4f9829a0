//! Experiments compiled: what is counted of the customers who were exposed.
//!
//! **Invariant:** the rows that an experiment counts are kept: its streams are marked as measured, those of a funnel as
//! ordered too, and `within` is a window over each of them (for retention). The key of an experiment changes with its salt, that of a goal
//! with anything that would make another count of the same rows.

use xxhash_rust::xxh3::xxh3_64;

use super::StreamPlan;
use crate::event::Catalogue;
use crate::experiment::{Experiment, Goal};
use crate::rule::Definitions;
use crate::time::{EventTime, Span};

#[derive(Clone, Debug)]
pub struct ExperimentPlan {
    /// Position of its segment.
    pub segment: usize,
    /// Hash of segment and salt: exposures are found again by it.
    pub key: u64,
    /// As it was written.
    pub definition: Experiment,
    /// `None`: only the arms matter.
    pub goal: Option<GoalPlan>,
}

#[derive(Clone, Debug)]
pub struct GoalPlan {
    /// Never 0.
    pub key: u64,
    pub stream: usize,
    /// The cell whose sum is the value.
    pub value: Option<usize>,
    pub within: Option<Span>,
    /// Streams of the funnel, in order; the goal's own is the last. Empty: no steps are named.
    pub steps: Vec<usize>,
    /// How long after an event the order of steps may still change by others: the longest retention of their streams that is not
    /// for ever. `None`: there is none.
    pub settles_after: Option<Span>,
}

impl ExperimentPlan {
    /// The goal's key; 0: there is none.
    pub fn goal_key(&self) -> u64 {
        self.goal.as_ref().map_or(0, |goal| goal.key)
    }
}

impl GoalPlan {
    /// The last instant at which an event counts for somebody exposed at `at`; the first is the one after `at`.
    pub fn end(&self, at: EventTime) -> EventTime {
        self.within.map_or(EventTime::MAX, |within| at.plus(within))
    }

    fn streams(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().copied().chain([self.stream])
    }
}

/// Every experiment in the order of definition; marks the streams that they count.
pub(super) fn experiments(definitions: &Definitions, catalogue: &Catalogue, streams: &mut [StreamPlan]) -> Vec<ExperimentPlan> {
    let written = definitions.segments.iter().enumerate().filter_map(|(i, s)| Some((i, s, s.publication.experiment.as_ref()?)));
    let experiments: Vec<_> = written
        .map(|(segment, definition, experiment)| ExperimentPlan {
            segment,
            key: key(definition.key.as_str(), experiment),
            definition: experiment.clone(),
            goal: experiment.goal.as_ref().and_then(|written| goal(written, catalogue, streams)),
        })
        .collect();
    for goal in experiments.iter().filter_map(|experiment| experiment.goal.as_ref()) {
        goal.streams().for_each(|stream| streams[stream].measured = true);
        goal.steps.iter().for_each(|stream| streams[*stream].ordered = true);
    }
    experiments
}

/// The longest time after an exposure in which events of a stream count.
pub(super) fn longest_within(experiments: &[ExperimentPlan], stream: usize) -> Option<Span> {
    let goals = experiments.iter().filter_map(|experiment| experiment.goal.as_ref());
    goals.filter(|goal| goal.streams().any(|counted| counted == stream)).filter_map(|goal| goal.within).max()
}

/// Fills in how long the order of steps can change, once the streams know how long their events can.
pub(super) fn set_settling(experiments: &mut [ExperimentPlan], streams: &[StreamPlan]) {
    for goal in experiments.iter_mut().filter_map(|experiment| experiment.goal.as_mut()) {
        goal.settles_after = goal.steps.iter().filter_map(|stream| streams[*stream].retention).max();
    }
}

fn key(segment: &str, experiment: &Experiment) -> u64 {
    // NUL can stand in neither.
    xxh3_64([segment.as_bytes(), &[0], experiment.salt.as_bytes()].concat().as_slice())
}

fn goal(written: &Goal, catalogue: &Catalogue, streams: &[StreamPlan]) -> Option<GoalPlan> {
    let position = |name: &str| catalogue.find(name).map(|stream| usize::from(stream.0));
    let stream = position(&written.stream)?;
    let mut steps: Vec<usize> = written.steps.iter().filter_map(|step| position(step)).collect();
    if !steps.is_empty() {
        steps.push(stream);
    }
    let value = written.value.as_ref().and_then(|name| streams[stream].cells.iter().position(|(cell, _)| cell == name));
    Some(GoalPlan { key: goal_key(written), stream, value, within: written.within, steps, settles_after: None })
}

fn goal_key(goal: &Goal) -> u64 {
    let within = goal.within.map_or(0, Span::millis);
    let text = format!("{}\n{}\n{within}\n{}", goal.stream, goal.value.as_deref().unwrap_or_default(), goal.steps.join("\n"));
    xxh3_64(text.as_bytes()).max(1)
}
