//! The records by which an erased customer is recognised, without the id: a keyed hash of it.
//!
//! The key is a random secret of the partition, made with its first erasure. Who has neither the secret nor the id can
//! learn nothing from the hash; who has the secret can ask of an id that is already known whether it was erased.
//!
//! **Invariant:** no key and no value here holds an id, or anything that an id could be found from without trying ids.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::bytes::{Reader, Writer};
use super::{ERASED, FormatError, VERSION};
use crate::customer::Erased;
use crate::id::CustomerId;

/// The key of the record that holds a partition's secret.
pub const SECRET: &[u8] = b"k";

/// What the hashes of a partition's erased customers are keyed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; Secret::BYTES]);

impl Secret {
    pub const BYTES: usize = 16;

    /// Of bytes that nobody can guess.
    pub fn new(bytes: [u8; Secret::BYTES]) -> Secret {
        Secret(bytes)
    }

    /// As a record's value.
    pub fn to_value(self) -> Vec<u8> {
        [&[VERSION], &self.0[..]].concat()
    }

    pub fn of_value(value: &[u8]) -> Result<Secret, FormatError> {
        let _version = Reader::new(value)?;
        value[1..].try_into().map(Secret).map_err(|_| FormatError::Damaged)
    }

    /// The key of the record that remains of an erased customer: kind, and SipHash-2-4 of the id, 128 bits.
    ///
    /// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF".
    pub fn key_of(&self, customer: &CustomerId) -> Vec<u8> {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(customer.as_str().as_bytes());
        let mut key = vec![ERASED];
        key.extend_from_slice(&hasher.finish128().as_bytes());
        key
    }
}

/// The value of the record that remains.
pub fn write_erased(erased: &Erased) -> Vec<u8> {
    let mut w = Writer::new(VERSION);
    put(&mut w, erased);
    w.done()
}

pub fn read_erased(value: &[u8]) -> Result<Erased, FormatError> {
    take(&mut Reader::new(value)?)
}

pub(super) fn put(w: &mut Writer, erased: &Erased) {
    w.time(erased.at);
    w.varint(u64::from(erased.lives));
}

pub(super) fn take(r: &mut Reader<'_>) -> Result<Erased, FormatError> {
    Ok(Erased { at: r.time()?, lives: u32::try_from(r.varint()?).map_err(|_| FormatError::Damaged)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EventTime;

    #[test]
    fn the_hash_is_that_of_the_reference() {
        // Vector 15 of `vectors_sip128` (github.com/veorq/SipHash): key 00..0f, input 00..0e.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let input: Vec<u8> = (0..15).collect();
        let id = CustomerId::new(std::str::from_utf8(&input).unwrap());
        let expected = [0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9];
        assert_eq!(Secret::new(key).key_of(&id), [&[ERASED], &expected[..]].concat());
    }

    #[test]
    fn another_secret_is_another_hash() {
        let [a, b] = [[1; 16], [2; 16]].map(|bytes| Secret::new(bytes).key_of(&"hh-1".into()));
        assert_ne!(a, b);
    }

    #[test]
    fn what_remains_is_read_back() {
        let erased = Erased { at: EventTime::from_millis(1_767_225_600_000), lives: 2 };
        assert_eq!(read_erased(&write_erased(&erased)), Ok(erased));
        let secret = Secret::new([7; 16]);
        assert!(Secret::of_value(&secret.to_value()) == Ok(secret));
        assert_eq!(Secret::of_value(&[VERSION, 1]).err(), Some(FormatError::Damaged));
        assert_eq!(read_erased(&[VERSION + 1]), Err(FormatError::Newer(VERSION + 1)));
    }
}
