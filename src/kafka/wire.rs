//! Records as bytes: what comes in is decoded into events, what goes out is encoded from transitions.
//!
//! Pure functions over bytes; no Kafka client is named here, so that a replay from files takes the same way.
//!
//! **Invariant:** every record becomes exactly one of an event, a counted skip or a dead letter with a code; nothing is
//! dropped in silence.

pub mod asyncapi;
pub mod decode;
pub mod encode;
mod escapes;
mod json;
mod paths;
pub mod reject;
mod routes;
pub mod scanner;
pub mod schemas;
mod values;
mod walk;

pub use decode::Decoder;
pub use reject::{Reject, RejectCode, SkipReason};

use crate::event::Event;

/// An input record as it came, borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawRecord<'a> {
    /// `None`: a tombstone.
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Kafka's timestamp of the record, if it has one.
    pub timestamp_ms: Option<i64>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    Event(Event),
    Skipped(SkipReason),
    Rejected(Reject),
}

/// Bounds on what comes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The longest record that is read; a longer one is rejected.
    pub record_bytes: usize,
    /// The longest customer id and event id.
    pub id_bytes: usize,
}

impl Default for DecodeLimits {
    fn default() -> DecodeLimits {
        DecodeLimits { record_bytes: 1 << 20, id_bytes: 512 }
    }
}
