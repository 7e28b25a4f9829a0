//! Which process owns which partition, by its address: whoever asks the wrong one is sent to the right one.
//!
//! A compacted topic, `{deployment}-owners`, has a record for each partition, under its number. Each process writes its own
//! once it has a partition running, and reads everybody's. It is written outside of the transactions: it may be late, or of a
//! process that has died, and nothing is decided by it.
//!
//! **Invariant:** a word about an owner is a hint. Whether a partition is ours is never read from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{self, Deadline};
use super::committed::Committed;
use super::{Settings, Shutdown};
use crate::id::{Offset, Partition, TopicName};
use crate::kafka::follower::{Followed, followed};
use crate::kafka::{Failure, Follower, PlainProducer, Record};

/// How long a partition that has come waits to be told of, at most.
const POLL: Duration = Duration::from_millis(50);
/// How often what others have written of our partitions is put right. Two that both take a partition for theirs, since one of
/// them does not know yet that it is gone, write no more than this.
const CORRECT: Duration = Duration::from_secs(5);
/// How long a record may take; it is written again later if it did not arrive.
const FLUSH: Duration = Duration::from_secs(2);
/// Between attempts after Kafka refused.
const RETRY: Duration = Duration::from_secs(5);
/// The longest address that is believed, in bytes.
const ADDRESS_BYTES: usize = 512;

/// The topic, and what this process says of itself.
#[derive(Clone, Debug)]
pub struct Advertised {
    pub topic: TopicName,
    /// As others reach this process's API: `http://segmentd-0.segmentd:8080`.
    pub address: String,
}

/// What was read last. Cheap to clone; stays empty where nobody says an address.
#[derive(Clone, Default)]
pub struct Owners(Arc<RwLock<BTreeMap<Partition, Arc<str>>>>);

/// A record of the topic.
#[derive(Serialize, Deserialize)]
struct Owner {
    partition: i32,
    address: String,
    /// When it was written, by the writer's clock.
    at: String,
}

impl Owners {
    /// The address of the process that owns a partition, as it was told last; `None`: it is not known.
    pub fn of(&self, partition: Partition) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }

    pub(crate) fn note(&self, partition: Partition, address: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(partition, address.into());
    }

    /// Takes in a record; one that is none of ours says nothing.
    fn absorb(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let number = key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|text| text.parse().ok());
        let Some(partition) = number.map(Partition) else { return };
        match value.map(serde_json::from_slice::<Owner>) {
            None => drop(self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&partition)),
            Some(Ok(owner)) if owner.address.len() <= ADDRESS_BYTES => self.note(partition, &owner.address),
            Some(_) => tracing::debug!(partition = partition.0, "a record about an owner is not one of segmentd's"),
        }
    }
}

/// Tells of our partitions and reads of the others', until `stop`.
pub struct Keeper {
    pub settings: Arc<Settings>,
    pub advertised: Advertised,
    pub owners: Owners,
    pub committed: Committed,
}

impl Keeper {
    pub fn run(&self, stop: &Shutdown) {
        while !stop.is_requested() {
            if let Err(failure) = self.follow(stop) {
                tracing::warn!(%failure, topic = %self.advertised.topic, "owners are not known at the moment; lookups go on");
                let retry = Deadline::after(RETRY);
                while !retry.is_past() && !stop.is_requested() {
                    std::thread::sleep(POLL);
                }
            }
        }
    }

    fn follow(&self, stop: &Shutdown) -> Result<(), Failure> {
        let mut follower = Follower::connect(&self.settings.kafka, self.advertised.topic.clone())?;
        let producer = PlainProducer::connect(&self.settings.kafka)?;
        // Small, and compacted: always read whole.
        for partition in self.partitions() {
            follower.start(partition, Offset(0))?;
        }
        let (mut told, mut correct, mut messages) = (BTreeSet::new(), Deadline::after(CORRECT), Vec::new());
        while !stop.is_requested() {
            follower.poll(POLL, &mut messages);
            for message in messages.drain(..) {
                match followed(&message) {
                    Followed::Record { key, value } => self.owners.absorb(key, value),
                    Followed::OffsetGone => return Ok(()),
                    Followed::End | Followed::Failed(_) => {}
                }
            }
            if correct.is_past() {
                told.retain(|partition| self.owners.of(*partition).as_deref() == Some(self.advertised.address.as_str()));
                correct = Deadline::after(CORRECT);
            }
            self.tell(&producer, &mut told)?;
        }
        Ok(())
    }

    fn partitions(&self) -> impl Iterator<Item = Partition> {
        (0..i32::try_from(self.settings.topics.partitions).unwrap_or(i32::MAX)).map(Partition)
    }

    /// Writes of every partition that runs here and was not told of.
    fn tell(&self, producer: &PlainProducer, told: &mut BTreeSet<Partition>) -> Result<(), Failure> {
        let running: BTreeSet<Partition> = self.committed.running().into_iter().collect();
        told.retain(|partition| running.contains(partition));
        let news: Vec<Partition> = running.difference(told).copied().collect();
        for partition in &news {
            let (key, value) = (partition.0.to_string(), self.record(*partition));
            let (key, value) = (Some(key.as_bytes()), Some(value.as_slice()));
            producer.send(&Record { topic: &self.advertised.topic.0, partition: partition.0, key, value, ..Record::default() })?;
        }
        if !news.is_empty() {
            producer.flush(FLUSH)?;
            told.extend(news);
        }
        Ok(())
    }

    fn record(&self, partition: Partition) -> Vec<u8> {
        let owner = Owner { partition: partition.0, address: self.advertised.address.clone(), at: clock::wall().to_string() };
        serde_json::to_vec(&owner).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(owners: &Owners, key: &[u8], value: Option<&[u8]>, expected: Option<&str>) {
        owners.absorb(Some(key), value);
        assert_eq!(owners.of(Partition(3)).as_deref(), expected);
    }

    #[test]
    fn the_last_record_of_a_partition_says_who_owns_it() {
        let owners = Owners::default();
        check(&owners, b"3", Some(br#"{"partition":3,"address":"http://a:1","at":"x"}"#), Some("http://a:1"));
        check(&owners, b"4", Some(br#"{"partition":4,"address":"http://c:1","at":"x"}"#), Some("http://a:1"));
        check(&owners, b"3", Some(br#"{"partition":3,"address":"http://b:1","at":"x"}"#), Some("http://b:1"));
        check(&owners, b"3", Some(b"nonsense"), Some("http://b:1"));
        check(&owners, b"three", None, Some("http://b:1"));
        let long = format!(r#"{{"partition":3,"address":"{}","at":"x"}}"#, "x".repeat(ADDRESS_BYTES + 1));
        check(&owners, b"3", Some(long.as_bytes()), Some("http://b:1"));
        check(&owners, b"3", None, None);
    }
}
