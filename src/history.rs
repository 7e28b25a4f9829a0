//! What has happened, kept on this machine to be asked: of a customer its transitions, of a segment by the hour who came and who
//! went and why, of a ladder by the hour who moved from where to where.
//!
//! ```text
//! segment-transitions ──follow──▶ chronicles, one RocksDB a partition ◀── http
//!                                      ▲ sweep: what is too old, or of somebody who was erased
//!                                      ▲ former: the chronicles of partitions that others own now
//! ```
//!
//! The event path remembers the last transition of each membership and no more. This is a materialisation of what it has published,
//! beside it: a thread of its own, a store of its own, for the partitions that the process owns. What it keeps is a cache: whatever
//! makes a chronicle doubtful (a topic made anew, an offset that is gone, damaged files), it is emptied and read again from the first
//! record that the topic still has.
//!
//! **Invariant:** it neither writes to Kafka nor to the stores of the tasks, and no thread of the runtime waits for it. A chronicle
//! says what the topic said below the chronicle's offset, each record once.

mod chronicle;
mod follow;
mod former;
mod record;
mod rows;
mod sweep;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::id::{CustomerId, Offset, Partition, TopicName};
use crate::kafka::partitioner;
use crate::kafka::topics::TopicError;
use crate::kafka::{self, Failure};
use crate::store::StoreError;
use crate::time::{EventTime, Span};

use chronicle::Chronicle;
pub use chronicle::Line;
pub use follow::Following;
pub use rows::{HOUR_MILLIS, Hour, HourNumber, Moves};

/// Transitions of one customer that are kept; for a while there may be more.
pub const MOST: usize = 200;

/// Everything that the history is told.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kafka: kafka::Settings,
    /// The transitions topic.
    pub topic: TopicName,
    /// A folder of its own; one process at a time.
    pub dir: PathBuf,
    /// How long a transition is kept, by the task clock.
    pub keep: Span,
}

/// Why there is no answer.
#[derive(thiserror::Error, Debug)]
pub enum Unread {
    /// Ask again later: part of the past would be missing. `None`: how much is not known yet.
    #[error("the history is {}", being_read(*.remaining))]
    NotYet { remaining: Option<u64> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the history stands still.
#[derive(thiserror::Error, Debug)]
pub enum HistoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error("Kafka refused: {0}")]
    Kafka(#[from] Failure),
}

/// What is known of the past, for those who ask. Cheap to clone.
#[derive(Clone)]
pub struct History(Arc<Shared>);

struct Shared {
    keep: Span,
    /// Of the topic; 0: not known yet.
    partitions: AtomicU32,
    chronicles: RwLock<BTreeMap<Partition, Arc<Chronicle>>>,
}

/// How far an answer reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The topic had lost what happened before; [`EventTime::MIN`]: nothing.
    pub since: EventTime,
    /// Everything that was committed by then is in the answer.
    pub as_of: EventTime,
    /// Records of the topic that are not in the answer, when last looked at.
    pub lag: u64,
}

/// Which transitions of a customer are told.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Those that happened before are too old.
    pub since: EventTime,
    /// Numbers up to this one are of lives that were erased.
    pub erased_up_to: u64,
    /// Only what stands before this record; `None`: from the newest on.
    pub before: Option<Offset>,
    pub limit: usize,
}

fn being_read(remaining: Option<u64>) -> String {
    match remaining {
        None => "being opened; how much of it there is to read is not known yet".to_owned(),
        Some(1) => "still being read; 1 record remains".to_owned(),
        Some(remaining) => format!("still being read; {remaining} records remain"),
    }
}

impl History {
    pub fn new(keep: Span) -> History {
        History(Arc::new(Shared { keep, partitions: AtomicU32::new(0), chronicles: RwLock::default() }))
    }

    pub fn keep(&self) -> Span {
        self.0.keep
    }

    /// A customer's transitions, from the newest on; whether older ones follow.
    pub fn timeline(&self, customer: &CustomerId, wanted: Wanted) -> Result<(Vec<Line>, bool, Reach), Unread> {
        let partitions = self.partitions();
        let partition = (partitions > 0).then(|| partitioner::partition(customer.as_str().as_bytes(), partitions));
        let chronicle = partition.and_then(|partition| self.chronicle(partition)).ok_or(Unread::NotYet { remaining: None })?;
        // Before it is read: what is read may be newer than this says, and never older.
        let reach = reach([&chronicle])?;
        let mut lines = chronicle.timeline(customer.as_str(), wanted.before, wanted.limit.saturating_add(1))?;
        // They come in the order in which they were decided: behind one that is not told, none is.
        let told = lines.iter().take_while(|line| line.at >= wanted.since && line.sequence > wanted.erased_up_to).count();
        lines.truncate(told.min(wanted.limit));
        Ok((lines, told > wanted.limit, reach))
    }

    /// The hours of a segment from `from` on, of the customers of these partitions, of which there are `of`.
    pub fn hours(
        &self,
        here: &[Partition],
        of: u32,
        segment: &str,
        from: HourNumber,
    ) -> Result<(BTreeMap<HourNumber, Hour>, Reach), Unread> {
        let mut sums: BTreeMap<HourNumber, Hour> = BTreeMap::new();
        let reach = self.each(here, of, |partition, chronicle| {
            for (number, hour) in chronicle.hours(partition, segment, from)? {
                sums.entry(number).or_default().add(&hour);
            }
            Ok(())
        })?;
        Ok((sums, reach))
    }

    /// The same of a ladder.
    pub fn moves(
        &self,
        here: &[Partition],
        of: u32,
        ladder: &str,
        from: HourNumber,
    ) -> Result<(BTreeMap<HourNumber, Moves>, Reach), Unread> {
        let mut sums: BTreeMap<HourNumber, Moves> = BTreeMap::new();
        let reach = self.each(here, of, |partition, chronicle| {
            for (number, moves) in chronicle.moves(partition, ladder, from)? {
                add_moves(sums.entry(number).or_default(), &moves);
            }
            Ok(())
        })?;
        Ok((sums, reach))
    }

    /// Which of these partitions of customers, of which there are `of`, can be told of.
    pub fn told_of(&self, partitions: Vec<Partition>, of: u32) -> Vec<Partition> {
        let is_told = |partition: &Partition| self.over(*partition, of).is_some_and(|chronicles| reach(chronicles.iter()).is_ok());
        partitions.into_iter().filter(is_told).collect()
    }

    fn each(
        &self,
        here: &[Partition],
        of: u32,
        mut read: impl FnMut(Partition, &Chronicle) -> Result<(), Unread>,
    ) -> Result<Reach, Unread> {
        let mut whole: Option<Reach> = None;
        for partition in here {
            let chronicles = self.over(*partition, of).ok_or(Unread::NotYet { remaining: None })?;
            let reach = reach(chronicles.iter())?;
            whole = Some(whole.map_or(reach, |whole| whole.with(reach)));
            chronicles.iter().try_for_each(|chronicle| read(*partition, chronicle))?;
        }
        whole.ok_or(Unread::NotYet { remaining: None })
    }

    /// The chronicles that the customers of a partition are in: one, where the topic has as many partitions as customers have.
    fn over(&self, partition: Partition, of: u32) -> Option<Vec<Arc<Chronicle>>> {
        let partitions = self.partitions();
        if partitions == of {
            return self.chronicle(partition).map(|chronicle| vec![chronicle]);
        }
        let all: Vec<_> = self.all().into_values().collect();
        (partitions > 0 && all.len() as u64 == u64::from(partitions)).then_some(all)
    }

    fn partitions(&self) -> u32 {
        self.0.partitions.load(Ordering::SeqCst)
    }

    fn set_partitions(&self, partitions: u32) {
        self.0.partitions.store(partitions, Ordering::SeqCst);
    }

    fn chronicle(&self, partition: Partition) -> Option<Arc<Chronicle>> {
        self.0.chronicles.read().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }

    fn all(&self) -> BTreeMap<Partition, Arc<Chronicle>> {
        self.0.chronicles.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, partition: Partition, chronicle: Arc<Chronicle>) {
        self.0.chronicles.write().unwrap_or_else(PoisonError::into_inner).insert(partition, chronicle);
    }

    /// Takes them back; who has one may still be reading it.
    fn withdraw(&self, partition: Partition) -> Option<Arc<Chronicle>> {
        self.0.chronicles.write().unwrap_or_else(PoisonError::into_inner).remove(&partition)
    }
}

impl Reach {
    fn with(self, other: Reach) -> Reach {
        Reach { since: self.since.max(other.since), as_of: self.as_of.min(other.as_of), lag: self.lag.saturating_add(other.lag) }
    }
}

impl Hour {
    pub fn add(&mut self, other: &Hour) {
        for (sums, more) in [(&mut self.entered, &other.entered), (&mut self.exited, &other.exited)] {
            more.iter().for_each(|(cause, count)| *sums.entry(cause.clone()).or_default() += count);
        }
    }

    /// By how many there are more at its end than at its beginning.
    pub fn net(&self) -> i64 {
        let sum = |by_cause: &BTreeMap<String, u64>| i64::try_from(by_cause.values().sum::<u64>()).unwrap_or(i64::MAX);
        sum(&self.entered) - sum(&self.exited)
    }
}

pub fn add_moves(sums: &mut Moves, more: &Moves) {
    for (from, to) in more {
        let sums = sums.entry(from.clone()).or_default();
        to.iter().for_each(|(to, count)| *sums.entry(to.clone()).or_default() += count);
    }
}

/// How far the answers of these chronicles together reach.
fn reach<'a>(chronicles: impl IntoIterator<Item = &'a Arc<Chronicle>>) -> Result<Reach, Unread> {
    let mut whole: Option<Reach> = None;
    for chronicle in chronicles {
        let (freshness, origin) = (chronicle.freshness(), chronicle.origin());
        let as_of = freshness.as_of.ok_or(Unread::NotYet { remaining: freshness.remaining() })?;
        // Of a topic that has lost records and has none left, nothing is known of before now.
        let since = if origin.cut { origin.first.map_or(as_of, EventTime::from_millis) } else { EventTime::MIN };
        let reach = Reach { since, as_of, lag: freshness.lag() };
        whole = Some(whole.map_or(reach, |whole| whole.with(reach)));
    }
    whole.ok_or(Unread::NotYet { remaining: None })
}
