//! A lane: one thread, one transactional producer, several tasks, one transaction over all of them.
//!
//! *Why lanes:* a transaction costs the broker about 3 ms of processor time and 0.5 ms for each further partition, so
//! eight tasks in one transaction cost a third of what they cost in eight.
//!
//! ```text
//! Waiting ─(the partition's store is free)→ Replaying ─→ Claiming ─(claim committed)→ Confirming ─→ Running
//!    ▲            steps 2, 3 on a thread of their own       step 4 here        steps 5, 7         │
//!    └──────────────────────── reset: the producer is dropped, every task starts again ──────────┘
//! ```
//!
//! **Invariant:** a share whose token is not in the pair that the transaction was begun under takes no part in it. What
//! a task computed but did not commit lives in the task alone: a share that goes takes it with it, unseen by anybody.

mod age;
mod allowance;
mod batch;
mod claim;
mod definitions;
mod errand;
mod figures;
mod pace;
mod parts;
mod ranks;
mod sender;
mod shares;
mod stretch;
mod transaction;
mod unfit;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::clock;
use super::footprint;
use super::mail::{Mail, Notice, Queued, Request};
use super::ownership::Published;
use super::precedence::stand_back_as_lane;
use super::progress::Progress;
use super::ranks::Board;
use super::restore::Blockers;
use super::status::Heartbeat;
use super::task::CustomerMemory;
use super::{Observed, RunError, Settings};
use crate::id::Partition;
use crate::kafka::wire::Decoder;
use crate::kafka::{Failure, TransactionalProducer, Verdict, verdict};
use crate::plan::Plan;
use crate::store::{Shared, Store};
use age::Age;
use allowance::Allowance;
use batch::Pending;
use figures::Figures;
use pace::Pace;
use shares::{Share, Stage};
use unfit::Unfit;

/// How often an idle lane looks at the wall clock.
const TICK: Duration = Duration::from_millis(20);

/// How often figures are shown that have to be asked for.
const SHOW: Duration = Duration::from_secs(2);

/// What every lane of a process shares.
#[derive(Clone)]
pub struct Surroundings {
    pub settings: Arc<Settings>,
    pub stores: Shared,
    pub memory: CustomerMemory,
    pub published: Published,
    pub requests: Sender<Request>,
    pub observed: Observed,
    pub progress: Arc<Progress>,
    /// What partitions tell of their customers' ranks.
    pub board: Board,
    /// Whose transactions restores have tried to end.
    pub blockers: Blockers,
    /// `{deployment}-{instance}-`: what the transactional ids of this process begin with.
    pub own_ids: Arc<str>,
    pub instance: Arc<str>,
}

impl Surroundings {
    /// Begins to read what partitions tell of ranks, once a plan ranks anybody.
    pub fn read_ranks(&self, plan: &Plan) {
        if !plan.rankings.is_empty() {
            self.board.follow(&self.settings.kafka, &self.settings.topics.ranks);
        }
    }
}

/// What a call of a lane can end with. The lane handles the first two itself.
enum Trouble {
    /// The transaction has to be aborted and sent again, under the next ownership.
    Redo(Failure),
    /// The producer is of no use, or the outcome of its commit is unknown.
    Reset(String),
    Fatal(RunError),
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Trouble {
        Trouble::Fatal(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        match verdict(&failure) {
            Verdict::AbortAndRedo => Trouble::Redo(failure),
            Verdict::DropProducer | Verdict::Resume => Trouble::Reset(failure.to_string()),
        }
    }
}

pub struct Lane {
    around: Surroundings,
    number: usize,
    producer: TransactionalProducer,
    heartbeat: Heartbeat,
    figures: Figures,
    /// When the stores were last asked for their figures.
    shown: Instant,
    inbox: Receiver<Mail>,
    /// For the threads that restore, which answer here.
    outbox: Sender<Mail>,
    queued: Arc<Queued>,
    shares: BTreeMap<Partition, Share>,
    /// Stores that a revoked share's restore still holds open, by partition.
    abroad: BTreeMap<Partition, Arc<AtomicBool>>,
    /// Handed on by the poller, not yet applied.
    pending: VecDeque<Pending>,
    /// What the engine failed on.
    unfit: Unfit,
    /// What all tasks of the lane decide by.
    plan: Arc<Plan>,
    decoder: Decoder,
    /// What they shall decide by from the next batch on.
    next_plan: Option<Arc<Plan>>,
    /// The same definitions with other lists, once nobody is decided anew any more.
    relisted: Option<Arc<Plan>>,
    /// Some task decides its customers anew.
    scanning: bool,
    /// The partition whose customers were looked at last.
    scanned: Partition,
    /// How long customers may be looked at while events come.
    allowance: Allowance,
    /// Customers that were looked at since the last commit.
    looked_at: u64,
    /// Records applied since the last commit.
    applied: usize,
    /// Of the open batch.
    age: Age,
    /// The batch must be committed before more is applied: a slice of timers is full.
    full: bool,
    stopping: bool,
    feeds: u64,
    pace: Pace,
    /// Since when the group has refused our transactions.
    refused_since: Option<Instant>,
}

impl Lane {
    /// Connects the lane's producer and fences its past.
    pub fn open(
        around: Surroundings,
        plan: Arc<Plan>,
        number: usize,
        inbox: Receiver<Mail>,
        outbox: Sender<Mail>,
        queued: Arc<Queued>,
    ) -> Result<Lane, RunError> {
        let producer = TransactionalProducer::connect(&around.settings.kafka, &format!("{}{number}", around.own_ids))?;
        let decoder = Decoder::new(&plan.catalogue, &plan.projection, around.settings.limits);
        let heartbeat = around.observed.status.heartbeat(format!("lane-{number}"));
        let allowance = Allowance::new(around.settings.commit.interval);
        let figures = Figures::new(around.observed.metrics.clone(), around.settings.inputs(), around.settings.clock.idle_delay, &plan);
        Ok(Lane {
            around,
            number,
            producer,
            heartbeat,
            figures,
            shown: clock::now(),
            inbox,
            outbox,
            queued,
            shares: BTreeMap::new(),
            abroad: BTreeMap::new(),
            pending: VecDeque::new(),
            unfit: Unfit::default(),
            plan,
            decoder,
            next_plan: None,
            relisted: None,
            scanning: false,
            scanned: Partition(0),
            allowance,
            looked_at: 0,
            applied: 0,
            age: Age::default(),
            full: false,
            stopping: false,
            feeds: 0,
            pace: Pace::UNKNOWN,
            refused_since: None,
        })
    }

    /// Runs until it is told to stop, and has committed what it could.
    pub fn run(mut self) -> Result<(), RunError> {
        stand_back_as_lane();
        self.init_producer()?;
        while !self.stopping {
            self.heartbeat.beat();
            self.wait_for_mail()?;
            if let Err(trouble) = self.step() {
                self.handle(trouble)?;
            }
            self.show();
        }
        self.abroad.values().for_each(|cancelled| cancelled.store(true, Ordering::Relaxed));
        match self.commit_batch() {
            Err(Trouble::Fatal(error)) => Err(error),
            Err(Trouble::Redo(_) | Trouble::Reset(_)) | Ok(()) => Ok(()),
        }
    }

    fn step(&mut self) -> Result<(), Trouble> {
        self.claim()?;
        self.redefine();
        self.take_cuts();
        self.fill()?;
        self.decide_slice()?;
        self.rank()?;
        if self.is_due() { self.commit_batch() } else { Ok(()) }
    }

    fn is_due(&self) -> bool {
        let commit = &self.around.settings.commit;
        let waited = self.batch_end().is_some_and(|end| end <= clock::now());
        self.full || self.next_plan.is_some() || waited || self.applied >= commit.max_events
    }

    /// The next batch begins: nothing of the last one is open any more.
    fn clear_batch(&mut self) {
        (self.applied, self.looked_at, self.age, self.full) = (0, 0, Age::default(), false);
    }

    fn batch_end(&self) -> Option<Instant> {
        self.age.due(self.around.settings.commit.interval, self.pending.is_empty())
    }

    /// Takes mail until there is none, or waits for some while there is nothing else to do.
    fn wait_for_mail(&mut self) -> Result<(), RunError> {
        let patience = match self.batch_end() {
            _ if !self.pending.is_empty() || self.full || self.may_scan() || self.next_plan.is_some() => Duration::ZERO,
            Some(end) => end.saturating_duration_since(clock::now()).min(TICK),
            None => TICK,
        };
        let Ok(mail) = self.inbox.recv_timeout(patience) else { return Ok(()) };
        self.take(mail)?;
        self.take_all_mail()
    }

    fn take_all_mail(&mut self) -> Result<(), RunError> {
        while let Ok(mail) = self.inbox.try_recv() {
            self.take(mail)?;
        }
        Ok(())
    }

    fn take(&mut self, mail: Mail) -> Result<(), RunError> {
        match mail {
            Mail::Notice(Notice::Records(records)) => self.pending.extend(records.into_iter().map(Pending::Record)),
            Mail::Notice(Notice::Assigned { partition, token }) => self.assigned(partition, token),
            Mail::Notice(Notice::Revoked { partition, token }) => self.revoked(partition, token),
            Mail::Notice(Notice::End { partition, feed, topic }) => self.pending.push_back(Pending::End { partition, feed, topic }),
            Mail::Notice(Notice::Redefined(plan)) => self.asked_for(plan),
            Mail::Notice(Notice::Stop) => self.stopping = true,
            Mail::Replayed(partition, result) => return self.replayed(partition, *result),
            Mail::Restored(partition, result) => return self.restored(partition, *result),
        }
        Ok(())
    }

    fn handle(&mut self, trouble: Trouble) -> Result<(), RunError> {
        match trouble {
            Trouble::Fatal(error) => Err(error),
            Trouble::Reset(reason) => self.reset(&reason),
            // Whoever met it has aborted; the batch is still there and is sent again.
            Trouble::Redo(_) => Ok(()),
        }
    }

    /// Shows what is not counted as it happens; asks RocksDB, so only now and then.
    fn show(&mut self) {
        if clock::now().duration_since(self.shown) < SHOW {
            return;
        }
        self.shown = clock::now();
        let mut timers = 0;
        for (partition, share) in &mut self.shares {
            let Stage::Running(running) = &mut share.stage else { continue };
            timers += running.task.timers_pending();
            self.around.observed.metrics.tasks.task(*partition).set_clock(running.task.clock());
            if let Ok(stats) = running.task.store().stats() {
                running.footprint.show(stats);
            }
        }
        self.figures.show_timers(timers);
        if self.number == 0 {
            footprint::show_shared(&self.around.observed.metrics.state, self.around.stores.stats(), &self.around.memory);
        }
    }

    /// Drops the producer and restores every task: the one answer to everything that is not understood.
    fn reset(&mut self, reason: &str) -> Result<(), RunError> {
        tracing::warn!(lane = self.number, reason, "resetting the lane: new producer, every task is restored");
        self.restart_shares();
        self.renew_producer()
    }

    /// A new handle under the same id: the old one's late requests can no longer reach a transaction of ours.
    fn renew_producer(&mut self) -> Result<(), RunError> {
        self.producer = TransactionalProducer::connect(&self.around.settings.kafka, self.producer.id())?;
        self.init_producer()
    }

    /// Step 1 of the routine. Waits for Kafka as long as it takes.
    fn init_producer(&mut self) -> Result<(), RunError> {
        while let Err(failure) = self.producer.init(Duration::from_millis(500)) {
            self.heartbeat.beat();
            self.take_all_mail()?;
            if self.stopping {
                return Ok(());
            }
            if verdict(&failure) != Verdict::Resume {
                tracing::warn!(lane = self.number, %failure, "the producer could not start; trying anew");
                std::thread::sleep(Duration::from_millis(200));
                self.producer = TransactionalProducer::connect(&self.around.settings.kafka, self.producer.id())?;
            }
        }
        Ok(())
    }
}
