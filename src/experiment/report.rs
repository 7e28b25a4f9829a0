//! An experiment's report: what its arms amount to, how they compare, and what that lets one say.
//!
//! **Invariant:** a report is made from sums and the definition alone, so that whoever has the sums of every partition has
//! the report.

mod document;

pub use document::Document;

use super::{Arms, Comparison, Experiment};
use crate::id::SegmentKey;
use crate::time::EventTime;

pub struct Report {
    pub segment: SegmentKey,
    pub experiment: Experiment,
    /// The task clock; of several, the earliest. `None`: nothing has happened yet.
    pub as_of: Option<EventTime>,
    pub arms: Arms,
    pub comparison: Comparison,
}

impl Report {
    pub fn new(segment: SegmentKey, experiment: Experiment, as_of: Option<EventTime>, arms: Arms) -> Report {
        let comparison = Comparison::of(&experiment, &arms);
        Report { segment, experiment, as_of, arms, comparison }
    }

    /// The streams of the funnel, in order; the goal's own is the last. Empty: no steps are named.
    pub fn steps(&self) -> Vec<&str> {
        let Some(goal) = self.experiment.goal.as_ref().filter(|goal| !goal.steps.is_empty()) else { return Vec::new() };
        goal.steps.iter().map(|step| step.as_str()).chain([goal.stream.as_str()]).collect()
    }

    /// With what another process counted. `None`: it is of another experiment.
    pub fn with(self, other: Report) -> Option<Report> {
        if self.segment != other.segment || self.experiment != other.experiment {
            return None;
        }
        let mut arms = self.arms;
        arms.add(&other.arms);
        Some(Report::new(self.segment, self.experiment, earliest(self.as_of, other.as_of), arms))
    }
}

/// Of two task clocks; one where nothing has happened yet holds nobody up.
pub fn earliest(one: Option<EventTime>, other: Option<EventTime>) -> Option<EventTime> {
    one.into_iter().chain(other).min()
}
