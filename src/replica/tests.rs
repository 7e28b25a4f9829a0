//! Copies without a broker: what a lookup finds, and what becomes of a copy over restarts.

use tempfile::TempDir;

use super::*;
use crate::id::Offset;
use crate::kafka::partitioner;
use crate::time::EventTime;

const PARTITIONS: usize = 4;

fn open(folder: &TempDir, topic: &str, topic_id: &str) -> Copies {
    Copies::open(folder.path(), 8 << 20, topic, PARTITIONS, Some(topic_id.into())).unwrap()
}

/// A record of each customer, in the partition where the service puts it, all read to their ends at `as_of`.
fn fill(copies: &Copies, customers: &[&str], as_of: i64) {
    for customer in customers {
        let copy = copies.get(partitioner::partition(customer.as_bytes(), PARTITIONS as u32)).unwrap();
        let next = Offset(copy.freshness().next.0 + 2);
        copy.apply(&[(customer.as_bytes(), Some(customer.as_bytes()))], next, copies.topic_id.as_deref()).unwrap();
    }
    for (_, copy) in copies.iter() {
        copy.note_end(copy.freshness().next, EventTime::from_millis(as_of));
        copy.apply(&[], copy.freshness().next, copies.topic_id.as_deref()).unwrap();
    }
}

#[test]
fn a_customer_is_found_in_the_partition_of_its_key() {
    let folder = TempDir::new().unwrap();
    let copies = open(&folder, "memberships", "id-1");
    let customers = ["ann", "bob", "cat", "dan", "eve", "21", "foobar", "ä"];
    fill(&copies, &customers, 1000);
    for customer in customers {
        assert_eq!(copies.lookup(customer).unwrap().record.as_deref(), Some(customer.as_bytes()));
    }
    assert_eq!(copies.lookup("nobody").unwrap(), Standing { record: None, as_of: EventTime::from_millis(1000), lag: 0 });
}

#[test]
fn a_restart_goes_on_from_its_disk_and_says_as_of_when() {
    let folder = TempDir::new().unwrap();
    fill(&open(&folder, "memberships", "id-1"), &["ann"], 1000);
    let copies = open(&folder, "memberships", "id-1");
    let found = copies.lookup("ann").unwrap();
    assert_eq!((found.record.as_deref(), found.as_of), (Some(&b"ann"[..]), EventTime::from_millis(1000)));
    let next: i64 = copies.iter().map(|(_, copy)| copy.freshness().next.0).sum();
    assert_eq!(next, 2);
    assert!(copies.iter().all(|(_, copy)| !copy.freshness().is_confirmed()), "this process has not seen the end");
}

#[test]
fn a_topic_that_was_made_anew_starts_over() {
    let folder = TempDir::new().unwrap();
    fill(&open(&folder, "memberships", "id-1"), &["ann"], 1000);
    for (topic, topic_id) in [("memberships", "id-2"), ("others", "id-2")] {
        let copies = open(&folder, topic, topic_id);
        assert!(matches!(copies.lookup("ann"), Err(LookupError::NotYet)), "{topic}");
        assert!(copies.iter().all(|(_, copy)| copy.freshness().next == Offset(0)), "{topic}");
        fill(&copies, &["bob"], 2000);
        assert_eq!(copies.lookup("ann").unwrap().record, None, "{topic}: nothing of before is left");
    }
}

#[test]
fn before_the_topic_is_known_there_is_no_answer() {
    assert!(matches!(Memberships::default().lookup("ann"), Err(LookupError::NotYet)));
}
