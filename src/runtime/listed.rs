//! Static lists that stand in compacted Kafka topics: the key of a record is a customer id, a value puts it on the list, a
//! tombstone takes it off.
//!
//! Each process reads each list whole, from the beginning and on, beside the inputs; it belongs to no group, and how many
//! partitions the topic has does not matter. A change takes the way of a file that has changed: other contents are put in force
//! between two transactions, and whom they concern is decided anew, with cause `list`. By which contents a partition is decided
//! stands in its manifest; so a kill or a rebalance repeats nothing and loses nothing, and who takes a partition over decides by
//! what the list says then.
//!
//! **Invariant:** contents are given out only once everything has been read that was there when reading began: a list that
//! is half read would let everybody leave who stands in the other half.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use crossbeam_channel::Sender as Changed;

use super::clock::Deadline;
use crate::id::{CustomerId, ListKey, Partition, TopicName};
use crate::kafka::follower::{Followed, followed};
use crate::kafka::sender::{SendError, Sender};
use crate::kafka::settings::Isolation;
use crate::kafka::topics::{TopicError, Topics};
use crate::kafka::{Failure, Follower, Reader, Settings};
use crate::plan::List;

/// Changes that come together are put in force together: each costs a look at every customer.
const TOGETHER: Duration = Duration::from_secs(2);
/// How long a list that is new may take to be read.
const FIRST: Duration = Duration::from_secs(120);
/// Between attempts after Kafka refused.
const RETRY: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);
/// Five times what is promised; further ids are left out, and an error says so.
const MOST_IDS: usize = 50_000_000;

/// Why a list is not there.
#[derive(thiserror::Error, Debug)]
pub enum ListError {
    #[error("the topic `{0}` of a list does not exist; create it, compacted")]
    Missing(TopicName),
    #[error("the list in topic `{0}` could not be read in {FIRST:?}; the log says why")]
    Slow(TopicName),
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error("no thread to read a list: {0}")]
    NoThread(std::io::Error),
}

/// All topics that are read for lists. Cheap to clone; the last clone ends the reading.
#[derive(Clone)]
pub struct ListTopics {
    settings: Settings,
    /// The longest id, in bytes.
    id_bytes: usize,
    read: Arc<Mutex<BTreeMap<TopicName, Contents>>>,
    /// Is told when the contents of a list have changed.
    changed: Changed<()>,
}

/// Puts a customer on the list of a topic, or takes it off.
///
/// Errors: the record may not be with Kafka.
pub fn put(settings: &Settings, topic: &TopicName, customer: &CustomerId, on: bool) -> Result<(), SendError> {
    let sender = Sender::connect(settings, topic)?;
    sender.send(customer.as_str().as_bytes(), on.then_some(b"1".as_slice()))?;
    sender.finish()
}

/// `None`: not everything has been read yet.
type Contents = Arc<RwLock<Option<List>>>;

impl ListTopics {
    pub fn new(settings: Settings, id_bytes: usize, changed: Changed<()>) -> ListTopics {
        ListTopics { settings, id_bytes, read: Arc::default(), changed }
    }

    /// Reads these topics too. Returns once each has been read to its end.
    pub fn follow<'a>(&self, topics: impl Iterator<Item = &'a TopicName>) -> Result<(), ListError> {
        let new: Vec<&TopicName> = topics.filter(|topic| !self.read().contains_key(*topic)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let cluster = Topics::connect(&self.settings)?;
        let existing = cluster.existing()?;
        if let Some(missing) = new.iter().find(|topic| !existing.partitions.contains_key(&*topic.0)) {
            return Err(ListError::Missing((*missing).clone()));
        }
        warn_of_forgetful(&cluster, &new);
        let begun = new.into_iter().map(|topic| Ok((topic, self.begin(topic)?))).collect::<Result<Vec<_>, ListError>>()?;
        begun.into_iter().try_for_each(|(topic, contents)| self.await_first(topic, &contents))
    }

    /// Reads no other topics than these any more.
    pub fn keep(&self, lists: &BTreeMap<ListKey, TopicName>) {
        self.read().retain(|topic, _| lists.values().any(|wanted| wanted == topic));
    }

    fn begin(&self, topic: &TopicName) -> Result<Contents, ListError> {
        let contents = Contents::default();
        let reading =
            Reading { contents: Arc::downgrade(&contents), settings: self.settings.clone(), topic: topic.clone(), id_bytes: self.id_bytes };
        let changed = self.changed.clone();
        let thread = std::thread::Builder::new().name("list".into());
        thread.spawn(move || reading.run(&changed)).map_err(ListError::NoThread)?;
        self.read().insert(topic.clone(), contents.clone());
        Ok(contents)
    }

    fn await_first(&self, topic: &TopicName, contents: &Contents) -> Result<(), ListError> {
        let deadline = Deadline::after(FIRST);
        while contents.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            if deadline.is_past() {
                self.read().remove(topic);
                return Err(ListError::Slow(topic.clone()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// What stands on these lists now, as far as they are followed.
    pub fn contents(&self, lists: &BTreeMap<ListKey, TopicName>) -> BTreeMap<ListKey, List> {
        let read = self.read();
        let contents = |topic: &TopicName| read.get(topic)?.read().unwrap_or_else(PoisonError::into_inner).clone();
        lists.iter().filter_map(|(key, topic)| Some((key.clone(), contents(topic)?))).collect()
    }

    fn read(&self) -> std::sync::MutexGuard<'_, BTreeMap<TopicName, Contents>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who wrote the list may not know that its topic forgets: ids that go by themselves leave the list at the next start.
fn warn_of_forgetful(cluster: &Topics, topics: &[&TopicName]) {
    let topics: Vec<TopicName> = topics.iter().copied().cloned().collect();
    let keeping = match cluster.keeping(&topics) {
        Ok(keeping) => keeping,
        // It may be read and not asked about.
        Err(error) => return tracing::debug!(%error, "whether the topics of lists keep all ids cannot be seen"),
    };
    for (topic, because) in topics.iter().zip(keeping).filter_map(|(topic, keeping)| Some((topic, keeping?.forgets()?))) {
        tracing::warn!(%topic, because, "the topic of a list forgets ids that nobody took off it; set cleanup.policy=compact alone");
    }
}

/// The reading of one topic, on a thread of its own.
struct Reading {
    contents: Weak<RwLock<Option<List>>>,
    settings: Settings,
    topic: TopicName,
    id_bytes: usize,
}

/// Why reading ended.
enum Left {
    NotNeeded,
    OffsetGone,
}

impl Reading {
    fn run(&self, changed: &Changed<()>) {
        while self.contents.strong_count() > 0 {
            match self.once(changed) {
                Ok(Left::NotNeeded) => return,
                Ok(Left::OffsetGone) => {
                    tracing::warn!(topic = %self.topic, "the topic of a list was cut or made anew; reading it from its start");
                }
                Err(error) => tracing::warn!(%error, topic = %self.topic, "a list cannot be read, and stays as it is; trying anew"),
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Reads from the beginning.
    fn once(&self, changed: &Changed<()>) -> Result<Left, Error> {
        let (mut follower, partitions) = self.begin()?;
        let mut members = Members::new(partitions, self.id_bytes);
        let (mut messages, mut together, mut refused) = (Vec::new(), Deadline::after(Duration::ZERO), false);
        loop {
            follower.poll(POLL, &mut messages);
            let Some(contents) = self.contents.upgrade() else { return Ok(Left::NotNeeded) };
            for message in messages.drain(..) {
                match followed(&message) {
                    Followed::Record { key, value } => members.take(message.partition(), key, value.is_some()),
                    Followed::End => members.ended(message.partition()),
                    Followed::OffsetGone => return Ok(Left::OffsetGone),
                    Followed::Failed(code) if !refused => {
                        tracing::warn!(topic = %self.topic, ?code, "a list cannot be read; does the service have the right to read its topic?");
                        refused = true;
                    }
                    Followed::Failed(_) => {}
                }
            }
            if members.is_whole() && members.changed && together.is_past() {
                self.publish(&contents, &mut members, changed);
                together = Deadline::after(TOGETHER);
            }
        }
    }

    fn begin(&self) -> Result<(Follower, usize), Error> {
        let existing = Topics::connect(&self.settings)?.existing()?;
        // Of a topic that is not there nobody says that the list is empty.
        let count = existing.partitions.get(&*self.topic.0).copied().ok_or(Error::Missing)?;
        let reader = Reader::connect(&self.settings, Isolation::Committed)?;
        let follower = Follower::connect(&self.settings, self.topic.clone())?;
        for partition in (0..i32::try_from(count).unwrap_or(i32::MAX)).map(Partition) {
            let (first, _) = reader.watermarks(&self.topic, partition, PATIENCE)?;
            follower.start(partition, first)?;
        }
        Ok((follower, count))
    }

    fn publish(&self, contents: &Contents, members: &mut Members, changed: &Changed<()>) {
        if members.bad > 0 {
            tracing::warn!(topic = %self.topic, records = members.bad, "records of a list have no key that could be a customer id");
        }
        if members.left_out > 0 {
            tracing::error!(topic = %self.topic, ids = members.left_out, "a list has more than {MOST_IDS} ids: these are left out");
        }
        let list = members.list();
        let before = contents.write().unwrap_or_else(PoisonError::into_inner).replace(list.clone());
        tracing::info!(topic = %self.topic, ids = list.len(), "a list was read");
        if before.is_some_and(|before| before != list) {
            // Nobody listens while the service stops.
            let _ = changed.send(());
        }
    }
}

/// What reading can meet; it is tried again whatever it was.
#[derive(thiserror::Error, Debug)]
enum Error {
    #[error("the topic does not exist, or the service may not see it")]
    Missing,
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error(transparent)]
    Kafka(#[from] Failure),
}

/// Who is on a list so far. An id is on it if the last record of some partition with this key has a value: one partition has
/// an order, two have none between them.
struct Members {
    id_bytes: usize,
    partitions: Vec<Part>,
    changed: bool,
    /// Records without a key, and with one that no event could carry.
    bad: u64,
    left_out: u64,
}

#[derive(Default)]
struct Part {
    /// Ascending, with the recent changes still to come.
    settled: Vec<u128>,
    recent: HashMap<u128, bool>,
    ended: bool,
}

impl Members {
    fn new(partitions: usize, id_bytes: usize) -> Members {
        let partitions = (0..partitions).map(|_| Part::default()).collect();
        // A topic with nothing in it is an empty list.
        Members { id_bytes, partitions, changed: true, bad: 0, left_out: 0 }
    }

    fn take(&mut self, partition: i32, key: Option<&[u8]>, is_member: bool) {
        let id = key.and_then(|key| std::str::from_utf8(key).ok()).filter(|id| !id.is_empty() && id.len() <= self.id_bytes);
        let Some(id) = id else {
            self.bad += 1;
            return;
        };
        let full = is_member && self.partitions.iter().map(|part| part.settled.len() + part.recent.len()).sum::<usize>() >= MOST_IDS;
        let Some(part) = usize::try_from(partition).ok().and_then(|at| self.partitions.get_mut(at)) else { return };
        if full {
            self.left_out += 1;
            return;
        }
        part.recent.insert(List::hash(id), is_member);
        self.changed = true;
        // Sorted hashes take a quarter of the room.
        if part.recent.len() > 1_000_000.max(part.settled.len() / 4) {
            part.settle();
        }
    }

    fn ended(&mut self, partition: i32) {
        if let Some(part) = usize::try_from(partition).ok().and_then(|at| self.partitions.get_mut(at)) {
            part.ended = true;
        }
    }

    fn is_whole(&self) -> bool {
        self.partitions.iter().all(|part| part.ended)
    }

    fn list(&mut self) -> List {
        (self.changed, self.bad, self.left_out) = (false, 0, 0);
        self.partitions.iter_mut().for_each(Part::settle);
        List::of(self.partitions.iter().flat_map(|part| part.settled.iter().copied()).collect())
    }
}

impl Part {
    fn settle(&mut self) {
        let recent = std::mem::take(&mut self.recent);
        self.settled.retain(|id| !recent.contains_key(id));
        self.settled.extend(recent.into_iter().filter(|(_, is_member)| *is_member).map(|(id, _)| id));
        self.settled.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> List {
        ids.iter().map(|id| (*id).into()).collect()
    }

    #[test]
    fn the_last_record_of_a_key_says_whether_it_is_on_the_list() {
        let mut members = Members::new(2, 16);
        for (partition, key, is_member) in [(0, "ann", true), (1, "bob", true), (0, "ann", false), (1, "cat", false), (0, "dan", true)] {
            members.take(partition, Some(key.as_bytes()), is_member);
        }
        assert_eq!(members.list(), list(&["bob", "dan"]));
        members.take(1, Some(b"bob"), false);
        members.take(0, Some(b"ann"), true);
        assert!(members.changed);
        assert_eq!(members.list(), list(&["ann", "dan"]));
        assert!(!members.changed);
    }

    #[test]
    fn a_key_in_two_partitions_is_on_the_list_while_one_of_them_says_so() {
        let mut members = Members::new(2, 16);
        members.take(0, Some(b"ann"), true);
        members.take(1, Some(b"ann"), true);
        members.take(1, Some(b"ann"), false);
        assert_eq!(members.list(), list(&["ann"]));
    }

    #[test]
    fn keys_that_no_event_could_carry_are_counted_and_left_out() {
        let mut members = Members::new(1, 16);
        for key in [None, Some(&b""[..]), Some(b"0123456789abcdefg"), Some(b"\xff\xfe"), Some(b"ann")] {
            members.take(0, key, true);
        }
        members.take(7, Some(b"of a partition that has come since"), true);
        assert_eq!((members.bad, members.list()), (5, list(&["ann"])));
    }

    #[test]
    fn nothing_is_known_before_every_partition_has_been_read_to_its_end() {
        let mut members = Members::new(2, 16);
        members.ended(1);
        assert!(!members.is_whole());
        members.ended(0);
        assert!(members.is_whole() && members.list().is_empty());
    }
}
