//! What the partitions of this process have committed, for those who read it beside the lanes.
//!
//! ```text
//! lane ──shows, hides──▶ Committed ◀──reads── http
//! ```
//!
//! A store is written once its transaction is known to be committed: whoever reads the store reads what is committed.
//!
//! **Invariant:** no lane waits for a reader, and no reader for a lane. What was read of a partition that was hidden meanwhile
//! (it went, or is being restored) is no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use prometheus::IntGauge;

pub use super::census::Counts;
use super::census::Tally;
use super::clock::{self, Deadline};
use crate::id::{CustomerId, Offset, Partition, SegmentKey, TopicName};
use crate::kafka::partitioner;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::{Store, StoreError, View};
use crate::time::EventTime;

/// No commit is under way.
const NONE: i64 = i64::MAX;

/// How long a restore waits for readers to let go of the store; each has it for one answer.
const LET_GO: Duration = Duration::from_secs(10);

/// Of all partitions of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Committed(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Of the inputs; 0: not known yet.
    partitions: AtomicU32,
    /// The group has said which partitions are ours.
    assigned: AtomicBool,
    ours: RwLock<BTreeMap<Partition, Place>>,
    /// Every store that was shown last: it may still be open when its partition is gone.
    stores: Mutex<BTreeMap<Partition, Weak<Store>>>,
}

enum Place {
    Restoring,
    Running(Arc<Shown>),
}

/// One partition at work.
struct Shown {
    store: Weak<Store>,
    plan: RwLock<Arc<Plan>>,
    /// The task clock, once everything that was due before it is committed.
    clock: AtomicI64,
    /// When the commit that is under way began, by the wall clock; [`NONE`].
    committing: AtomicI64,
    /// The next offset of each input after what is committed; none before the first commit here.
    read_to: Mutex<Vec<(TopicName, Offset)>>,
    lag: AtomicU64,
    hidden: AtomicBool,
    tally: Mutex<Tally>,
}

/// A lane's hold on a partition that it shows; dropped, the partition is hidden.
pub struct Showing {
    committed: Committed,
    partition: Partition,
    shown: Arc<Shown>,
}

/// Where the members of a partition are counted.
#[derive(Clone)]
pub struct Counted(Arc<Shown>);

/// How fresh an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Everything that was committed by then is in the answer.
    pub as_of: EventTime,
    /// Of the partition; [`EventTime::MIN`]: it has seen nothing.
    pub task_clock: EventTime,
    /// Records of the partition's inputs that were not committed yet, when it was last looked at.
    pub lag: u64,
}

/// A partition as of one transaction.
pub struct Reading<'a> {
    pub view: View<'a>,
    pub plan: Arc<Plan>,
    /// See [`Freshness::task_clock`].
    pub clock: EventTime,
}

/// Why there is no answer.
#[derive(thiserror::Error, Debug)]
pub enum Unread {
    /// Ask again later.
    #[error("the customer's partition is not ready: this process is starting, or restoring it")]
    NotYet,
    /// Ask whoever owns it.
    #[error("the customer's partition belongs to another process")]
    Elsewhere(Partition),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Committed {
    /// Of how many partitions some are ours.
    pub fn set_partitions(&self, partitions: u32) {
        self.0.partitions.store(partitions, Ordering::SeqCst);
    }

    /// How many partitions the inputs have; 0: not known yet.
    pub fn partitions(&self) -> u32 {
        self.0.partitions.load(Ordering::SeqCst)
    }

    /// The group has spoken.
    pub fn assigned(&self) {
        self.0.assigned.store(true, Ordering::SeqCst);
    }

    /// A partition has come, and is not ready.
    pub fn restoring(&self, partition: Partition) {
        self.ours_mut().insert(partition, Place::Restoring);
    }

    /// A partition has gone.
    pub fn gone(&self, partition: Partition) {
        self.ours_mut().remove(&partition);
    }

    /// Shows a partition to readers for as long as the lane keeps what is given back.
    pub fn show(&self, partition: Partition, store: &Arc<Store>, plan: Arc<Plan>, clock: EventTime) -> Showing {
        let shown = Arc::new(Shown {
            store: Arc::downgrade(store),
            plan: RwLock::new(plan),
            clock: AtomicI64::new(clock.millis()),
            committing: AtomicI64::new(NONE),
            read_to: Mutex::default(),
            lag: AtomicU64::new(0),
            hidden: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        self.stores().insert(partition, shown.store.clone());
        self.ours_mut().insert(partition, Place::Running(shown.clone()));
        Showing { committed: self.clone(), partition, shown }
    }

    /// The next offset of an input after what is committed. `None`: nothing has been committed here yet.
    pub fn read_to(&self, partition: Partition, topic: &TopicName) -> Option<Offset> {
        let ours = self.ours();
        let Some(Place::Running(shown)) = ours.get(&partition) else { return None };
        shown.read_to().iter().find(|(name, _)| name == topic).map(|(_, next)| *next)
    }

    /// Notes how many records of a partition's inputs are not committed yet.
    pub fn note_lag(&self, partition: Partition, lag: u64) {
        if let Some(Place::Running(shown)) = self.ours().get(&partition) {
            shown.lag.store(lag, Ordering::Relaxed);
        }
    }

    /// How many records of the inputs are not committed yet, over all partitions that can be read.
    pub fn lag(&self) -> u64 {
        let lag = |place: &Place| if let Place::Running(shown) = place { shown.lag.load(Ordering::Relaxed) } else { 0 };
        self.ours().values().map(lag).sum()
    }

    /// Waits until no reader has the store of a partition any more: a store cannot be opened twice.
    pub fn await_closed(&self, partition: Partition) {
        let deadline = Deadline::after(LET_GO);
        let is_open = || self.stores().get(&partition).is_some_and(|store| store.strong_count() > 0);
        while is_open() && !deadline.is_past() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The partitions that can be read, ascending.
    pub fn running(&self) -> Vec<Partition> {
        let ours = self.ours();
        ours.iter().filter(|(_, place)| matches!(place, Place::Running(_))).map(|(partition, _)| *partition).collect()
    }

    /// The partitions that are ours, whether or not they can be read; `None`: the group has not said which they are.
    pub fn owned(&self) -> Option<BTreeSet<Partition>> {
        self.0.assigned.load(Ordering::SeqCst).then(|| self.ours().keys().copied().collect())
    }

    /// How many members a segment has among the customers of the partitions that can be read; `None`: they are still being
    /// counted.
    pub fn members(&self, segment: &SegmentKey) -> Option<i64> {
        let ours = self.ours();
        let shown = ours.values().filter_map(|place| if let Place::Running(shown) = place { Some(shown) } else { None });
        shown.map(|shown| Some(shown.tally()).filter(|tally| tally.complete).map(|tally| tally.members(segment))).sum()
    }

    /// The same among the customers of some of these partitions.
    pub fn members_of(&self, segment: &SegmentKey, partitions: &[Partition]) -> Option<i64> {
        let ours = self.ours();
        let tally = |partition: &Partition| match ours.get(partition) {
            Some(Place::Running(shown)) => Some(shown.tally()).filter(|tally| tally.complete).map(|tally| tally.members(segment)),
            _ => None,
        };
        partitions.iter().map(tally).sum()
    }

    /// The partition of a customer, as its events are keyed; `None`: not known yet.
    pub fn partition_of(&self, customer: &CustomerId) -> Option<Partition> {
        let partitions = Some(self.partitions()).filter(|partitions| *partitions > 0)?;
        Some(partitioner::partition(customer.as_str().as_bytes(), partitions))
    }

    /// Reads a customer's partition.
    pub fn read_of<T>(
        &self,
        customer: &CustomerId,
        read: impl FnOnce(&Reading<'_>) -> Result<T, StoreError>,
    ) -> Result<(T, Freshness), Unread> {
        self.read(self.partition_of(customer).ok_or(Unread::NotYet)?, read)
    }

    /// Reads a partition. `read` has the store until it returns: it must not take long.
    pub fn read<T>(
        &self,
        partition: Partition,
        read: impl FnOnce(&Reading<'_>) -> Result<T, StoreError>,
    ) -> Result<(T, Freshness), Unread> {
        let shown = self.shown(partition)?;
        let store = shown.store.upgrade().ok_or(Unread::NotYet)?;
        // Before the view is taken: the view may be newer than this says, and never older.
        let freshness = shown.freshness();
        let plan = shown.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        let result = read(&Reading { view: store.view(), plan, clock: freshness.task_clock });
        if shown.hidden.load(Ordering::SeqCst) {
            return Err(Unread::NotYet);
        }
        Ok((result?, freshness))
    }

    fn shown(&self, partition: Partition) -> Result<Arc<Shown>, Unread> {
        match self.ours().get(&partition) {
            Some(Place::Running(shown)) => Ok(shown.clone()),
            Some(Place::Restoring) => Err(Unread::NotYet),
            None if self.0.assigned.load(Ordering::SeqCst) => Err(Unread::Elsewhere(partition)),
            None => Err(Unread::NotYet),
        }
    }

    fn ours(&self) -> RwLockReadGuard<'_, BTreeMap<Partition, Place>> {
        self.0.ours.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ours_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Partition, Place>> {
        self.0.ours.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn stores(&self) -> MutexGuard<'_, BTreeMap<Partition, Weak<Store>>> {
        self.0.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    pub fn is_hidden(&self) -> bool {
        self.0.hidden.load(Ordering::SeqCst)
    }

    /// Takes in what was counted.
    pub fn complete(&self, counts: Counts, metrics: &Metrics) {
        let mut tally = self.0.tally();
        tally.add_customers(counts.customers, &metrics.state.customers);
        for (segment, members) in counts.members {
            if let Some(metrics) = metrics.transitions.segment(&segment) {
                tally.add(&segment, members, &metrics.members);
            }
        }
        tally.complete = true;
    }
}

impl Shown {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_to(&self) -> MutexGuard<'_, Vec<(TopicName, Offset)>> {
        self.read_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freshness(&self) -> Freshness {
        // The wall clock first: a commit that begins after it does not matter to it.
        let now = clock::wall().millis();
        let committing = self.committing.load(Ordering::SeqCst);
        let task_clock = EventTime::from_millis(self.clock.load(Ordering::SeqCst));
        Freshness { as_of: EventTime::from_millis(now.min(committing)), task_clock, lag: self.lag.load(Ordering::Relaxed) }
    }
}

impl Showing {
    /// How many customers the partition has; `None`: they are still being counted.
    pub fn customers(&self) -> Option<u64> {
        self.shown.tally().customers()
    }

    /// A transaction of the partition is about to be committed: until it is stored, answers are as of before it. If it is
    /// refused they stay so until one succeeds, since somebody else may own the partition.
    pub fn committing(&self) {
        let committing = &self.shown.committing;
        let began = committing.load(Ordering::SeqCst).min(clock::wall().millis());
        committing.store(began, Ordering::SeqCst);
    }

    /// The transaction is stored. `read_to`: the next offset of each input.
    pub fn stored(&self, clock: EventTime, read_to: &[(TopicName, Offset)]) {
        self.passed(clock);
        read_to.clone_into(&mut self.shown.read_to());
        self.shown.committing.store(NONE, Ordering::SeqCst);
    }

    /// Everything that was due before `clock` is stored.
    pub fn passed(&self, clock: EventTime) {
        self.shown.clock.store(clock.millis(), Ordering::SeqCst);
    }

    /// Somebody has entered a segment (1) or left it (-1).
    pub fn moved(&self, segment: &SegmentKey, by: i64, gauge: &IntGauge) {
        self.shown.tally().add(segment, by, gauge);
    }

    /// By how many customers there are more.
    pub fn came(&self, by: i64, gauge: &IntGauge) {
        self.shown.tally().add_customers(by, gauge);
    }

    pub fn counted(&self) -> Counted {
        Counted(self.shown.clone())
    }

    /// Another plan is in force.
    pub fn redefined(&self, plan: Arc<Plan>) {
        *self.shown.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.shown.hidden.store(true, Ordering::SeqCst);
        self.shown.tally().close();
        let mut ours = self.committed.ours_mut();
        if let Some(place) = ours.get_mut(&self.partition)
            && matches!(place, Place::Running(shown) if Arc::ptr_eq(shown, &self.shown))
        {
            *place = Place::Restoring;
        }
    }
}
