//! How far each partition is on its way to running, for `/readyz` and the gauge `tasks`.
//!
//! **Invariant:** written by whoever moves a task, read by nobody who decides: a wrong word here is only a wrong word.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Observed;
use super::status::{Check, Condition};
use crate::id::{Partition, TopicName};

/// The life of a task, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its store is still held by an earlier share of the partition.
    Waiting,
    Replaying,
    Claiming,
    Confirming,
    Running,
}

impl State {
    /// As the label `state` says it.
    pub const NAMES: [&'static str; 5] = ["waiting", "replaying", "claiming", "confirming", "running"];

    pub fn as_str(self) -> &'static str {
        State::NAMES[self as usize]
    }
}

pub struct Progress {
    observed: Observed,
    inputs: Vec<TopicName>,
    states: Mutex<BTreeMap<Partition, State>>,
}

impl Progress {
    pub fn new(observed: Observed, inputs: Vec<TopicName>) -> Progress {
        Progress { observed, inputs, states: Mutex::default() }
    }

    /// A partition has come, or its task has moved on.
    pub fn moved(&self, partition: Partition, state: State) {
        if state != State::Running {
            self.observed.committed.restoring(partition);
        }
        self.change(|states| states.insert(partition, state));
    }

    /// A partition has gone.
    pub fn gone(&self, partition: Partition) {
        self.observed.committed.gone(partition);
        self.change(|states| states.remove(&partition));
        self.observed.metrics.tasks.forget(&self.inputs, partition);
    }

    /// The group has spoken; perhaps it gave us nothing, and then nothing is behind.
    pub fn rebalanced(&self) {
        self.observed.committed.assigned();
        self.change(|_| None);
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Partition, State>) -> Option<State>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut states);
        for (index, name) in State::NAMES.iter().enumerate() {
            let count = states.values().filter(|state| **state as usize == index).count();
            self.observed.metrics.tasks.in_state(name).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let status = &self.observed.status;
        let behind: Vec<_> = states.iter().filter(|(_, state)| **state != State::Running).collect();
        match behind.first() {
            None => {
                status.set(Check::Restored, Condition::met(format!("{} tasks", states.len())));
                status.set(Check::Reading, Condition::met(format!("{} tasks", states.len())));
            }
            Some((partition, state)) => {
                let detail =
                    format!("partition {} is {}; {} of {} are not running", partition.0, state.as_str(), behind.len(), states.len());
                status.set(Check::Restored, Condition::unmet(detail.clone()));
                status.set(Check::Reading, Condition::unmet(detail));
            }
        }
    }
}
