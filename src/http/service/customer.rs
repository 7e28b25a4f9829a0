//! One customer: memberships now and before, what was counted, and when time alone does something next.
//!
//! **Invariant:** memberships are told as committed. Aggregates are of the instant that stands beside them.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Fresh, Shared};
use crate::customer::Membership;
use crate::engine::aggregates;
use crate::event::Scalar;
use crate::http::lookup::held;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, refused, unreadable};
use crate::id::{CustomerId, SegmentKey};
use crate::runtime::committed::Reading;
use crate::runtime::task::{look_at, membership, memberships};
use crate::store::StoreError;
use crate::time::EventTime;

/// So many aggregates are told; a customer has as many as all rules together look at.
const AGGREGATES: usize = 1000;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomerState")]
pub struct Customer {
    customer: CustomerId,
    /// Some event of this customer was accepted.
    seen: bool,
    /// Every segment that it was ever in, by key: of those that it is in as a lookup tells them; of others
    /// `{"held": false, "left_at": …, "entry": …, "sequence": …}`.
    segments: BTreeMap<String, Value>,
    /// At most 1,000.
    aggregates: Vec<Aggregate>,
    traits: Vec<Trait>,
    /// The instant of which aggregates are.
    at: String,
    /// When time alone may change something, if nothing happens before; null: never.
    next_due: Option<String>,
    /// `false`: definitions or lists have changed, and this customer is still to be decided by them.
    decided: bool,
    #[serde(flatten)]
    fresh: Fresh,
}

/// A shared aggregate of the rules in force.
#[derive(Serialize, JsonSchema)]
struct Aggregate {
    /// In canonical text: `count(orders last 30d)`.
    aggregate: String,
    /// As text; null: there is none, as of a maximum over nothing.
    value: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Trait {
    #[serde(rename = "trait")]
    name: String,
    value: Option<String>,
    /// When it was given.
    at: String,
}

pub async fn customer(State(shared): State<Shared>, id: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    Parameters::read(uri.query().unwrap_or_default(), &[])?;
    let id = checked(&shared, id)?;
    let customer = id.clone();
    let (told, fresh) = shared.service.partitions.read_of(id, move |reading| tell(reading, &customer)).await?;
    let (record, mut told) = told;
    if let Some(record) = record {
        told.segments.extend(held(&record).ok_or_else(unreadable)?);
    }
    told.fresh = fresh.into();
    Ok(json(&told))
}

/// The customer of a path.
pub fn checked(shared: &Shared, id: Result<Path<String>, PathRejection>) -> Result<CustomerId, Problem> {
    let Path(id) = id.map_err(|_| refused("the customer's id is not percent-encoded UTF-8"))?;
    shared.room.check_id(&id)?;
    Ok(CustomerId::new(id))
}

/// The record of the memberships that are held, and everything else.
fn tell(reading: &Reading<'_>, customer: &CustomerId) -> Result<(Option<Vec<u8>>, Customer), StoreError> {
    let Reading { view, plan, clock } = reading;
    let record = membership(plan, view, customer)?;
    let known = memberships(plan, view, customer)?;
    let looked = look_at(plan, view, customer, *clock)?;
    let t = looked.partition.clock();
    let state = looked.partition.find(customer).and_then(|slot| looked.partition.resident(slot).state.as_deref());
    let values = state.map(|state| aggregates(plan, customer, state, t)).unwrap_or_default();
    let traits = state.into_iter().flat_map(|state| plan.projection.traits.iter().zip(&state.facts.traits));
    let told = Customer {
        customer: customer.clone(),
        seen: looked.seen,
        segments: known.into_iter().filter_map(left).collect(),
        aggregates: values.into_iter().take(AGGREGATES).map(|(text, value)| Aggregate { aggregate: text.to_string(), value }).collect(),
        traits: traits.filter_map(|(name, value)| Some(given(name, value.as_ref()?))).collect(),
        at: t.to_string(),
        next_due: state.map(|state| state.standing.next_flip).filter(|due| *due != EventTime::MAX).map(|due| due.to_string()),
        decided: looked.decided,
        fresh: Fresh { as_of: String::new(), lag_records: 0, task_clock: None },
    };
    Ok((record, told))
}

/// A membership that has ended.
fn left((key, membership): (SegmentKey, Membership)) -> Option<(String, Value)> {
    let left_at = membership.left_at()?.to_string();
    Some((
        key.to_string(),
        serde_json::json!({"held": false, "left_at": left_at, "entry": membership.entry(), "sequence": membership.sequence}),
    ))
}

fn given(name: &str, (at, value): &(EventTime, crate::event::Value)) -> Trait {
    let value = match value.as_scalar() {
        Scalar::Null => None,
        Scalar::Bool(truth) => Some(truth.to_string()),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Text(text) => Some(text.to_owned()),
        Scalar::List(_) => Some("(a list)".to_owned()),
    };
    Trait { name: name.to_owned(), value, at: at.to_string() }
}
