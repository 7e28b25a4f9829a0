//! A task that is closed and opened again at any commit decides what one that never stopped decides: what is stored is
//! enough, and what is not stored can be rebuilt.
//!
//! Oracle: the partition in memory, over the same real events. Also here: a store rebuilt from the changelog alone, and a
//! batch that is forgotten and done again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

use std::path::Path;
use std::sync::Arc;

use segmentd::engine::{Partition, nobody};
use segmentd::event::{Catalogue, Event};
use segmentd::id::{Offset, SourcePosition, TopicName};
use segmentd::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};
use segmentd::plan::{Plan, compile};
use segmentd::rule::{Names, load};
use segmentd::runtime::changelog::Decided;
use segmentd::runtime::task::{Change, CustomerMemory, Task};
use segmentd::store::{Shared, Store};
use segmentd::time::EventTime;
use segmentd::transition::Transition;

const EVENTS_PER_COMMIT: usize = 700;
const COMMITS_PER_LIFE: usize = 3;

/// The golden rules, and rules over everything else that is stored: traits, pending coupons, bases of lifetimes.
fn plan() -> Arc<Plan> {
    let catalogue = Catalogue::segment_spec();
    let names = Names { catalogue: &catalogue, lists: &[] };
    let loaded = load(&["tests/data/golden.segments.yaml".into(), "tests/data/restart.segments.yaml".into()], names);
    let definitions = loaded.definitions.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    Arc::new(compile(&definitions, Arc::new(catalogue), Vec::new()))
}

/// Every event of the households whose number ends in 7.
fn events(plan: &Plan) -> Vec<Event> {
    let lines = zstd::decode_all(std::fs::File::open("tests/data/complete-journey.ndjson.zst").unwrap()).unwrap();
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let events = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(|line| {
        match decoder.decode(&RawRecord { payload: Some(line), headers: &[], timestamp_ms: None }) {
            Decoded::Event(event) => event,
            other => panic!("{other:?}"),
        }
    });
    events.filter(|event| event.customer.as_str().ends_with('7')).collect()
}

fn end() -> EventTime {
    EventTime::parse("2018-03-01T00:00:00.001Z").unwrap()
}

fn undisturbed(plan: &Arc<Plan>, events: &[Event]) -> Vec<String> {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    for event in events {
        partition.accept(event, None, None, &mut nobody).unwrap();
    }
    while partition.fire_next(end(), None, &mut nobody).unwrap() {}
    sorted(partition.transitions().iter())
}

/// All that does not depend on where a record stood or when it was decided.
fn sorted<'a>(transitions: impl Iterator<Item = &'a Transition>) -> Vec<String> {
    let told = |t: &Transition| {
        let (customer, segment, direction) = (&t.customer, &t.segment, t.direction.as_str());
        let trigger = t.trigger.as_ref().map(|trigger| trigger.event_id.to_string());
        format!(
            "{customer} {segment} {:06} {direction} {} {} {:?} {trigger:?} {:?}",
            t.sequence,
            t.at,
            t.cause.as_str(),
            t.valid_until,
            t.evidence
        )
    };
    let mut all: Vec<String> = transitions.map(told).collect();
    all.sort();
    all
}

/// Every key of a store with its value.
type Stored = Vec<(Box<[u8]>, Box<[u8]>)>;

struct Life<'a> {
    plan: &'a Arc<Plan>,
    shared: Shared,
    folder: &'a Path,
    changelog: Vec<Change>,
    published: Vec<Transition>,
    clock: EventTime,
    decided: Decided,
}

impl Life<'_> {
    fn open(&self) -> Task {
        let store = Store::open(&self.shared, self.folder, "restart").unwrap();
        Task::new(self.plan.clone(), &CustomerMemory::new(60 << 10), store, self.clock, &self.decided).unwrap()
    }

    /// A commit as a lane makes it: the records go out, then the store follows.
    fn commit(&mut self, task: &mut Task) {
        self.published.extend(task.transitions().iter().cloned());
        task.changes(&mut |key, value| self.changelog.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        task.commit(b"manifest", Offset(self.changelog.len() as i64)).unwrap();
        self.clock = task.clock();
        self.decided = task.decided();
    }

    fn apply(&self, task: &mut Task, events: &[Event]) {
        let position = SourcePosition { topic: TopicName("t".into()), partition: segmentd::id::Partition(0), offset: Offset(0) };
        for event in events {
            while task.advance_clock(event.time, event.time).unwrap() {}
            task.accept(event, &position, event.time).unwrap();
        }
    }
}

#[test]
fn a_task_that_restarts_at_commits_decides_what_one_that_never_stopped_decides() {
    let plan = plan();
    let events = events(&plan);
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life {
        plan: &plan,
        shared: Shared::new(64 << 20),
        folder: folder.path(),
        changelog: Vec::new(),
        published: Vec::new(),
        clock: EventTime::MIN,
        decided: Decided::default(),
    };
    let mut task = life.open();
    for (number, batch) in events.chunks(EVENTS_PER_COMMIT).enumerate() {
        if number % COMMITS_PER_LIFE == 1 {
            // Half a batch that nobody ever hears of: its transaction was aborted.
            life.apply(&mut task, &batch[..batch.len() / 2]);
            drop(task);
            task = life.open();
        }
        life.apply(&mut task, batch);
        life.commit(&mut task);
    }
    while task.advance_clock(end(), end()).unwrap() {
        life.commit(&mut task);
    }
    life.commit(&mut task);
    let (found, wanted) = (sorted(life.published.iter()), undisturbed(&plan, &events));
    let first = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
    assert!(first.is_none(), "first difference (found, wanted): {first:#?}");
    assert_eq!(found.len(), wanted.len());
    assert!(found.len() > 5_000, "{}", found.len());
    drop(task);
    assert_eq!(state_of(&life.shared, folder.path()), replayed(&life));
}

/// What the changelog alone gives.
fn replayed(life: &Life<'_>) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&life.shared, folder.path(), "restart").unwrap();
    for chunk in life.changelog.chunks(1_000) {
        Task::materialise(&store, chunk, None, Offset(0)).unwrap();
    }
    drop(store);
    state_of(&life.shared, folder.path())
}

fn state_of(shared: &Shared, folder: &Path) -> Stored {
    let store = Store::open(shared, folder, "restart").unwrap();
    store.scan_state(b"", None, usize::MAX).unwrap()
}
