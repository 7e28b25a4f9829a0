//! Reading: the group's consumer, and readers that belong to no group.
//!
//! The group assigns partitions of the *first* input topic alone; the same partition of every other input goes with it.
//! So inputs stay together on one task whatever the assignor does (cooperative-sticky does not look across topics).
//!
//! **Invariant:** a partition is fetched only after somebody gave an explicit offset for it ([`GroupConsumer::take`]).
//! The assignment callback itself fetches nothing: a later seek would be refused for up to 1.5 s.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use super::error::{Call, Failure};
use super::ffi::{GroupMetadata, Message, NativeConsumer};
use super::settings::{Isolation, Logged, Settings};
use crate::id::{Offset, Partition, TopicName};

/// Records that one call returns at most; bounds what a paused lane still gets.
const BATCH: usize = 4096;

/// A rebalance of the group: what came or went, and who we are from now on.
pub struct Rebalance {
    pub change: Change,
    /// `None`: not a member at this moment.
    pub metadata: Option<GroupMetadata>,
}

/// Partitions of the first input topic.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
}

/// The consumer of the group. Used by one thread.
pub struct GroupConsumer {
    native: NativeConsumer,
    topics: Vec<TopicName>,
}

impl GroupConsumer {
    /// Joins the group. `topics`: the co-partitioned inputs, first the one that the group assigns.
    pub fn join(settings: &Settings, topics: Vec<TopicName>) -> Result<GroupConsumer, Failure> {
        let native = NativeConsumer::new(&settings.group_consumer(), BATCH)?;
        let first: Vec<&str> = topics.iter().take(1).map(|topic| &*topic.0).collect();
        native.subscribe(&first)?;
        Ok(GroupConsumer { native, topics })
    }

    /// Waits up to `wait`, appends records to `records`. Every rebalance returned has to be answered ([`Self::answer`]).
    pub fn poll(&mut self, wait: Duration, records: &mut Vec<Message>) -> Vec<Rebalance> {
        let rebalances = self.native.poll(wait, records);
        rebalances
            .into_iter()
            .map(|raw| {
                let partitions = raw.partitions.into_iter().map(|(_, partition)| Partition(partition)).collect();
                let change = if raw.assigned { Change::Assigned(partitions) } else { Change::Revoked(partitions) };
                Rebalance { change, metadata: raw.metadata }
            })
            .collect()
    }

    /// Lets the group go on. `fetched`: the revoked partitions that were being fetched.
    pub fn answer(&self, change: &Change, fetched: &[Partition]) -> Result<(), Failure> {
        match change {
            Change::Assigned(_) => self.native.incremental_assign(&TopicPartitionList::new()),
            // A client that has lost its membership may have stopped fetching by itself, and then refuses the list.
            Change::Revoked(_) => self
                .native
                .incremental_unassign(&self.all_inputs(fetched))
                .or_else(|_| self.native.incremental_unassign(&TopicPartitionList::new())),
        }
    }

    /// Starts to fetch the inputs of a partition at these offsets, one a topic; or gets ready to, if they are `paused`.
    ///
    /// A pause outlives the assignment in librdkafka (2.12.1): a partition that was lost while it was paused comes back
    /// paused, and nobody who does not know would ever resume it. So it is always said which it is.
    pub fn take(&self, partition: Partition, offsets: &[(TopicName, Offset)], paused: bool) -> Result<(), Failure> {
        self.native.incremental_assign(&list_at(partition, offsets)?)?;
        if paused { self.pause(&[partition]) } else { self.resume(&[partition]) }
    }

    /// Stops to fetch the inputs of a partition.
    pub fn release(&self, partition: Partition) -> Result<(), Failure> {
        self.native.incremental_unassign(&self.all_inputs(&[partition]))
    }

    pub fn pause(&self, partitions: &[Partition]) -> Result<(), Failure> {
        self.native.pause(&self.all_inputs(partitions))
    }

    pub fn resume(&self, partitions: &[Partition]) -> Result<(), Failure> {
        self.native.resume(&self.all_inputs(partitions))
    }

    /// How many offsets of a partition have not been handed out, as the last fetch knew. `from`: where reading began.
    /// `None`: nothing has been fetched yet.
    ///
    /// Only 0 says that the end is reached: an end that is left from an earlier assignment lies below, and is negative.
    pub fn behind(&self, topic: &TopicName, partition: Partition, from: Offset) -> Option<i64> {
        let (position, end) = self.native.position_and_end(&topic.0, partition.0);
        Some(end? - position.unwrap_or(from.0).max(from.0))
    }

    /// A fatal error of the client, as text: only a new consumer helps.
    pub fn fatal(&self) -> Option<String> {
        self.native.client().fatal_error().map(|(code, reason)| format!("{reason} ({code:?})"))
    }

    fn all_inputs(&self, partitions: &[Partition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(self.topics.len() * partitions.len());
        for topic in &self.topics {
            for partition in partitions {
                list.add_partition(&topic.0, partition.0);
            }
        }
        list
    }
}

/// Reads one partition from an offset on, and answers questions about offsets. Belongs to no group.
pub struct Reader(BaseConsumer<Logged>);

impl Reader {
    pub fn connect(settings: &Settings, isolation: Isolation) -> Result<Reader, Failure> {
        settings.reader(isolation).create_with_context(Logged).map(Reader).map_err(|e| Failure::new(Call::Connect, &e))
    }

    /// Reads `topic`/`partition` from `from` on, instead of whatever was read before.
    pub fn start(&self, topic: &TopicName, partition: Partition, from: Offset) -> Result<(), Failure> {
        let list = list_at(partition, &[(topic.clone(), from)])?;
        self.0.assign(&list).map_err(|e| Failure::new(Call::Consume, &e))
    }

    pub fn poll(&self, wait: Duration) -> Polled<'_> {
        match self.0.poll(wait) {
            None => Polled::Nothing,
            Some(Ok(record)) => Polled::Record(record),
            Some(Err(KafkaError::PartitionEOF(_))) => Polled::End,
            Some(Err(e)) => Polled::Failed(Failure::new(Call::Consume, &e)),
        }
    }

    /// First offset and end of a partition. Of a `read_committed` reader, the end is the last stable offset.
    pub fn watermarks(&self, topic: &TopicName, partition: Partition, wait: Duration) -> Result<(Offset, Offset), Failure> {
        let (low, high) = self.0.fetch_watermarks(&topic.0, partition.0, wait).map_err(|e| Failure::new(Call::Consume, &e))?;
        Ok((Offset(low), Offset(high)))
    }

    /// The group's offsets for one partition of each topic, in their order. With `read_committed` it waits while some
    /// are pending in a transaction, and fails with a timeout when that takes longer than `wait` (KIP-447).
    pub fn committed(&self, topics: &[TopicName], partition: Partition, wait: Duration) -> Result<Vec<Option<Offset>>, Failure> {
        let mut list = TopicPartitionList::with_capacity(topics.len());
        for topic in topics {
            list.add_partition(&topic.0, partition.0);
        }
        let failed = |e| Failure::new(Call::Consume, &e);
        let found = self.0.committed_offsets(list, wait).map_err(failed)?;
        topics
            .iter()
            .map(|topic| {
                let Some(element) = found.find_partition(&topic.0, partition.0) else { return Ok(None) };
                element.error().map_err(failed)?;
                Ok(if let NativeOffset::Offset(offset) = element.offset() { Some(Offset(offset)) } else { None })
            })
            .collect()
    }
}

/// What a call of [`Reader::poll`] found.
pub enum Polled<'a> {
    /// Not "no more": only nothing yet.
    Nothing,
    Record(BorrowedMessage<'a>),
    /// Everything that can be read now has been read.
    End,
    Failed(Failure),
}

/// One partition of several topics, each at an offset.
pub fn list_at(partition: Partition, offsets: &[(TopicName, Offset)]) -> Result<TopicPartitionList, Failure> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    add_at(&mut list, partition, offsets)?;
    Ok(list)
}

/// Adds one partition of several topics, each at an offset.
pub fn add_at(list: &mut TopicPartitionList, partition: Partition, offsets: &[(TopicName, Offset)]) -> Result<(), Failure> {
    for (topic, offset) in offsets {
        list.add_partition_offset(&topic.0, partition.0, NativeOffset::Offset(offset.0)).map_err(|e| Failure::new(Call::Consume, &e))?;
    }
    Ok(())
}
