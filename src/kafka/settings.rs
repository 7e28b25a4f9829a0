//! Every librdkafka property that we set, each with its reason; and which of them a user may not touch.
//!
//! Four kinds of clients: the consumer of the group, readers (replay of a changelog, offsets, watermarks),
//! transactional producers, and a producer of what nothing is decided by. A user's properties are passed to all of them, after ours where they are defaults, and
//! refused where exactly-once or the vocabulary of our own configuration depends on ours.
//!
//! **Invariant:** no property that is in [`OWNED`] ever comes from a user.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// Bounds the time that an abandoned transaction holds up readers; also how long one of ours may take.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach Kafka, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, comma-separated.
    pub bootstrap: String,
    /// Consumer group, and the first part of every transactional id.
    pub deployment: String,
    /// Set: a static member of the group. A restart within the session then moves no partition, but a stopped one
    /// keeps its partitions until the session ends.
    pub group_instance_id: Option<String>,
    /// The user's librdkafka properties; none of [`OWNED`].
    pub properties: BTreeMap<String, String>,
    /// The broker is librdkafka's in-process mock: no fencing, no offsets in transactions, no admin calls.
    pub embedded: bool,
}

/// What readers see of transactions that are not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Committed,
    Uncommitted,
}

/// Properties that are ours, with the reason that a refusal gives.
pub const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set kafka.bootstrap"),
    ("metadata.broker.list", "set kafka.bootstrap"),
    ("group.id", "it is the deployment"),
    ("group.instance.id", "set kafka.group_instance_id"),
    ("group.protocol", "the classic protocol is the one that is tested"),
    ("partition.assignment.strategy", "ownership is built on cooperative-sticky"),
    ("transactional.id", "it names the lane, so that a restarted process fences its own past"),
    ("enable.idempotence", "transactions need it"),
    ("acks", "transactions need all"),
    ("isolation.level", "an aborted input must not be read"),
    ("enable.auto.commit", "offsets are committed in the transactions"),
    ("enable.auto.offset.store", "offsets are committed in the transactions"),
    ("auto.offset.reset", "an offset out of range must stop, not skip; see input.start"),
    ("enable.partition.eof", "in a batch of records it moves the consumer past a record that it has not seen"),
    ("partitioner", "keys are placed by murmur2, as Java does"),
    ("max.in.flight.requests.per.connection", "the order of records depends on it"),
    ("transaction.timeout.ms", "take-over times depend on it"),
    ("delivery.report.only.error", "deliveries are counted by what is in flight"),
    ("test.mock.num.brokers", "the demo has its own broker"),
];

impl Settings {
    /// The user's properties that are refused, with reasons.
    pub fn refused(&self) -> Vec<(&str, &'static str)> {
        let reason = |name: &str| OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, reason)| *reason);
        self.properties.keys().filter_map(|name| Some((name.as_str(), reason(name)?))).collect()
    }

    /// For calls about topics.
    pub fn admin(&self) -> ClientConfig {
        self.client(&[], &[])
    }

    /// The consumer of the group: the poller's.
    pub fn group_consumer(&self) -> ClientConfig {
        let mut config = self.client(
            &[
                // Expelled after 10 s of silence: long enough for a pause of the machine, short enough for a take-over.
                ("session.timeout.ms", "10000"),
                // How fast a member learns of a rebalance.
                ("heartbeat.interval.ms", "500"),
                // The default of 1 s stalls a consumer of 100,000 records a second each time that its queue is full.
                ("fetch.queue.backoff.ms", "2"),
                ("fetch.wait.max.ms", self.fetch_wait()),
                ("queued.max.messages.kbytes", "32768"),
            ],
            &[
                ("group.id", &self.deployment),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                // librdkafka 2.12.1: an end-of-partition notice in a batch counts as a record (`rd_kafka_q_serve_rkmessages`
                // moves the application's position to its offset + 1); a rebalance, which fetches again from that
                // position, then skips the next record, or asks for an offset that does not exist.
                ("enable.partition.eof", "false"),
            ],
        );
        if let Some(id) = &self.group_instance_id {
            config.set("group.instance.id", id);
        }
        config
    }

    /// A reader that never joins the group; the group's id only lets it ask for the group's offsets.
    pub fn reader(&self, isolation: Isolation) -> ClientConfig {
        let level = if isolation == Isolation::Committed { "read_committed" } else { "read_uncommitted" };
        self.client(
            &[("fetch.wait.max.ms", self.fetch_wait()), ("fetch.queue.backoff.ms", "2"), ("queued.max.messages.kbytes", "32768")],
            &[
                ("group.id", &self.deployment),
                ("isolation.level", level),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                // A changelog offset below the first one that exists: compaction moved it; what it held is superseded.
                ("auto.offset.reset", "earliest"),
                ("enable.partition.eof", "true"),
            ],
        )
    }

    /// A reader that is told when the offset to go on from is gone, instead of being moved: what it has kept is then void.
    pub fn follower(&self) -> ClientConfig {
        let mut config = self.reader(Isolation::Committed);
        config.set("auto.offset.reset", "error");
        config
    }

    /// A lane's producer.
    pub fn producer(&self, transactional_id: &str) -> ClientConfig {
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        self.client(
            &[
                ("compression.type", "lz4"),
                // A batch goes when it is full or the lane drains. librdkafka 2.12.1 keeps a processor busy while a
                // request of a partition is in flight and more of that partition has lingered long enough: with 1 ms
                // that was up to half of all processor time.
                ("linger.ms", "1000"),
                // Few of a transaction's records have to wait for the batch before theirs.
                ("batch.num.messages", "100000"),
                // While the markers of the last transaction are written, the coordinator answers "retry": with the
                // default of 100 ms every transaction that follows closely takes that long.
                ("retry.backoff.ms", "2"),
                ("retry.backoff.max.ms", "20"),
                ("queue.buffering.max.messages", "500000"),
                ("queue.buffering.max.kbytes", "262144"),
                ("message.max.bytes", "8388608"),
            ],
            &[
                ("transactional.id", transactional_id),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("transaction.timeout.ms", &timeout),
                ("delivery.report.only.error", "true"),
            ],
        )
    }

    /// Of what nothing is decided by.
    pub fn plain_producer(&self) -> ClientConfig {
        self.client(&[("linger.ms", "1"), ("message.timeout.ms", "2000")], &[("enable.idempotence", "true"), ("acks", "all")])
    }

    /// The mock broker answers an empty fetch only after the whole wait, for all partitions at once.
    fn fetch_wait(&self) -> &'static str {
        if self.embedded { "20" } else { "500" }
    }

    fn client(&self, defaults: &[(&str, &str)], owned: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        // The application's name in the broker's request logs and quotas.
        config.set("client.id", format!("segmentd-{}", self.deployment)).set("socket.nagle.disable", "true");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in owned {
            config.set(*name, *value);
        }
        config
    }
}

/// Sends librdkafka's log lines where ours go.
#[derive(Clone, Debug, Default)]
pub struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level as i32, facility, line);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for Logged {}

/// `level` is syslog's (RFC 5424 §6.2.1): 3 and less are errors. librdkafka retries by itself, so they are warnings here.
pub(super) fn log(level: i32, facility: &str, line: &str) {
    match level {
        ..=4 => tracing::warn!(target: "librdkafka", facility, "{line}"),
        5..=6 => tracing::info!(target: "librdkafka", facility, "{line}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Settings {
        Settings {
            bootstrap: "localhost:9092".into(),
            deployment: "shop".into(),
            group_instance_id: None,
            properties: properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            embedded: false,
        }
    }

    #[test]
    fn a_property_that_exactly_once_depends_on_is_refused_with_a_reason() {
        let refused = settings(&[("isolation.level", "read_uncommitted"), ("socket.timeout.ms", "1000")]);
        assert_eq!(refused.refused(), [("isolation.level", "an aborted input must not be read")]);
    }

    #[test]
    fn a_users_property_overrides_our_default_but_never_what_we_own() {
        let config = settings(&[("linger.ms", "5"), ("acks", "0")]).producer("shop-a-0");
        assert_eq!(config.get("linger.ms"), Some("5"));
        assert_eq!(config.get("acks"), Some("all"));
    }

    #[test]
    fn librdkafka_knows_every_property_that_we_set() {
        for config in [
            settings(&[]).group_consumer(),
            settings(&[]).reader(Isolation::Committed),
            settings(&[]).follower(),
            settings(&[]).producer("shop-a-0"),
            settings(&[]).plain_producer(),
        ] {
            assert!(config.create_native_config().is_ok());
        }
    }
}
