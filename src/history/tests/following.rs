//! The thread that reads the topic, against librdkafka's mock cluster: what it does about one partition that cannot be read.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use tempfile::TempDir;

use super::super::*;
use crate::event::Catalogue;
use crate::metrics::{Labels, Metrics};
use crate::plan::compile;
use crate::rule::Definitions;
use crate::runtime::Shutdown;
use crate::runtime::clock::Deadline;
use crate::runtime::committed::{Committed, Showing};
use crate::store::{Shared, Store};

const TOPIC: &str = "segment-transitions";

/// A process that owns both partitions.
struct Process {
    committed: Committed,
    _showing: Vec<Showing>,
    _stores: Vec<Arc<Store>>,
    folder: TempDir,
}

impl Process {
    fn new() -> Process {
        let (folder, committed) = (TempDir::new().unwrap(), Committed::default());
        let plan = Arc::new(compile(&Definitions::default(), Arc::new(Catalogue::segment_spec()), Vec::new()));
        committed.set_partitions(2);
        committed.assigned();
        let shared = Shared::for_additions(8 << 20);
        let store = |partition: i32| Arc::new(Store::open(&shared, &folder.path().join(partition.to_string()), "test").unwrap());
        let stores: Vec<_> = [0, 1].map(store).into();
        let show = |(partition, store)| committed.show(Partition(partition), store, plan.clone(), EventTime::MIN);
        let showing = (0..).zip(&stores).map(show).collect();
        Process { committed, _showing: showing, _stores: stores, folder }
    }

    fn following(&self, cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>) -> Following {
        let settings = Settings {
            kafka: kafka::Settings {
                bootstrap: cluster.bootstrap_servers(),
                deployment: "test".into(),
                group_instance_id: None,
                properties: BTreeMap::new(),
                embedded: true,
            },
            topic: TopicName(TOPIC.into()),
            dir: self.folder.path().join("history"),
            keep: Span::from_days(90),
        };
        let metrics = Metrics::new(&Labels::default()).unwrap().history.clone();
        Following { history: History::new(settings.keep), settings, committed: self.committed.clone(), metrics }
    }
}

/// Ends the thread also where the test fails.
struct Over<'a>(&'a Shutdown);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(30));
    while !holds() {
        assert!(!deadline.is_past(), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_partition_that_is_out_of_reach_is_withheld_alone_and_told_again_once_it_is_back() {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic(TOPIC, 2, 1).unwrap();
    (0..2).for_each(|partition| cluster.partition_leader(TOPIC, partition, Some(2 - partition)).unwrap());
    let lose = || cluster.broker_down(2).unwrap();
    lose();
    let (process, over) = (Process::new(), Shutdown::default());
    let following = process.following(&cluster);
    let (history, both) = (following.history.clone(), || vec![Partition(0), Partition(1)]);
    let as_of = || history.hours(&[Partition(1)], 2, "loyal", HourNumber(0)).unwrap().1.as_of;
    let goes_on = || {
        let before = as_of();
        await_that("the other one is as fresh as ever", || as_of() > before);
    };
    std::thread::scope(|threads| {
        let _over = Over(&over);
        threads.spawn(|| following.run(&over));
        await_that("the other one is told", || history.told_of(both(), 2) == [Partition(1)]);
        goes_on();
        cluster.broker_up(2).unwrap();
        await_that("both are told", || history.told_of(both(), 2) == both());

        // What was read of it stays told.
        lose();
        std::thread::sleep(Duration::from_secs(2));
        goes_on();
        assert_eq!(history.told_of(both(), 2), both());
    });
}
