//! What may be asked of the service: to erase a customer, to put one on a list or to take one off it.
//!
//! Each becomes a record in a topic, as whoever may write there could write it: its place among the customer's other records, and what
//! comes of it, are those of such a record. So any process may be asked, whoever owns the customer.
//!
//! **Invariant:** nothing is changed here. 202 says that the record is with Kafka, and any other answer that it may not be: to ask again
//! does no harm.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::Shared;
use super::customer::checked;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, later, position, refused, unreadable};
use crate::id::{CustomerId, ListKey, TopicName};
use crate::runtime::Settings;
use crate::runtime::erasure::{Left, receipt, request};
use crate::runtime::listed::put;

/// Requests that are on their way to Kafka at once: each has a connection of its own.
pub const AT_ONCE: usize = 4;

/// The request is with Kafka.
#[derive(Serialize, JsonSchema)]
pub struct Erasing {
    /// Where something of the customer is left, and until when; null: Kafka did not say (ask again, or `segmentd erase --receipt`).
    left: Option<Vec<Left>>,
}

/// The lists that rules may name.
#[derive(Serialize, JsonSchema)]
pub struct Lists {
    lists: Vec<List>,
}

#[derive(Serialize, JsonSchema)]
struct List {
    key: ListKey,
    /// How many are on it.
    customers: usize,
    /// The topic that has it; null: a file has, and it changes there alone.
    topic: Option<String>,
}

/// Whether somebody is on a list.
#[derive(Serialize, JsonSchema)]
pub struct Listed {
    list: ListKey,
    customer: CustomerId,
    listed: bool,
}

pub async fn erase(State(shared): State<Shared>, id: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    Parameters::read(uri.query().unwrap_or_default(), &[])?;
    let (customer, catalogue) = (checked(&shared, id)?, shared.service.rules.current().plan.catalogue.clone());
    let ask = move |settings: &Settings| {
        request(settings, &catalogue, &[customer]).map_err(|error| error.to_string())?;
        let left = receipt(settings).inspect_err(|error| tracing::warn!(%error, "an erasure is asked for; there is no receipt"));
        Ok(Erasing { left: left.ok() })
    };
    let mut answer = json(&sent(&shared, ask).await?);
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

pub async fn lists(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    Parameters::read(uri.query().unwrap_or_default(), &[])?;
    let rules = shared.service.rules.current();
    let topic = |key: &ListKey| rules.list_topics.get(key).map(ToString::to_string);
    let list = |(key, list): &(ListKey, crate::plan::List)| List { key: key.clone(), customers: list.len(), topic: topic(key) };
    Ok(json(&Lists { lists: rules.plan.lists.iter().map(list).collect() }))
}

/// The path of somebody on a list.
type Place = Result<Path<(String, String)>, PathRejection>;

pub async fn listed(State(shared): State<Shared>, place: Place, uri: Uri) -> Result<Response, Problem> {
    let (list, customer) = named(&shared, place, &uri)?;
    let rules = shared.service.rules.current();
    let on = rules.plan.lists.iter().find(|(key, _)| *key == list).is_some_and(|(_, list)| list.contains(&customer));
    Ok(json(&Listed { list, customer, listed: on }))
}

pub async fn put_on(State(shared): State<Shared>, place: Place, uri: Uri) -> Result<Response, Problem> {
    write(shared, place, uri, true).await
}

pub async fn take_off(State(shared): State<Shared>, place: Place, uri: Uri) -> Result<Response, Problem> {
    write(shared, place, uri, false).await
}

async fn write(shared: Shared, place: Place, uri: Uri, on: bool) -> Result<Response, Problem> {
    let (list, customer) = named(&shared, place, &uri)?;
    let topic: Option<TopicName> = shared.service.rules.current().list_topics.get(&list).cloned();
    let of_file = || Problem::new(StatusCode::CONFLICT, "this list stands in a file: it changes there, and one in a topic changes here");
    let (topic, who) = (topic.ok_or_else(of_file)?, customer.clone());
    sent(&shared, move |settings| put(&settings.kafka, &topic, &who, on).map_err(|error| error.to_string())).await?;
    let mut answer = json(&Listed { list, customer, listed: on });
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

fn named(shared: &Shared, place: Place, uri: &Uri) -> Result<(ListKey, CustomerId), Problem> {
    Parameters::read(uri.query().unwrap_or_default(), &[])?;
    let Path((key, id)) = place.map_err(|_| refused("the list's key or the customer's id is not percent-encoded UTF-8"))?;
    shared.room.check_id(&id)?;
    let rules = shared.service.rules.current();
    let at = position("list", &key, rules.plan.lists.iter().map(|(key, _)| key.as_str()))?;
    Ok((rules.plan.lists[at].0.clone(), CustomerId::new(id)))
}

/// Sends off the threads that serve; what fails is for a person to look at.
async fn sent<T: Send + 'static>(
    shared: &Shared,
    send: impl FnOnce(&Settings) -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let away = || later("Kafka cannot be written to at this moment; the log says why");
    let settings: Arc<Settings> = shared.service.requests.clone().ok_or_else(away)?;
    let place = shared.requests.clone().try_acquire_owned().map_err(|_| later("too many requests are on their way to Kafka"))?;
    let task = tokio::task::spawn_blocking(move || {
        let _place = place;
        send(&settings)
    });
    task.await.map_err(|_| unreadable())?.map_err(|error| {
        tracing::error!(error, "a request cannot be sent to Kafka");
        away()
    })
}
