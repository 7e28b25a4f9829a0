//! The topics that the service needs: what exists, what is missing, what does not fit.
//!
//! Partition p of every input, of the changelog and of the repartition topic is one task, so their counts are equal.
//!
//! **Invariant:** nothing here changes a topic that exists. A count that differs is refused: growing one would send a
//! customer's next event to another task than the one that has its state.

mod keeping;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::error::{Call, Failure};
use super::ffi;
use super::settings::{Logged, Settings};
use crate::id::TopicName;
pub use keeping::Keeping;

/// How long one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A topic that is created when it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub topic: TopicName,
    pub purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Transitions, entries: a log.
    Log,
    /// Refused records with their original bytes, which may be larger than a broker takes by default.
    DeadLetters,
    /// Membership: the last value of each customer.
    Latest,
    /// State: the last value of each key, with time enough for every reader to see a tombstone.
    Changelog,
    /// Records on their way to the partition of their customer.
    Repartition,
    /// Which process owns which partition: a hint, the last one of each.
    Owners,
    /// Ranks, all in the first partition: the last value of each key.
    Ranks,
}

/// Why the topics do not fit. Each message says what to do.
#[derive(thiserror::Error, Debug)]
pub enum TopicError {
    #[error("input topic `{0}` does not exist; create it, or set input.topics")]
    InputMissing(TopicName),
    #[error("inputs must have equally many partitions: {}; a customer's events would meet in no task", shown(.0))]
    InputsDiffer(Vec<(TopicName, usize)>),
    #[error(
        "topic `{topic}` has {found} partitions, the inputs have {expected}; state is bound to partitions: use another deployment and changelog, or restore the count"
    )]
    CountDiffers { topic: TopicName, found: usize, expected: usize },
    #[error("topic `{0}` does not exist, and kafka.create_topics is false; `segmentd topics --create` creates it")]
    NotCreated(TopicName),
    #[error("topic `{topic}` could not be created: {code:?}")]
    CreationFailed { topic: TopicName, code: RDKafkaErrorCode },
    #[error("Kafka at {bootstrap} cannot be reached: {failure}; check kafka.bootstrap (SEGMENTD_KAFKA__BOOTSTRAP)")]
    Unreachable { bootstrap: String, failure: Failure },
}

/// What the cluster has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    pub partitions: BTreeMap<String, usize>,
    pub brokers: usize,
}

/// Answers questions about topics.
pub struct Topics {
    admin: AdminClient<Logged>,
    bootstrap: String,
    patience: Duration,
    embedded: bool,
}

/// A topic as it is at the moment. One that was made anew, or has other partitions, is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub partitions: usize,
    /// `None` where the broker does not tell.
    pub id: Option<String>,
}

impl Topics {
    pub fn connect(settings: &Settings) -> Result<Topics, TopicError> {
        let bootstrap = settings.bootstrap.clone();
        match settings.admin().create_with_context(Logged) {
            Ok(admin) => Ok(Topics { admin, bootstrap, patience: PATIENCE, embedded: settings.embedded }),
            Err(e) => Err(TopicError::Unreachable { bootstrap, failure: Failure::new(Call::Connect, &e) }),
        }
    }

    /// For whoever has to stop soon: how long a question may take.
    pub fn within(self, patience: Duration) -> Topics {
        Topics { patience, ..self }
    }

    pub fn existing(&self) -> Result<Existing, TopicError> {
        let metadata =
            self.admin.inner().fetch_metadata(None, self.patience).map_err(|e| self.unreachable(Failure::new(Call::Admin, &e)))?;
        let partitions = metadata.topics().iter().map(|t| (t.name().to_string(), t.partitions().len())).filter(|(_, n)| *n > 0);
        Ok(Existing { partitions: partitions.collect(), brokers: metadata.brokers().len() })
    }

    /// The id of a topic: one that was deleted and made again has another. `None`: there is no such topic.
    pub fn id(&self, topic: &TopicName) -> Result<Option<String>, TopicError> {
        ffi::topic_id(self.admin.inner(), &topic.0, self.patience).map_err(|failure| self.unreachable(failure))
    }

    /// `None`: there is no such topic.
    pub fn incarnation(&self, topic: &TopicName) -> Result<Option<Incarnation>, TopicError> {
        let Some(partitions) = self.existing()?.partitions.get(&*topic.0).copied() else { return Ok(None) };
        // librdkafka's own broker tells no ids.
        let id = if self.embedded { None } else { self.id(topic)? };
        Ok(Some(Incarnation { partitions, id }))
    }

    /// Creates topics; one that exists by now is no error.
    pub fn create(&self, missing: &[Wanted], partitions: usize, brokers: usize) -> Result<(), TopicError> {
        let replication = replication(brokers);
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let topics: Vec<_> = missing
            .iter()
            .map(|wanted| {
                let count = if wanted.purpose == Purpose::Ranks { 1 } else { count };
                let topic = NewTopic::new(&wanted.topic.0, count, TopicReplication::Fixed(replication));
                let topic = if replication == 3 { topic.set("min.insync.replicas", "2") } else { topic };
                wanted.purpose.config().iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let results = wait(self.admin.create_topics(&topics, &options)).map_err(|e| self.unreachable(Failure::new(Call::Admin, &e)))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(TopicError::CreationFailed { topic: TopicName(topic.as_str().into()), code }),
            }
        }
        Ok(())
    }

    fn unreachable(&self, failure: Failure) -> TopicError {
        TopicError::Unreachable { bootstrap: self.bootstrap.clone(), failure }
    }
}

/// Number of partitions that all inputs have.
pub fn input_partitions(existing: &Existing, inputs: &[TopicName]) -> Result<usize, TopicError> {
    let count = |topic: &TopicName| existing.partitions.get(&*topic.0).copied().ok_or_else(|| TopicError::InputMissing(topic.clone()));
    let counts: Vec<_> = inputs.iter().map(|topic| Ok((topic.clone(), count(topic)?))).collect::<Result<_, TopicError>>()?;
    match counts.first() {
        Some((_, first)) if counts.iter().all(|(_, count)| count == first) => Ok(*first),
        _ => Err(TopicError::InputsDiffer(counts)),
    }
}

/// The wanted topics that are missing. Errors if one that must be co-partitioned is not.
pub fn missing(existing: &Existing, wanted: &[Wanted], partitions: usize) -> Result<Vec<Wanted>, TopicError> {
    let mut missing = Vec::new();
    for one in wanted {
        match existing.partitions.get(&*one.topic.0) {
            None => missing.push(one.clone()),
            Some(&found) if found != partitions && one.purpose.is_bound_to_tasks() => {
                return Err(TopicError::CountDiffers { topic: one.topic.clone(), found, expected: partitions });
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

impl Purpose {
    fn is_bound_to_tasks(self) -> bool {
        matches!(self, Purpose::Changelog | Purpose::Repartition | Purpose::Owners)
    }

    /// Topic settings by which a topic of this kind is created.
    pub fn config(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Purpose::Log => &[("cleanup.policy", "delete")],
            Purpose::DeadLetters => &[("cleanup.policy", "delete"), ("max.message.bytes", "8388608")],
            // A week, and what was taken back is taken out: an erasure has an end.
            Purpose::Latest => &[("cleanup.policy", "compact"), ("max.compaction.lag.ms", "604800000")],
            // An hour for a reader that is behind; a week before a tombstone may vanish.
            Purpose::Changelog => &[
                ("cleanup.policy", "compact"),
                ("min.compaction.lag.ms", "3600000"),
                ("max.compaction.lag.ms", "604800000"),
                ("delete.retention.ms", "604800000"),
            ],
            Purpose::Owners | Purpose::Ranks => &[("cleanup.policy", "compact")],
            Purpose::Repartition => &[("cleanup.policy", "delete"), ("retention.ms", "604800000")],
        }
    }
}

fn replication(brokers: usize) -> i32 {
    if brokers >= 3 { 3 } else { 1 }
}

fn shown(counts: &[(TopicName, usize)]) -> String {
    counts.iter().map(|(topic, count)| format!("`{topic}` has {count}")).collect::<Vec<_>>().join(", ")
}

/// librdkafka answers admin calls from its own threads: a current-thread poll loop is enough.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let parked = std::sync::Arc::new(Unpark(std::thread::current()));
    let waker = parked.into();
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn existing(topics: &[(&str, usize)]) -> Existing {
        Existing { partitions: topics.iter().map(|(name, count)| (name.to_string(), *count)).collect(), brokers: 1 }
    }

    fn topic(name: &str) -> TopicName {
        TopicName(name.into())
    }

    #[test]
    fn inputs_with_different_counts_are_refused() {
        let error = input_partitions(&existing(&[("a", 4), ("b", 3)]), &[topic("a"), topic("b")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "inputs must have equally many partitions: `a` has 4, `b` has 3; a customer's events would meet in no task"
        );
    }

    #[test]
    fn an_input_that_is_missing_is_named() {
        let error = input_partitions(&existing(&[]), &[topic("shop.events")]).unwrap_err();
        assert_eq!(error.to_string(), "input topic `shop.events` does not exist; create it, or set input.topics");
    }

    #[test]
    fn a_changelog_with_another_count_is_refused_and_an_output_is_not() {
        let log = Wanted { topic: topic("out"), purpose: Purpose::Log };
        let changelog = Wanted { topic: topic("state"), purpose: Purpose::Changelog };
        let found = existing(&[("out", 1), ("state", 3)]);
        assert_eq!(missing(&found, &[log], 4).unwrap(), []);
        assert!(matches!(missing(&found, &[changelog], 4), Err(TopicError::CountDiffers { found: 3, expected: 4, .. })));
    }
}
