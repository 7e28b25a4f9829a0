//! The thread that asks the broker: where does each partition end, and is the topic still the one that we know?
//!
//! **Invariant:** it writes no copy. What it finds doubtful it says, and the follower acts.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::copies::{Copies, Copy};
use super::{Memberships, OLDEST_COPY, PATIENCE, ReplicaError, Settings};
use crate::id::Partition;
use crate::kafka::follower::uncommitted_end;
use crate::kafka::settings::Isolation;
use crate::kafka::topics::{Incarnation, Topics};
use crate::kafka::{Failure, Reader};
use crate::metrics::ReplicaMetrics;
use crate::runtime::Shutdown;
use crate::runtime::clock::{self, Deadline};
use crate::runtime::status::Heartbeat;
use crate::time::EventTime;

/// How often ends are asked for; the resolution of `as_of`.
const EVERY: Duration = Duration::from_millis(500);
/// How often the topic's identity is asked for.
const IDENTITY: Duration = Duration::from_secs(5);

/// Why a copy cannot be trusted.
pub enum Doubt {
    /// The topic was deleted and made again, or has another number of partitions.
    AnotherTopic,
    Partition(Partition, &'static str),
}

pub struct Watch {
    settings: Arc<Settings>,
    memberships: Arc<Memberships>,
    metrics: Arc<ReplicaMetrics>,
    doubts: Sender<Doubt>,
    cluster: Topics,
    reader: Reader,
}

impl Watch {
    pub fn connect(
        settings: Arc<Settings>,
        memberships: Arc<Memberships>,
        metrics: Arc<ReplicaMetrics>,
        doubts: Sender<Doubt>,
    ) -> Result<Watch, ReplicaError> {
        let cluster = Topics::connect(&settings.kafka)?.within(PATIENCE);
        let reader = Reader::connect(&settings.kafka, Isolation::Committed)?;
        Ok(Watch { settings, memberships, metrics, doubts, cluster, reader })
    }

    pub fn run(&self, heartbeat: &Heartbeat, shutdown: &Shutdown) {
        let mut identity = Deadline::after(IDENTITY);
        while !shutdown.is_requested() {
            heartbeat.beat();
            if let Some(copies) = self.memberships.current() {
                self.look(&copies, heartbeat, shutdown);
                let known = Incarnation { partitions: copies.len(), id: copies.topic_id.clone() };
                // Not held while it waits: who opens the copies again waits for this.
                drop(copies);
                if identity.is_past() {
                    self.check_identity(&known);
                    identity = Deadline::after(IDENTITY);
                }
            }
            std::thread::sleep(EVERY);
        }
    }

    fn look(&self, copies: &Copies, heartbeat: &Heartbeat, shutdown: &Shutdown) {
        for (partition, copy) in copies.iter() {
            heartbeat.beat();
            let asked = self.ask(partition, copy);
            self.metrics.show(partition, copy.freshness().lag(), copy.freshness().as_of);
            if let Err(failure) = asked {
                // The others are on brokers that are as likely to be out of reach; `as_of` stands still, which is the truth.
                tracing::debug!(partition = partition.0, %failure, "the end of the partition is not known");
                return;
            }
            if shutdown.is_requested() {
                return;
            }
        }
    }

    fn ask(&self, partition: Partition, copy: &Copy) -> Result<(), Failure> {
        let (before, asked_at) = (copy.freshness(), clock::wall());
        let (_, end) = self.reader.watermarks(&self.settings.topic, partition, PATIENCE)?;
        if before.as_of.is_some_and(|as_of| is_old(as_of, asked_at)) {
            self.doubt(Doubt::Partition(partition, "the copy is so old that it may have missed tombstones"));
        } else if before.next > end && before.next > uncommitted_end(&self.settings.kafka, &self.settings.topic, partition, PATIENCE)? {
            self.doubt(Doubt::Partition(partition, "the partition ends below what was read of it: the topic was made anew or cut"));
        } else {
            copy.note_end(end, asked_at);
        }
        Ok(())
    }

    fn check_identity(&self, known: &Incarnation) {
        match self.cluster.incarnation(&self.settings.topic) {
            Ok(Some(found)) if found != *known => {
                tracing::warn!(topic = %self.settings.topic, partitions = found.partitions, "the topic was made anew, or has other partitions; opening it again");
                self.doubt(Doubt::AnotherTopic);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the topic's identity is not known"),
        }
    }

    fn doubt(&self, doubt: Doubt) {
        // An error says that the follower has ended, and then nobody is there to doubt.
        let _ = self.doubts.send(doubt);
    }
}

fn is_old(as_of: EventTime, now: EventTime) -> bool {
    now.millis().saturating_sub(as_of.millis()) > i64::try_from(OLDEST_COPY.as_millis()).unwrap_or(i64::MAX)
}
