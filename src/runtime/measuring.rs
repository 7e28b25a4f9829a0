//! Experiments over the partitions of a running process, counted from what is committed.
//!
//! A count reads every customer, a slice at a time, beside the lanes. One runs at a time, and whoever asks within
//! [`FRESH`] of the last one gets that: asking often does not cost more.
//!
//! **Invariant:** a count is of one plan. Each customer is counted once, as of one transaction of its partition, and no
//! partition is left out silently: those that were counted are named.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::clock;
use super::committed::{Committed, Unread};
use super::task::Slice;
use crate::experiment::Arms;
use crate::id::Partition;
use crate::plan::Plan;
use crate::time::EventTime;

/// How long a count is good for.
const FRESH: Duration = Duration::from_secs(10);

/// Everything that was counted at one time.
#[derive(Debug)]
pub struct Counted {
    pub plan: Arc<Plan>,
    /// The earliest task clock of the partitions; [`EventTime::MIN`]: none has seen anything.
    pub as_of: EventTime,
    /// Those of this process that could be read, ascending.
    pub partitions: Vec<Partition>,
    /// Of each experiment of the plan.
    pub sums: Vec<Arms>,
}

/// The last count. Cheap to clone.
#[derive(Clone, Default)]
pub struct Measuring(Arc<Mutex<Option<(Instant, Arc<Counted>)>>>);

impl Measuring {
    /// The last count while it is fresh, or a new one: reads all of the disk, off the threads that serve.
    ///
    /// Errors: [`Unread::NotYet`] where nothing can be read, or definitions changed on the way; what the disk reports.
    pub fn count(&self, committed: &Committed) -> Result<Arc<Counted>, Unread> {
        // Held while it counts: who comes meanwhile waits for the same count.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((began, counted)) = &*last
            && began.elapsed() < FRESH
            && counted.partitions == committed.running()
        {
            return Ok(counted.clone());
        }
        let began = clock::now();
        let counted = Arc::new(count(committed)?);
        *last = Some((began, counted.clone()));
        Ok(counted)
    }
}

fn count(committed: &Committed) -> Result<Counted, Unread> {
    let partitions = committed.running();
    let mut counted: Option<Counted> = None;
    for partition in &partitions {
        let (plan, clock, sums) = count_partition(committed, *partition)?;
        match &mut counted {
            None => counted = Some(Counted { plan, as_of: clock, partitions: partitions.clone(), sums }),
            Some(counted) if Arc::ptr_eq(&counted.plan, &plan) => {
                counted.as_of = counted.as_of.min(clock);
                counted.sums.iter_mut().zip(&sums).for_each(|(sum, arms)| sum.add(arms));
            }
            Some(_) => return Err(Unread::NotYet),
        }
    }
    counted.ok_or(Unread::NotYet)
}

/// The plan by which a partition was counted, its clock when the count began, and the sums.
fn count_partition(committed: &Committed, partition: Partition) -> Result<(Arc<Plan>, EventTime, Vec<Arms>), Unread> {
    let ((plan, clock), _) = committed.read(partition, |reading| Ok((reading.plan.clone(), reading.clock)))?;
    let (mut slice, mut sums) = (Slice::default(), vec![Arms::default(); plan.experiments.len()]);
    loop {
        let count = |reading: &super::committed::Reading<'_>| {
            let same = Arc::ptr_eq(&reading.plan, &plan);
            Ok((same, same && slice.count(&plan, &reading.view, clock, &mut sums)?))
        };
        match committed.read(partition, count)?.0 {
            (false, _) => return Err(Unread::NotYet),
            (true, true) => {}
            (true, false) => return Ok((plan, clock, sums)),
        }
    }
}
