//! The thread with the group's consumer: it hands records to lanes, and tells them what came and what went.
//!
//! It never computes, never commits, and never waits for a lane. A lane that is behind has its partitions paused; what
//! it can still receive then is one call's worth of records.
//!
//! On a revocation, in this order: the pair is replaced, the lanes are told, the group goes on. Nothing waits for the
//! open transaction: it was begun under the old pair, and the broker will refuse it.
//!
//! **Invariant:** a record is handed on only under the feed that its partition has at that moment. A lane drops records
//! of any other feed, so nothing that was read before a restore reaches the task after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use rdkafka::error::RDKafkaErrorCode;

use super::clock;
use super::lane::Surroundings;
use super::mail::{Fed, Feed, LaneEnd, Notice, Request, size};
use super::ownership::{Published, Token};
use super::progress::Progress;
use super::status::{Check, Condition, Heartbeat};
use super::{Observed, RunError, Settings};
use crate::id::{Offset, Partition, TopicName};
use crate::kafka::consumer::{Change, Rebalance};
use crate::kafka::{Failure, GroupConsumer, Message};

/// A batch call returns when this has passed, or when the batch is full; so it is also how late a record can be here.
const POLL: Duration = Duration::from_millis(5);
/// How often the ends of partitions are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// Between attempts to join again after the client became unusable.
const REJOIN: Duration = Duration::from_secs(1);

/// A partition that this process owns.
struct Share {
    token: Token,
    lane: usize,
    feed: Option<Feed>,
    inputs: Vec<Input>,
}

/// An input of a partition that is read.
struct Input {
    topic: TopicName,
    /// Where reading began.
    from: Offset,
    /// Behind the last record that was handed on.
    next: Offset,
    /// The lane has been told that the end was reached.
    ended: bool,
}

impl Input {
    /// A record of one of the partition's inputs was handed on; `next` is the offset behind it.
    fn passed(&mut self, topic: &str, next: Offset) {
        self.ended = false;
        if *self.topic.0 == *topic {
            self.next = next;
        }
    }

    /// How many records are not committed: neither handed out yet (`behind`), nor done with by a lane.
    fn uncommitted(&self, behind: i64, read_to: Option<Offset>) -> i64 {
        behind.max(0) + (self.next.0 - read_to.unwrap_or(self.from).0).max(0)
    }
}

pub struct Poller {
    settings: Arc<Settings>,
    consumer: GroupConsumer,
    published: Published,
    lanes: Vec<LaneEnd>,
    requests: Receiver<Request>,
    shares: BTreeMap<Partition, Share>,
    /// The lane that a partition had here once it keeps: its store may still be open there.
    homes: BTreeMap<Partition, usize>,
    paused: Vec<bool>,
    last_token: u64,
    looked: Option<Instant>,
    observed: Observed,
    progress: Arc<Progress>,
    heartbeat: Heartbeat,
}

impl Poller {
    pub fn join(around: &Surroundings, lanes: Vec<LaneEnd>, requests: Receiver<Request>) -> Result<Poller, RunError> {
        let settings = around.settings.clone();
        Ok(Poller {
            consumer: GroupConsumer::join(&settings.kafka, settings.inputs())?,
            settings,
            published: around.published.clone(),
            paused: vec![false; lanes.len()],
            lanes,
            requests,
            shares: BTreeMap::new(),
            homes: BTreeMap::new(),
            last_token: 0,
            looked: None,
            observed: around.observed.clone(),
            progress: around.progress.clone(),
            heartbeat: around.observed.status.heartbeat("poller"),
        })
    }

    /// Runs until it is told to leave; then leaves the group.
    pub fn run(mut self) -> Result<(), RunError> {
        let mut records = Vec::new();
        let mut stopping = false;
        loop {
            self.heartbeat.beat();
            while let Ok(request) = self.requests.try_recv() {
                match request {
                    Request::Feed { partition, token, feed, offsets } if !stopping => self.feed(partition, token, feed, &offsets)?,
                    Request::Feed { .. } => {}
                    Request::Hold { partition, token } => self.hold(partition, token),
                    Request::Stop => {
                        stopping = true;
                        self.lanes.iter().for_each(|lane| lane.tell(Notice::Stop));
                    }
                    Request::Leave => return Ok(()),
                }
            }
            let rebalances = self.consumer.poll(POLL, &mut records);
            self.hand_on(&mut records, stopping)?;
            self.look_for_ends();
            rebalances.into_iter().try_for_each(|rebalance| self.rebalance(rebalance))?;
            self.balance_pressure()?;
            self.rejoin_if_fatal()?;
        }
    }

    fn feed(&mut self, partition: Partition, token: Token, feed: Feed, offsets: &[(TopicName, Offset)]) -> Result<(), Failure> {
        let Some(share) = self.shares.get_mut(&partition).filter(|share| share.token == token) else { return Ok(()) };
        share.feed = Some(feed);
        share.inputs = offsets.iter().map(|(topic, from)| Input { topic: topic.clone(), from: *from, next: *from, ended: false }).collect();
        let lane = share.lane;
        self.consumer.take(partition, offsets, self.paused[lane])
    }

    fn hold(&mut self, partition: Partition, token: Token) {
        let Some(share) = self.shares.get_mut(&partition).filter(|share| share.token == token) else { return };
        if share.feed.take().is_some()
            && let Err(failure) = self.consumer.release(partition)
        {
            // It was not fetched any more. What was is dropped by its feed.
            tracing::debug!(partition = partition.0, %failure, "nothing to release");
        }
    }

    fn hand_on(&mut self, records: &mut Vec<Message>, stopping: bool) -> Result<(), RunError> {
        let since = clock::now();
        let mut parcels: Vec<(Vec<Fed>, usize)> = self.lanes.iter().map(|_| (Vec::new(), 0)).collect();
        for message in records.drain(..) {
            let partition = Partition(message.partition());
            if let Some(code) = message.error() {
                self.consume_error(&message, code)?;
                continue;
            }
            let Some(Share { lane, feed: Some(feed), inputs, .. }) = self.shares.get_mut(&partition) else { continue };
            if !stopping {
                let (topic, next) = (message.topic(), Offset(message.offset() + 1));
                inputs.iter_mut().for_each(|input| input.passed(topic, next));
                parcels[*lane].1 += size(&message);
                parcels[*lane].0.push(Fed { feed: *feed, message, since });
            }
        }
        for (lane, parcel) in parcels.iter_mut().enumerate() {
            self.send(lane, parcel);
        }
        Ok(())
    }

    /// Tells the lanes of ends that were reached since; every record up to them has been handed on before. Notes the lag on the way.
    fn look_for_ends(&mut self) {
        if self.looked.is_some_and(|looked| clock::now().duration_since(looked) < LOOK) {
            return;
        }
        self.looked = Some(clock::now());
        for (partition, share) in &mut self.shares {
            let Some(feed) = share.feed else { continue };
            let mut lag = 0;
            for input in &mut share.inputs {
                let Some(behind) = self.consumer.behind(&input.topic, *partition, input.from) else { continue };
                let uncommitted = input.uncommitted(behind, self.observed.committed.read_to(*partition, &input.topic));
                self.observed.metrics.tasks.lag(&input.topic, *partition).set(uncommitted);
                lag += u64::try_from(uncommitted).unwrap_or(0);
                if behind == 0 && !input.ended {
                    input.ended = true;
                    self.lanes[share.lane].tell(Notice::End { partition: *partition, feed, topic: input.topic.clone() });
                }
            }
            self.observed.committed.note_lag(*partition, lag);
        }
    }

    fn send(&self, lane: usize, (records, bytes): &mut (Vec<Fed>, usize)) {
        if !records.is_empty() {
            self.lanes[lane].queued.add(records.len(), std::mem::take(bytes));
            self.lanes[lane].tell(Notice::Records(std::mem::take(records)));
        }
    }

    fn consume_error(&self, message: &Message, code: RDKafkaErrorCode) -> Result<(), RunError> {
        let place = format!("{}/{}", message.topic(), message.partition());
        let reason = String::from_utf8_lossy(message.payload().unwrap_or(&[])).into_owned();
        match code {
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => Err(RunError::OffsetLost { place, reason }),
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::TopicAuthorizationFailed => {
                Err(RunError::InputGone { place, code })
            }
            _ => {
                tracing::warn!(place, ?code, reason, "reading was disturbed; librdkafka goes on by itself");
                Ok(())
            }
        }
    }

    fn rebalance(&mut self, Rebalance { change, metadata }: Rebalance) -> Result<(), Failure> {
        tracing::info!(?change, generation = metadata.as_ref().map(|m| m.generation()), "the group has rebalanced");
        let metadata_held = metadata.is_some();
        let rebalances = &self.observed.metrics.tasks;
        match &change {
            Change::Assigned(_) => rebalances.assigned.inc(),
            Change::Revoked(_) if metadata_held => rebalances.revoked.inc(),
            Change::Revoked(_) => rebalances.lost.inc(),
        }
        match &change {
            Change::Assigned(partitions) => {
                let fresh: Vec<_> = partitions.iter().copied().filter(|p| !self.shares.contains_key(p)).collect();
                fresh.iter().for_each(|partition| self.adopt(*partition));
                self.publish(metadata);
                self.consumer.answer(&change, &[])?;
                fresh.iter().for_each(|partition| self.tell_assigned(*partition));
            }
            Change::Revoked(partitions) => {
                let gone: Vec<_> = partitions.iter().filter_map(|p| Some((*p, self.shares.remove(p)?))).collect();
                self.publish(metadata);
                for (partition, share) in &gone {
                    self.lanes[share.lane].tell(Notice::Revoked { partition: *partition, token: share.token });
                }
                let fetched: Vec<_> = gone.iter().filter(|(_, share)| share.feed.is_some()).map(|(p, _)| *p).collect();
                self.consumer.answer(&change, &fetched)?;
            }
        }
        self.show_assigned(metadata_held);
        self.progress.rebalanced();
        Ok(())
    }

    fn show_assigned(&self, member: bool) {
        let partitions: Vec<_> = self.shares.keys().map(|partition| partition.0.to_string()).collect();
        let detail = if partitions.is_empty() { "no partition".into() } else { format!("partitions {}", partitions.join(", ")) };
        let condition = if member { Condition::met(detail) } else { Condition::unmet("not a member of the group") };
        self.observed.status.set(Check::Assigned, condition);
    }

    fn adopt(&mut self, partition: Partition) {
        let lane = self.homes.get(&partition).copied().unwrap_or_else(|| self.least_loaded());
        self.homes.insert(partition, lane);
        self.last_token += 1;
        self.shares.insert(partition, Share { token: Token(self.last_token), lane, feed: None, inputs: Vec::new() });
    }

    fn least_loaded(&self) -> usize {
        let load = |lane: usize| self.shares.values().filter(|share| share.lane == lane).count();
        (0..self.lanes.len()).min_by_key(|lane| load(*lane)).unwrap_or(0)
    }

    fn tell_assigned(&self, partition: Partition) {
        if let Some(share) = self.shares.get(&partition) {
            self.lanes[share.lane].tell(Notice::Assigned { partition, token: share.token });
        }
    }

    fn publish(&self, metadata: Option<crate::kafka::GroupMetadata>) {
        let tokens = self.shares.iter().map(|(partition, share)| (*partition, share.token)).collect();
        self.published.publish(metadata, tokens);
    }

    fn balance_pressure(&mut self) -> Result<(), Failure> {
        for lane in 0..self.lanes.len() {
            let queued = &self.lanes[lane].queued;
            let pause = if self.paused[lane] { queued.is_above(2) } else { queued.is_above(1) };
            if pause == self.paused[lane] {
                continue;
            }
            let fed = |share: &Share| share.lane == lane && share.feed.is_some();
            let partitions: Vec<_> = self.shares.iter().filter(|(_, share)| fed(share)).map(|(p, _)| *p).collect();
            if pause {
                self.consumer.pause(&partitions)?
            } else {
                self.consumer.resume(&partitions)?
            }
            self.paused[lane] = pause;
        }
        Ok(())
    }

    /// A static member can fence itself on a slow broker, and a fatal error ends the client: everything goes, a new
    /// member joins, and the tasks come back by the restore routine.
    fn rejoin_if_fatal(&mut self) -> Result<(), RunError> {
        let Some(reason) = self.consumer.fatal() else { return Ok(()) };
        tracing::error!(reason, "the consumer cannot go on; joining the group anew");
        for (partition, share) in std::mem::take(&mut self.shares) {
            self.lanes[share.lane].tell(Notice::Revoked { partition, token: share.token });
        }
        self.publish(None);
        std::thread::sleep(REJOIN);
        self.consumer = GroupConsumer::join(&self.settings.kafka, self.settings.inputs())?;
        Ok(())
    }
}
