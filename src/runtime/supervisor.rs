//! Start and stop: one place that knows the order of both.
//!
//! ```text
//! start  lock the state folder → topics → fence the lanes of our past → lanes → poller
//! stop   poller hands out nothing more → lanes commit what they have → the group is left → threads end
//! ```
//!
//! **Invariant:** the group is left only after the lanes have stopped: the other way round, their last transactions would
//! be refused. What does not stop in time is left behind; the process ends, and nothing is lost by it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never, select, unbounded};

use super::clock::Deadline;
use super::lane::{Lane, Surroundings};
use super::mail::{LaneEnd, Mail, Notice, Queued, Request};
use super::owners::Keeper;
use super::ownership::Published;
use super::poller::Poller;
use super::progress::Progress;
use super::ranks::Board;
use super::restore::{self, Blockers};
use super::status::{Check, Condition};
use super::task::CustomerMemory;
use super::{Definitions, Observed, RunError, Settings, topics, watchdog};
use crate::kafka::TransactionalProducer;
use crate::plan::Plan;
use crate::store::{Shared, StateDir, StoreError};

/// SIGTERM to exit: what an orchestrator grants at the very least.
const STOP: Duration = Duration::from_millis(4500);

/// Asks a running service to stop. Cloned freely; asking twice is asking once.
#[derive(Clone)]
pub struct Shutdown {
    asked: Arc<AtomicBool>,
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        let (sender, receiver) = bounded(1);
        Shutdown { asked: Arc::default(), sender, receiver }
    }
}

impl Shutdown {
    pub fn request(&self) {
        self.asked.store(true, Ordering::SeqCst);
        // Full: it was asked already.
        let _ = self.sender.try_send(());
    }

    pub fn is_requested(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Runs the service until it is asked to stop, or cannot go on.
pub fn run(mut settings: Settings, definitions: Definitions, observed: Observed, shutdown: &Shutdown) -> Result<(), RunError> {
    if let Some((property, reason)) = settings.kafka.refused().first() {
        return Err(RunError::OwnedProperty { property: property.to_string(), reason });
    }
    let folder = StateDir::lock(&settings.state_dir, None)?;
    restore::discard_old(&folder)?;
    settings.take_entry_topics(&definitions.plan);
    topics::resolve(&mut settings)?;
    observed.committed.set_partitions(settings.topics.partitions);
    let own_ids: Arc<str> = format!("{}-{}-", settings.kafka.deployment, folder.instance()).into();
    fence_retired_lanes(&settings, &own_ids)?;
    let (requests, asked) = unbounded();
    let progress = Arc::new(Progress::new(observed.clone(), settings.inputs()));
    let around = Surroundings {
        progress,
        // Half of it each: a customer in memory spares the store, and the store keeps five in the room of a decoded one.
        stores: Shared::new(settings.state_memory / 2),
        memory: CustomerMemory::new(settings.state_memory / 2),
        settings: Arc::new(settings),
        published: Published::default(),
        requests,
        observed,
        board: Board::default(),
        blockers: Blockers::default(),
        own_ids,
        instance: folder.instance().into(),
    };
    around.read_ranks(&definitions.plan);
    let over = Shutdown::default();
    keep_owners(&around, &over)?;
    let result = Service::start(around, asked, definitions).and_then(|service| service.supervise(shutdown));
    over.request();
    // The folder stays locked until every thread that could write to it has ended, or the process does.
    drop(folder);
    result
}

/// The threads of a running service.
struct Service {
    around: Surroundings,
    changes: Receiver<Arc<Plan>>,
    lanes: Vec<Sender<Mail>>,
    ended: Receiver<(Who, Result<(), RunError>)>,
    lanes_left: usize,
    poller_left: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Lane,
    Poller,
}

impl Service {
    fn start(around: Surroundings, asked: Receiver<Request>, definitions: Definitions) -> Result<Service, RunError> {
        let (report, ended) = unbounded();
        let mut ends = Vec::new();
        let count = around.settings.lanes.max(1);
        for number in 0..count {
            let (inbox, mail) = unbounded();
            let queued = Arc::new(Queued::default());
            let lane = Lane::open(around.clone(), definitions.plan.clone(), number, mail, inbox.clone(), queued.clone())?;
            spawn(&format!("lane-{number}"), Who::Lane, report.clone(), move || lane.run())?;
            ends.push(LaneEnd { inbox, queued });
        }
        let lanes = ends.iter().map(|end| end.inbox.clone()).collect();
        let poller = Poller::join(&around, ends, asked)?;
        spawn("poller", Who::Poller, report, move || poller.run())?;
        let status = around.observed.status.clone();
        let watchdog = std::thread::Builder::new().name("watchdog".into()).spawn(move || watchdog::watch(&status));
        watchdog.map_err(RunError::NoThread)?;
        Ok(Service { around, changes: definitions.changes, lanes, ended, lanes_left: count, poller_left: true })
    }

    fn supervise(mut self, shutdown: &Shutdown) -> Result<(), RunError> {
        let mut result = self.await_end(shutdown);
        if let Err(error) = &result {
            tracing::error!(%error, "the service cannot go on");
        }
        tracing::info!("stopping");
        let stopped = self.stop();
        if result.is_ok() {
            result = stopped;
        }
        result
    }

    /// Hands new definitions on until the service is asked to stop, or one of its threads ends.
    fn await_end(&mut self, shutdown: &Shutdown) -> Result<(), RunError> {
        loop {
            select! {
                recv(shutdown.receiver) -> _ => return Ok(()),
                recv(self.ended) -> end => {
                    let Ok((who, result)) = end else { return Ok(()) };
                    self.note(who);
                    return result;
                }
                recv(self.changes) -> plan => match plan {
                    Ok(plan) => self.redefine(&plan),
                    // Nobody is left who could change them.
                    Err(_) => self.changes = never(),
                },
            }
        }
    }

    fn redefine(&self, plan: &Arc<Plan>) {
        let keys: Vec<_> = plan.segments.iter().map(|segment| segment.key.clone()).collect();
        self.around.observed.metrics.transitions.name(&keys);
        self.around.read_ranks(plan);
        for lane in &self.lanes {
            // A lane that is gone has failed, and is reported by its end.
            let _ = lane.send(Mail::Notice(Notice::Redefined(plan.clone())));
        }
    }

    fn stop(&mut self) -> Result<(), RunError> {
        self.around.observed.status.set(Check::Reading, Condition::unmet("stopping"));
        let deadline = Deadline::after(STOP);
        let _ = self.around.requests.send(Request::Stop);
        if !self.poller_left {
            self.lanes.iter().for_each(|lane| drop(lane.send(Mail::Notice(Notice::Stop))));
        }
        let lanes = self.await_ends(deadline, |service| service.lanes_left == 0);
        let _ = self.around.requests.send(Request::Leave);
        let poller = self.await_ends(deadline, |service| !service.poller_left);
        lanes.and(poller)
    }

    /// Waits for threads to end; the first error that one of them ended with.
    fn await_ends(&mut self, deadline: Deadline, done: impl Fn(&Service) -> bool) -> Result<(), RunError> {
        let mut first = Ok(());
        while !done(self) {
            match self.ended.recv_timeout(deadline.left()) {
                Ok((who, result)) => {
                    self.note(who);
                    first = first.and(result);
                }
                Err(_) => {
                    tracing::warn!("not everything stopped in time; what was not committed is done again at the next start");
                    return first;
                }
            }
        }
        first
    }

    fn note(&mut self, who: Who) {
        match who {
            Who::Lane => self.lanes_left -= 1,
            Who::Poller => self.poller_left = false,
        }
    }
}

fn spawn(
    name: &str,
    who: Who,
    report: Sender<(Who, Result<(), RunError>)>,
    work: impl FnOnce() -> Result<(), RunError> + Send + 'static,
) -> Result<(), RunError> {
    let own_name = name.to_string();
    let body = move || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(RunError::Panicked(own_name)));
        let _ = report.send((who, result));
    };
    std::thread::Builder::new().name(name.into()).spawn(body).map(drop).map_err(RunError::NoThread)
}

/// Says where this process is, and reads where the others are, where an address was given.
fn keep_owners(around: &Surroundings, over: &Shutdown) -> Result<(), RunError> {
    let Some(advertised) = around.settings.advertised.clone() else { return Ok(()) };
    let Observed { committed, owners, .. } = around.observed.clone();
    let keeper = Keeper { settings: around.settings.clone(), advertised, owners, committed };
    let over = over.clone();
    std::thread::Builder::new().name("owners".into()).spawn(move || keeper.run(&over)).map(drop).map_err(RunError::NoThread)
}

/// A process that had more lanes before may have left a transaction open in one that it has no more.
fn fence_retired_lanes(settings: &Settings, own_ids: &str) -> Result<(), RunError> {
    let path = settings.state_dir.join("lanes");
    let before = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_usize);
    for lane in settings.lanes..before.min(1024) {
        let producer = TransactionalProducer::connect(&settings.kafka, &format!("{own_ids}{lane}"))?;
        if let Err(failure) = producer.init(Duration::from_secs(5)) {
            tracing::warn!(lane, %failure, "a lane of an earlier run could not be fenced; its transaction, if any, times out");
        }
    }
    write_lanes(&path, settings.lanes)
}

fn write_lanes(path: &Path, lanes: usize) -> Result<(), RunError> {
    let refused = |source| StoreError::Inaccessible { path: path.into(), hint: "see state.dir (SEGMENTD_STATE__DIR)", source };
    fs::write(path, lanes.to_string()).map_err(|e| RunError::Store(refused(e)))
}
