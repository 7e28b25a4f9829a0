//! The service's topics, made where they are missing and counted: at start all of them, at a reload those that segments name for
//! their entries for the first time.
//!
//! **Invariant:** no record is sent to a topic whose partitions have not been counted. A topic that a segment had for itself stays
//! known while the process lives: what was decided by the definitions before may still be on its way there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use super::clock::Deadline;
use super::{Settings, Topic};
use crate::id::TopicName;
use crate::kafka::topics::{self, Existing, Purpose, TopicError, Topics, Wanted};
use crate::plan::Plan;

/// How long a topic that was created may take to be known everywhere.
const START: Duration = Duration::from_secs(30);

/// Those that segments have for their entries alone, each with its partitions; 0: not counted yet. Clones are the same set, so that
/// what a reload finds is known where entries are sent.
#[derive(Clone, Debug, Default)]
pub struct EntryTopics(Arc<RwLock<BTreeMap<TopicName, u32>>>);

impl EntryTopics {
    pub fn names(&self) -> Vec<TopicName> {
        self.read().keys().cloned().collect()
    }

    /// `None`: it is not known how many partitions it has.
    pub fn find(&self, name: &TopicName) -> Option<Topic> {
        let partitions = self.read().get(name).copied().filter(|partitions| *partitions > 0)?;
        Some(Topic { name: name.clone(), partitions })
    }

    pub(super) fn name(&self, name: &TopicName) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_insert(0);
    }

    fn counted(&self, name: &TopicName, partitions: u32) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), partitions);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<TopicName, u32>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates what is missing, checks what is there, and notes how many partitions everything has.
pub(super) fn resolve(settings: &mut Settings) -> Result<(), TopicError> {
    let (existing, partitions) = have(settings, &settings.wanted_topics())?;
    let topics = &mut settings.topics;
    topics.partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
    for topic in [&mut topics.transitions, &mut topics.entries, &mut topics.membership, &mut topics.dead_letters] {
        topic.partitions = count(&existing, &topic.name);
    }
    topics.own_entries.names().iter().for_each(|name| topics.own_entries.counted(name, count(&existing, name)));
    Ok(())
}

/// Has the entry topics that a plan names for the first time, by the rules of a start. On an error the plan is not to be put in force.
pub fn admit(settings: &Settings, plan: &Plan) -> Result<(), TopicError> {
    let known = &settings.topics.own_entries;
    let new: Vec<TopicName> = settings.entry_topics_of(plan).into_iter().filter(|name| known.find(name).is_none()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let wanted: Vec<Wanted> = new.iter().map(|topic| Wanted { topic: topic.clone(), purpose: Purpose::Log }).collect();
    let (existing, _) = have(settings, &wanted)?;
    for name in &new {
        known.counted(name, count(&existing, name));
        tracing::info!(topic = %name, "entries go to a topic that is new here");
    }
    Ok(())
}

/// What the cluster has once it has all of these, and how many partitions the inputs have.
fn have(settings: &Settings, wanted: &[Wanted]) -> Result<(Existing, usize), TopicError> {
    let cluster = Topics::connect(&settings.kafka)?;
    let existing = cluster.existing()?;
    let partitions = topics::input_partitions(&existing, &settings.topics.inputs)?;
    let missing = topics::missing(&existing, wanted, partitions)?;
    match missing.first() {
        None => Ok((existing, partitions)),
        Some(first) if !settings.create_topics => Err(TopicError::NotCreated(first.topic.clone())),
        Some(_) => {
            cluster.create(&missing, partitions, existing.brokers)?;
            Ok((await_all(&cluster, wanted, partitions)?, partitions))
        }
    }
}

/// A topic that was created is not known to every broker at once.
fn await_all(cluster: &Topics, wanted: &[Wanted], partitions: usize) -> Result<Existing, TopicError> {
    let deadline = Deadline::after(START);
    loop {
        let existing = cluster.existing()?;
        match topics::missing(&existing, wanted, partitions)?.first() {
            None => return Ok(existing),
            Some(missing) if deadline.is_past() => return Err(TopicError::NotCreated(missing.topic.clone())),
            Some(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn count(existing: &Existing, topic: &TopicName) -> u32 {
    existing.partitions.get(&*topic.0).map_or(0, |count| u32::try_from(*count).unwrap_or(u32::MAX))
}
