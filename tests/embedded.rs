//! The service on librdkafka's in-process broker, as `segmentd demo` runs it: everything but exactly-once.

mod support;

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use segmentd::runtime::{self, Shutdown};
use support::client::{Tail, Writer};
use support::service::{INPUT, TRANSITIONS, observed, settings};
use tempfile::TempDir;

#[test]
fn the_service_runs_on_the_embedded_broker() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    let bootstrap = cluster.bootstrap_servers();
    let state = TempDir::new().expect("a folder");
    let mut settings = settings(&bootstrap, state.path());
    settings.kafka.embedded = true;
    settings.create_topics = false;
    let topics = settings.wanted_topics().into_iter().map(|wanted| wanted.topic.to_string()).chain([INPUT.to_string()]);
    topics.for_each(|topic| cluster.create_topic(&topic, 2, 1).expect("topic"));
    let segments = state.path().join("segments.yaml");
    std::fs::write(&segments, "segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]").expect("segments");
    let definitions = support::service::definitions_of(&segments);
    let shutdown = Shutdown::default();
    let asked = shutdown.clone();
    let service = std::thread::spawn(move || runtime::run(settings, definitions, observed(), &asked));
    let writer = Writer::connect(&bootstrap);
    for customer in 0..20 {
        let value = format!(
            r#"{{"type":"track","event":"Order Completed","userId":"c-{customer}","timestamp":"2026-01-01T00:00:00Z","properties":{{"order_id":"o-{customer}","total":20}}}}"#
        );
        writer.send(INPUT, None, &format!("c-{customer}"), Some(value.as_bytes()));
    }
    writer.flush();
    let began = Instant::now();
    let mut tail = Tail::open(&bootstrap, TRANSITIONS);
    let all = tail.read_until(20, Duration::from_secs(30));
    eprintln!("{} transitions after {:?}", tail.records.len(), began.elapsed());
    shutdown.request();
    service.join().expect("the service").expect("a clean end");
    assert!(all, "only {} of 20", tail.records.len());
}
