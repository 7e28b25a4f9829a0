//! What stands in a changelog partition: states, one manifest and one claim, each under its own kind of key.
//!
//! ```text
//! key   's' ‖ state key    value: the task's, opaque here; null: a tombstone
//! key   'm'                value: version 1 ‖ JSON of [`Manifest`]; the last record of each transaction
//! key   'c'                value: version 1 ‖ JSON of [`Claim`]; the only record of its transaction
//! header `writer`          on the first record of a transaction: the producer's transactional id
//! ```
//!
//! **Invariant:** the last manifest is the truth about the partition: inputs go on at its offsets, whatever the group
//! says. A transaction is whole if what was read since its first record has the manifest's counts and hash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::rank::Written;

/// Carried by the first record of a transaction: who can be fenced if it never ends.
pub const WRITER: &str = "writer";

/// The version byte of manifests and claims.
const VERSION: u8 = 1;

const STATE: u8 = b's';
const MANIFEST: &[u8] = b"m";
const CLAIM: &[u8] = b"c";

/// What a transaction did to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose state it is; empty: of a version that did not note it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub deployment: String,
    /// Counts the transactions of this partition, from 1.
    pub number: u64,
    /// The next offset to read of each input.
    pub offsets: BTreeMap<String, i64>,
    /// Records of the repartition topic from its offset up to this one have been taken, but for parts of parcels whose last part
    /// is still to come. `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_to: Option<i64>,
    /// The task clock, milliseconds since 1970.
    pub clock: i64,
    /// The wall clock at the commit: a store older than `delete.retention.ms` may have missed tombstones.
    pub committed_at: i64,
    pub contents: Contents,
    #[serde(flatten)]
    pub decided: Decided,
    /// How many partitions the inputs have: state is bound to it.
    pub partitions: usize,
}

/// By which definitions and lists a partition's customers have been decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Fingerprint of the definitions that were in force.
    pub definitions: String,
    /// Fingerprint of the contents of their lists.
    #[serde(default)]
    pub lists: String,
    /// A scan was under way, and had come to this customer; customers after it may have been decided otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_to: Option<String>,
    /// By which cuts among all customers, if any are ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuts: Option<InForce>,
}

/// The cuts in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Of their record.
    pub number: u64,
    pub cuts: Written,
    /// Customers between these and `cuts` may still be decided by these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Written>,
    /// The number of the last cuts that this partition found for all; 0: it found none.
    #[serde(default)]
    pub found: u64,
}

/// Ownership of a partition, made visible: replay is complete once one's own claim has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub instance: String,
    pub nonce: String,
}

/// Counts and hash of a transaction's states. Tombstones are only counted: compaction may remove them after a week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    pub puts: u32,
    pub tombstones: u32,
    pub hash: u64,
}

/// A changelog record, read.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    State { key: &'a [u8], value: Option<&'a [u8]> },
    Manifest(Box<Manifest>),
    Claim(Claim),
}

/// A record that this version cannot read.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
pub enum Unreadable {
    #[error("format {found} is newer than this version reads ({VERSION}); upgrade")]
    Newer { found: u8 },
    #[error("not a changelog record of segmentd")]
    Foreign,
}

/// Accumulates the contents of a transaction, record by record.
#[derive(Clone, Default)]
pub struct Tally {
    puts: u32,
    tombstones: u32,
    hash: Xxh3,
}

impl Tally {
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some(value) = value else {
            self.tombstones += 1;
            return;
        };
        self.puts += 1;
        // Lengths keep ("a", "bc") and ("ab", "c") apart.
        self.hash.update(&(key.len() as u32).to_le_bytes());
        self.hash.update(key);
        self.hash.update(&(value.len() as u32).to_le_bytes());
        self.hash.update(value);
    }

    pub fn contents(&self) -> Contents {
        Contents { puts: self.puts, tombstones: self.tombstones, hash: self.hash.digest() }
    }
}

/// Writes the key of a state into `out`.
pub fn state_key(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(STATE);
    out.extend_from_slice(key);
}

impl Manifest {
    pub const KEY: &'static [u8] = MANIFEST;

    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub fn decode(value: &[u8]) -> Result<Manifest, Unreadable> {
        decode(value)
    }
}

impl Claim {
    pub const KEY: &'static [u8] = CLAIM;

    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl<'a> Entry<'a> {
    pub fn read(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Result<Entry<'a>, Unreadable> {
        match (key, value) {
            (Some([STATE, key @ ..]), value) => Ok(Entry::State { key, value }),
            (Some(MANIFEST), Some(value)) => Ok(Entry::Manifest(Box::new(decode(value)?))),
            (Some(CLAIM), Some(value)) => Ok(Entry::Claim(decode(value)?)),
            _ => Err(Unreadable::Foreign),
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    // Plain structs of numbers and text: writing them into a vector cannot fail.
    if let Ok(json) = serde_json::to_vec(value) {
        out.extend_from_slice(&json);
    }
    out
}

fn decode<T: for<'de> Deserialize<'de>>(value: &[u8]) -> Result<T, Unreadable> {
    match value {
        [VERSION, json @ ..] => serde_json::from_slice(json).map_err(|_| Unreadable::Foreign),
        [found, ..] if *found > VERSION => Err(Unreadable::Newer { found: *found }),
        _ => Err(Unreadable::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back() {
        let manifest = Manifest { number: 3, offsets: BTreeMap::from([("shop.events".into(), 17)]), ..Manifest::default() };
        assert_eq!(Entry::read(Some(Manifest::KEY), Some(&manifest.encode())), Ok(Entry::Manifest(Box::new(manifest))));
    }

    #[test]
    fn a_newer_format_is_refused_and_never_guessed() {
        assert_eq!(Entry::read(Some(Manifest::KEY), Some(b"\x02{}")), Err(Unreadable::Newer { found: 2 }));
        assert_eq!(Entry::read(Some(b"x"), Some(b"")), Err(Unreadable::Foreign));
        assert_eq!(Entry::read(None, None), Err(Unreadable::Foreign));
    }

    #[test]
    fn a_record_more_or_less_or_changed_is_seen() {
        let tally = |records: &[(&[u8], Option<&[u8]>)]| {
            let mut tally = Tally::default();
            records.iter().for_each(|(key, value)| tally.add(key, *value));
            tally.contents()
        };
        let whole = tally(&[(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", None)]);
        assert_eq!(whole, tally(&[(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", None)]));
        assert_ne!(whole, tally(&[(b"a", Some(b"1")), (b"c", None)]));
        assert_ne!(whole, tally(&[(b"a", Some(b"1")), (b"b", Some(b"3")), (b"c", None)]));
        assert_ne!(whole, tally(&[(b"a", Some(b"1")), (b"b", Some(b"2"))]));
        assert_ne!(tally(&[(b"a", Some(b"bc"))]), tally(&[(b"ab", Some(b"c"))]));
    }
}
