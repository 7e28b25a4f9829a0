//! The wire form of an answer.
//!
//! **Invariant:** what the record says is told as it stands. A membership whose `valid_until` has passed is still told
//! as held, with its `valid_until`: whether its end has been decided is for the engine to say, and its word is on the way.

use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::source::Standing;
use crate::http::problem::Problem;
use crate::http::room::unreadable;

/// One customer.
#[derive(Serialize)]
pub struct Answer<'a> {
    customer: &'a str,
    segments: Map<String, Value>,
    /// When a membership last began or ended; null: this customer holds none.
    updated_at: Value,
    as_of: String,
    lag_records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_clock: Option<String>,
}

/// Many customers, in the order in which they were asked for.
#[derive(Serialize)]
pub struct Answers<'a> {
    pub customers: Vec<Answer<'a>>,
}

impl<'a> Answer<'a> {
    /// `segments`: those that are asked for; `None`: those that are held.
    pub fn new(customer: &'a str, standing: &Standing, segments: Option<&[String]>) -> Result<Answer<'a>, Problem> {
        let (held, updated_at) = match &standing.record {
            None => (Map::new(), Value::Null),
            Some(record) => read(record).ok_or_else(broken)?,
        };
        let segments = match segments {
            None => held,
            Some(asked) => asked.iter().map(|key| (key.clone(), held.get(key).cloned().unwrap_or_else(not_held))).collect(),
        };
        let (as_of, task_clock) = (standing.as_of.to_string(), standing.task_clock.map(|clock| clock.to_string()));
        Ok(Answer { customer, segments, updated_at, as_of, lag_records: standing.lag, task_clock })
    }
}

/// The memberships of a record, each with `held` before its other members, and `updated_at`.
fn read(record: &[u8]) -> Option<(Map<String, Value>, Value)> {
    let Value::Object(mut record) = serde_json::from_slice(record).ok()? else { return None };
    let Value::Object(segments) = record.remove("segments")? else { return None };
    let told = segments.into_iter().map(|(key, membership)| {
        let Value::Object(members) = membership else { return None };
        let held = std::iter::once(("held".to_owned(), Value::Bool(true)));
        Some((key, Value::Object(held.chain(members).collect())))
    });
    Some((told.collect::<Option<_>>()?, record.remove("updated_at")?))
}

/// The memberships of a record, as an answer has them; `None`: it is none of ours.
pub fn held(record: &[u8]) -> Option<Map<String, Value>> {
    read(record).map(|(segments, _)| segments)
}

fn not_held() -> Value {
    Value::Object(std::iter::once(("held".to_owned(), Value::Bool(false))).collect())
}

/// Somebody else writes to the topic.
fn broken() -> Problem {
    tracing::error!("a record of the membership topic is not one of segmentd's");
    unreadable()
}

/// Of what is said about the customer. Weak: how fresh it is changes with every answer, and stands in headers too.
pub fn entity_tag(standing: &Standing) -> String {
    format!("W/\"{:032x}\"", xxh3_128(standing.record.as_deref().unwrap_or_default()))
}

/// Does the client have what `tag` stands for? Source: RFC 9110 §13.1.2, weak comparison.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|candidate| candidate.trim() == "*" || opaque(candidate) == opaque(tag))
}
