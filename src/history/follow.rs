//! The thread that reads the transitions topic into the chronicles.
//!
//! **Invariant:** the only writer. A chronicle that starts over is emptied before its first record is read again, and nothing that
//! was read of it before is applied afterwards. Whatever fails is tried again: the service goes on without its history.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::chronicle::{Chronicle, Read};
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
use crate::store::{Shared, StateDir};

/// Blocks and memtables of all chronicles together: they are read when somebody asks, which is seldom.
const MEMORY_BYTES: u64 = 16 << 20;
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
/// How long the thread waits before it tries again what failed.
const PAUSE: Duration = Duration::from_secs(10);

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
    stores: Shared,
    follower: Follower,
    reader: Reader,
    cluster: Topics,
    followed: BTreeMap<Partition, Arc<Chronicle>>,
    /// Let go, and perhaps still being read: a store cannot be opened twice.
    closing: BTreeMap<Partition, Weak<Chronicle>>,
    /// Said once, until it is over.
    is_out_of_reach: bool,
    is_refused: bool,
}

impl Following {
    /// Keeps the history up to date until it is asked to stop.
    pub fn run(&self, shutdown: &Shutdown) {
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
        let _folder = StateDir::lock(&self.settings.dir, None)?;
        self.history.set_partitions(u32::try_from(topic.partitions).unwrap_or(u32::MAX));
        let mut reading = Reading {
            around: self,
            topic,
            stores: Shared::new(MEMORY_BYTES),
            follower: Follower::connect(&self.settings.kafka, self.settings.topic.clone())?,
            reader: Reader::connect(&self.settings.kafka, Isolation::Committed)?,
            cluster,
            followed: BTreeMap::new(),
            closing: BTreeMap::new(),
            is_out_of_reach: false,
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
                sweep.stretch(&self.followed, self.around)?;
            } else {
                std::thread::sleep(WAIT);
            }
            for partition in self.absorb(&messages)? {
                self.start_over(partition, "the offset to go on from is gone: the topic was made anew or cut")?;
            }
            messages.clear();
            if ends.is_past() {
                self.look_at_ends()?;
                ends = Deadline::after(ENDS);
            }
            if identity.is_past() {
                if self.is_another_topic() {
                    return Ok(());
                }
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
        for partition in wanted {
            if !self.followed.contains_key(&partition) && !self.closing.contains_key(&partition) {
                self.take(partition)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, partition: Partition) -> Result<(), HistoryError> {
        let settings = &self.around.settings;
        let path = settings.dir.join(partition.0.to_string());
        let origin = format!("{}/history/{}/{}", settings.kafka.deployment, settings.topic, partition.0);
        let chronicle = Arc::new(Chronicle::open(&self.stores, &path, &origin)?);
        self.followed.insert(partition, chronicle.clone());
        let known = self.topic.id.is_none() || chronicle.origin().topic_id == self.topic.id;
        match chronicle.position()? {
            Some(next) if known => self.follower.start(partition, next)?,
            None => self.begin(partition, &chronicle)?,
            Some(_) => {
                tracing::warn!(partition = partition.0, "the transitions topic was made anew; starting its history over");
                self.around.metrics.started_over.inc();
                self.begin(partition, &chronicle)?;
            }
        }
        self.around.history.show(partition, chronicle);
        Ok(())
    }

    fn start_over(&self, partition: Partition, why: &str) -> Result<(), HistoryError> {
        let Some(chronicle) = self.followed.get(&partition) else { return Ok(()) };
        tracing::warn!(partition = partition.0, "{why}; starting its history over");
        self.around.metrics.started_over.inc();
        self.follower.stop(partition)?;
        self.begin(partition, chronicle)
    }

    /// From the first record that there still is.
    fn begin(&self, partition: Partition, chronicle: &Chronicle) -> Result<(), HistoryError> {
        let (first, _) = self.reader.watermarks(&self.around.settings.topic, partition, PATIENCE)?;
        chronicle.start_over(first, self.topic.id.clone())?;
        Ok(self.follower.start(partition, first)?)
    }

    /// Applies what was read, partition by partition; those whose offset is gone.
    fn absorb(&mut self, messages: &[Message]) -> Result<Vec<Partition>, HistoryError> {
        let mut gathered: BTreeMap<Partition, (Vec<Read<'_>>, Option<Offset>)> = BTreeMap::new();
        let (mut gone, mut failed) = (Vec::new(), None);
        for message in messages {
            let (partition, offset) = (Partition(message.partition()), Offset(message.offset()));
            let (reads, next) = gathered.entry(partition).or_default();
            match followed(message) {
                Followed::Record { key, value } => {
                    *next = Some(Offset(offset.0 + 1));
                    // What has no customer is not ours.
                    let customer = key.and_then(|key| std::str::from_utf8(key).ok());
                    reads.extend(customer.zip(value).map(|(customer, value)| Read { offset, customer, value }));
                }
                Followed::End => *next = Some(offset),
                Followed::OffsetGone => gone.push(partition),
                Followed::Failed(code) => failed = Some(code),
            }
        }
        if let Some(code) = failed
            && !self.is_refused
        {
            tracing::warn!(topic = %self.around.settings.topic, ?code, "the history cannot be read; does the service have the right to read the topic?");
        }
        self.is_refused = failed.is_some() || self.is_refused && gathered.is_empty();
        for (partition, (reads, next)) in gathered {
            // Of a partition that was let go meanwhile nothing is applied: it is read again when it comes back.
            if let (Some(chronicle), Some(next), false) = (self.followed.get(&partition), next, gone.contains(&partition)) {
                chronicle.apply(&reads, next, self.around.committed.partitions())?;
            }
        }
        Ok(gone)
    }

    fn look_at_ends(&mut self) -> Result<(), HistoryError> {
        for (partition, chronicle) in &self.followed {
            let asked_at = clock::wall();
            let end = match self.reader.watermarks(&self.around.settings.topic, *partition, PATIENCE) {
                Ok((_, end)) => end,
                Err(failure) => {
                    // The others are as likely to be out of reach; `as_of` stands still, which is the truth.
                    if !self.is_out_of_reach {
                        tracing::warn!(topic = %self.around.settings.topic, %failure, "the history cannot be brought up to date");
                    }
                    self.is_out_of_reach = true;
                    return Ok(());
                }
            };
            if chronicle.freshness().next > end && self.is_beyond(*partition, chronicle.freshness().next) {
                self.start_over(*partition, "the partition ends below what was read of it: the topic was made anew or cut")?;
            } else {
                chronicle.note_end(end, asked_at);
            }
            self.around.metrics.show(*partition, chronicle.freshness().lag());
        }
        self.is_out_of_reach = false;
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
