//! The thread that reads the topic into the copies.
//!
//! **Invariant:** the only writer. A partition that starts over is emptied before its first record is read again, and
//! nothing that was read of it before is applied afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::copies::Copies;
use super::ends::Doubt;
use super::{Memberships, PATIENCE, ReplicaError, Settings};
use crate::id::{Offset, Partition};
use crate::kafka::follower::{Followed, Follower, followed};
use crate::kafka::settings::Isolation;
use crate::kafka::topics::{Incarnation, Topics};
use crate::kafka::{Message, Reader};
use crate::metrics::ReplicaMetrics;
use crate::runtime::Shutdown;
use crate::runtime::clock::Deadline;
use crate::runtime::status::{Check, Condition, Heartbeat, Status};

/// How long one wait for records takes at most; also how soon a doubt is heard.
const WAIT: Duration = Duration::from_millis(100);
/// A copy that nothing is written to still stores every so often as of when it is.
const REMEMBER: Duration = Duration::from_secs(30);

pub struct Following {
    pub settings: Arc<Settings>,
    pub memberships: Arc<Memberships>,
    pub metrics: Arc<ReplicaMetrics>,
    pub status: Status,
    pub doubted: Receiver<Doubt>,
}

/// What a partition brought in one poll.
#[derive(Default)]
struct Gathered<'a> {
    records: Vec<(&'a [u8], Option<&'a [u8]>)>,
    next: Option<Offset>,
    gone: bool,
}

impl Following {
    /// Follows one incarnation of the topic after another.
    pub fn run(&self, shutdown: &Shutdown) -> Result<(), ReplicaError> {
        let heartbeat = self.status.heartbeat("replica");
        while !shutdown.is_requested() {
            let Some(copies) = self.open(&heartbeat, shutdown)? else { break };
            self.memberships.publish(copies.clone());
            self.status.set(Check::Assigned, Condition::met(format!("{} partitions of {}", copies.len(), self.settings.topic)));
            let result = self.follow(&copies, &heartbeat, shutdown);
            self.memberships.withdraw();
            await_last(copies);
            result?;
        }
        self.status.set(Check::Reading, Condition::unmet("stopping"));
        Ok(())
    }

    /// Waits for the topic and opens its copies. `None`: asked to stop.
    fn open(&self, heartbeat: &Heartbeat, shutdown: &Shutdown) -> Result<Option<Arc<Copies>>, ReplicaError> {
        let topic = &self.settings.topic;
        let cluster = Topics::connect(&self.settings.kafka)?.within(PATIENCE);
        let mut said = false;
        while !shutdown.is_requested() {
            heartbeat.beat();
            let why = match cluster.incarnation(topic) {
                Ok(Some(Incarnation { partitions, id })) => {
                    let Settings { dir, memory_bytes, .. } = &*self.settings;
                    return Ok(Some(Arc::new(Copies::open(dir, *memory_bytes / 2, &topic.0, partitions, id)?)));
                }
                Ok(None) => format!("the topic `{topic}` does not exist yet; `segmentd run` or `segmentd topics --create` makes it"),
                Err(error) => error.to_string(),
            };
            if !said {
                tracing::warn!("{why}");
                said = true;
            }
            self.status.set(Check::Assigned, Condition::unmet(why));
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(None)
    }

    /// Until it is asked to stop, or the topic is another.
    fn follow(&self, copies: &Copies, heartbeat: &Heartbeat, shutdown: &Shutdown) -> Result<(), ReplicaError> {
        // About an incarnation that is gone.
        self.doubted.try_iter().for_each(drop);
        let mut follower = Follower::connect(&self.settings.kafka, self.settings.topic.clone())?;
        for (partition, copy) in copies.iter() {
            follower.start(partition, copy.freshness().next)?;
        }
        self.status.set(Check::Reading, Condition::met(format!("{} partitions", copies.len())));
        let (mut messages, mut remember) = (Vec::new(), Deadline::after(REMEMBER));
        while !shutdown.is_requested() {
            heartbeat.beat();
            follower.poll(WAIT, &mut messages);
            for partition in absorb(copies, &messages)? {
                self.start_over(copies, &follower, partition, "the offset to go on from is gone: the topic was made anew or cut")?;
            }
            messages.clear();
            for doubt in self.doubted.try_iter() {
                match doubt {
                    Doubt::AnotherTopic => return Ok(()),
                    Doubt::Partition(partition, why) => self.start_over(copies, &follower, partition, why)?,
                }
            }
            if remember.is_past() {
                self.remember(copies)?;
                remember = Deadline::after(REMEMBER);
            }
            self.say_how_far(copies);
        }
        self.remember(copies)
    }

    fn start_over(&self, copies: &Copies, follower: &Follower, partition: Partition, why: &str) -> Result<(), ReplicaError> {
        let Some(copy) = copies.get(partition) else { return Ok(()) };
        tracing::warn!(topic = %self.settings.topic, partition = partition.0, "{why}; starting over");
        self.metrics.started_over.inc();
        follower.stop(partition)?;
        copy.clear()?;
        // Almost always 0: compaction moves no beginning. Asked for because an offset that does not exist would stop us.
        let reader = Reader::connect(&self.settings.kafka, Isolation::Committed)?;
        let first = reader.watermarks(&self.settings.topic, partition, PATIENCE).map_or(Offset(0), |(low, _)| low);
        Ok(follower.start(partition, first)?)
    }

    /// Stores as of when each copy is, for the next start.
    fn remember(&self, copies: &Copies) -> Result<(), ReplicaError> {
        for (_, copy) in copies.iter() {
            let freshness = copy.freshness();
            if freshness.as_of.is_some() {
                copy.apply(&[], freshness.next, copies.topic_id.as_deref())?;
            }
        }
        Ok(())
    }

    fn say_how_far(&self, copies: &Copies) {
        let behind: Vec<_> = copies.iter().filter(|(_, copy)| !copy.freshness().is_confirmed()).collect();
        let condition = match behind.first() {
            None => Condition::met(format!("{} partitions were read to their end", copies.len())),
            Some((partition, copy)) => {
                let lag = copy.freshness().lag();
                Condition::unmet(format!(
                    "partition {}: {lag} records remain; {} of {} are behind",
                    partition.0,
                    behind.len(),
                    copies.len()
                ))
            }
        };
        self.status.set(Check::Restored, condition);
    }
}

/// Applies what was read, partition by partition; those whose offset is gone.
fn absorb(copies: &Copies, messages: &[Message]) -> Result<Vec<Partition>, ReplicaError> {
    let mut gathered: BTreeMap<i32, Gathered<'_>> = BTreeMap::new();
    for message in messages {
        let partition = gathered.entry(message.partition()).or_default();
        match followed(message) {
            Followed::Record { key, value } => {
                partition.next = Some(Offset(message.offset() + 1));
                // A record without a key is nobody's.
                partition.records.extend(key.map(|key| (key, value)));
            }
            Followed::End => partition.next = Some(Offset(message.offset())),
            Followed::OffsetGone => partition.gone = true,
            Followed::Failed(code) => tracing::debug!(partition = message.partition(), ?code, "reading the memberships"),
        }
    }
    let mut gone = Vec::new();
    for (number, Gathered { records, next, gone: is_gone }) in gathered {
        let partition = Partition(number);
        if is_gone {
            gone.push(partition);
        } else if let (Some(copy), Some(next)) = (copies.get(partition), next) {
            copy.apply(&records, next, copies.topic_id.as_deref())?;
        }
    }
    Ok(gone)
}

/// Until the last lookup has let go: a store cannot be opened twice.
fn await_last(copies: Arc<Copies>) {
    while Arc::strong_count(&copies) > 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
}
