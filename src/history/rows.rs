//! The key table of a chronicle: how a timeline and the figures of hours are stored.
//!
//! | key | value |
//! | --- | --- |
//! | `t`, customer, the complement of the record's offset (8 bytes) | `at` (8 bytes), sequence (8 bytes), the transition as JSON |
//! | `s`, the customers' partition (4 bytes), segment, hour (8 bytes) | [`Hour`] as JSON |
//! | `l`, the customers' partition (4 bytes), ladder, hour (8 bytes) | [`Moves`] as JSON |
//!
//! A name stands behind its length (2 bytes). Numbers are big-endian; instants have their sign flipped, so that they sort.
//!
//! **Invariant:** a customer's transitions sort from the newest to the oldest, and no name is the beginning of another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{Offset, Partition};
use crate::time::EventTime;

/// Figures are kept by the hour.
pub const HOUR_MILLIS: i64 = 3_600_000;

const TIMELINE: u8 = b't';
const SEGMENT: u8 = b's';
const LADDER: u8 = b'l';

/// Hours since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourNumber(pub i64);

/// Who came to a segment and who went in one hour, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    #[serde(default)]
    pub entered: BTreeMap<String, u64>,
    #[serde(default)]
    pub exited: BTreeMap<String, u64>,
}

/// How many moved in one hour, by where they came from and where they went.
pub type Moves = BTreeMap<String, BTreeMap<String, u64>>;

/// What a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row<'a> {
    Timeline { customer: &'a str },
    Hour { partition: Partition, hour: HourNumber },
}

impl HourNumber {
    pub fn of(at: EventTime) -> HourNumber {
        HourNumber(at.millis().div_euclid(HOUR_MILLIS))
    }

    pub fn begins(self) -> EventTime {
        EventTime::from_millis(self.0.saturating_mul(HOUR_MILLIS))
    }
}

/// Begins the key of each of a customer's transitions. `None`: no customer has so long an id.
pub fn timeline(customer: &[u8]) -> Option<Vec<u8>> {
    named(vec![TIMELINE], customer)
}

/// The key of the transition whose record has this offset.
pub fn timeline_key(prefix: &[u8], offset: Offset) -> Vec<u8> {
    [prefix, &(!offset.0).to_be_bytes()].concat()
}

/// The offset of the record that a key of a timeline is about.
pub fn offset_of(key: &[u8]) -> Option<Offset> {
    let (_, offset) = key.split_last_chunk::<8>()?;
    Some(Offset(!i64::from_be_bytes(*offset)))
}

pub fn timeline_value(at: EventTime, sequence: u64, line: &[u8]) -> Vec<u8> {
    [&at.millis().to_be_bytes(), &sequence.to_be_bytes(), line].concat()
}

/// When it happened, its sequence, and itself.
pub fn read_timeline(value: &[u8]) -> Option<(EventTime, u64, &[u8])> {
    let (at, rest) = value.split_first_chunk::<8>()?;
    let (sequence, line) = rest.split_first_chunk::<8>()?;
    Some((EventTime::from_millis(i64::from_be_bytes(*at)), u64::from_be_bytes(*sequence), line))
}

/// Begins the key of each hour of a segment.
pub fn segment(partition: Partition, segment: &str) -> Option<Vec<u8>> {
    named([&[SEGMENT], &partition.0.to_be_bytes()[..]].concat(), segment.as_bytes())
}

/// Begins the key of each hour of a ladder.
pub fn ladder(partition: Partition, ladder: &str) -> Option<Vec<u8>> {
    named([&[LADDER], &partition.0.to_be_bytes()[..]].concat(), ladder.as_bytes())
}

pub fn hour_key(prefix: &[u8], hour: HourNumber) -> Vec<u8> {
    [prefix, &(hour.0 ^ i64::MIN).to_be_bytes()].concat()
}

pub fn hour_of(key: &[u8]) -> Option<HourNumber> {
    let (_, hour) = key.split_last_chunk::<8>()?;
    Some(HourNumber(i64::from_be_bytes(*hour) ^ i64::MIN))
}

/// What a key is about; `None`: it is none of ours.
pub fn read_key(key: &[u8]) -> Option<Row<'_>> {
    let (kind, rest) = key.split_first()?;
    match *kind {
        TIMELINE => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let customer = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
            Some(Row::Timeline { customer: std::str::from_utf8(customer).ok()? })
        }
        SEGMENT | LADDER => {
            let (partition, _) = rest.split_first_chunk::<4>()?;
            Some(Row::Hour { partition: Partition(i32::from_be_bytes(*partition)), hour: hour_of(key)? })
        }
        _ => None,
    }
}

fn named(mut key: Vec<u8>, name: &[u8]) -> Option<Vec<u8>> {
    key.extend_from_slice(&u16::try_from(name.len()).ok()?.to_be_bytes());
    key.extend_from_slice(name);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_sorts_from_the_newest_and_no_customer_stands_among_the_transitions_of_another() {
        let keys: Vec<Vec<u8>> = ["a", "ab", "b"]
            .iter()
            .flat_map(|customer| {
                let prefix = timeline(customer.as_bytes()).unwrap();
                [i64::MAX, 256, 255, 1, 0].map(|offset| timeline_key(&prefix, Offset(offset)))
            })
            .collect();
        let of = |customer: &str| keys.iter().filter(|key| key.starts_with(&timeline(customer.as_bytes()).unwrap())).collect::<Vec<_>>();
        for customer in ["a", "ab", "b"] {
            assert!(of(customer).is_sorted(), "{customer}");
            assert_eq!(
                of(customer).iter().filter_map(|key| offset_of(key)).map(|offset| offset.0).collect::<Vec<_>>(),
                [i64::MAX, 256, 255, 1, 0]
            );
            assert!(of(customer).iter().all(|key| read_key(key) == Some(Row::Timeline { customer })));
        }
    }

    #[test]
    fn hours_sort_also_before_1970_and_an_instant_belongs_to_the_hour_that_it_begins() {
        let prefix = segment(Partition(3), "loyal").unwrap();
        let keys: Vec<Vec<u8>> = [-2, -1, 0, 1, 490_000].map(|hour| hour_key(&prefix, HourNumber(hour))).into();
        assert!(keys.is_sorted());
        assert_eq!(read_key(&keys[1]), Some(Row::Hour { partition: Partition(3), hour: HourNumber(-1) }));
        assert_eq!(HourNumber::of(EventTime::from_millis(HOUR_MILLIS)), HourNumber(1));
        assert_eq!(HourNumber::of(EventTime::from_millis(-1)), HourNumber(-1));
    }

    #[test]
    fn a_transition_is_read_back_and_anything_else_is_none() {
        let at = EventTime::from_millis(-5);
        assert_eq!(read_timeline(&timeline_value(at, 7, b"{}")), Some((at, 7, &b"{}"[..])));
        assert_eq!((read_timeline(b"short"), read_key(b""), read_key(b"t\x00\x09a"), read_key(b"x")), (None, None, None, None));
    }
}
