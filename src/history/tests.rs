//! Chronicles without a broker: what is told of records, over restarts, and what becomes of those that are none of ours.

mod following;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::chronicle::{Chronicle, Read};
use super::*;
use crate::store::Shared;

const PARTITIONS: u32 = 4;

/// An instant of the first of January 2026.
fn at(hour: i64, minute: i64) -> EventTime {
    EventTime::from_millis(1_767_225_600_000 + hour * HOUR_MILLIS + minute * 60_000)
}

fn transition(customer: &str, segment: &str, transition: &str, sequence: u64, cause: &str, at: EventTime) -> (String, Vec<u8>) {
    let mut properties = json!({"audience_key": segment, "customer": customer, "segment": segment, "transition": transition,
        "at": at.to_string(), "sequence": sequence, "entry": sequence.div_ceil(2), "cause": cause, "version": "9f"});
    properties[segment] = json!(transition == "entered");
    (customer.to_owned(), json!({"type": "track", "userId": customer, "properties": properties}).to_string().into_bytes())
}

fn moved(customer: &str, from: &str, to: &str, at: EventTime) -> (String, Vec<u8>) {
    let properties = json!({"customer": customer, "ladder": "life", "transition": "moved", "from": from, "to": to, "at": at.to_string()});
    (customer.to_owned(), json!({"type": "track", "properties": properties}).to_string().into_bytes())
}

fn open(folder: &TempDir) -> Chronicle {
    Chronicle::open(&Shared::for_additions(8 << 20), folder.path(), "test/history/0").unwrap()
}

/// Goes on from where it is with records of these offsets, and is at the end with them.
fn apply(chronicle: &Chronicle, records: &[(i64, &(String, Vec<u8>))]) {
    let reads: Vec<_> = records.iter().map(|(offset, (customer, value))| Read { offset: Offset(*offset), customer, value }).collect();
    let next = Offset(records.last().map_or(0, |(offset, _)| offset + 1));
    chronicle.apply(&reads, next, PARTITIONS).unwrap();
    chronicle.note_end(next, at(0, 0));
}

/// Offset, segment, direction and cause of each transition of a timeline.
fn timeline(chronicle: &Chronicle, customer: &str) -> Vec<String> {
    let shown = |line: Line| {
        let told: Value = serde_json::from_slice(&line.line).unwrap();
        format!("{} {} {} {}", line.offset.0, told["segment"], told["transition"], told["cause"]).replace('"', "")
    };
    chronicle.timeline(customer, None, 100).unwrap().into_iter().map(shown).collect()
}

fn hours(chronicle: &Chronicle, segment: &str) -> BTreeMap<i64, Hour> {
    let all = (0..PARTITIONS).map(|partition| Partition(partition as i32));
    let found = all.flat_map(|partition| chronicle.hours(partition, segment, HourNumber::of(at(0, 0))).unwrap());
    found.fold(BTreeMap::new(), |mut sums, (number, hour)| {
        sums.entry(number.0 - HourNumber::of(at(0, 0)).0).or_insert_with(Hour::default).add(&hour);
        sums
    })
}

fn by_cause(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(cause, count)| (cause.to_string(), *count)).collect()
}

fn some() -> Vec<(String, Vec<u8>)> {
    vec![
        transition("ann", "loyal", "entered", 1, "event", at(0, 5)),
        transition("bob", "loyal", "entered", 1, "event", at(0, 59)),
        transition("ann", "active", "exited", 2, "time", at(1, 0)),
        transition("ann", "dormant", "entered", 1, "time", at(1, 0)),
        moved("ann", "active", "dormant", at(1, 0)),
        transition("ann", "loyal", "exited", 2, "time", at(2, 30)),
        transition("ann", "loyal", "entered", 3, "list", at(2, 31)),
    ]
}

#[test]
fn a_timeline_has_the_transitions_of_one_customer_from_the_newest_on_as_they_were_published() {
    let (folder, records) = (TempDir::new().unwrap(), some());
    let chronicle = open(&folder);
    apply(&chronicle, &(10..).zip(&records).collect::<Vec<_>>());
    let expected =
        ["16 loyal entered list", "15 loyal exited time", "13 dormant entered time", "12 active exited time", "10 loyal entered event"];
    assert_eq!(timeline(&chronicle, "ann"), expected);
    assert_eq!((timeline(&chronicle, "bob"), timeline(&chronicle, "an")), (vec!["11 loyal entered event".to_owned()], vec![]));
    let newest = chronicle.timeline("ann", None, 1).unwrap().remove(0);
    let told = json!({"customer": "ann", "segment": "loyal", "transition": "entered", "at": "2026-01-01T02:31:00.000Z", "sequence": 3,
        "entry": 2, "cause": "list", "version": "9f"});
    assert_eq!((serde_json::from_slice::<Value>(&newest.line).unwrap(), newest.at, newest.sequence), (told, at(2, 31), 3));
    let before = chronicle.timeline("ann", Some(Offset(15)), 1).unwrap();
    assert_eq!(before.iter().map(|line| line.offset.0).collect::<Vec<_>>(), [13]);
}

#[test]
fn an_hour_has_entries_and_exits_by_cause_and_moves_by_stage() {
    let (folder, records) = (TempDir::new().unwrap(), some());
    let chronicle = open(&folder);
    apply(&chronicle, &(0..).zip(&records).collect::<Vec<_>>());
    let loyal = BTreeMap::from([
        (0, Hour { entered: by_cause(&[("event", 2)]), exited: by_cause(&[]) }),
        (2, Hour { entered: by_cause(&[("list", 1)]), exited: by_cause(&[("time", 1)]) }),
    ]);
    assert_eq!(hours(&chronicle, "loyal"), loyal);
    let of_ann = crate::kafka::partitioner::partition(b"ann", PARTITIONS);
    let moves = chronicle.moves(of_ann, "life", HourNumber::of(at(0, 0))).unwrap();
    let one = Moves::from([("active".to_owned(), by_cause(&[("dormant", 1)]))]);
    assert_eq!(moves, [(HourNumber::of(at(1, 0)), one)]);
    assert_eq!(chronicle.moves(of_ann, "life", HourNumber::of(at(2, 0))).unwrap(), []);
}

#[test]
fn each_record_is_told_once_however_they_come_in_batches_and_whatever_is_killed_in_between() {
    let records = some();
    let numbered: Vec<_> = (0..).zip(&records).collect();
    let whole = TempDir::new().unwrap();
    let expected = open(&whole);
    apply(&expected, &numbered);
    for size in 1..records.len() {
        let folder = TempDir::new().unwrap();
        let mut next = 0;
        while (next as usize) < records.len() {
            // Opened anew each time, as by a process that was killed: it goes on from what is stored, and from nothing else.
            let chronicle = open(&folder);
            assert_eq!(chronicle.position().unwrap().map_or(0, |offset| offset.0), next);
            let from = next as usize;
            apply(&chronicle, &numbered[from..(from + size).min(records.len())]);
            next = chronicle.freshness().next.0;
        }
        let chronicle = open(&folder);
        chronicle.note_end(Offset(next), at(0, 0));
        assert_eq!(chronicle.stretch(None, usize::MAX).unwrap(), expected.stretch(None, usize::MAX).unwrap(), "batches of {size}");
    }
}

#[test]
fn what_is_no_transition_is_passed_over() {
    let announcement =
        json!({"properties": {"customer": "ann", "segment": "loyal", "announcement": "expiring", "at": "2026-01-01T00:00:00Z"}});
    let others = [announcement.to_string(), "no JSON".into(), "{}".into(), r#"{"properties":{"transition":"flown","segment":"x"}}"#.into()];
    let records: Vec<_> = others.into_iter().map(|value| ("ann".to_owned(), value.into_bytes())).collect();
    let folder = TempDir::new().unwrap();
    let chronicle = open(&folder);
    apply(&chronicle, &(0..).zip(&records).collect::<Vec<_>>());
    assert_eq!(chronicle.stretch(None, usize::MAX).unwrap(), []);
    assert_eq!(chronicle.position().unwrap(), Some(Offset(4)));
}

#[test]
fn an_erased_customer_goes_with_its_exits_and_the_figures_stay() {
    let mut records = some();
    records.push(transition("ann", "dormant", "exited", 2, "delete", at(3, 0)));
    records.push(transition("ann", "loyal", "exited", 4, "delete", at(3, 0)));
    records.push(transition("ann", "loyal", "entered", 1_000_000_001, "event", at(4, 0)));
    for batch in [1, 3, records.len()] {
        let folder = TempDir::new().unwrap();
        let chronicle = open(&folder);
        (0..).zip(&records).collect::<Vec<_>>().chunks(batch).for_each(|records| apply(&chronicle, records));
        assert_eq!(timeline(&chronicle, "ann"), ["9 loyal entered event"], "batches of {batch}: another life");
        assert_eq!(hours(&chronicle, "loyal")[&3].exited, by_cause(&[("delete", 1)]));
    }
}

#[test]
fn there_is_no_answer_before_the_topic_was_read_to_its_end_by_this_process() {
    let (folder, records) = (TempDir::new().unwrap(), some());
    apply(&open(&folder), &(0..).zip(&records).collect::<Vec<_>>());
    let chronicle = open(&folder);
    chronicle.note_end(Offset(9), at(0, 0));
    assert!(matches!(chronicle.timeline("ann", None, 1), Err(Unread::NotYet { remaining: Some(2) })));
    chronicle.apply(&[], Offset(9), PARTITIONS).unwrap();
    assert_eq!(chronicle.timeline("ann", None, 1).unwrap().len(), 1);
}

#[test]
fn a_topic_that_had_lost_its_beginning_is_known_since_its_first_record() {
    let (folder, records) = (TempDir::new().unwrap(), some());
    let chronicle = open(&folder);
    chronicle.start_over(Offset(10), Some("id".into())).unwrap();
    apply(&chronicle, &(10..).zip(&records).collect::<Vec<_>>());
    let expected = super::chronicle::Origin { topic_id: Some("id".into()), cut: true, first: Some(at(0, 5).millis()) };
    assert_eq!(chronicle.origin(), expected);
    drop(chronicle);
    assert_eq!(open(&folder).origin(), expected, "also after a restart");
}
