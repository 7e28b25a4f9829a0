//! What came of experiments, as it was counted last.
//!
//! Sums, so that those of several processes can be added up. Whether the arms are as they were dealt follows from the sums of
//! all processes, and so does everything else: nothing here is estimated.
//!
//! **Invariant:** an experiment that is not measured any more shows nothing, rather than what it once was.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Result};

use super::Declare;
use crate::experiment::{Arm, Arms};
use crate::id::SegmentKey;
use crate::time::EventTime;

pub struct ExperimentMetrics {
    exposed: IntGaugeVec,
    open: IntGaugeVec,
    converted: IntGaugeVec,
    goals: IntGaugeVec,
    value: GaugeVec,
    holdout: GaugeVec,
    /// When the last count was made, in Unix time; 0: none was.
    counted: IntGauge,
    /// Those that are shown.
    shown: Mutex<BTreeSet<SegmentKey>>,
}

impl ExperimentMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<ExperimentMetrics> {
        let by_arm = ["experiment", "arm"];
        Ok(ExperimentMetrics {
            exposed: declare.gauges("segmentd_experiment_exposed", "Customers of this process who were exposed", &by_arm)?,
            open: declare.gauges("segmentd_experiment_open", "Of the exposed, those whose time is not over", &by_arm)?,
            converted: declare.gauges("segmentd_experiment_converted", "Of the exposed, those with an event of the goal", &by_arm)?,
            goals: declare.gauges("segmentd_experiment_goals", "Events of the goal", &by_arm)?,
            value: declare.float_gauges("segmentd_experiment_value", "The values of these events added up, rounded", &by_arm)?,
            holdout: declare.float_gauges(
                "segmentd_experiment_holdout_ratio",
                "The share that is due in the control arm",
                &["experiment"],
            )?,
            counted: declare
                .gauge("segmentd_experiments_counted_timestamp_seconds", "When these were counted last, in Unix time; 0: never")?,
            shown: Mutex::default(),
        })
    }

    /// Shows what was counted at `wall`, and nothing else: of each experiment its segment, the share held out, and both arms.
    pub fn count<'a>(&self, wall: EventTime, counted: impl IntoIterator<Item = (&'a SegmentKey, f64, &'a Arms)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut *shown);
        for (experiment, holdout, arms) in counted {
            gone.remove(experiment);
            self.show(experiment, holdout, arms);
            shown.insert(experiment.clone());
        }
        gone.iter().for_each(|experiment| self.hide(experiment));
        self.counted.set(wall.millis().div_euclid(1000));
    }

    /// Nothing is counted here any more.
    pub fn clear(&self) {
        let gone = std::mem::take(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner));
        gone.iter().for_each(|experiment| self.hide(experiment));
    }

    fn show(&self, experiment: &SegmentKey, holdout: f64, arms: &Arms) {
        self.holdout.with_label_values(&[experiment.as_str()]).set(holdout);
        for arm in Arm::ALL {
            let (labels, figures) = ([experiment.as_str(), arm.as_str()], arms.of(arm));
            let counts = [figures.exposed, figures.open, figures.converted, figures.goals];
            for (gauge, count) in self.counts().into_iter().zip(counts) {
                gauge.with_label_values(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            self.value.with_label_values(&labels).set(figures.value.approximate());
        }
    }

    /// What is counted of each arm.
    fn counts(&self) -> [&IntGaugeVec; 4] {
        [&self.exposed, &self.open, &self.converted, &self.goals]
    }

    fn hide(&self, experiment: &SegmentKey) {
        // An error says that there is no such series: nothing to take away.
        let _ = self.holdout.remove_label_values(&[experiment.as_str()]);
        for labels in Arm::ALL.map(|arm| [experiment.as_str(), arm.as_str()]) {
            self.counts().into_iter().for_each(|gauge| drop(gauge.remove_label_values(&labels)));
            let _ = self.value.remove_label_values(&labels);
        }
    }
}
