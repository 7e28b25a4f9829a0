//! Experiments over the partitions of a running process, counted from what is committed.
//!
//! A count reads every customer, a slice at a time, beside the lanes. One runs at a time, and whoever asks while the last one
//! is fresh gets that: asking often does not cost more. For metrics a thread asks again and again, at its leisure.
//!
//! **Invariant:** a count is of one plan. Each customer is counted once, as of one transaction of its partition, and no
//! partition is left out silently: those that were counted are named.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::Shutdown;
use super::clock::{self, Deadline};
use super::committed::{Committed, Reading, Unread};
use super::task::Slice;
use crate::experiment::{Arms, earliest};
use crate::id::{Partition, SegmentKey};
use crate::metrics::ExperimentMetrics;
use crate::plan::Plan;
use crate::time::EventTime;

/// How long a count is good for, at least.
const FRESH: Duration = Duration::from_secs(10);

/// And at least so many times as long as it took: reading everybody takes no more than this share of a thread.
const REST: u32 = 10;

/// How old the metrics may become, at least.
const SHOWN: Duration = Duration::from_secs(60);

/// And at least so many times as long as a count takes: a hundredth of a thread, for who may not be looking at all.
const LEISURE: u32 = 100;

/// How often it is looked whether to count for them: partitions that have come or gone are counted this soon.
const LOOK: Duration = Duration::from_secs(15);

/// How long a stop may have to wait for a thread that has nothing to do.
const POLL: Duration = Duration::from_millis(250);

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
#[derive(Clone)]
pub struct Measuring {
    last: Arc<Mutex<Option<Last>>>,
    metrics: Arc<ExperimentMetrics>,
}

struct Last {
    counted: Arc<Counted>,
    finished: Instant,
    took: Duration,
}

impl Measuring {
    pub fn new(metrics: Arc<ExperimentMetrics>) -> Measuring {
        Measuring { last: Arc::default(), metrics }
    }

    /// The last count while it is fresh, or a new one: reads all of the disk, off the threads that serve.
    ///
    /// Errors: [`Unread::NotYet`] where nothing can be read, another count is under way, or definitions changed on the way;
    /// what the disk reports.
    pub fn count(&self, committed: &Committed) -> Result<Arc<Counted>, Unread> {
        let mut last = match self.last.try_lock() {
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
        self.metrics.count(clock::wall(), counted.experiments());
        *last = Some(Last { counted: counted.clone(), finished: clock::now(), took: began.elapsed() });
        Ok(counted)
    }

    /// Counts for the metrics, until `stop`.
    pub fn follow(&self, committed: &Committed, stop: &Shutdown) {
        let mut look = Deadline::after(Duration::ZERO);
        while !stop.is_requested() {
            if look.is_past() {
                self.show(committed);
                look = Deadline::after(LOOK);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Shows in metrics what is there to be counted, unless the last count will do.
    fn show(&self, committed: &Committed) {
        let partitions = committed.running();
        let Some(first) = partitions.first() else {
            // Whoever has them now shows what is in them.
            self.metrics.clear();
            return;
        };
        let Ok((plan, _)) = committed.read(*first, |reading| Ok(reading.plan.clone())) else { return };
        if plan.experiments.is_empty() {
            self.metrics.clear();
        } else if self.is_due(&plan, &partitions)
            && let Err(Unread::Store(error)) = self.count(committed)
        {
            tracing::warn!(%error, "experiments cannot be counted for metrics");
        }
    }

    fn is_due(&self, plan: &Arc<Plan>, partitions: &[Partition]) -> bool {
        let Ok(last) = self.last.try_lock() else { return false };
        let will_do = |last: &Last| {
            last.finished.elapsed() < SHOWN.max(last.took * LEISURE)
                && last.counted.partitions == partitions
                && Arc::ptr_eq(&last.counted.plan, plan)
        };
        !last.as_ref().is_some_and(will_do)
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
    /// Of each experiment its segment, the share held out, and both arms.
    fn experiments(&self) -> impl Iterator<Item = (&SegmentKey, f64, &Arms)> {
        let experiments = self.plan.experiments.iter().zip(&self.sums);
        experiments.map(|(experiment, arms)| (&self.plan.segments[experiment.segment].key, experiment.definition.holdout.share(), arms))
    }

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
