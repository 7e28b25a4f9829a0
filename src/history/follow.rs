//! The thread that reads the transitions topic into the chronicles.
//!
//! **Invariant:** the only writer. A chronicle that starts over is emptied before its first record is read again, and nothing that
//! was read of it before is applied afterwards. Whatever fails is tried again, and what fails of one partition is withheld of that one
//! alone: the service goes on without its history.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::chronicle::{Chronicle, Read};
use super::former::{AWAY, Former};
use super::sweep::Sweep;
use super::{History, HistoryError, Settings};
use crate::id::{Offset, Partition};
use crate::kafka::follower::{Followed, Follower, followed, uncommitted_end};
use crate::kafka::settings::Isolation;
use crate::kafka::topics::{Incarnation, Topics};
use crate::kafka::{Message, Reader};
use crate::metrics::HistoryMetrics;
use crate::runtime::Shutdown;
use crate::runtime::clock::{self, Deadline};
use crate::runtime::committed::Committed;
use crate::runtime::precedence::stand_back_as_history;
use crate::store::{Shared, StateDir};
use crate::time::EventTime;

/// Blocks and memtables of all chronicles together: they are read when somebody asks, which is seldom.
const MEMORY_BYTES: u64 = 64 << 20;
/// How long one wait for records takes at most; also how soon a partition that has come is read.
const WAIT: Duration = Duration::from_millis(100);
/// Records of the inputs that the service is behind, from which on the history waits: the machine has better things to do.
const BEHIND: u64 = 50_000;
/// How often the ends of partitions are asked for; the resolution of `as_of`.
const ENDS: Duration = Duration::from_millis(500);
/// How often the topic's identity is asked for.
const IDENTITY: Duration = Duration::from_secs(5);
/// How long a question to the cluster may take; also how soon a stop is noticed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a partition, or everything, is left alone before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(5);

pub struct Following {
    pub settings: Settings,
    pub history: History,
    /// Which partitions the process owns.
    pub committed: Committed,
    pub metrics: Arc<HistoryMetrics>,
}

/// What follows one incarnation of the topic.
struct Reading<'a> {
    around: &'a Following,
    topic: Incarnation,
    folder: StateDir,
    stores: Shared,
    follower: Follower,
    reader: Reader,
    cluster: Topics,
    followed: BTreeMap<Partition, Arc<Chronicle>>,
    /// Let go, and perhaps still being read: a store cannot be opened twice.
    closing: BTreeMap<Partition, Weak<Chronicle>>,
    /// Failed; when each is tried again.
    failed: BTreeMap<Partition, Deadline>,
    former: Former,
    /// Whose end could not be told. The next look begins behind it: asking takes long, and the others are well.
    unreachable: Option<Partition>,
    /// Said once, until it is over.
    is_refused: bool,
}

/// What was read of one partition.
#[derive(Default)]
struct Gathered<'a> {
    reads: Vec<Read<'a>>,
    next: Option<Offset>,
    is_gone: bool,
}

impl Following {
    /// Keeps the history up to date until it is asked to stop.
    pub fn run(&self, shutdown: &Shutdown) {
        stand_back_as_history();
        while !shutdown.is_requested() {
            if let Err(error) = self.follow(shutdown) {
                tracing::warn!(%error, "the history stands still; trying again in a moment");
                let again = Deadline::after(PAUSE);
                while !again.is_past() && !shutdown.is_requested() {
                    std::thread::sleep(WAIT);
                }
            }
        }
    }

    /// One incarnation of the topic, to its end.
    fn follow(&self, shutdown: &Shutdown) -> Result<(), HistoryError> {
        let cluster = Topics::connect(&self.settings.kafka)?.within(PATIENCE);
        let Some(topic) = self.await_topic(&cluster, shutdown) else { return Ok(()) };
        let folder = StateDir::lock(&self.settings.dir, None)?;
        self.history.set_partitions(u32::try_from(topic.partitions).unwrap_or(u32::MAX));
        let mut reading = Reading {
            around: self,
            topic,
            folder,
            stores: Shared::for_additions(MEMORY_BYTES),
            follower: Follower::connect(&self.settings.kafka, self.settings.topic.clone())?,
            reader: Reader::connect(&self.settings.kafka, Isolation::Committed)?,
            cluster,
            followed: BTreeMap::new(),
            closing: BTreeMap::new(),
            failed: BTreeMap::new(),
            former: Former::default(),
            unreachable: None,
            is_refused: false,
        };
        let result = reading.read(shutdown);
        reading.close();
        result
    }

    /// Waits until the service has made its topics and knows their partitions. `None`: asked to stop.
    fn await_topic(&self, cluster: &Topics, shutdown: &Shutdown) -> Option<Incarnation> {
        while !shutdown.is_requested() {
            if self.committed.partitions() > 0
                && let Ok(Some(topic)) = cluster.incarnation(&self.settings.topic)
            {
                return Some(topic);
            }
            std::thread::sleep(WAIT);
        }
        None
    }
}

impl Reading<'_> {
    /// Until it is asked to stop, or the topic is another.
    fn read(&mut self, shutdown: &Shutdown) -> Result<(), HistoryError> {
        let (mut messages, mut sweep) = (Vec::new(), Sweep::default());
        let (mut ends, mut identity) = (Deadline::after(Duration::ZERO), Deadline::after(IDENTITY));
        while !shutdown.is_requested() {
            self.follow_own()?;
            if self.around.committed.lag() < BEHIND {
                self.follower.poll(WAIT, &mut messages);
                sweep.stretch(&self.followed, self.around).unwrap_or_else(|(partition, error)| self.leave(partition, &error));
            } else {
                std::thread::sleep(WAIT);
            }
            self.absorb(&messages);
            messages.clear();
            if ends.is_past() {
                self.look_at_ends();
                ends = Deadline::after(ENDS);
            }
            if identity.is_past() {
                if self.is_another_topic() {
                    return Ok(());
                }
                self.remove_former()?;
                identity = Deadline::after(IDENTITY);
            }
        }
        Ok(())
    }

    /// Reads the partitions that the process's customers are in, and no others.
    fn follow_own(&mut self) -> Result<(), HistoryError> {
        let own = self.around.committed.running();
        let wanted: Vec<Partition> = if self.topic.partitions == self.around.committed.partitions() as usize || own.is_empty() {
            own
        } else {
            // A customer of any of ours may be anywhere.
            (0..self.topic.partitions).filter_map(|partition| i32::try_from(partition).ok().map(Partition)).collect()
        };
        let gone: Vec<_> = self.followed.keys().copied().filter(|partition| !wanted.contains(partition)).collect();
        for partition in gone {
            self.follower.stop(partition)?;
            self.let_go(partition);
        }
        self.closing.retain(|_, chronicle| chronicle.strong_count() > 0);
        self.failed.retain(|_, again| !again.is_past());
        for partition in wanted {
            let waits = self.closing.contains_key(&partition) || self.failed.contains_key(&partition);
            if self.followed.contains_key(&partition) || waits {
                continue;
            }
            if let Err(error) = self.take(partition) {
                self.leave(partition, &error);
                // It took its time: what has come of the others meanwhile goes first.
                break;
            }
        }
        Ok(())
    }

    /// Removes what is left of partitions that others own.
    fn remove_former(&mut self) -> Result<(), HistoryError> {
        let Some(owned) = self.around.committed.owned() else { return Ok(()) };
        let is_open = |partition| self.followed.contains_key(&partition) || self.closing.contains_key(&partition);
        Ok(self.former.remove(&self.folder, |partition| owned.contains(&partition) || is_open(partition), AWAY)?)
    }

    fn take(&mut self, partition: Partition) -> Result<(), HistoryError> {
        let settings = &self.around.settings;
        let origin = format!("{}/history/{}/{}", settings.kafka.deployment, settings.topic, partition.0);
        let chronicle = Arc::new(Chronicle::open(&self.stores, &self.folder.partition(partition), &origin)?);
        let known = self.topic.id.is_none() || chronicle.origin().topic_id == self.topic.id;
        match chronicle.position()? {
            Some(next) if known => self.follower.start(partition, next)?,
            None => self.begin(partition, &chronicle, self.first(partition)?)?,
            Some(_) => {
                let first = self.first(partition)?;
                tracing::warn!(partition = partition.0, "the transitions topic was made anew; starting its history over");
                self.around.metrics.started_over.inc();
                self.begin(partition, &chronicle, first)?;
            }
        }
        self.followed.insert(partition, chronicle.clone());
        self.around.history.show(partition, chronicle);
        Ok(())
    }

    fn start_over(&self, partition: Partition, why: &str) -> Result<(), HistoryError> {
        let Some(chronicle) = self.followed.get(&partition) else { return Ok(()) };
        let first = self.first(partition)?;
        tracing::warn!(partition = partition.0, "{why}; starting its history over");
        self.around.metrics.started_over.inc();
        self.follower.stop(partition)?;
        self.begin(partition, chronicle, first)
    }

    /// The first record that there still is.
    fn first(&self, partition: Partition) -> Result<Offset, HistoryError> {
        Ok(self.reader.watermarks(&self.around.settings.topic, partition, PATIENCE)?.0)
    }

    fn begin(&self, partition: Partition, chronicle: &Chronicle, first: Offset) -> Result<(), HistoryError> {
        chronicle.start_over(first, self.topic.id.clone())?;
        Ok(self.follower.start(partition, first)?)
    }

    /// Applies what was read, partition by partition; begins those anew whose offset is gone.
    fn absorb(&mut self, messages: &[Message]) {
        let mut gathered: BTreeMap<Partition, Gathered<'_>> = BTreeMap::new();
        let mut failed = None;
        for message in messages {
            let (partition, offset) = (Partition(message.partition()), Offset(message.offset()));
            let of = gathered.entry(partition).or_default();
            match followed(message) {
                Followed::Record { key, value } => {
                    of.next = Some(Offset(offset.0 + 1));
                    // What has no customer is not ours.
                    let customer = key.and_then(|key| std::str::from_utf8(key).ok());
                    of.reads.extend(customer.zip(value).map(|(customer, value)| Read { offset, customer, value }));
                }
                Followed::End => of.next = Some(offset),
                Followed::OffsetGone => of.is_gone = true,
                Followed::Failed(code) => failed = Some(code),
            }
        }
        if let Some(code) = failed
            && !self.is_refused
        {
            tracing::warn!(topic = %self.around.settings.topic, ?code, "the history cannot be read; does the service have the right to read the topic?");
        }
        self.is_refused = failed.is_some() || self.is_refused && gathered.is_empty();
        for (partition, of) in gathered {
            self.apply(partition, &of).unwrap_or_else(|error| self.leave(partition, &error));
        }
    }

    fn apply(&self, partition: Partition, of: &Gathered<'_>) -> Result<(), HistoryError> {
        if of.is_gone {
            return self.start_over(partition, "the offset to go on from is gone: the topic was made anew or cut");
        }
        // Of a partition that was let go meanwhile nothing is applied: it is read again when it comes back.
        if let (Some(chronicle), Some(next)) = (self.followed.get(&partition), of.next) {
            chronicle.apply(&of.reads, next, self.around.committed.partitions())?;
        }
        Ok(())
    }

    fn look_at_ends(&mut self) {
        let failing = self.unreachable.take();
        let (first, last): (Vec<_>, Vec<_>) = self.followed.keys().copied().partition(|partition| Some(*partition) > failing);
        for partition in first.into_iter().chain(last) {
            let asked_at = clock::wall();
            match self.reader.watermarks(&self.around.settings.topic, partition, PATIENCE) {
                Ok((_, end)) => self.note_end(partition, end, asked_at).unwrap_or_else(|error| self.leave(partition, &error)),
                Err(failure) => {
                    // The others may be as much out of reach; `as_of` stands still, which is the truth.
                    if failing.is_none() {
                        tracing::warn!(topic = %self.around.settings.topic, partition = partition.0, %failure, "the history cannot be brought up to date");
                    }
                    self.unreachable = Some(partition);
                    self.ask_anew();
                    return;
                }
            }
        }
    }

    fn note_end(&self, partition: Partition, end: Offset, asked_at: EventTime) -> Result<(), HistoryError> {
        let Some(chronicle) = self.followed.get(&partition) else { return Ok(()) };
        if chronicle.freshness().next > end && self.is_beyond(partition, chronicle.freshness().next) {
            self.start_over(partition, "the partition ends below what was read of it: the topic was made anew or cut")?;
        } else {
            chronicle.note_end(end, asked_at);
        }
        self.around.metrics.show(partition, chronicle.freshness().lag());
        Ok(())
    }

    /// Beyond what is not committed, too.
    fn is_beyond(&self, partition: Partition, next: Offset) -> bool {
        let settings = &self.around.settings;
        uncommitted_end(&settings.kafka, &settings.topic, partition, PATIENCE).is_ok_and(|end| next > end)
    }

    fn is_another_topic(&self) -> bool {
        let is_another = matches!(self.cluster.incarnation(&self.around.settings.topic), Ok(Some(found)) if found != self.topic);
        if is_another {
            tracing::warn!(topic = %self.around.settings.topic, "the transitions topic was made anew, or has other partitions; opening its history again");
        }
        is_another
    }

    /// Leaves a partition alone for a while: the others go on.
    fn leave(&mut self, partition: Partition, error: &HistoryError) {
        tracing::warn!(partition = partition.0, %error, "the history of a partition cannot be told; trying again in a moment");
        if self.followed.contains_key(&partition)
            && let Err(error) = self.follower.stop(partition)
        {
            tracing::debug!(partition = partition.0, %error, "what still comes of it is passed over");
        }
        self.let_go(partition);
        self.failed.insert(partition, Deadline::after(PAUSE));
        self.ask_anew();
    }

    /// A client goes on for minutes by what it was told of a partition, also that there is none: after a failure another one asks.
    fn ask_anew(&mut self) {
        if let Ok(reader) = Reader::connect(&self.around.settings.kafka, Isolation::Committed) {
            self.reader = reader;
        }
    }

    fn let_go(&mut self, partition: Partition) {
        self.around.history.withdraw(partition);
        self.around.metrics.forget(partition);
        if let Some(chronicle) = self.followed.remove(&partition) {
            self.closing.insert(partition, Arc::downgrade(&chronicle));
        }
    }

    /// Lets everything go, and waits for the last reader.
    fn close(&mut self) {
        let all: Vec<_> = self.followed.keys().copied().collect();
        all.into_iter().for_each(|partition| self.let_go(partition));
        let deadline = Deadline::after(PATIENCE);
        while self.closing.values().any(|chronicle| chronicle.strong_count() > 0) && !deadline.is_past() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
