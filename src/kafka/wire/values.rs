//! Tokens to values: the type rules of the contract ("Values"), one function a rule.
//!
//! **Invariant:** a value that comes out equals what the record says; what cannot be exact or is of another type is a
//! [`Fault`], never a default.

use std::sync::Arc;

use smol_str::SmolStr;

use super::scanner::{Kind, Scanner, Token};
use crate::event::{FieldType, Value};
use crate::money::decimal::{DecimalError, parse_decimal};

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    WrongType,
    Overflow,
}

impl From<DecimalError> for Fault {
    fn from(error: DecimalError) -> Fault {
        match error {
            DecimalError::NotANumber => Fault::WrongType,
            DecimalError::Overflow => Fault::Overflow,
        }
    }
}

/// A field's value, or an element's of an array field. A null is null, whatever the type.
#[inline]
pub(super) fn field_value(field_type: FieldType, token: Token, text: &str) -> Result<Value, Fault> {
    match (field_type, token.kind) {
        (_, Kind::Null) => Ok(Value::Null),
        (FieldType::String, Kind::Text | Kind::EscapedText) => Ok(text_value(token, text)),
        (FieldType::Boolean, Kind::True) => Ok(Value::Bool(true)),
        (FieldType::Boolean, Kind::False) => Ok(Value::Bool(false)),
        (FieldType::Decimal, Kind::Number | Kind::Text | Kind::EscapedText) => number(token, text),
        (FieldType::Integer, Kind::Number | Kind::Text | Kind::EscapedText) => match number(token, text)? {
            Value::Number(n) if !n.is_integer() => Err(Fault::WrongType),
            whole => Ok(whole),
        },
        _ => Err(Fault::WrongType),
    }
}

/// Whether [`field_value`] would accept, without making text that nobody keeps.
#[inline]
pub(super) fn check_field(field_type: FieldType, token: Token, text: &str) -> Result<(), Fault> {
    match (field_type, token.kind) {
        (FieldType::String, Kind::Text | Kind::EscapedText) => Ok(()),
        (FieldType::Decimal, Kind::Number) if is_short(token.bytes_in(text), b"eE") => Ok(()),
        (FieldType::Integer, Kind::Number) if is_short(token.bytes_in(text), b".eE") => Ok(()),
        _ => field_value(field_type, token, text).map(drop),
    }
}

/// Every number of so few digits and no exponent can be held, and is whole without a point: it has none of the bytes.
#[inline(always)]
fn is_short(number: &[u8], without: &[u8]) -> bool {
    number.len() <= 16 && !number.iter().any(|byte| without.contains(byte))
}

fn text_value(token: Token, text: &str) -> Value {
    Value::Text(SmolStr::new(token.text_in(text)))
}

fn number(token: Token, text: &str) -> Result<Value, Fault> {
    let number = match token.kind {
        Kind::EscapedText => parse_decimal(token.text_in(text).as_bytes()),
        _ => parse_decimal(token.bytes_in(text)),
    };
    Ok(Value::Number(number?))
}

/// A trait's value: a scalar, or an array of scalars. `None`: an object, or an array that holds more than scalars,
/// which is ignored.
pub(super) fn trait_value(token: Token, text: &str) -> Result<Option<Value>, Fault> {
    Ok(Some(match token.kind {
        Kind::Object => return Ok(None),
        Kind::Array => return trait_list(token.raw_in(text)),
        _ => scalar(token, text)?,
    }))
}

/// `json` is a well-formed array.
fn trait_list(json: &str) -> Result<Option<Value>, Fault> {
    let tokens = elements(json);
    if tokens.iter().any(|token| matches!(token.kind, Kind::Array | Kind::Object)) {
        return Ok(None);
    }
    let values: Result<Arc<[Value]>, Fault> = tokens.into_iter().map(|token| scalar(token, json)).collect();
    values.map(|values| Some(Value::List(values)))
}

/// The elements of a well-formed array.
fn elements(json: &str) -> Vec<Token> {
    let mut scanner = Scanner::new(json);
    let (mut tokens, mut first) = (Vec::new(), true);
    if scanner.peek() != b'[' || scanner.enter(b'[').is_err() {
        return tokens;
    }
    while let Ok(true) = scanner.next_element(&mut first) {
        let Ok(token) = scanner.value() else { break };
        tokens.push(token);
    }
    tokens
}

fn scalar(token: Token, text: &str) -> Result<Value, Fault> {
    match token.kind {
        Kind::True => Ok(Value::Bool(true)),
        Kind::False => Ok(Value::Bool(false)),
        Kind::Number => number(token, text),
        Kind::Text | Kind::EscapedText => Ok(text_value(token, text)),
        Kind::Null | Kind::Array | Kind::Object => Ok(Value::Null),
    }
}
