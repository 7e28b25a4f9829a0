//! The key table: how everything but a state is keyed. States keep the changelog's own keys.
//!
//! | family | key | value |
//! | --- | --- | --- |
//! | default | `format` | 1 byte |
//! | default | `origin` | UTF-8: whose state this is |
//! | default | `changelog_next` | 8 bytes, big-endian: the next changelog offset to read |
//! | default | `manifest` | as the changelog carries it |
//! | state | as in the changelog | as in the changelog |
//! | timers | due (8 bytes, order-preserving), customer | empty |
//!
//! **Invariant:** timers sort as their keys do: by due instant, also before 1970, then by the customer's bytes.

use crate::time::EventTime;

pub const FORMAT: &[u8] = b"format";
pub const ORIGIN: &[u8] = b"origin";
pub const CHANGELOG_NEXT: &[u8] = b"changelog_next";
pub const MANIFEST: &[u8] = b"manifest";

/// Somebody's due instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    pub due: EventTime,
    pub customer: Box<[u8]>,
}

/// The key of a timer. Flipping the sign bit makes two's complement sort as unsigned bytes.
pub fn timer_key(due: EventTime, customer: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + customer.len());
    key.extend_from_slice(&(due.millis() ^ i64::MIN).to_be_bytes());
    key.extend_from_slice(customer);
    key
}

/// Reads a timer's key; `None` if it is too short to be one.
pub fn read_timer_key(key: &[u8]) -> Option<Timer> {
    let (due, customer) = key.split_first_chunk::<8>()?;
    Some(Timer { due: EventTime::from_millis(i64::from_be_bytes(*due) ^ i64::MIN), customer: customer.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_timers_sort_by_instant_then_customer_also_before_1970() {
        let instants = [i64::MIN, -86_400_000, -1, 0, 1, 256, 1_485_552_607_000, i64::MAX];
        let timers = instants.iter().flat_map(|&due| [&b""[..], b"a", b"ab", b"b"].map(|customer| (EventTime::from_millis(due), customer)));
        let keys: Vec<Vec<u8>> = timers.clone().map(|(due, customer)| timer_key(due, customer)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for ((due, customer), key) in timers.zip(&keys) {
            assert_eq!(read_timer_key(key), Some(Timer { due, customer: customer.into() }));
        }
    }

    #[test]
    fn a_key_is_the_bytes_that_the_format_page_says() {
        let due = EventTime::parse("2017-01-27T21:30:07Z").unwrap();
        assert_eq!(timer_key(due, b"hh-1"), *b"\x80\x00\x01\x59\xe1\xd5\xdf\x18hh-1");
    }

    #[test]
    fn a_key_too_short_for_an_instant_is_no_timer() {
        assert_eq!(read_timer_key(b"1234567"), None);
    }
}
