//! A task that ranks, over a store, left and taken up again at the worst moments.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::event::streams::StreamRole;
use crate::event::{Body, Catalogue, Event};
use crate::id::{EventId, Offset, Partition as Number, SourcePosition, TopicName};
use crate::money::Number as Amount;
use crate::plan::compile;
use crate::rule::{Names, load_text};
use crate::runtime::changelog::Manifest;
use crate::runtime::task::{CustomerMemory, look};
use crate::store::Shared;
use crate::transition::Direction;

const BEST: &str = "top 50% by count(orders last 30d)";

fn plan() -> Arc<Plan> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let text = format!("segments: [{{key: best, when: '{BEST}'}}]");
    let loaded = load_text("plan", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
    Arc::new(compile(&loaded.definitions.unwrap(), catalogue, Vec::new()))
}

/// A store, and the manifest that it was left with.
struct Left {
    folder: TempDir,
    decided: Decided,
    clock: EventTime,
}

impl Left {
    fn nowhere() -> Left {
        Left { folder: tempfile::tempdir().unwrap(), decided: Decided::default(), clock: EventTime::MIN }
    }

    fn take_up(&self) -> Task {
        Task::new(plan(), &CustomerMemory::new(1 << 20), open(self.folder.path()), self.clock, &self.decided).unwrap()
    }

    /// Commits the open batch; what it told: who entered or left.
    fn commit(&mut self, task: &mut Task) -> Vec<String> {
        let sign = |direction| if direction == Direction::Entered { '+' } else { '-' };
        let told = task.transitions().iter().map(|t| format!("{}{} {}", sign(t.direction), t.customer, t.cause.as_str())).collect();
        (self.decided, self.clock) = (task.decided(), task.clock());
        let manifest = Manifest { clock: self.clock.millis(), decided: self.decided.clone(), ..Manifest::default() };
        task.commit(&manifest.encode(), Offset(1)).unwrap();
        told
    }
}

fn open(folder: &Path) -> Store {
    Store::open(&Shared::new(16 << 20), folder, "d/c/0").unwrap()
}

/// So many orders of a customer, at this second.
fn order(task: &mut Task, customer: &str, orders: usize, second: i64) {
    let at = EventTime::from_millis(second * 1000);
    while task.advance_clock(at, at).unwrap() {}
    for order in 0..orders {
        let stream = task.partition.plan().catalogue.find("orders").unwrap();
        let id = EventId::new(format!("{customer}-{second}-{order}"));
        let fields = task.partition.plan().projection.fields[usize::from(stream.0)].len();
        let body = Body::Fields(vec![crate::event::Value::Null; fields]);
        let event = Event { customer: customer.into(), stream, time: at, id, body };
        let position = SourcePosition { topic: TopicName("t".into()), partition: Number(0), offset: Offset(0) };
        task.accept(&event, &position, at).unwrap();
    }
}

fn erase(task: &mut Task, customer: &str, second: i64) {
    let at = EventTime::from_millis(second * 1000);
    let stream = task.partition.plan().catalogue.with_role(StreamRole::Erasures).unwrap();
    let event = Event { customer: customer.into(), stream, time: at, id: EventId::new("erase"), body: Body::Fields(Vec::new()) };
    let position = SourcePosition { topic: TopicName("t".into()), partition: Number(0), offset: Offset(0) };
    task.accept(&event, &position, at).unwrap();
}

fn cut(at: i64) -> Written {
    [(BEST.to_owned(), Bucket::of(&Amount::integer(at)))].into()
}

fn slice(task: &mut Task, most: u64) -> u64 {
    task.recut_slice(most, EventTime::MIN, &|| true).unwrap()
}

fn totals(task: &Task) -> Vec<u64> {
    task.sketches().iter().map(|sketch| sketch.total()).collect()
}

#[test]
fn ranks_are_read_back() {
    let all = [(7, Bucket::of(&Amount::integer(-12))), (u64::MAX, Bucket::of(&Amount::integer(1_000_000)))];
    assert_eq!(ranks(&value(&all).unwrap()), Some(all.to_vec()));
    assert_eq!((value(&[]), ranks(&[]), ranks(&[2]), ranks(&[VERSION, 1, 2])), (None, None, None, None));
}

#[test]
fn whom_a_cut_concerns_is_decided_once_though_the_task_is_left_in_between() {
    let mut left = Left::nowhere();
    let mut task = left.take_up();
    (1..=6).for_each(|orders| order(&mut task, &format!("c{orders}"), orders, 0));
    assert_eq!(left.commit(&mut task), [""; 0]);
    task.recut(1, &cut(3));
    assert_eq!(slice(&mut task, 2), 2);
    let mut told = left.commit(&mut task);
    drop(task);
    let mut task = left.take_up();
    assert!(task.is_recutting() && totals(&task) == [6]);
    while task.is_recutting() {
        slice(&mut task, 1);
    }
    told.extend(left.commit(&mut task));
    told.sort();
    assert_eq!(told, ["+c3 time", "+c4 time", "+c5 time", "+c6 time"]);
    drop(task);
    assert!(!left.take_up().is_recutting());
}

#[test]
fn who_waits_is_decided_by_the_cut_before_an_event_of_its_own() {
    let mut left = Left::nowhere();
    let mut task = left.take_up();
    ["ann", "bob"].into_iter().for_each(|customer| order(&mut task, customer, 2, 0));
    left.commit(&mut task);
    task.recut(1, &cut(2));
    left.commit(&mut task);
    drop(task);
    let mut task = left.take_up();
    order(&mut task, "bob", 1, 5);
    assert_eq!(left.commit(&mut task), ["+bob time"]);
    slice(&mut task, 10);
    assert_eq!(left.commit(&mut task), ["+ann time"]);
}

#[test]
fn a_batch_that_is_given_up_leaves_cuts_and_ranks_as_they_were() {
    let mut left = Left::nowhere();
    let mut task = left.take_up();
    order(&mut task, "ann", 2, 0);
    left.commit(&mut task);
    task.recut(1, &cut(2));
    slice(&mut task, 10);
    order(&mut task, "bob", 1, 1);
    drop(task);
    let task = left.take_up();
    assert_eq!((task.cuts().version(), totals(&task)), (0, vec![1]));
}

#[test]
fn time_alone_takes_a_customer_out_of_the_ranking_and_a_restart_keeps_it_out() {
    let mut left = Left::nowhere();
    let mut task = left.take_up();
    order(&mut task, "ann", 1, 0);
    order(&mut task, "bob", 2, 86_400);
    left.commit(&mut task);
    assert_eq!(totals(&task), [2]);
    let later = EventTime::from_millis(30 * 86_400_000 + 1);
    while task.advance_clock(later, later).unwrap() {}
    assert_eq!(totals(&task), [1]);
    left.commit(&mut task);
    drop(task);
    assert_eq!(totals(&left.take_up()), [1]);
}

#[test]
fn who_is_erased_ranks_no_more_and_its_place_waits_for_nobody() {
    let mut left = Left::nowhere();
    let mut task = left.take_up();
    ["ann", "bob"].into_iter().for_each(|customer| order(&mut task, customer, 2, 0));
    left.commit(&mut task);
    task.recut(1, &cut(2));
    erase(&mut task, "bob", 5);
    left.commit(&mut task);
    assert_eq!(totals(&task), [1]);
    order(&mut task, "cid", 1, 6);
    while task.is_recutting() {
        slice(&mut task, 1);
    }
    assert_eq!(left.commit(&mut task), ["+ann time"]);
    drop(task);
    assert_eq!(totals(&left.take_up()), [2]);
}

/// What a stopped service would decide for one who still waits, it does when it is looked at.
#[test]
fn who_waits_is_looked_at_as_it_will_be_decided() {
    let mut left = Left::nowhere();
    let mut task = left.take_up();
    order(&mut task, "ann", 2, 0);
    left.commit(&mut task);
    task.recut(1, &cut(2));
    left.commit(&mut task);
    drop(task);
    let found = look(&plan(), &open(left.folder.path()), &"ann".into()).unwrap().unwrap().partition;
    let state = found.resident(found.find(&"ann".into()).unwrap()).state.as_ref().unwrap();
    assert!(state.standing.memberships[0].is_member());
}
