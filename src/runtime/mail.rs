//! What the poller and the lanes say to each other. Each lane has one inbox, so that it learns everything in one order.
//!
//! **Invariant:** nobody waits for an answer. A record and a notice are in the order in which the consumer gave them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;

use super::ownership::Token;
use super::restore::{Replayed, RestoreError, Restored};
use crate::id::{Offset, Partition, TopicName};
use crate::kafka::Message;
use crate::plan::Plan;

/// A lane with more records or bytes than this waiting is paused until it has half of it.
const QUEUED_RECORDS: usize = 50_000;
const QUEUED_BYTES: usize = 64 << 20;

/// Everything that a lane is told.
pub enum Mail {
    Notice(Notice),
    Replayed(Partition, Box<Result<Replayed, RestoreError>>),
    Restored(Partition, Box<Result<Restored, RestoreError>>),
}

/// Names one reading of one partition from a given offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feed(pub u64);

/// A record, and the reading that it belongs to.
pub struct Fed {
    pub feed: Feed,
    pub message: Message,
    /// When the poller handed it on.
    pub since: Instant,
}

/// What the poller tells a lane.
pub enum Notice {
    Assigned {
        partition: Partition,
        token: Token,
    },
    Revoked {
        partition: Partition,
        token: Token,
    },
    Records(Vec<Fed>),
    /// Everything that an input has for this partition has been handed on.
    End {
        partition: Partition,
        feed: Feed,
        topic: TopicName,
    },
    /// Decide by this plan from the next batch on.
    Redefined(Arc<Plan>),
    Stop,
}

/// What a lane asks of the poller.
pub enum Request {
    /// Read a partition from these offsets on.
    Feed { partition: Partition, token: Token, feed: Feed, offsets: Vec<(TopicName, Offset)> },
    /// Stop reading a partition: its task is being restored.
    Hold { partition: Partition, token: Token },
    /// Hand out nothing more and tell the lanes to stop.
    Stop,
    /// The lanes have stopped: leave the group.
    Leave,
}

/// Records that wait in a lane's inbox.
#[derive(Default)]
pub struct Queued {
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl Queued {
    pub fn add(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The lane took these records up.
    pub fn taken(&self, records: usize, bytes: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// More than the bound, divided by `part`.
    pub fn is_above(&self, part: usize) -> bool {
        self.records.load(Ordering::Relaxed) > QUEUED_RECORDS / part || self.bytes.load(Ordering::Relaxed) > QUEUED_BYTES / part
    }
}

/// Bytes of a record, as [`Queued`] counts them.
pub fn size(message: &Message) -> usize {
    message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len) + 128
}

/// The way to one lane.
pub struct LaneEnd {
    pub inbox: Sender<Mail>,
    pub queued: Arc<Queued>,
}

impl LaneEnd {
    pub fn tell(&self, notice: Notice) {
        // A lane that is gone has failed, and the supervisor knows; there is nobody left to tell.
        let _ = self.inbox.send(Mail::Notice(notice));
    }
}
