//! A task whose definitions or lists change while events flow: what the change does not touch goes on as if nothing had
//! happened, everybody else is decided by the new rules, whatever stops in between.
//!
//! Real events. Oracle: the partition in memory that has had the same rules from the start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use segmentd::engine::{Partition, nobody};
use segmentd::event::{Catalogue, Event};
use segmentd::id::{CustomerId, ListKey, Offset, SourcePosition, TopicName};
use segmentd::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};
use segmentd::plan::{Plan, compile};
use segmentd::rule::{Names, load_text};
use segmentd::runtime::changelog::Decided;
use segmentd::runtime::task::{CustomerMemory, Task};
use segmentd::store::{Shared, Store};
use segmentd::time::EventTime;
use segmentd::transition::{Cause, Direction, Transition, Withheld};

const EVENTS_PER_COMMIT: usize = 500;

/// Nobody but those who are pinned is in `pinned`; whoever ordered is in `unbanned`, for good.
const LISTED: &str = r#"segments:
  - {key: pinned, when: 'count(orders lifetime) > 1_000_000', pin: staff, on_create: silent}
  - {key: unbanned, when: 'count(orders lifetime) > 0', min_stay: 3650d, ban: staff}"#;

const OLD: &str = r#"segments:
  - {key: kept, when: 'count(orders last 30d) > 2 and not list("staff")'}
  - {key: changed, when: 'sum(orders.total last 60d) > 300'}
  - {key: over_changed, when: 'segment("changed") and count(orders last 7d) > 1'}
  - {key: removed, when: 'count(orders last 90d) > 5'}"#;

const NEW: &str = r#"segments:
  - {key: added, when: 'count(orders last 14d) > 1 and max(orders.total last 30d) > 40'}
  - {key: kept, when: 'count(orders last 30d) > 2 and not list("staff")'}
  - {key: over_changed, when: 'segment("changed") and count(orders last 7d) > 1'}
  - {key: changed, when: 'sum(orders.total last 60d) > 200'}"#;

fn plan(text: &str, staff: &[&str]) -> Arc<Plan> {
    let catalogue = Catalogue::segment_spec();
    let lists = [ListKey::new("staff")];
    let loaded = load_text("segments.yaml", text, Names { catalogue: &catalogue, lists: &lists }, &[]);
    let definitions = loaded.definitions.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let staff = staff.iter().map(|id| CustomerId::new(*id)).collect();
    Arc::new(compile(&definitions, Arc::new(catalogue), vec![(ListKey::new("staff"), staff)]))
}

/// Every record.
fn all_records() -> Vec<Vec<u8>> {
    let lines = zstd::decode_all(std::fs::File::open("tests/data/complete-journey.ndjson.zst").unwrap()).unwrap();
    lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The records of the households whose number ends in 7.
fn records() -> Vec<Vec<u8>> {
    let of_seven = |line: &Vec<u8>| line.windows(2).any(|bytes| bytes == b"7\"") && customer_of(line).ends_with('7');
    all_records().into_iter().filter(of_seven).collect()
}

fn customer_of(line: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(line).unwrap();
    json["userId"].as_str().unwrap_or_default().into()
}

/// The events of all records, as a plan sees them.
fn events(records: &[Vec<u8>], plan: &Plan) -> Vec<Event> {
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let decode = |line: &Vec<u8>| match decoder.decode(&RawRecord { payload: Some(line), headers: &[], timestamp_ms: None }) {
        Decoded::Event(event) => event,
        other => panic!("{other:?}"),
    };
    records.iter().map(decode).collect()
}

fn end() -> EventTime {
    EventTime::parse("2018-03-01T00:00:00.001Z").unwrap()
}

fn undisturbed(plan: &Arc<Plan>, events: &[Event]) -> Vec<Transition> {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    for event in events {
        partition.accept(event, None, None, &mut nobody).unwrap();
    }
    while partition.fire_next(end(), None, &mut nobody).unwrap() {}
    partition.transitions().to_vec()
}

/// Everything about a transition that is not about where and when it was decided.
fn told(transitions: &[Transition], segment: &str) -> Vec<String> {
    let of_segment = transitions.iter().filter(|t| t.segment.as_str() == segment);
    let tell = |t: &Transition| {
        let trigger = t.trigger.as_ref().map(|trigger| trigger.event_id.to_string());
        format!("{} {:06} {:?} {} {:?} {:?} {trigger:?}", t.customer, t.sequence, t.direction, t.at, t.cause, t.valid_until)
    };
    let mut lines: Vec<_> = of_segment.map(tell).collect();
    lines.sort();
    lines
}

/// Who is in a segment at the end. Fails unless transitions alternate and are numbered without a gap.
fn members(transitions: &[Transition], segment: &str) -> BTreeSet<String> {
    let mut sequences = BTreeMap::new();
    for transition in transitions.iter().filter(|t| t.segment.as_str() == segment) {
        let before = sequences.insert(transition.customer.to_string(), transition.sequence).unwrap_or(0);
        assert_eq!(transition.sequence, before + 1, "{transition:?}");
        assert_eq!(transition.direction == Direction::Entered, before % 2 == 0, "{transition:?}");
    }
    sequences.into_iter().filter(|(_, sequence)| sequence % 2 == 1).map(|(customer, _)| customer).collect()
}

/// A task and all that has gone out of it.
struct Life<'a> {
    shared: Shared,
    folder: &'a Path,
    /// For customers who stay in it, in bytes.
    memory: u64,
    task: Option<Task>,
    published: Vec<Transition>,
    clock: EventTime,
    decided: Decided,
    commits: i64,
}

impl<'a> Life<'a> {
    fn new(folder: &'a Path) -> Life<'a> {
        let (shared, decided) = (Shared::new(64 << 20), Decided::default());
        Life { shared, folder, memory: 60 << 10, task: None, published: Vec::new(), clock: EventTime::MIN, decided, commits: 0 }
    }

    /// Starts, or dies and starts again: what was not committed is forgotten.
    fn start(&mut self, plan: &Arc<Plan>) {
        self.task = None;
        let store = Store::open(&self.shared, self.folder, "reload").unwrap();
        self.task = Some(Task::new(plan.clone(), &CustomerMemory::new(self.memory), store, self.clock, &self.decided).unwrap());
    }

    fn task(&mut self) -> &mut Task {
        self.task.as_mut().unwrap()
    }

    fn apply(&mut self, events: &[Event]) {
        let position = SourcePosition { topic: TopicName("t".into()), partition: segmentd::id::Partition(0), offset: Offset(0) };
        for event in events {
            while self.task().advance_clock(event.time, event.time).unwrap() {}
            self.task().accept(event, &position, event.time).unwrap();
        }
    }

    /// A slice of the scan, so small that it takes many; how many customers it has decided anew.
    fn decide(&mut self, most: u64) -> u64 {
        self.task().decide_slice(most, EventTime::MIN, &|| true).unwrap().decided
    }

    fn commit(&mut self) {
        let task = self.task.as_mut().unwrap();
        self.published.extend(task.transitions().iter().cloned());
        (self.clock, self.decided) = (task.clock(), task.decided());
        self.commits += 1;
        task.commit(b"manifest", Offset(self.commits)).unwrap();
    }

    fn finish(&mut self) {
        self.run_to(end());
    }

    fn run_to(&mut self, end: EventTime) {
        while self.task().advance_clock(end, end).unwrap() {
            self.commit();
        }
        self.commit();
    }
}

#[test]
fn a_task_that_is_redefined_among_events_ends_where_one_with_the_new_rules_does() {
    let records = records();
    let (old, new) = (plan(OLD, &["hh-7"]), plan(NEW, &["hh-7"]));
    let (before, after) = (events(&records, &old), events(&records, &new));
    let scratch = undisturbed(&new, &after);
    // Where the change comes, in commits; and whether the process dies with it, or while the scan is under way.
    for (change, dies) in [(4, false), (15, true), (28, false)] {
        let folder = tempfile::tempdir().unwrap();
        let mut life = Life::new(folder.path());
        life.start(&old);
        for (number, (old_batch, new_batch)) in before.chunks(EVENTS_PER_COMMIT).zip(after.chunks(EVENTS_PER_COMMIT)).enumerate() {
            if number < change {
                life.apply(old_batch);
            } else {
                if number == change {
                    if dies { life.start(&new) } else { life.task().redefine(new.clone()) }
                }
                if dies && number == change + 2 {
                    life.decide(13);
                    life.start(&new);
                }
                life.decide(60);
                life.apply(new_batch);
            }
            life.commit();
        }
        assert!(life.task().backfill().is_none(), "the scan is over");
        life.finish();
        let published = &life.published;
        assert_eq!(told(published, "kept"), told(&scratch, "kept"), "what is not touched goes on");
        for segment in ["added", "kept", "changed", "over_changed"] {
            assert_eq!(members(published, segment), members(&scratch, segment), "{segment}");
        }
        assert!(members(published, "removed").is_empty());
        let by_definition =
            |segment: &str| published.iter().filter(|t| t.segment.as_str() == segment && t.cause == Cause::Definition).count();
        for segment in ["added", "changed", "removed"] {
            assert!(by_definition(segment) > 5, "{segment}: {}", by_definition(segment));
        }
        let removed = published.iter().filter(|t| t.segment.as_str() == "removed" && t.cause == Cause::Definition);
        assert!(removed.clone().all(|t| t.direction == Direction::Exited && t.since.is_some() && t.version == old.segments[3].version));
    }
}

#[test]
fn what_a_change_does_not_touch_goes_on_at_once_and_the_rest_waits_for_the_scan() {
    let records = records();
    let (old, new) = (plan(OLD, &[]), plan(NEW, &[]));
    let (before, after) = (events(&records, &old), events(&records, &new));
    let (middle, end) = (15 * EVENTS_PER_COMMIT, 19 * EVENTS_PER_COMMIT);
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life::new(folder.path());
    life.start(&old);
    for events in before[..middle].chunks(EVENTS_PER_COMMIT) {
        life.apply(events);
        life.commit();
    }
    let (known, since) = (customers(&before[..middle]), life.published.len());
    life.task().redefine(new.clone());
    for events in after[middle..end].chunks(EVENTS_PER_COMMIT) {
        life.apply(events);
        life.commit();
    }
    let meanwhile = life.published[since..].iter().filter(|t| known.contains(&t.customer));
    let segments: BTreeSet<&str> = meanwhile.map(|t| t.segment.as_str()).collect();
    assert_eq!(segments, BTreeSet::from(["kept"]));
    let since = life.published.len();
    while life.decide(u64::MAX) > 0 {}
    life.commit();
    assert!(life.published[since..].iter().all(|t| t.cause == Cause::Definition && t.segment.as_str() != "kept"));
    assert!(life.published[since..].iter().any(|t| t.segment.as_str() == "added"));
}

#[test]
fn definitions_that_are_taken_back_before_the_scan_has_come_leave_nothing_behind() {
    let records = records();
    let (old, new) = (plan(OLD, &[]), plan(NEW, &[]));
    let (before, meanwhile) = (events(&records, &old), events(&records, &new));
    let scratch = undisturbed(&old, &before);
    let (change, back) = (15 * EVENTS_PER_COMMIT, 21 * EVENTS_PER_COMMIT);
    for dies in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut life = Life::new(folder.path());
        life.start(&old);
        life.apply(&before[..change]);
        life.commit();
        life.task().redefine(new.clone());
        for events in meanwhile[change..back].chunks(EVENTS_PER_COMMIT) {
            life.apply(events);
            life.commit();
        }
        if dies {
            life.start(&old)
        } else {
            life.task().redefine(old.clone())
        }
        while life.decide(u64::MAX) > 0 {}
        life.commit();
        life.apply(&before[back..]);
        life.finish();
        for segment in ["kept", "changed", "over_changed", "removed"] {
            assert_eq!(members(&life.published, segment), members(&scratch, segment), "{segment}, dies: {dies}");
        }
    }
}

fn customers(events: &[Event]) -> BTreeSet<CustomerId> {
    events.iter().map(|event| event.customer.clone()).collect()
}

#[test]
fn two_processes_that_take_turns_with_other_definitions_repeat_nothing() {
    let records = records();
    let (old, new) = (plan(OLD, &[]), plan(NEW, &[]));
    let (before, after) = (events(&records, &old), events(&records, &new));
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life::new(folder.path());
    let batches = before.chunks(EVENTS_PER_COMMIT).zip(after.chunks(EVENTS_PER_COMMIT));
    for (turn, (old_batch, new_batch)) in batches.enumerate().take(40) {
        let is_new = turn / 3 % 2 == 1;
        if turn % 3 == 0 {
            life.start(if is_new { &new } else { &old });
        }
        life.decide(40);
        life.apply(if is_new { new_batch } else { old_batch });
        life.commit();
    }
    life.start(&new);
    while life.decide(1_000) > 0 {}
    life.commit();
    let far: Vec<Event> = after.into_iter().skip(40 * EVENTS_PER_COMMIT).collect();
    life.apply(&far);
    life.finish();
    let scratch = undisturbed(&new, &events(&records, &new));
    assert_eq!(told(&life.published, "kept"), told(&scratch, "kept"));
    for segment in ["added", "kept", "changed", "over_changed", "removed"] {
        // `members` fails if a number comes twice.
        assert_eq!(members(&life.published, segment), members(&scratch, segment), "{segment}");
    }
}

#[test]
fn a_list_that_changes_moves_those_who_came_on_it_or_left_it() {
    let nobody = plan(OLD, &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life::new(folder.path());
    life.start(&nobody);
    life.apply(&events(&records(), &nobody));
    life.commit();
    let staff: Vec<String> = members(&life.published, "kept").into_iter().take(3).collect();
    let (first, second) = (plan(OLD, &[&staff[0], &staff[1], "unheard-of"]), plan(OLD, &[&staff[1], &staff[2]]));
    let moved = |life: &Life<'_>, since: usize| -> Vec<String> {
        let mut moved: Vec<_> = life.published[since..].iter().map(|t| format!("{} {:?} {:?}", t.customer, t.direction, t.cause)).collect();
        moved.sort();
        moved
    };

    let since = life.published.len();
    life.task().redefine(first);
    assert_eq!(life.decide(u64::MAX), 2, "only those are decided anew who came on it and exist");
    life.commit();
    assert_eq!(moved(&life, since), [format!("{} Exited List", staff[0]), format!("{} Exited List", staff[1])]);

    // While the process is down: what the list was is not known, so that everybody is looked at.
    let since = life.published.len();
    life.start(&second);
    assert!(life.decide(u64::MAX) > 100);
    life.commit();
    assert_eq!(moved(&life, since), [format!("{} Entered List", staff[0]), format!("{} Exited List", staff[2])]);
    life.start(&second);
    assert!(life.task().backfill().is_none(), "a scan that is over does not begin again");
}

#[test]
fn whoever_comes_on_the_list_of_a_pin_or_a_ban_moves_at_once_and_comes_back_when_taken_off() {
    let nobody = plan(LISTED, &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life::new(folder.path());
    life.start(&nobody);
    life.apply(&events(&records(), &nobody));
    life.commit();
    let one = members(&life.published, "unbanned").into_iter().next().unwrap();
    let mut change = |staff: &[&str]| -> Vec<String> {
        let since = life.published.len();
        life.task().redefine(plan(LISTED, staff));
        life.decide(u64::MAX);
        life.commit();
        assert!(life.published[since..].iter().all(|t| t.customer.as_str() == one && t.cause == Cause::List && t.valid_until.is_none()));
        assert!(life.published[since..].iter().all(|t| t.withheld.is_none()), "a list is no definition, be it ever so silent");
        let met = |t: &Transition| t.evidence.last().is_some_and(|list| &*list.aggregate == "list(\"staff\")" && list.met);
        life.published[since..].iter().map(|t| format!("{} {:?} {}", t.segment, t.direction, met(t))).collect()
    };
    assert_eq!(change(&[&one, "unheard-of"]), ["pinned Entered true", "unbanned Exited true"]);
    assert_eq!(change(&["unheard-of"]), ["pinned Exited false", "unbanned Entered false"]);
}

/// The golden rules, two of them silent where they are new, and what was in force before: two rules fewer, two others.
fn golden_rules() -> (String, String) {
    let golden = std::fs::read_to_string("tests/data/golden.segments.yaml").unwrap();
    let silent = |text: &str, key: &str| text.replace(&format!("{{key: {key},"), &format!("{{key: {key}, on_create: silent,"));
    let new = silent(&silent(&golden, "coupon_loyalty"), "big_basket_this_month");
    let added = |line: &&str| ["won_back,", "big_basket_this_month,"].iter().any(|key| line.contains(key));
    let old: Vec<&str> = golden.lines().filter(|line| !added(line)).collect();
    let old =
        old.join("\n").replace("count(orders last 30d) > 2 and", "count(orders last 30d) > 4 and").replace("in [50, 100)", "in [40, 60)");
    (old, new)
}

#[test]
fn a_year_of_purchases_with_a_change_in_the_middle_ends_in_the_memberships_of_the_new_rules() {
    let (records, (old, new)) = (all_records(), golden_rules());
    let (old, new) = (plan(&old, &[]), plan(&new, &[]));
    let (before, after) = (events(&records, &old), events(&records, &new));
    let middle = records.len() / 2;
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life { memory: 10 << 20, ..Life::new(folder.path()) };
    life.start(&old);
    before[..middle].chunks(4 * EVENTS_PER_COMMIT).for_each(|events| {
        life.apply(events);
        life.commit();
    });
    let so_far = life.published.len();
    life.task().redefine(new.clone());
    for events in after[middle..].chunks(4 * EVENTS_PER_COMMIT) {
        life.decide(150);
        life.apply(events);
        life.commit();
    }
    assert!(life.task().backfill().is_none(), "the scan is over");
    let (scratch, last) = (undisturbed(&new, &after), after[after.len() - 1].time);
    for (end, some) in [(EventTime::from_millis(last.millis() + 1), 10), (end(), 5)] {
        life.run_to(end);
        let until_then: Vec<Transition> = scratch.iter().filter(|t| t.at < end).cloned().collect();
        for segment in &new.segments {
            let (key, wanted) = (segment.key.as_str(), members(&until_then, segment.key.as_str()));
            assert_eq!(members(&life.published, key), wanted, "{key}");
        }
        let peopled = new.segments.iter().filter(|segment| !members(&until_then, segment.key.as_str()).is_empty()).count();
        assert!(peopled >= some, "{peopled} segments have members");
    }
    check_the_course(&life.published[..so_far], &life.published[so_far..], &old, &before[..middle]);
}

/// Up to the change as if there were none, and from then on silent where that was asked for.
fn check_the_course(first: &[Transition], then: &[Transition], old: &Arc<Plan>, events: &[Event]) {
    let mut partition = Partition::new(old.clone(), EventTime::MIN);
    for event in events {
        partition.accept(event, None, None, &mut nobody).unwrap();
    }
    for segment in &old.segments {
        assert_eq!(told(first, segment.key.as_str()), told(partition.transitions(), segment.key.as_str()), "{}", segment.key);
    }
    let entered = |cause: Cause, keys: &[&str]| -> Vec<Option<Withheld>> {
        let of = |t: &&Transition| t.direction == Direction::Entered && t.cause == cause && keys.contains(&t.segment.as_str());
        then.iter().filter(of).map(|t| t.withheld).collect()
    };
    let (silent, loud) = (["coupon_loyalty", "big_basket_this_month"], ["aov_50_100", "won_back"]);
    for keys in [silent, loud] {
        let (by_change, by_event) = (entered(Cause::Definition, &keys), entered(Cause::Event, &keys));
        let wanted = (keys == silent).then_some(Withheld::OnCreate);
        assert!(by_change.len() > 100 && by_change.iter().all(|withheld| *withheld == wanted), "{keys:?}: {}", by_change.len());
        assert!(by_event.len() > 100 && by_event.iter().all(Option::is_none), "{keys:?}: {}", by_event.len());
    }
}
