//! A service's interface in a test: one task over a real store, fed by hand, and a server beside it.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::{InForce, Partitions, Rules, Service};
use crate::audit::Audit;
use crate::event::Catalogue;
use crate::history::History;
use crate::history::fixture::Kept;
use crate::http::access::Access;
use crate::http::listener::Bounds;
use crate::http::lookup::{Lookup, Source};
use crate::http::peers::Peers;
use crate::http::room::Limits;
use crate::http::tests::{Received, Running, start_guarded};
use crate::id::{Offset, Partition, SourcePosition, TopicName};
use crate::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};
use crate::metrics::{Labels, Metrics};
use crate::plan::{Plan, compile};
use crate::rule::{Names, load_text};
use crate::runtime::changelog::{Decided, Manifest};
use crate::runtime::committed::{Committed, Counts, Showing};
use crate::runtime::feed::Feed;
use crate::runtime::measuring::Measuring;
use crate::runtime::owners::Owners;
use crate::runtime::status::Status;
use crate::runtime::task::{CustomerMemory, Task};
use crate::store::{Shared, Store};
use crate::time::{EventTime, Span};
use crate::transition::Direction;

/// One partition, in which everything happens.
pub struct Scene {
    pub server: Running,
    pub metrics: Metrics,
    pub measuring: Measuring,
    pub feed: Feed,
    pub committed: Committed,
    pub owners: Owners,
    pub audit: Audit,
    pub plan: Arc<Plan>,
    /// What has been told of the past; it is told as it is committed.
    pub past: Kept,
    task: Task,
    showing: Option<Showing>,
    offset: i64,
    _folder: TempDir,
}

/// An instant of January 2026.
pub fn day(day: i64) -> EventTime {
    EventTime::parse(&format!("2026-01-{day:02}T00:00:00Z")).unwrap()
}

pub fn rules_of(definitions: &str) -> Rules {
    let catalogue = Catalogue::segment_spec();
    let definitions = load_text("test.yaml", definitions, Names { catalogue: &catalogue, lists: &[] }, &[]).definitions.unwrap();
    let lists = definitions.lists.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect())).collect();
    let plan = Arc::new(compile(&definitions, Arc::new(catalogue), lists));
    let list_topics = [("vip".into(), TopicName("crm.vip".into()))].into();
    Rules { definitions, plan, list_topics }
}

/// A service that has no partition yet.
pub fn nothing() -> (Lookup, Service) {
    served(
        Partitions { committed: Committed::default(), owners: Owners::default() },
        rules_of("segments: [{key: a, when: 'count(orders last 1d) > 0'}]"),
        None,
    )
}

fn served(partitions: Partitions, rules: Rules, history: Option<History>) -> (Lookup, Service) {
    let keys = rules.plan.segments.iter().map(|segment| segment.key.clone()).collect();
    let metrics = Metrics::new(&Labels { segments: keys, ..Labels::default() }).unwrap();
    let lookup = Lookup { source: Source::Service(partitions.clone()), limits: Limits::new(512) };
    let measuring = Measuring::new(metrics.experiments.clone());
    (
        lookup,
        Service {
            partitions,
            rules: InForce::new(rules),
            metrics,
            feed: Feed::default(),
            history,
            measuring,
            status: Status::new(),
            peers: Peers::default(),
            requests: None,
        },
    )
}

impl Scene {
    pub fn new(definitions: &str) -> Scene {
        Scene::within(definitions, Bounds::LOOKUPS)
    }

    /// Partition 0 of one.
    pub fn within(definitions: &str, bounds: Bounds) -> Scene {
        Scene::of(definitions, bounds, Partition(0), 1, Access::open())
    }

    /// A process that has one partition of several.
    pub fn of(definitions: &str, bounds: Bounds, partition: Partition, of: u32, access: Access) -> Scene {
        let (folder, rules, committed) = (TempDir::new().unwrap(), rules_of(definitions), Committed::default());
        let plan = rules.plan.clone();
        let store = Arc::new(Store::open(&Shared::new(8 << 20), folder.path(), "test").unwrap());
        let task = Task::new(plan.clone(), &CustomerMemory::new(1 << 20), store.clone(), EventTime::MIN, &Decided::default()).unwrap();
        committed.set_partitions(of);
        committed.assigned();
        let showing = Some(committed.show(partition, &store, plan.clone(), EventTime::MIN));
        showing.iter().for_each(|showing| showing.counted().complete(Counts::default(), &Metrics::new(&Labels::default()).unwrap()));
        let owners = Owners::default();
        let partitions = Partitions { committed: committed.clone(), owners: owners.clone() };
        let past = Kept::of(Span::from_days(90), partition, of);
        let (lookup, service) = served(partitions, rules, Some(past.history.clone()));
        let (metrics, feed, measuring) = (service.metrics.clone(), service.feed.clone(), service.measuring.clone());
        let audit = Audit::default();
        let server = start_guarded(Some(lookup), Some(service), bounds, access.auditing(audit.clone()));
        Scene { server, metrics, measuring, feed, committed, owners, audit, plan, past, task, showing, offset: 0, _folder: folder }
    }

    /// An order in the open batch.
    pub fn order(&mut self, customer: &str, at: EventTime, total: u32) {
        let properties = format!(r#"{{"order_id":"o-{}","total":{total}}}"#, self.offset);
        self.track("Order Completed", customer, at, &properties);
    }

    /// The customer is erased in the open batch.
    pub fn erase(&mut self, customer: &str, at: EventTime) {
        self.track("User Deleted", customer, at, "{}");
    }

    fn track(&mut self, event: &str, customer: &str, at: EventTime, properties: &str) {
        self.offset += 1;
        let payload = format!(
            r#"{{"type":"track","event":"{event}","messageId":"m-{}","userId":"{customer}","timestamp":"{at}","properties":{properties}}}"#,
            self.offset
        );
        let mut decoder = Decoder::new(&self.plan.catalogue, &self.plan.projection, DecodeLimits::default());
        let raw = RawRecord { payload: Some(payload.as_bytes()), ..RawRecord::default() };
        let Decoded::Event(event) = decoder.decode(&raw) else { panic!("{payload}") };
        let position = SourcePosition { topic: TopicName("shop.events".into()), partition: Partition(0), offset: Offset(self.offset) };
        self.advance(at);
        self.task.accept(&event, &position, at).unwrap();
    }

    /// Time passes in the open batch.
    pub fn advance(&mut self, to: EventTime) {
        while self.task.advance_clock(to, to).unwrap() {}
    }

    /// The transaction of the open batch is under way.
    pub fn committing(&self) {
        self.showing.iter().for_each(Showing::committing);
    }

    /// What the open batch has to tell is told so many times.
    pub fn repeat(&self, times: usize) {
        let told = self.feed.prepare(self.task.outputs(), "test");
        (0..times).for_each(|_| self.feed.tell(told.clone()));
    }

    /// The open batch is stored.
    pub fn commit(&mut self) {
        let manifest = Manifest { clock: self.task.clock().millis(), decided: self.task.decided(), ..Manifest::default() };
        if let Some(showing) = &self.showing {
            for transition in self.task.transitions() {
                let (segment, by) = (&transition.segment, if transition.direction == Direction::Entered { 1 } else { -1 });
                let figures = self.metrics.transitions.segment(segment).unwrap();
                figures.transitions(transition.direction, transition.cause).inc();
                figures.changed_at(transition.at);
                showing.moved(segment, by, &figures.members);
            }
        }
        let told = self.feed.prepare(self.task.outputs(), "test");
        self.past.take(self.task.outputs());
        self.task.commit(&manifest.encode(), Offset(self.offset)).unwrap();
        if let Some(showing) = &self.showing {
            showing.stored(self.task.clock(), &[]);
        }
        self.feed.tell(told);
    }

    /// The partition goes away, or is being restored.
    pub fn hide(&mut self) {
        self.showing = None;
    }

    pub fn get(&self, path: &str) -> Received {
        self.server.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    pub fn post(&self, path: &str, body: &str) -> Received {
        let length = body.len();
        self.server.send(&format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    /// The answer of a path that has one.
    pub fn told(&self, path: &str) -> Value {
        let received = self.get(path);
        assert_eq!(received.code, 200, "{}", received.body);
        received.json()
    }
}
