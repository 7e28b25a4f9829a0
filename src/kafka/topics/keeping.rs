//! How long a topic keeps what has been taken back, and whether it keeps what has not, as its settings say.
//!
//! Source: Apache Kafka, "Topic configs"; for tombstones also KIP-534.
//!
//! **Invariant:** a bound is never shorter than what the settings allow the brokers. Where they allow everything there is
//! none, and that is said.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use rdkafka::types::RDKafkaErrorCode;

use super::{PATIENCE, TopicError, Topics, wait};
use crate::id::TopicName;
use crate::kafka::error::{Call, Failure};

/// The settings that matter here.
const SETTINGS: [&str; 6] =
    ["cleanup.policy", "retention.ms", "segment.ms", "max.compaction.lag.ms", "delete.retention.ms", "retention.bytes"];

/// What is settled when the broker next looks: every five minutes, and a minute more until a file is gone.
const ROUNDS: Duration = Duration::from_secs(10 * 60);

/// A topic's settings, as far as they decide how long records stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping(BTreeMap<&'static str, String>);

impl Keeping {
    fn of<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Keeping {
        let relevant = entries.filter_map(|(name, value)| Some((*SETTINGS.iter().find(|known| **known == name)?, value.to_owned())));
        Keeping(relevant.collect())
    }

    /// How long a record stays at most; in a compacted topic, one that a tombstone has taken back, and the tombstone. `None`:
    /// there is no bound.
    pub fn longest(&self) -> Option<Duration> {
        let by_deletion = || Some(self.millis("retention.ms")? + self.millis("segment.ms")? + ROUNDS);
        // One compaction takes the record and dates the tombstone, a later one takes the tombstone.
        let by_compaction = || Some(2 * self.millis("max.compaction.lag.ms")? + self.millis("delete.retention.ms")? + ROUNDS);
        match (self.does("delete"), self.does("compact")) {
            (true, true) => [by_deletion(), by_compaction()].into_iter().flatten().min(),
            (true, false) => by_deletion(),
            (false, true) => by_compaction(),
            (false, false) => None,
        }
    }

    /// The settings that the bound is made of, or that are in its way.
    pub fn because(&self) -> String {
        let names = match (self.does("compact"), self.does("delete")) {
            (true, false) => &["cleanup.policy", "max.compaction.lag.ms", "delete.retention.ms"][..],
            (false, _) => &["cleanup.policy", "retention.ms", "segment.ms"],
            (true, true) => &SETTINGS[..5],
        };
        let shown = names.iter().filter_map(|name| Some(format!("{name}={}", self.0.get(name)?)));
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Why the last record of a key may go though nothing has taken it back; `None`: it stays.
    pub fn forgets(&self) -> Option<String> {
        let bound = |name: &'static str| Some((name, self.0.get(name)?)).filter(|(_, bound)| !bound.starts_with('-'));
        let bounds: Vec<_> = ["retention.ms", "retention.bytes"].into_iter().filter_map(bound).collect();
        let policy = self.0.get("cleanup.policy").filter(|_| self.does("delete") && !bounds.is_empty())?;
        let shown = std::iter::once(("cleanup.policy", policy)).chain(bounds).map(|(name, value)| format!("{name}={value}"));
        Some(shown.collect::<Vec<_>>().join(" "))
    }

    fn does(&self, policy: &str) -> bool {
        self.0.get("cleanup.policy").is_some_and(|policies| policies.split(',').any(|one| one.trim() == policy))
    }

    /// `None`: it is switched off, or so long that it is no bound (a hundred years).
    fn millis(&self, name: &str) -> Option<Duration> {
        let millis: u64 = self.0.get(name)?.parse().ok()?;
        (millis < 100 * 366 * 86_400_000).then(|| Duration::from_millis(millis))
    }
}

impl Topics {
    /// How each of these topics keeps records; `None`: there is no such topic.
    pub fn keeping(&self, topics: &[TopicName]) -> Result<Vec<Option<Keeping>>, TopicError> {
        let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.0)).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let found = wait(self.admin.describe_configs(&asked, &options)).map_err(|e| self.unreachable(Failure::new(Call::Admin, &e)))?;
        let keeping = found.into_iter().map(|resource| match resource {
            Ok(resource) => Ok(Some(Keeping::of(resource.entries.iter().filter_map(|e| Some((e.name.as_str(), e.value.as_deref()?)))))),
            Err(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
            Err(code) => Err(self.unreachable(Failure::plain(Call::Admin, code, "a topic's settings cannot be read".into()))),
        });
        keeping.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn longest(settings: &[(&str, &str)]) -> Option<u64> {
        Keeping::of(settings.iter().copied()).longest().map(|longest| longest.as_secs() - ROUNDS.as_secs())
    }

    #[test]
    fn a_log_keeps_a_record_until_its_whole_segment_is_old() {
        let week = "604800000";
        assert_eq!(longest(&[("cleanup.policy", "delete"), ("retention.ms", week), ("segment.ms", "86400000")]), Some(8 * DAY));
        assert_eq!(longest(&[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("segment.ms", week)]), None);
    }

    #[test]
    fn a_compacted_topic_has_a_bound_only_if_its_compaction_has() {
        let settings = |lag| [("cleanup.policy", "compact"), ("max.compaction.lag.ms", lag), ("delete.retention.ms", "86400000")];
        assert_eq!(longest(&settings("172800000")), Some(5 * DAY));
        assert_eq!(longest(&settings("9223372036854775807")), None);
    }

    #[test]
    fn of_both_the_sooner_counts() {
        let both = [("cleanup.policy", "compact,delete"), ("max.compaction.lag.ms", "9223372036854775807"), ("delete.retention.ms", "1")];
        assert_eq!(longest(&[&both[..], &[("retention.ms", "86400000"), ("segment.ms", "86400000")]].concat()), Some(2 * DAY));
        assert_eq!(longest(&both), None);
    }

    #[test]
    fn a_topic_forgets_what_nobody_took_back_if_it_deletes_by_age_or_by_size() {
        let forgets = |settings: &[(&str, &str)]| Keeping::of(settings.iter().copied()).forgets();
        let week = ("retention.ms", "604800000");
        assert_eq!(forgets(&[("cleanup.policy", "compact"), week]), None);
        assert_eq!(forgets(&[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")]), None);
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(forgets(&[("cleanup.policy", "compact,delete"), week]), told("cleanup.policy=compact,delete retention.ms=604800000"));
        assert_eq!(forgets(&[("cleanup.policy", "delete"), ("retention.bytes", "9")]), told("cleanup.policy=delete retention.bytes=9"));
    }

    #[test]
    fn the_settings_in_the_way_are_named() {
        let keeping = Keeping::of([("cleanup.policy", "compact"), ("max.compaction.lag.ms", "9"), ("retention.ms", "1")].into_iter());
        assert_eq!(keeping.because(), "cleanup.policy=compact max.compaction.lag.ms=9");
    }
}
