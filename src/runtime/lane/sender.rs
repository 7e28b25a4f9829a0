//! One task's open batch as records: the content of a transaction, in its order.
//!
//! ```text
//! transitions, moves, entries and announcements · memberships · errands · letters · ranks · changelog (one record a changed key) · manifest, last
//! ```
//!
//! **Invariant:** sending changes nothing: a batch that is refused is sent again, and is the same but for the shares
//! that have gone. The first changelog record of a partition names the writer, so that it can be fenced if it dies.

use super::batch::{Fate, Letter};
use super::errand;
use super::shares::Running;
use crate::engine::Posted;
use crate::id::{CustomerId, Offset, Partition, SourcePosition, TopicName};
use crate::kafka::wire::encode::{Header, MoveRecord, OutputRecord, dead_letter_headers};
use crate::kafka::{Failure, Message, Record, TransactionalProducer, partitioner};
use crate::plan::Plan;
use crate::runtime::changelog::{Manifest, Tally, WRITER, state_key};
use crate::runtime::ranks::{CutRecord, PARTITION};
use crate::runtime::{Settings, Topic, clock};
use crate::transition::{Output, Transition};

/// What a task's changelog partition was sent.
pub struct Sent {
    pub partition: Partition,
    pub manifest: Vec<u8>,
    /// The manifest included.
    pub records: i64,
}

/// Turns one task's batch into records.
pub struct Sender<'a> {
    pub producer: &'a TransactionalProducer,
    pub settings: &'a Settings,
}

impl Sender<'_> {
    /// Sends everything that the open batch of a task publishes.
    pub fn send(&self, partition: Partition, running: &mut Running) -> Result<Sent, Failure> {
        self.send_outputs(running)?;
        self.send_memberships(running)?;
        // What was known of a customer goes before what came for it afterwards.
        running.task.posted().iter().try_for_each(|posted| self.send_posted(running.task.plan(), posted))?;
        running.letters.iter().try_for_each(|letter| self.send_letter(letter))?;
        self.send_ranks(running)?;
        self.send_changelog(partition, running)
    }

    /// All to one partition, so that they have one order.
    fn send_ranks(&self, running: &Running) -> Result<(), Failure> {
        let deployment = &self.settings.kafka.deployment;
        let sketches = running.telling.sketches.iter().map(|sketch| (sketch.key(deployment), sketch.encode()));
        let cuts = running.telling.cuts.iter().map(|cuts| (CutRecord::key(deployment), cuts.encode()));
        sketches.chain(cuts).try_for_each(|(key, value)| {
            let (topic, partition) = (&*self.settings.topics.ranks.0, PARTITION.0);
            self.producer.send(&Record { topic, partition, key: Some(key.as_bytes()), value: Some(&value), ..Record::default() })
        })
    }

    /// Everything goes to the transitions; what campaigns are to hear of also to the segment's entry topic.
    fn send_outputs(&self, running: &mut Running) -> Result<(), Failure> {
        let topics = &self.settings.topics;
        let mut value = Vec::with_capacity(1024);
        for output in running.task.outputs() {
            let record = OutputRecord::new(output, &self.settings.kafka.deployment);
            value.clear();
            record.write_value(&mut value);
            let headers = record.headers();
            let headers = borrowed(&headers);
            self.keyed(&topics.transitions, record.key(), Some(&value), &headers)?;
            let (for_campaigns, own_topic) = match output {
                Output::Transition(transition) => (transition.is_published_entry(), &transition.entry_topic),
                Output::Announcement(announcement) => (announcement.is_for_campaigns(), &announcement.entry_topic),
            };
            if for_campaigns {
                self.keyed(&topics.entry_topic(own_topic.as_ref()), record.key(), Some(&value), &headers)?;
            }
            if let Output::Transition(transition) = output {
                self.send_move(transition, &mut value)?;
            }
        }
        Ok(())
    }

    fn send_move(&self, transition: &Transition, value: &mut Vec<u8>) -> Result<(), Failure> {
        let Some(moved) = MoveRecord::of(transition, &self.settings.kafka.deployment) else { return Ok(()) };
        value.clear();
        moved.write_value(value);
        self.keyed(&self.settings.topics.transitions, transition.customer.as_str().as_bytes(), Some(value), &borrowed(&moved.headers()))
    }

    fn send_memberships(&self, running: &mut Running) -> Result<(), Failure> {
        let mut result = Ok(());
        running.task.memberships(&mut |customer, value| {
            if result.is_ok() {
                result = self.keyed(&self.settings.topics.membership, customer.as_str().as_bytes(), value, &[]);
            }
        });
        result
    }

    /// A record whose place is decided by its key.
    fn keyed(&self, topic: &Topic, key: &[u8], value: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Result<(), Failure> {
        let partition = partitioner::partition(key, topic.partitions).0;
        self.producer.send(&Record { topic: &topic.name.0, partition, key: Some(key), value, headers, ..Record::default() })
    }

    fn send_letter(&self, letter: &Letter) -> Result<(), Failure> {
        let source = position(&letter.message);
        match &letter.fate {
            Fate::Dead(reject) => {
                let topic = &self.settings.topics.dead_letters;
                let why = dead_letter_headers(reject, &source);
                let headers = [letter.message.headers(), borrowed(&why)].concat();
                let partition = partitioner::partition(letter.message.key().unwrap_or(&[]), topic.partitions);
                self.forward(&topic.name, partition, letter, letter.message.key(), &headers)
            }
            Fate::Rerouted(home) => {
                let headers = errand::plain(letter.message.headers());
                self.forward(&self.settings.topics.repartition, *home, letter, letter.message.key(), &headers)
            }
            Fate::Redirected(to) => {
                let (home, key) = (self.home_of(to), to.as_str().as_bytes());
                let headers = errand::readdressed(letter.message.headers(), key);
                self.forward(&self.settings.topics.repartition, home, letter, Some(key), &headers)
            }
        }
    }

    fn home_of(&self, customer: &CustomerId) -> Partition {
        partitioner::partition(customer.as_str().as_bytes(), self.settings.topics.partitions)
    }

    /// What one customer sends to another; all of it by way of the topic, also within a partition.
    fn send_posted(&self, plan: &Plan, posted: &Posted) -> Result<(), Failure> {
        let (Posted::Parcel { to, .. } | Posted::Erasure { to, .. }) = posted;
        let (topic, partition) = (&*self.settings.topics.repartition.0, self.home_of(to).0);
        errand::records(plan, posted).iter().try_for_each(|(header, value)| {
            let headers = [(header.name, header.value.as_bytes())];
            let key = Some(to.as_str().as_bytes());
            self.producer.send(&Record { topic, partition, key, value: value.as_deref(), headers: &headers, ..Record::default() })
        })
    }

    fn forward(
        &self,
        topic: &TopicName,
        partition: Partition,
        letter: &Letter,
        key: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Failure> {
        let message = &letter.message;
        self.producer.send(&Record {
            topic: &topic.0,
            partition: partition.0,
            key,
            value: message.payload(),
            headers,
            timestamp: message.timestamp(),
        })
    }

    fn send_changelog(&self, partition: Partition, running: &mut Running) -> Result<Sent, Failure> {
        let writer = [(WRITER, self.producer.id().as_bytes())];
        let mut first: &[(&str, &[u8])] = &writer;
        let mut tally = Tally::default();
        let mut records = 0;
        let mut full_key = Vec::with_capacity(64);
        let mut result = Ok(());
        running.task.changes(&mut |key, value| {
            if result.is_ok() {
                records += 1;
                tally.add(key, value);
                state_key(key, &mut full_key);
                result = self.producer.send(&self.changelog(partition, &full_key, value, first));
                first = &[];
            }
        });
        result?;
        let manifest = running.manifest(self.settings, &tally).encode();
        self.producer.send(&self.changelog(partition, Manifest::KEY, Some(&manifest), first))?;
        Ok(Sent { partition, manifest, records: records + 1 })
    }

    fn changelog<'a>(
        &'a self,
        partition: Partition,
        key: &'a [u8],
        value: Option<&'a [u8]>,
        headers: &'a [(&'a str, &'a [u8])],
    ) -> Record<'a> {
        let topic = &*self.settings.topics.changelog.0;
        Record { topic, partition: partition.0, key: Some(key), value, headers, ..Record::default() }
    }
}

fn borrowed<'a>(headers: &'a [Header<'a>]) -> Vec<(&'a str, &'a [u8])> {
    headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

pub(super) fn position(message: &Message) -> SourcePosition {
    SourcePosition { topic: TopicName(message.topic().into()), partition: Partition(message.partition()), offset: Offset(message.offset()) }
}

impl Running {
    /// Of each input, where a task that comes after begins; goes out with the open batch.
    pub fn next_to_read(&self, settings: &Settings) -> Vec<(TopicName, Offset)> {
        let next = |(topic, read_to): &(TopicName, Offset)| {
            let parts_wait = *topic == settings.topics.repartition;
            (topic.clone(), if parts_wait { self.parts.next_to_read(*read_to) } else { *read_to })
        };
        self.offsets.iter().map(next).collect()
    }

    fn repartitioned_to(&self, settings: &Settings) -> Option<Offset> {
        self.offsets.iter().find(|(topic, _)| *topic == settings.topics.repartition).map(|(_, read_to)| *read_to)
    }

    fn manifest(&self, settings: &Settings, tally: &Tally) -> Manifest {
        Manifest {
            deployment: settings.kafka.deployment.clone(),
            number: self.number + 1,
            offsets: self.next_to_read(settings).iter().map(|(topic, offset)| (topic.to_string(), offset.0)).collect(),
            taken_to: self.repartitioned_to(settings).and_then(|read_to| self.parts.taken_to(read_to)).map(|offset| offset.0),
            clock: self.task.clock().millis(),
            committed_at: clock::wall().millis(),
            contents: tally.contents(),
            decided: self.task.decided(),
            partitions: settings.topics.partitions as usize,
        }
    }
}
