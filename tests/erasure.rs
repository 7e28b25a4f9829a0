//! A task that erases customers: nothing that it stores, or that a changelog has left once it is compacted, names them; and
//! their neighbours do not notice.
//!
//! **Invariant:** what is looked through is bytes: a key or a value that nobody reads any more counts too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use segmentd::customer::Applied;
use segmentd::event::{Catalogue, Event};
use segmentd::id::{Offset, Partition, SourcePosition, TopicName};
use segmentd::plan::{Plan, compile};
use segmentd::rule::{Names, load_text};
use segmentd::runtime::changelog::Decided;
use segmentd::runtime::task::{CustomerMemory, Task};
use segmentd::scenario::parse;
use segmentd::store::{Shared, Store};
use segmentd::time::EventTime;
use segmentd::transition::{Cause, Direction, Transition};

/// Who is erased, and two whose ids begin like that one, or are its beginning.
const ZOE: &str = "zoe@example.org";
const NEIGHBOURS: [&str; 2] = ["zoe@example.org.uk", "zoe@example"];

const OLD: &str = "segments:
  - {key: buyer, when: 'count(orders last 30d) > 0'}
  - {key: viewer, when: 'count(product_views last 5d) > 0 and trait.city == \"Cologne\"'}";
/// Of views nothing is read any more, though blocks of them are stored.
const NEW: &str = "segments: [{key: buyer, when: 'count(orders last 30d) > 0'}]";

fn plan(text: &str) -> Arc<Plan> {
    let catalogue = Catalogue::segment_spec();
    let loaded = load_text("segments.yaml", text, Names { catalogue: &catalogue, lists: &[] }, &[]);
    Arc::new(compile(&loaded.definitions.unwrap(), Arc::new(catalogue), Vec::new()))
}

/// Events as a page writes them: `{at: …, customer: …, orders: {order_id: a}}`.
fn events(plan: &Plan, lines: &[String]) -> Vec<Event> {
    let text = format!("name: events\nevents:\n{}", lines.iter().map(|line| format!("  - {line}\n")).collect::<String>());
    let page = parse("page", &text, &plan.catalogue).unwrap().remove(0);
    page.events.iter().map(|event| event.to_event(&plan.catalogue, &plan.projection)).collect()
}

/// Days from the first of January 2026.
fn day(n: i64) -> EventTime {
    EventTime::from_millis(EventTime::parse("2026-01-01T00:00:00Z").unwrap().millis() + n * 86_400_000)
}

/// Half a year of orders and views, one of each a day: enough for blocks, for orders that are not kept any more, and for a
/// block of their ids.
fn half_a_year(plan: &Plan) -> Vec<Event> {
    let of_day = |n: i64| {
        [ZOE, NEIGHBOURS[0], NEIGHBOURS[1]].into_iter().flat_map(move |customer| {
            let at = day(n);
            [
                format!("{{at: {at}, customer: {customer}, orders: {{order_id: o{n}, total: 20}}}}"),
                format!("{{at: {at}, customer: {customer}, id: v{n}, product_views: {{}}}}"),
                format!("{{at: {at}, customer: {customer}, id: i{n}, identify: {{city: Cologne}}}}"),
            ]
        })
    };
    events(plan, &(0..180).flat_map(of_day).collect::<Vec<_>>())
}

fn erasure(plan: &Plan, customer: &str, n: i64) -> Vec<Event> {
    events(plan, &[format!("{{at: {}, customer: {customer}, erasures: {{}}}}", day(n))])
}

fn order(plan: &Plan, customer: &str, n: i64) -> Vec<Event> {
    events(plan, &[format!("{{at: {}, customer: {customer}, orders: {{order_id: late{n}}}}}", day(n))])
}

/// A task, the changelog as compaction leaves it, and what was published.
struct Life<'a> {
    folder: &'a Path,
    shared: Shared,
    task: Option<Task>,
    changelog: BTreeMap<Vec<u8>, Vec<u8>>,
    memberships: BTreeMap<String, Option<Vec<u8>>>,
    published: Vec<Transition>,
    clock: EventTime,
    decided: Decided,
}

impl<'a> Life<'a> {
    fn begin(folder: &'a Path, plan: &Arc<Plan>) -> Life<'a> {
        let mut life = Life {
            folder,
            shared: Shared::new(64 << 20),
            task: None,
            changelog: BTreeMap::new(),
            memberships: BTreeMap::new(),
            published: Vec::new(),
            clock: EventTime::MIN,
            decided: Decided::default(),
        };
        life.start(plan);
        life
    }

    /// Starts, or dies and starts again: what was not committed is forgotten.
    fn start(&mut self, plan: &Arc<Plan>) {
        self.task = None;
        let store = Store::open(&self.shared, self.folder, "erasure").unwrap();
        self.task = Some(Task::new(plan.clone(), &CustomerMemory::new(4 << 10), store, self.clock, &self.decided).unwrap());
    }

    /// The same with nothing but the changelog.
    fn start_from_changelog(&mut self, plan: &Arc<Plan>) {
        self.task = None;
        std::fs::remove_dir_all(self.folder).unwrap();
        let store = Store::open(&self.shared, self.folder, "erasure").unwrap();
        let changes: Vec<_> = self.changelog.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        Task::materialise(&store, &changes, None, Offset(1)).unwrap();
        drop(store);
        self.start(plan);
    }

    fn task(&mut self) -> &mut Task {
        self.task.as_mut().unwrap()
    }

    fn apply(&mut self, events: &[Event]) -> Vec<Applied> {
        let position = SourcePosition { topic: TopicName("t".into()), partition: Partition(0), offset: Offset(0) };
        let task = self.task();
        let apply = |event: &Event| {
            while task.advance_clock(event.time, event.time).unwrap() {}
            task.accept(event, &position, event.time).unwrap().applied
        };
        events.iter().map(apply).collect()
    }

    fn commit(&mut self) {
        let Life { task, changelog, memberships, .. } = self;
        let task = task.as_mut().unwrap();
        self.published.extend(task.transitions().iter().cloned());
        task.memberships(&mut |customer, value| drop(memberships.insert(customer.to_string(), value.map(<[u8]>::to_vec))));
        let mut keys = Vec::new();
        task.changes(&mut |key, value| {
            keys.push(key.to_vec());
            match value {
                Some(value) => drop(changelog.insert(key.to_vec(), value.to_vec())),
                None => drop(changelog.remove(key)),
            }
        });
        let records = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), records, "one record a key");
        task.commit(b"manifest", Offset(1)).unwrap();
        self.clock = task.clock();
        self.decided = task.decided();
    }

    fn run(&mut self, events: &[Event]) -> Vec<Applied> {
        let applied = self.apply(events);
        self.commit();
        applied
    }

    /// Keys and values of the store, its timers, the compacted changelog and the last memberships.
    fn everything(&mut self) -> Vec<Vec<u8>> {
        let store = self.task().store();
        let mut found = Vec::new();
        for (key, value) in store.scan_state(b"", None, usize::MAX).unwrap() {
            found.extend([key.to_vec(), value.to_vec()]);
        }
        found.extend(store.timers_from(EventTime::MIN, b"", usize::MAX).unwrap().into_iter().map(|timer| timer.customer.to_vec()));
        found.extend(self.changelog.iter().flat_map(|(key, value)| [key.clone(), value.clone()]));
        found.extend(self.memberships.values().flatten().cloned());
        found.push(format!("{:?}", self.decided).into_bytes());
        found
    }

    /// How many of them hold an id, in any place, that is not the beginning of a longer one.
    fn traces(&mut self, id: &str) -> usize {
        let holds = |bytes: &[u8]| {
            let longer = |end: usize| bytes[end..].first().is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'.');
            bytes.windows(id.len()).enumerate().any(|(at, window)| window == id.as_bytes() && !longer(at + id.len()))
        };
        self.everything().iter().filter(|bytes| holds(bytes)).count()
    }

    fn exits(&self, cause: Cause) -> Vec<(&str, &str)> {
        let exits = self.published.iter().filter(|t| t.direction == Direction::Exited && t.cause == cause);
        exits.map(|t| (t.customer.as_str(), t.segment.as_str())).collect()
    }
}

#[test]
fn nothing_that_is_stored_names_who_was_erased() {
    let (folder, old, new) = (tempfile::tempdir().unwrap(), plan(OLD), plan(NEW));
    let mut life = Life::begin(folder.path(), &old);
    life.run(&half_a_year(&old));
    // Under the new rules the head is written anew, and the blocks of views are nobody's.
    life.start(&new);
    life.run(&order(&new, ZOE, 180));
    let neighbours = NEIGHBOURS.map(|id| life.traces(id));
    assert!(life.traces(ZOE) > 20, "{} keys and values", life.traces(ZOE));
    assert!(life.task().timers_pending() == 3);

    life.run(&erasure(&new, ZOE, 181));
    assert_eq!(life.exits(Cause::Delete), [(ZOE, "buyer")]);
    assert_eq!(life.memberships[ZOE], None);
    assert_eq!((life.traces(ZOE), life.task().timers_pending()), (0, 2));
    assert_eq!(NEIGHBOURS.map(|id| life.traces(id)), neighbours);

    // Whatever is opened again: in the middle, from disk, from the changelog alone.
    for round in 0..3 {
        assert_eq!(life.run(&order(&new, ZOE, 170 + round)), [Applied::Erased]);
        assert_eq!(life.traces(ZOE), 0);
        if round == 0 { life.start(&new) } else { life.start_from_changelog(&new) }
    }
    assert_eq!(life.published.iter().filter(|t| t.customer.as_str() == ZOE).count() % 2, 0);
}

#[test]
fn an_erasure_that_was_not_committed_has_not_happened() {
    let (folder, plan) = (tempfile::tempdir().unwrap(), plan(NEW));
    let mut life = Life::begin(folder.path(), &plan);
    life.run(&order(&plan, ZOE, 0));
    let before = life.everything();
    life.apply(&erasure(&plan, ZOE, 1));
    life.start(&plan);
    assert_eq!(life.everything(), before);
    assert_eq!(life.run(&order(&plan, ZOE, 0)), [Applied::Duplicate]);
}

#[test]
fn who_begins_anew_in_the_very_batch_is_stored_as_somebody_new() {
    let (folder, old) = (tempfile::tempdir().unwrap(), plan(OLD));
    let mut life = Life::begin(folder.path(), &old);
    life.run(&half_a_year(&old));
    life.apply(&erasure(&old, ZOE, 180));
    // More rows than a head holds: blocks are numbered from the first again.
    let again: Vec<Event> = (181..220).flat_map(|n| order(&old, ZOE, n)).collect();
    life.run(&again);
    let stored = life.everything();
    for _ in 0..2 {
        assert_eq!(life.run(&order(&old, ZOE, 100)), [Applied::Erased]);
        assert_eq!(life.run(&order(&old, ZOE, 200)), [Applied::Duplicate]);
        life.start_from_changelog(&old);
    }
    assert_eq!(life.everything(), stored);
    let last = life.published.iter().rfind(|t| t.customer.as_str() == ZOE).unwrap();
    assert_eq!((last.sequence, last.entry, last.direction), (1_000_000_001, 1, Direction::Entered));

    life.run(&erasure(&old, ZOE, 221));
    assert_eq!(life.traces(ZOE), 0);
    life.run(&order(&old, ZOE, 222));
    assert_eq!(life.published.last().unwrap().sequence, 2_000_000_001);
}

/// What the new definitions would welcome is not told on the way out.
#[test]
fn who_is_erased_while_definitions_change_is_not_decided_anew() {
    let (folder, old) = (tempfile::tempdir().unwrap(), plan(NEW));
    let greeting = plan("segments: [{key: new, when: 'count(orders lifetime) > 0'}]");
    let mut life = Life::begin(folder.path(), &old);
    for customer in ["ann", ZOE, "zoo"] {
        life.run(&order(&old, customer, 0));
    }
    life.task().redefine(greeting.clone());
    life.run(&erasure(&greeting, "ann", 1));
    assert_eq!(life.exits(Cause::Delete), [("ann", "buyer")]);
    while life.task().backfill().is_some() {
        life.task().decide_slice(1, day(1), &|| true).unwrap();
    }
    life.commit();
    let entered: Vec<_> = life.published.iter().filter(|t| t.segment.as_str() == "new").map(|t| t.customer.as_str()).collect();
    assert_eq!(entered, [ZOE, "zoo"]);
}

/// It says how far a scan has come, by somebody's id: here by that of the one who is erased.
#[test]
fn no_manifest_names_who_was_erased() {
    let (folder, old, new) = (tempfile::tempdir().unwrap(), plan(NEW), plan(OLD));
    let mut life = Life::begin(folder.path(), &old);
    for customer in ["ann", ZOE, "zoo"] {
        life.run(&order(&old, customer, 0));
    }
    life.task().redefine(new.clone());
    life.task().decide_slice(2, day(0), &|| true).unwrap();
    life.commit();
    assert_eq!(life.decided.scanned_to.as_deref(), Some(ZOE));
    life.run(&erasure(&new, ZOE, 1));
    assert_eq!(life.traces(ZOE), 0);
    while life.task().backfill().is_some() {
        life.task().decide_slice(1, day(1), &|| true).unwrap();
    }
    life.commit();
    assert_eq!(life.decided.scanned_to, None);
}
