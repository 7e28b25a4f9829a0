//! The service: Kafka in, Kafka out, exactly once (docs/exactly-once.md).
//!
//! ```text
//! poller ──records, by feed──▶ lane ──one transaction over its tasks──▶ Kafka
//!   │  ▲                        │ ▲                                       │ committed
//!   │  └── feed, hold ──────────┘ └── restore (a thread a partition)      ▼
//!   └── ownership: assignment + group metadata, one pair             store of each task
//! ```
//!
//! | thread | does | waits for |
//! | --- | --- | --- |
//! | poller | reads, answers rebalances | nothing but Kafka |
//! | lane, one a core | computes, commits | its own producer |
//! | restore, one a restoring partition | replays a changelog | the broker |
//! | supervisor (the caller of [`run`]) | starts, stops | the first of the others to end, or the shutdown |
//!
//! **Invariant:** a state on disk never says more than the changelog does. Whatever goes wrong, the way back is one and
//! the same: [`restore`].

mod census;
pub mod changelog;
pub mod clock;
pub mod committed;
pub mod crash;
pub mod erasure;
pub mod feed;
mod footprint;
mod lane;
pub mod listed;
mod mail;
pub mod measuring;
pub mod owners;
mod ownership;
mod poller;
pub mod precedence;
mod progress;
mod ranks;
mod restore;
pub mod status;
mod supervisor;
pub mod task;
pub mod topics;
pub mod trying;
mod watchdog;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use rdkafka::error::RDKafkaErrorCode;

use crate::audit::Audit;
use crate::id::TopicName;
use crate::kafka::topics::{Purpose, TopicError, Wanted};
use crate::kafka::wire::DecodeLimits;
use crate::kafka::{self, Failure};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::StoreError;
use crate::time::Span;

use committed::Committed;
use feed::Feed;
use owners::{Advertised, Owners};
use status::Status;
pub use supervisor::{Shutdown, run};
use topics::EntryTopics;

/// The life of a task, as the label `state` of the metric `tasks` says it.
pub const TASK_STATES: [&str; 5] = progress::State::NAMES;

/// Everything that the service is told.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kafka: kafka::Settings,
    pub topics: Topics,
    /// Missing outputs and the changelog are created.
    pub create_topics: bool,
    pub start: Start,
    pub state_dir: PathBuf,
    /// Bound of blocks and memtables of all stores together, bytes.
    pub state_memory: u64,
    pub commit: Commit,
    pub clock: ClockSettings,
    /// How often cuts among all customers are sought, by the task clock.
    pub epoch: Span,
    pub limits: DecodeLimits,
    /// Threads that compute; as many transactions are open at once.
    pub lanes: usize,
    /// `None`: no other process is told where this one is.
    pub advertised: Option<Advertised>,
}

/// Where a deployment that has never run begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
}

/// When a transaction is committed: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    pub interval: Duration,
    pub max_events: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct ClockSettings {
    pub follow_wall: bool,
    /// How far the task clock stays behind the wall clock at the end of a partition.
    pub idle_delay: Duration,
    /// An event that is further ahead of the wall clock is rejected.
    pub max_future: Duration,
}

/// The topics by name; [`run`] finds out how many partitions they have.
#[derive(Clone, Debug)]
pub struct Topics {
    pub inputs: Vec<TopicName>,
    pub transitions: Topic,
    pub entries: Topic,
    /// Those that segments have for themselves.
    pub own_entries: EntryTopics,
    pub membership: Topic,
    pub dead_letters: Topic,
    pub changelog: TopicName,
    /// Records that came in on another partition than their customer's pass through here once.
    pub repartition: TopicName,
    /// What tasks tell each other of their customers' ranks.
    pub ranks: TopicName,
    /// Of each input, the changelog and the repartition topic.
    pub partitions: u32,
}

/// An output.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: TopicName,
    pub partitions: u32,
}

impl Topics {
    /// Where the entries of a segment go that names a topic of its own, or none.
    pub fn entry_topic(&self, own: Option<&TopicName>) -> Cow<'_, Topic> {
        own.and_then(|name| self.own_entries.find(name)).map_or(Cow::Borrowed(&self.entries), Cow::Owned)
    }
}

impl Topic {
    /// Before its partitions are known.
    pub fn named(name: &str) -> Topic {
        Topic { name: TopicName(name.into()), partitions: 0 }
    }
}

/// What is evaluated.
pub struct Definitions {
    pub plan: Arc<Plan>,
    /// Plans that take its place while the service runs, each checked whole.
    pub changes: Receiver<Arc<Plan>>,
}

/// Where the threads say what they do: figures, signs of life, and what they have committed.
#[derive(Clone)]
pub struct Observed {
    pub metrics: Metrics,
    pub status: Status,
    pub committed: Committed,
    pub owners: Owners,
    pub feed: Feed,
    pub audit: Audit,
}

/// Why the service ended. Every message says what to do.
#[derive(thiserror::Error, Debug)]
pub enum RunError {
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Kafka refused: {0}")]
    Kafka(#[from] Failure),
    #[error("kafka.properties: `{property}` is set by segmentd itself: {reason}")]
    OwnedProperty { property: String, reason: &'static str },
    #[error(
        "{place}: the offset to go on from does not exist any more ({reason}; retention may have taken the records before \
         they were read); decide whether to start anew under another deployment, or to move the group's offsets"
    )]
    OffsetLost { place: String, reason: String },
    #[error("{place}: the input cannot be read ({code:?}); restore the topic or the permission")]
    InputGone { place: String, code: RDKafkaErrorCode },
    #[error("{0}")]
    Halted(String),
    #[error("the thread `{0}` panicked; this is a bug")]
    Panicked(String),
    #[error("no thread could be started: {0}")]
    NoThread(std::io::Error),
}

impl Settings {
    /// Takes in the entry topics that segments have for themselves.
    pub fn take_entry_topics(&self, plan: &Plan) {
        self.entry_topics_of(plan).iter().for_each(|name| self.topics.own_entries.name(name));
    }

    /// Those that a plan's segments have for themselves, each once.
    fn entry_topics_of(&self, plan: &Plan) -> BTreeSet<TopicName> {
        let own = plan.segments.iter().filter_map(|segment| segment.publication.entry_topic.clone());
        own.filter(|name| *name != self.topics.entries.name).collect()
    }

    /// What the tasks read: the user's inputs and the repartition topic.
    pub fn inputs(&self) -> Vec<TopicName> {
        let own = std::iter::once(&self.topics.repartition);
        self.topics.inputs.iter().chain(own).cloned().collect()
    }

    /// How many topics a task reads.
    pub fn input_count(&self) -> usize {
        self.topics.inputs.len() + 1
    }

    /// The topics that are created when they are missing.
    pub fn wanted_topics(&self) -> Vec<Wanted> {
        let topics = &self.topics;
        let own = topics.own_entries.names();
        let own = own.iter().map(|topic| (topic, Purpose::Log));
        let wanted = [
            (&topics.transitions.name, Purpose::Log),
            (&topics.entries.name, Purpose::Log),
            (&topics.membership.name, Purpose::Latest),
            (&topics.dead_letters.name, Purpose::DeadLetters),
            (&topics.changelog, Purpose::Changelog),
            (&topics.repartition, Purpose::Repartition),
            (&topics.ranks, Purpose::Ranks),
        ];
        let owners = self.advertised.iter().map(|advertised| (&advertised.topic, Purpose::Owners));
        wanted.into_iter().chain(own).chain(owners).map(|(topic, purpose)| Wanted { topic: topic.clone(), purpose }).collect()
    }
}

impl Definitions {
    /// That never change.
    pub fn fixed(plan: Arc<Plan>) -> Definitions {
        Definitions { plan, changes: crossbeam_channel::never() }
    }
}
