//! Reading all partitions of one topic, for whoever keeps a copy of it. Belongs to no group.
//!
//! **Invariant:** a partition is read from an offset that was given, and from no other: one that does not exist is
//! reported, never replaced.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::consumer::{Reader, list_at};
use super::error::Failure;
use super::ffi::{Message, NativeConsumer};
use super::settings::{Isolation, Settings};
use crate::id::{Offset, Partition, TopicName};

/// Records that one call returns at most.
const BATCH: usize = 4096;

/// A `read_committed` reader of one topic. Used by one thread.
pub struct Follower {
    native: NativeConsumer,
    topic: TopicName,
}

/// What was read of a partition.
pub enum Followed<'a> {
    Record {
        key: Option<&'a [u8]>,
        /// `None`: a tombstone.
        value: Option<&'a [u8]>,
    },
    /// Everything below this record's offset has been read: markers of transactions take offsets too, and only the end
    /// tells how many.
    End,
    /// The offset to go on from does not exist; nothing more comes until the partition is started again.
    OffsetGone,
    /// librdkafka goes on by itself.
    Failed(Code),
}

impl Follower {
    pub fn connect(settings: &Settings, topic: TopicName) -> Result<Follower, Failure> {
        Ok(Follower { native: NativeConsumer::new(&settings.follower(), BATCH)?, topic })
    }

    /// Reads a partition that is not being read, from `from` on.
    pub fn start(&self, partition: Partition, from: Offset) -> Result<(), Failure> {
        self.native.incremental_assign(&list_at(partition, &[(self.topic.clone(), from)])?)
    }

    /// Reads a partition no more. Records that [`Self::poll`] has returned already are the caller's to ignore.
    pub fn stop(&self, partition: Partition) -> Result<(), Failure> {
        self.native.incremental_unassign(&list_at(partition, &[(self.topic.clone(), Offset(0))])?)
    }

    /// Waits up to `wait`, appends what was read to `messages`; [`followed`] says what each is.
    pub fn poll(&mut self, wait: Duration, messages: &mut Vec<Message>) {
        // No group, no rebalances.
        self.native.poll(wait, messages);
    }
}

/// Where a partition ends, what is not committed included: after a change of leader the committed end may be told lower for a
/// moment.
pub fn uncommitted_end(settings: &Settings, topic: &TopicName, partition: Partition, wait: Duration) -> Result<Offset, Failure> {
    let reader = Reader::connect(settings, Isolation::Uncommitted)?;
    Ok(reader.watermarks(topic, partition, wait)?.1)
}

/// What a message of a [`Follower`] says.
pub fn followed(message: &Message) -> Followed<'_> {
    match message.error() {
        None => Followed::Record { key: message.key(), value: message.payload() },
        Some(Code::PartitionEOF) => Followed::End,
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Followed::OffsetGone,
        Some(code) => Followed::Failed(code),
    }
}
