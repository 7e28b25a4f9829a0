//! The partitions that a lane has, and how each gets from assigned to running.
//!
//! **Invariant:** at most one store of a partition is open: a share waits while the restore of an earlier share of the
//! same partition still has it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::Letter;
use super::definitions::Scan;
use super::parts::Parts;
use super::ranks::Telling;
use super::{Lane, Mail, RunError, Store};
use crate::id::{Offset, Partition, TopicName};
use crate::runtime::census;
use crate::runtime::committed::Showing;
use crate::runtime::footprint::Footprint;
use crate::runtime::mail::{Feed, Request};
use crate::runtime::ownership::Token;
use crate::runtime::progress::State;
use crate::runtime::restore::{self, Replayed, RestoreError, Restored, Site};
use crate::runtime::task::Task;
use crate::store::StoreError;

/// A partition that was assigned to this lane.
pub struct Share {
    pub token: Token,
    pub stage: Stage,
}

pub enum Stage {
    Waiting,
    /// A thread has the store.
    Replaying,
    Claiming(Box<Replayed>),
    /// A thread has the store.
    Confirming,
    Running(Box<Running>),
}

/// A task at work, and what its open batch adds to the task's own.
pub struct Running {
    pub task: Task,
    pub feed: Feed,
    /// The next offset to read of each input here.
    pub offsets: Vec<(TopicName, Offset)>,
    /// Of parcels whose last part is still to come.
    pub parts: Parts,
    /// Of the last committed transaction.
    pub number: u64,
    /// Where a restore would go on in the changelog: never past what the store holds. Aborted transactions take offsets
    /// that are not counted here; then a restore reads a little again, which changes nothing.
    pub changelog_next: Offset,
    pub letters: Vec<Letter>,
    /// Inputs that have been read to their ends.
    pub ended: BTreeSet<TopicName>,
    /// There is something to commit, if only offsets.
    pub open: bool,
    /// Timestamps of the records that led to transitions of the open batch, milliseconds since 1970.
    pub caused: Vec<i64>,
    pub footprint: Footprint,
    /// Readers beside the lane see what is committed for as long as this is here.
    pub showing: Showing,
    /// The scan under way, as it was announced.
    pub scanning: Option<Scan>,
    pub telling: Telling,
}

impl Lane {
    pub(super) fn assigned(&mut self, partition: Partition, token: Token) {
        self.shares.insert(partition, Share { token, stage: Stage::Waiting });
        self.around.progress.moved(partition, State::Waiting);
        self.start_waiting();
    }

    pub(super) fn revoked(&mut self, partition: Partition, token: Token) {
        if self.shares.get(&partition).is_none_or(|share| share.token != token) {
            return;
        }
        if let Some(cancelled) = self.abroad.get(&partition) {
            cancelled.store(true, Ordering::Relaxed);
        }
        // Dropping the share closes its store; what the open batch had of it is gone with it.
        self.shares.remove(&partition);
        self.around.progress.gone(partition);
    }

    /// Every share begins the routine again; nothing of an open batch is kept.
    pub(super) fn restart_shares(&mut self) {
        let partitions: Vec<_> = self.shares.keys().copied().collect();
        for partition in partitions {
            self.restart(partition);
        }
        self.clear_batch();
    }

    fn restart(&mut self, partition: Partition) {
        let Some(share) = self.shares.get_mut(&partition) else { return };
        let store = match std::mem::replace(&mut share.stage, Stage::Waiting) {
            Stage::Running(running) => {
                let request = Request::Hold { partition, token: share.token };
                // The poller outlives the lanes.
                let _ = self.around.requests.send(request);
                Some(running.task.into_store())
            }
            Stage::Claiming(replayed) => Some(replayed.store),
            // A thread has the store. What it finds stays true whatever becomes of our producer.
            busy @ (Stage::Replaying | Stage::Confirming) => {
                share.stage = busy;
                return;
            }
            Stage::Waiting => None,
        };
        self.start(partition, store);
    }

    /// Starts the shares whose partition no thread has any more.
    pub(super) fn start_waiting(&mut self) {
        let waiting =
            self.shares.iter().filter(|(partition, share)| matches!(share.stage, Stage::Waiting) && !self.abroad.contains_key(partition));
        let partitions: Vec<_> = waiting.map(|(partition, _)| *partition).collect();
        for partition in partitions {
            self.start(partition, None);
        }
    }

    /// Steps 2 and 3, on a thread of their own.
    fn start(&mut self, partition: Partition, store: Option<Arc<Store>>) {
        let site = self.send_abroad(partition, Stage::Replaying);
        let outbox = self.outbox.clone();
        self.spawn(partition, move || {
            let result = restore::begin(&site, store);
            let _ = outbox.send(Mail::Replayed(site.partition, Box::new(result)));
        });
    }

    /// Steps 5 and 7, on a thread of their own.
    pub(super) fn confirm(&mut self, partition: Partition, replayed: Replayed, nonce: String) {
        let site = self.send_abroad(partition, Stage::Confirming);
        let outbox = self.outbox.clone();
        self.spawn(partition, move || {
            let result = restore::finish(&site, replayed, &nonce);
            let _ = outbox.send(Mail::Restored(site.partition, Box::new(result)));
        });
    }

    fn send_abroad(&mut self, partition: Partition, stage: Stage) -> Site {
        let cancelled = Arc::new(AtomicBool::new(false));
        self.around.progress.moved(partition, if matches!(stage, Stage::Confirming) { State::Confirming } else { State::Replaying });
        self.abroad.insert(partition, cancelled.clone());
        if let Some(share) = self.shares.get_mut(&partition) {
            share.stage = stage;
        }
        Site {
            settings: self.around.settings.clone(),
            stores: self.around.stores.clone(),
            remaining: self.around.observed.metrics.tasks.task(partition).restore_remaining,
            own_ids: self.around.own_ids.clone(),
            partition,
            cancelled,
            committed: self.around.observed.committed.clone(),
            blockers: self.around.blockers.clone(),
        }
    }

    fn spawn(&mut self, partition: Partition, work: impl FnOnce() + Send + 'static) {
        let name = format!("restore-{}", partition.0);
        if let Err(error) = std::thread::Builder::new().name(name).spawn(work) {
            tracing::error!(%error, "no thread for a restore; it is tried again");
            self.abroad.remove(&partition);
            if let Some(share) = self.shares.get_mut(&partition) {
                share.stage = Stage::Waiting;
            }
        }
    }

    /// A thread has come back. `false`: for a share that is gone; the result is to be dropped, with the store in it.
    fn comes_back(&mut self, partition: Partition) -> bool {
        let cancelled = self.abroad.remove(&partition).is_none_or(|cancelled| cancelled.load(Ordering::Relaxed));
        let expected = self.shares.get(&partition).is_some_and(|share| matches!(share.stage, Stage::Replaying | Stage::Confirming));
        expected && !cancelled
    }

    pub(super) fn replayed(&mut self, partition: Partition, result: Result<Replayed, RestoreError>) -> Result<(), RunError> {
        if !self.comes_back(partition) {
            drop(result);
            self.start_waiting();
            return Ok(());
        }
        match result {
            Ok(replayed) => {
                if let Some(share) = self.shares.get_mut(&partition) {
                    share.stage = Stage::Claiming(Box::new(replayed));
                    self.around.progress.moved(partition, State::Claiming);
                }
                Ok(())
            }
            Err(error) => self.restore_failed(partition, error),
        }
    }

    pub(super) fn restored(&mut self, partition: Partition, result: Result<Restored, RestoreError>) -> Result<(), RunError> {
        if !self.comes_back(partition) {
            drop(result);
            self.start_waiting();
            return Ok(());
        }
        match result {
            Ok(restored) => self.begin_running(partition, restored),
            Err(error) => self.restore_failed(partition, error),
        }
    }

    fn begin_running(&mut self, partition: Partition, restored: Restored) -> Result<(), RunError> {
        let Restored { store, offsets, taken_to, number, clock, decided, changelog_next } = restored;
        let task = Task::new(self.plan.clone(), &self.around.memory, store, clock, &decided).map_err(RunError::Store)?;
        self.feeds += 1;
        let feed = Feed((self.number as u64) << 48 | self.feeds);
        let Some(share) = self.shares.get_mut(&partition) else { return Ok(()) };
        let _ = self.around.requests.send(Request::Feed { partition, token: share.token, feed, offsets: offsets.clone() });
        tracing::info!(partition = partition.0, transaction = number, "task is running");
        let (letters, ended) = (Vec::new(), BTreeSet::new());
        let showing = self.around.observed.committed.show(partition, task.store(), self.plan.clone(), clock);
        census::begin(showing.counted(), task.store().clone(), self.plan.clone(), self.around.observed.metrics.clone());
        let footprint = Footprint::new(self.around.observed.metrics.state.clone());
        share.stage = Stage::Running(Box::new(Running {
            task,
            feed,
            offsets,
            parts: Parts::since(taken_to),
            number,
            changelog_next,
            letters,
            ended,
            open: false,
            caused: Vec::new(),
            footprint,
            showing,
            scanning: None,
            telling: Telling::new(),
        }));
        self.around.progress.moved(partition, State::Running);
        self.show_cuts(partition);
        self.announce(partition);
        Ok(())
    }

    fn restore_failed(&mut self, partition: Partition, error: RestoreError) -> Result<(), RunError> {
        match error {
            RestoreError::Halt(reason) => return Err(RunError::Halted(reason)),
            RestoreError::Store(error @ (StoreError::Newer { .. } | StoreError::Foreign { .. })) => return Err(RunError::Store(error)),
            error => tracing::warn!(partition = partition.0, %error, "the restore begins again"),
        }
        if let Some(share) = self.shares.get_mut(&partition) {
            share.stage = Stage::Waiting;
        }
        // A disk or a broker that fails at once must not be asked ten thousand times a second.
        std::thread::sleep(std::time::Duration::from_millis(100));
        self.start_waiting();
        Ok(())
    }

    pub(super) fn running_mut(&mut self, partition: Partition) -> Option<&mut Running> {
        self.shares.get_mut(&partition)?.running_mut()
    }
}

impl Share {
    pub fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.stage {
            Stage::Running(running) => Some(running),
            _ => None,
        }
    }

    /// At work, and reading so.
    pub fn is_fed(&self, feed: Feed) -> bool {
        matches!(&self.stage, Stage::Running(running) if running.feed == feed)
    }
}

impl Running {
    /// The open batch is in the changelog and in the store: nothing of it is open any more.
    pub fn committed(&mut self, changelog_next: Offset) {
        self.number += 1;
        self.showing.stored(self.task.clock(), &self.offsets);
        self.changelog_next = changelog_next;
        self.letters.clear();
        self.caused.clear();
        self.telling.committed();
        self.open = false;
    }
}
