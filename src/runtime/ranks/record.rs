//! The records of the topic: JSON, so that people can read what decided about them.
//!
//! ```text
//! key   {deployment} sketch {partition} {aggregate}     value: [`SketchRecord`]
//! key   {deployment} cuts                               value: [`CutRecord`]
//! ```
//!
//! **Invariant:** what this version cannot read is as if it were not there: no cut is made of it.

use serde::{Deserialize, Serialize};

use crate::id::Partition;
use crate::rank::{Counts, Written};

/// Of both kinds of values.
const VERSION: u8 = 1;

/// How many customers of a partition are in each bucket of a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SketchRecord {
    version: u8,
    /// Fingerprint of the definitions by which all of the partition's customers have been ranked.
    pub definitions: String,
    pub partition: i32,
    /// Canonical text of what is ranked by.
    pub aggregate: String,
    /// The task clock, milliseconds since 1970.
    pub clock: i64,
    pub counts: Counts,
}

/// The cuts of all partitions together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutRecord {
    version: u8,
    pub definitions: String,
    /// Counts the changes, from 1.
    pub number: u64,
    pub cuts: Written,
}

impl SketchRecord {
    pub fn new(definitions: String, partition: Partition, aggregate: &str, clock: i64, counts: Counts) -> SketchRecord {
        SketchRecord { version: VERSION, definitions, partition: partition.0, aggregate: aggregate.into(), clock, counts }
    }

    pub fn key(&self, deployment: &str) -> String {
        format!("{deployment} sketch {} {}", self.partition, self.aggregate)
    }

    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl CutRecord {
    pub fn new(definitions: String, number: u64, cuts: Written) -> CutRecord {
        CutRecord { version: VERSION, definitions, number, cuts }
    }

    pub fn key(deployment: &str) -> String {
        format!("{deployment} cuts")
    }

    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

/// A record of this deployment.
pub enum Read {
    Sketch(SketchRecord),
    Cuts(CutRecord),
}

impl Read {
    /// `None`: of another deployment, or of another version.
    pub fn of(deployment: &str, key: &[u8], value: &[u8]) -> Option<Read> {
        let own = std::str::from_utf8(key).ok()?.strip_prefix(deployment)?.strip_prefix(' ')?;
        if own == "cuts" {
            return serde_json::from_slice(value).ok().filter(|cuts: &CutRecord| cuts.version == VERSION).map(Read::Cuts);
        }
        own.strip_prefix("sketch ")?;
        serde_json::from_slice(value).ok().filter(|sketch: &SketchRecord| sketch.version == VERSION).map(Read::Sketch)
    }
}

/// Plain structs of numbers and text: writing them into a vector cannot fail.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_other_deployments_and_versions_are_not_there() {
        let cuts = CutRecord::new("d".into(), 7, Written::new());
        let key = CutRecord::key("shop");
        let read =
            |deployment: &str, value: &[u8]| matches!(Read::of(deployment, key.as_bytes(), value), Some(Read::Cuts(read)) if read == cuts);
        assert!(read("shop", &cuts.encode()));
        assert!(!read("sho", &cuts.encode()) && !read("other", &cuts.encode()));
        assert!(!read("shop", &CutRecord { version: 2, ..cuts.clone() }.encode()) && !read("shop", b"{}"));
    }
}
