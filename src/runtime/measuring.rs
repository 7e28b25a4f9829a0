//! Experiments over the partitions of a running process, counted from what is committed.
//!
//! A count reads every customer, a slice at a time, beside the lanes. One runs at a time, and whoever asks while the last one
//! is fresh gets that: asking often does not cost more.
//!
//! **Invariant:** a count is of one plan. Each customer is counted once, as of one transaction of its partition, and no
//! partition is left out silently: those that were counted are named.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::clock;
use super::committed::{Committed, Reading, Unread};
use super::task::Slice;
use crate::experiment::{Arms, earliest};
use crate::id::Partition;
use crate::plan::Plan;
use crate::time::EventTime;

/// How long a count is good for, at least.
const FRESH: Duration = Duration::from_secs(10);

/// And at least so many times as long as it took: reading everybody takes no more than this share of a thread.
const REST: u32 = 10;

/// Everything that was counted at one time.
#[derive(Debug)]
pub struct Counted {
    pub plan: Arc<Plan>,
    /// The earliest task clock of the partitions; `None`: none has seen anything.
    pub as_of: Option<EventTime>,
    /// Those of this process that could be read, ascending.
    pub partitions: Vec<Partition>,
    /// Of each experiment of the plan.
    pub sums: Vec<Arms>,
}

/// The last count. Cheap to clone.
#[derive(Clone, Default)]
pub struct Measuring(Arc<Mutex<Option<Last>>>);

struct Last {
    counted: Arc<Counted>,
    finished: Instant,
    took: Duration,
}

impl Measuring {
    /// The last count while it is fresh, or a new one: reads all of the disk, off the threads that serve.
    ///
    /// Errors: [`Unread::NotYet`] where nothing can be read, another count is under way, or definitions changed on the way;
    /// what the disk reports.
    pub fn count(&self, committed: &Committed) -> Result<Arc<Counted>, Unread> {
        let mut last = match self.0.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(last)) => last.into_inner(),
            // Who waited would keep a thread from reading customers.
            Err(TryLockError::WouldBlock) => return Err(Unread::NotYet),
        };
        let fresh = |last: &&Last| last.finished.elapsed() < FRESH.max(last.took * REST) && last.counted.partitions == committed.running();
        if let Some(last) = last.as_ref().filter(fresh) {
            return Ok(last.counted.clone());
        }
        let began = clock::now();
        let counted = Arc::new(count(committed)?);
        *last = Some(Last { counted: counted.clone(), finished: clock::now(), took: began.elapsed() });
        Ok(counted)
    }
}

fn count(committed: &Committed) -> Result<Counted, Unread> {
    let mut all: Option<Counted> = None;
    for partition in committed.running() {
        let counted = count_partition(committed, partition)?;
        match &mut all {
            None => all = Some(counted),
            Some(all) if Arc::ptr_eq(&all.plan, &counted.plan) => all.add(&counted),
            Some(_) => return Err(Unread::NotYet),
        }
    }
    all.ok_or(Unread::NotYet)
}

impl Counted {
    fn add(&mut self, other: &Counted) {
        self.as_of = earliest(self.as_of, other.as_of);
        self.partitions.extend(&other.partitions);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, arms)| sum.add(arms));
    }
}

/// As of the clock at which it begins.
fn count_partition(committed: &Committed, partition: Partition) -> Result<Counted, Unread> {
    let ((plan, clock), _) = committed.read(partition, |reading| Ok((reading.plan.clone(), reading.clock)))?;
    let (mut slice, mut sums) = (Slice::default(), vec![Arms::default(); plan.experiments.len()]);
    loop {
        let count = |reading: &Reading<'_>| {
            let same = Arc::ptr_eq(&reading.plan, &plan);
            Ok((same, same && slice.count(&plan, &reading.view, clock, &mut sums)?))
        };
        match committed.read(partition, count)?.0 {
            (false, _) => return Err(Unread::NotYet),
            (true, true) => {}
            (true, false) => {
                let as_of = Some(clock).filter(|clock| *clock != EventTime::MIN);
                return Ok(Counted { plan, as_of, partitions: vec![partition], sums });
            }
        }
    }
}
