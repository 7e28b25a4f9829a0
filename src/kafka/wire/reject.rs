//! What becomes of a record that is no event: skipped (not ours, counted) or rejected (ours or unreadable, dead-lettered).
//!
//! **Invariant:** a message names fields of the catalogue and byte positions, never an id or text of the record: it
//! goes into logs and headers.

use std::fmt;

use super::scanner::{JsonError, MAX_DEPTH};
use crate::id::CustomerId;
use crate::time::EventTime;

/// Why a record goes to the dead letters; [`RejectCode::as_str`] is the header `error_code` and a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectCode {
    /// No value: it cannot be an event.
    Tombstone,
    /// Longer than `limits.record_bytes`.
    TooLarge,
    BadUtf8,
    BadJson,
    /// The record ends inside a value.
    Truncated,
    /// Nested deeper than is read.
    TooDeep,
    /// JSON, but not an object.
    NotAnObject,
    /// A mapped field of another type than its own.
    WrongType,
    /// A number that cannot be held exactly.
    Overflow,
    /// Not RFC 3339 with an offset.
    BadTime,
    /// Neither the record nor its envelope nor Kafka says when.
    MissingTime,
    /// More than `clock.max_future` ahead of the wall clock. Decided by the task, which has a clock.
    FutureTime,
    /// Neither `userId` nor `anonymousId`.
    MissingCustomer,
    /// A customer id that is empty or longer than `limits.id_bytes`.
    BadCustomer,
    MissingId,
    /// An event id longer than `limits.id_bytes`.
    BadId,
    CurrencyMismatch,
    /// An alias to an id that is this very customer's already. Decided by the task.
    CircularAlias,
    /// The engine panicked on it. Decided by the lane, when the record comes a second time.
    EngineFailed,
    /// Of an erased customer, from before the erasure. Decided by the task; counted, and never a dead letter: that would
    /// keep what was erased.
    Erased,
}

impl RejectCode {
    pub const ALL: [RejectCode; 20] = [
        RejectCode::Tombstone,
        RejectCode::TooLarge,
        RejectCode::BadUtf8,
        RejectCode::BadJson,
        RejectCode::Truncated,
        RejectCode::TooDeep,
        RejectCode::NotAnObject,
        RejectCode::WrongType,
        RejectCode::Overflow,
        RejectCode::BadTime,
        RejectCode::MissingTime,
        RejectCode::FutureTime,
        RejectCode::MissingCustomer,
        RejectCode::BadCustomer,
        RejectCode::MissingId,
        RejectCode::BadId,
        RejectCode::CurrencyMismatch,
        RejectCode::CircularAlias,
        RejectCode::EngineFailed,
        RejectCode::Erased,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RejectCode::Tombstone => "tombstone",
            RejectCode::TooLarge => "too_large",
            RejectCode::BadUtf8 => "bad_utf8",
            RejectCode::BadJson => "bad_json",
            RejectCode::Truncated => "truncated",
            RejectCode::TooDeep => "too_deep",
            RejectCode::NotAnObject => "not_an_object",
            RejectCode::WrongType => "wrong_type",
            RejectCode::Overflow => "overflow",
            RejectCode::BadTime => "bad_time",
            RejectCode::MissingTime => "missing_time",
            RejectCode::FutureTime => "future_time",
            RejectCode::MissingCustomer => "missing_customer",
            RejectCode::BadCustomer => "bad_customer",
            RejectCode::MissingId => "missing_id",
            RejectCode::BadId => "bad_id",
            RejectCode::CurrencyMismatch => "currency_mismatch",
            RejectCode::CircularAlias => "circular_alias",
            RejectCode::EngineFailed => "engine_failed",
            RejectCode::Erased => "erased",
        }
    }
}

/// A record that is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub code: RejectCode,
    pub message: String,
    /// Whose it is and when it happened, where that could be read. For nobody's eyes: it is no part of the message.
    pub whose: Option<Box<(CustomerId, EventTime)>>,
}

impl Reject {
    pub fn new(code: RejectCode, message: impl Into<String>) -> Reject {
        Reject { code, message: message.into(), whose: None }
    }

    /// `base`: bytes of the payload before the scanned text.
    pub(super) fn from_json(error: JsonError, base: usize) -> Reject {
        match error {
            JsonError::Syntax { at, expected } => {
                Reject::new(RejectCode::BadJson, format!("not JSON: expected {expected} at byte {}", base + at))
            }
            JsonError::Truncated { at } => {
                Reject::new(RejectCode::Truncated, format!("the record ends inside a value at byte {}", base + at))
            }
            JsonError::TooDeep { at } => {
                Reject::new(RejectCode::TooDeep, format!("nested deeper than {MAX_DEPTH} levels at byte {}", base + at))
            }
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

/// Why a well-formed record is nobody's event: counted, nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// A `track` whose event name no stream takes.
    UnknownEvent,
    /// `page`, `screen` or `group`.
    OtherCall,
    /// Any other `type`, or none.
    UnknownType,
}

impl SkipReason {
    pub const ALL: [SkipReason; 3] = [SkipReason::UnknownEvent, SkipReason::OtherCall, SkipReason::UnknownType];

    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::UnknownEvent => "unknown_event",
            SkipReason::OtherCall => "other_call",
            SkipReason::UnknownType => "unknown_type",
        }
    }
}

/// The way out of decoding before there is an event.
#[derive(Debug)]
pub(super) enum Refusal {
    Skip(SkipReason),
    Reject(Reject),
    /// It only stands around another record.
    Around(Box<Inner>),
}

/// A record that stands as bytes inside of a CloudEvent, and what is said of it there.
#[derive(Debug)]
pub(super) struct Inner {
    pub payload: Vec<u8>,
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

impl Refusal {
    /// Of a record that is this customer's.
    pub(super) fn of(self, customer: CustomerId, time: EventTime) -> Refusal {
        match self {
            Refusal::Reject(reject) => Refusal::Reject(Reject { whose: Some(Box::new((customer, time))), ..reject }),
            other => other,
        }
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Refusal {
        Refusal::Reject(reject)
    }
}

impl From<SkipReason> for Refusal {
    fn from(reason: SkipReason) -> Refusal {
        Refusal::Skip(reason)
    }
}
