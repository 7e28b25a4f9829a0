//! What other definitions would do to all customers of a running process, found from what is committed.
//!
//! A trial reads every customer, a slice at a time, and rests as long as each slice took: it never has more than half a thread.
//! One runs at a time. It goes on when nobody waits for it any more, and whoever asks for the same again gets what it found.
//!
//! **Invariant:** nothing comes into force, and nothing is written. No partition is left out silently, and neither are
//! customers for whom there was no time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::clock::{self, Deadline};
use super::committed::{Committed, Unread};
use super::task::{Moves, Trial, incomplete};
use crate::experiment::earliest;
use crate::id::{Partition, SegmentKey};
use crate::plan::Plan;
use crate::time::EventTime;

/// How long the same question is answered by the same answer; and at least as long as it took to find, so that of several processes
/// the first one's answer lasts until the last one has its own.
const FRESH: Duration = Duration::from_secs(30);
/// Then customers who were not looked at are left out, and it is said.
const LONGEST: Duration = Duration::from_secs(120);

/// What was found over the partitions of this process.
#[derive(Debug, Default)]
pub struct Tried {
    /// The earliest task clock of the partitions; `None`: none has seen anything.
    pub as_of: Option<EventTime>,
    /// Those of this process that could be read, ascending.
    pub partitions: Vec<Partition>,
    pub looked_at: u64,
    /// Everybody was looked at.
    pub complete: bool,
    pub moves: BTreeMap<SegmentKey, Moves>,
    /// Segments that look at what was not kept, and since when they would know everything.
    pub incomplete: BTreeMap<SegmentKey, EventTime>,
}

/// The last trial. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trying(Arc<Mutex<Option<Last>>>);

struct Last {
    /// Of the definitions that were tried, and of those in force.
    of: (u64, u64),
    tried: Arc<Tried>,
    finished: Instant,
    took: Duration,
}

impl Trying {
    /// Tries a plan, or gives what was found just now; `in_force`: fingerprint of the definitions that are. Reads all of the disk, off
    /// the threads that serve.
    ///
    /// Errors: [`Unread::NotYet`] where nothing can be read or another trial is under way; what the disk reports.
    pub fn of(&self, plan: &Arc<Plan>, in_force: u64, committed: &Committed) -> Result<Arc<Tried>, Unread> {
        let mut last = match self.0.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(last)) => last.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Unread::NotYet),
        };
        let of = (plan.fingerprint, in_force);
        let same =
            |last: &&Last| last.of == of && last.finished.elapsed() < FRESH.max(last.took) && last.tried.partitions == committed.running();
        if let Some(last) = last.as_ref().filter(same) {
            return Ok(last.tried.clone());
        }
        let began = clock::now();
        let tried = Arc::new(tried(plan, committed)?);
        *last = Some(Last { of, tried: tried.clone(), finished: clock::now(), took: began.elapsed() });
        Ok(tried)
    }
}

fn tried(plan: &Arc<Plan>, committed: &Committed) -> Result<Tried, Unread> {
    let deadline = Deadline::after(LONGEST);
    let mut all = Tried { complete: true, ..Tried::default() };
    for partition in committed.running() {
        let mut trial = Trial::default();
        all.begin(plan, partition, committed)?;
        loop {
            let began = clock::now();
            if !committed.read(partition, |reading| trial.go_on(plan, &reading.view))?.0 {
                break;
            }
            if deadline.is_past() {
                all.complete = false;
                break;
            }
            std::thread::sleep(began.elapsed());
        }
        all.add(trial);
    }
    if all.partitions.is_empty() { Err(Unread::NotYet) } else { Ok(all) }
}

impl Tried {
    fn begin(&mut self, plan: &Plan, partition: Partition, committed: &Committed) -> Result<(), Unread> {
        let ((clock, incomplete), _) =
            committed.read(partition, |reading| Ok((reading.clock, incomplete(plan, &reading.view, reading.clock)?)))?;
        self.as_of = earliest(self.as_of, Some(clock).filter(|clock| *clock != EventTime::MIN));
        self.partitions.push(partition);
        for (segment, since) in incomplete {
            let known = self.incomplete.entry(segment).or_insert(since);
            *known = since.max(*known);
        }
        Ok(())
    }

    fn add(&mut self, trial: Trial) {
        self.looked_at += trial.looked_at;
        for (segment, moves) in trial.moves {
            let sum = self.moves.entry(segment).or_default();
            moves.enter.into_iter().for_each(|(cause, n)| *sum.enter.entry(cause).or_default() += n);
            moves.leave.into_iter().for_each(|(cause, n)| *sum.leave.entry(cause).or_default() += n);
        }
    }
}
