//! The service on librdkafka's in-process broker, as `segmentd demo` runs it: everything but exactly-once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use segmentd::id::{Offset, Partition, TopicName};
use segmentd::kafka::GroupConsumer;
use segmentd::runtime::{self, Observed, RunError, Settings, Shutdown};
use support::api::Api;
use support::client::{Read, Tail, Writer, read_all};
use support::replica::Replica;
use support::service::{ENTRIES, INPUT, TRANSITIONS, observed, settings};
use tempfile::TempDir;

/// A broker and a service over it, in this process.
struct Embedded {
    cluster: MockCluster<'static, DefaultProducerContext>,
    shutdown: Shutdown,
    service: JoinHandle<Result<(), RunError>>,
    state: TempDir,
    observed: Observed,
    definitions: PathBuf,
}

impl Embedded {
    fn start(definitions: &str) -> Embedded {
        Embedded::start_with(definitions, |_| {})
    }

    fn start_with(definitions: &str, change: impl FnOnce(&mut Settings)) -> Embedded {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        let state = TempDir::new().expect("a folder");
        let segments = state.path().join("segments.yaml");
        std::fs::write(&segments, definitions).expect("segments");
        let definitions = support::service::definitions_of(&segments);
        let mut settings = settings(&cluster.bootstrap_servers(), state.path());
        settings.kafka.embedded = true;
        settings.create_topics = false;
        settings.take_entry_topics(&definitions.plan);
        change(&mut settings);
        let topics = settings.wanted_topics().into_iter().map(|wanted| wanted.topic.to_string()).chain([INPUT.to_string()]);
        topics.for_each(|topic| cluster.create_topic(&topic, 2, 1).expect("topic"));
        let shutdown = Shutdown::default();
        let asked = shutdown.clone();
        let observed = observed();
        let theirs = observed.clone();
        let service = std::thread::spawn(move || runtime::run(settings, definitions, theirs, &asked));
        Embedded { cluster, shutdown, service, state, observed, definitions: segments }
    }

    /// An order of each of so many customers, `c-0` and so on.
    fn order(&self, customers: usize) {
        let writer = Writer::connect(&self.cluster.bootstrap_servers());
        for customer in 0..customers {
            let value = format!(
                r#"{{"type":"track","event":"Order Completed","userId":"c-{customer}","timestamp":"2026-01-01T00:00:00Z","properties":{{"order_id":"o-{customer}","total":20}}}}"#
            );
            writer.send(INPUT, None, &format!("c-{customer}"), Some(value.as_bytes()));
        }
        writer.flush();
    }

    /// The records of a topic, once there are so many.
    fn records(&self, topic: &str, count: usize) -> Vec<Read> {
        let mut tail = Tail::open(&self.cluster.bootstrap_servers(), topic);
        let all = tail.read_until(count, Duration::from_secs(60));
        assert!(all, "only {} of {count} in {topic}", tail.records.len());
        tail.records
    }

    /// The interface of the service.
    fn api(&self) -> Api {
        Api::of(&self.observed, support::service::rules_of(&self.definitions))
    }

    /// A read replica in the folder `replica` below the service's own.
    fn replica(&self) -> Replica {
        let mut settings = settings(&self.cluster.bootstrap_servers(), self.state.path());
        settings.kafka.embedded = true;
        Replica::start(settings.kafka, &self.state.path().join("replica"))
    }

    fn stop(self) {
        self.shutdown.request();
        self.service.join().expect("the service").expect("a clean end");
    }
}

#[test]
fn the_service_runs_on_the_embedded_broker() {
    let embedded = Embedded::start("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]");
    embedded.order(20);
    embedded.records(TRANSITIONS, 20);
    embedded.stop();
}

#[test]
fn entries_go_to_the_topic_of_their_segment_and_the_control_arm_to_none() {
    let embedded = Embedded::start(
        "segments:
  - {key: buyer, when: 'count(orders lifetime) > 0', entry_topic: spring-campaign, experiment: {holdout: 50%, salt: spring}}
  - {key: big, when: 'sum(orders.total lifetime) >= 20'}",
    );
    embedded.order(16);
    let transitions = embedded.records(TRANSITIONS, 32);
    let common = embedded.records(ENTRIES, 16);
    let own = read_all(&embedded.cluster.bootstrap_servers(), "spring-campaign");
    embedded.stop();
    let treated: BTreeSet<String> = [0, 2, 4, 5, 9, 10, 13].map(|customer| format!("c-{customer}")).into();
    assert_eq!(own.iter().map(|record| String::from_utf8(record.key.clone().unwrap()).unwrap()).collect::<BTreeSet<_>>(), treated);
    assert!(own.iter().all(|record| record.json()["properties"]["experiment"]["arm"] == "treatment"));
    assert!(common.iter().all(|record| record.headers["segment"] == "big"));
    let withheld = transitions.iter().map(Read::json).filter(|record| record["properties"]["withheld"] == "experiment");
    assert_eq!(withheld.filter(|record| record["properties"]["experiment"]["arm"] == "control").count(), 9);
}

#[test]
fn a_membership_can_be_looked_up_once_it_is_told_and_a_restart_goes_on_from_its_disk() {
    let embedded = Embedded::start("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]");
    let replica = embedded.replica();
    replica.await_ready();
    assert_eq!(replica.holds("c-0", "buyer"), Some(false), "never seen");
    embedded.order(20);
    embedded.records(TRANSITIONS, 20);
    for customer in 0..20 {
        replica.await_that("told", |replica| replica.holds(&format!("c-{customer}"), "buyer") == Some(true));
    }
    assert_eq!(replica.customer("c-0").unwrap()["segments"]["buyer"]["entry"], 1);
    replica.stop();

    let replica = embedded.replica();
    replica.await_that("told from its disk", |replica| replica.holds("c-7", "buyer") == Some(true));
    replica.await_ready();
    assert_eq!(replica.figure("segmentd_replica_started_over_total"), 0.0);
    replica.stop();
    embedded.stop();
}

#[test]
fn the_service_itself_answers_for_what_it_has_committed() {
    let embedded = Embedded::start("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]");
    let api = embedded.api();
    assert_eq!(api.get("/api/v1/customers/c-0/segments").0, 503, "before it has its partitions nobody is called no member");
    api.await_that("answering", |api| api.holds("c-0", "buyer") == Some(false));
    embedded.order(20);
    let transitions = embedded.records(TRANSITIONS, 20);
    for record in &transitions {
        let customer = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let took = api.await_that("told", |api| api.holds(&customer, "buyer") == Some(true));
        assert!(took < Duration::from_millis(100), "{customer} was told {took:?} after its transition could be read");
    }
    let told = api.customer("c-7").unwrap();
    assert_eq!((&told["segments"]["buyer"]["entry"], &told["updated_at"]), (&1.into(), &"2026-01-01T00:00:00.000Z".into()));
    assert_eq!(told["task_clock"], "2026-01-01T00:00:00.000Z");
    api.await_that("level with its inputs", |api| api.customer("c-7").unwrap()["lag_records"] == 0);
    let replica = embedded.replica();
    replica.await_that("the same", |replica| replica.customer("c-7").is_some_and(|copy| copy["segments"] == told["segments"]));
    replica.stop();
    embedded.stop();
    assert_eq!(api.get("/api/v1/customers/c-7/segments").0, 503, "a service that stops answers nothing");
}

/// An operator, and whoever waits while the service is behind, asks what is left to do.
#[test]
fn what_was_read_and_is_not_committed_is_lag() {
    let slow = |settings: &mut Settings| settings.commit.interval = Duration::from_secs(3);
    let embedded = Embedded::start_with("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]", slow);
    let api = embedded.api();
    let lag = |api: &Api| api.customer("c-0").map(|told| told["lag_records"].as_u64().unwrap());
    api.await_that("level with its inputs", |api| lag(api) == Some(0));
    embedded.order(1);
    api.await_that("behind", |api| lag(api) == Some(1));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((lag(&api), api.holds("c-0", "buyer")), (Some(1), Some(false)));
    api.await_that("told", |api| api.holds("c-0", "buyer") == Some(true));
    api.await_that("level with its inputs", |api| lag(api) == Some(0));
    embedded.stop();
}

/// Members that lose their partitions while they are paused are nothing special: whoever pauses does so because commits
/// do not get through, and that is when a session times out.
#[test]
fn a_partition_that_went_while_it_was_paused_is_read_when_it_comes_back() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(INPUT, 1, 1).expect("topic");
    let writer = Writer::connect(&cluster.bootstrap_servers());
    (0..10).for_each(|n| writer.send(INPUT, None, &n.to_string(), Some(b"{}")));
    writer.flush();
    let folder = TempDir::new().expect("a folder");
    let settings = settings(&cluster.bootstrap_servers(), folder.path());
    let topic = TopicName(INPUT.into());
    let mut consumer = GroupConsumer::join(&settings.kafka, vec![topic.clone()]).expect("a consumer");
    let (partition, mut records) = (Partition(0), Vec::new());
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let mut read = |consumer: &mut GroupConsumer, wanted: usize| {
        records.clear();
        while records.len() < wanted && std::time::Instant::now() < deadline {
            for rebalance in consumer.poll(Duration::from_millis(50), &mut records) {
                consumer.answer(&rebalance.change, &[]).expect("an answer");
                consumer.take(partition, &[(topic.clone(), Offset(0))], false).expect("taken");
            }
        }
        records.len()
    };
    assert_eq!(read(&mut consumer, 10), 10);
    consumer.pause(&[partition]).expect("paused");
    consumer.release(partition).expect("released");
    consumer.take(partition, &[(topic.clone(), Offset(0))], false).expect("taken");
    assert_eq!(read(&mut consumer, 10), 10);
}
