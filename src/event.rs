//! The decoded fact: who, which stream, when, which id, and the fields that some rule names.
//!
//! A record from Kafka or from a file becomes an [`Event`] exactly once, in `kafka::wire`; nothing below the engine
//! looks at JSON again. What streams there are and which fields they have is data: [`streams::Catalogue`].
//!
//! **Invariant:** an event that exists is acceptable: its types are right, its numbers exact, its id present.

pub mod segment_spec;
pub mod streams;
pub mod streams_file;

use rust_decimal::Decimal;
use smol_str::SmolStr;
use std::sync::Arc;

use crate::id::{CustomerId, EventId};
use crate::money::Number;
use crate::time::EventTime;
pub use streams::{Catalogue, FieldIndex, FieldType, StreamIndex};

/// A field's or a trait's value. Numbers are decimals, never floats; 10 and 10.00 are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Decimal),
    Text(SmolStr),
    /// An array of scalars (`products[].category`, a trait that is a list). Never nested; may hold `Null`.
    List(Arc<[Value]>),
}

/// One accepted input record.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub customer: CustomerId,
    pub stream: StreamIndex,
    /// When it happened, as the record says; not when it arrived.
    pub time: EventTime,
    pub id: EventId,
    pub body: Body,
}

impl Event {
    /// Of an alias: who the customer is from now on.
    pub fn into_whom(&self) -> Option<CustomerId> {
        match &self.body {
            Body::Fields(fields) => match fields.first()? {
                Value::Text(id) => Some(CustomerId::new(id.clone())),
                _ => None,
            },
            Body::Traits(_) => None,
        }
    }
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// One value for each field that the [`Projection`] keeps of this stream, in its order.
    Fields(Vec<Value>),
    /// `identify`: the traits that the [`Projection`] keeps, by their position in it. `Null` removes; absent is absent.
    Traits(Vec<(usize, Value)>),
}

/// Which fields of which stream, and which traits, are worth keeping: those that some rule names, and those that
/// the engine itself needs (an order's id in a refund). Everything else is checked for its type and dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// For each stream of the catalogue, by index: the kept fields, ascending.
    pub fields: Vec<Vec<FieldIndex>>,
    pub traits: Vec<SmolStr>,
}

/// A value as a rule sees it while it is evaluated: borrowed, and with numbers that arithmetic cannot overflow.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar<'a> {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
    List(&'a [Value]),
}

impl Value {
    pub fn as_scalar(&self) -> Scalar<'_> {
        match self {
            Value::Null => Scalar::Null,
            Value::Bool(b) => Scalar::Bool(*b),
            Value::Number(n) => Scalar::Number(Number::from(n)),
            Value::Text(text) => Scalar::Text(text),
            Value::List(items) => Scalar::List(items),
        }
    }
}
