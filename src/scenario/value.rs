//! The values of a page's events, typed as the decoder types those of a record.
//!
//! **Invariant:** a number is read from its text, never through a float; a number is no text and a text is no number
//! where the catalogue says which of both a field has.

use rust_decimal::Decimal;

use crate::event::streams::FieldDefinition;
use crate::event::{FieldType, Value};
use crate::rule::yaml::{Content, Node, ScalarKind};

/// What a scalar is by YAML 1.2's core schema; `y` and `no` are texts.
enum Plain<'n> {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(&'n str),
}

/// The value of a field; `None`: it is of another type.
pub fn typed(node: &Node, field: &FieldDefinition) -> Option<Value> {
    match &node.content {
        Content::Sequence(items) if field.array => list(items, |item| scalar(item, field.field_type)),
        Content::Scalar(..) if !field.array || is_null(node) => scalar(node, field.field_type),
        _ => None,
    }
}

/// The value of a trait has the type that it is written with; an array holds no arrays.
pub fn untyped(node: &Node) -> Option<Value> {
    match &node.content {
        Content::Sequence(items) => list(items, |item| matches!(item.content, Content::Scalar(..)).then(|| untyped(item))?),
        Content::Mapping(_) => None,
        Content::Scalar(..) => Some(match plain(node)? {
            Plain::Null => Value::Null,
            Plain::Bool(flag) => Value::Bool(flag),
            Plain::Number(number) => Value::Number(number),
            Plain::Text(text) => Value::Text(text.into()),
        }),
    }
}

fn list(items: &[Node], value: impl Fn(&Node) -> Option<Value>) -> Option<Value> {
    let values: Option<Vec<Value>> = items.iter().map(value).collect();
    values.map(|values| Value::List(values.into()))
}

fn scalar(node: &Node, field_type: FieldType) -> Option<Value> {
    match (plain(node)?, field_type) {
        (Plain::Null, _) => Some(Value::Null),
        (Plain::Text(text), FieldType::String) => Some(Value::Text(text.into())),
        (Plain::Text(text), FieldType::Decimal | FieldType::Integer) => decimal(text).map(Value::Number),
        (Plain::Number(number), FieldType::Decimal | FieldType::Integer) => Some(Value::Number(number)),
        (Plain::Bool(flag), FieldType::Boolean) => Some(Value::Bool(flag)),
        _ => None,
    }
}

fn is_null(node: &Node) -> bool {
    matches!(plain(node), Some(Plain::Null))
}

/// `None`: a collection.
fn plain(node: &Node) -> Option<Plain<'_>> {
    let Content::Scalar(text, kind) = &node.content else { return None };
    if *kind != ScalarKind::Plain {
        return Some(Plain::Text(text));
    }
    Some(match text.as_str() {
        _ if node.is_null() => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        text => decimal(text).map_or(Plain::Text(text), Plain::Number),
    })
}

/// Digits, perhaps with sign, point and exponent, as JSON and YAML write them; `1_000` is none.
fn decimal(text: &str) -> Option<Decimal> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !unsigned.chars().all(numeric) {
        return None;
    }
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}
