//! Lookups: which segments is this customer in, now? Asked by a shop at the moment of redemption.
//!
//! | route | answers |
//! | --- | --- |
//! | `GET /api/v1/customers/{id}/segments` | every membership; with `?segment=a,b` yes or no for each of these |
//! | `POST /api/v1/memberships` | the same for many customers |
//! | `/openapi.json` | this interface, for programs |
//!
//! Everything from outside is bounded: ids, names, bodies, how many, how long, how many at once. A customer that was
//! never seen holds nothing, which is an answer and no error.
//!
//! **Invariant:** no id of a customer reaches a log, a metric or the text of a problem.

mod answer;
mod source;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::access::naming;
use super::parameters::Parameters;
use super::problem::Problem;
use super::room::{BODY_BYTES, Limits, Room, bounded, json, not_stored, refused, unreadable};
use super::service;
use crate::runtime::committed::Unread;
use answer::Answer;
pub use answer::{held, is_known};
pub use source::Source;
use source::Standing;

pub const CUSTOMER: &str = "/api/v1/customers/{id}/segments";
pub const MANY: &str = "/api/v1/memberships";
pub const OPENAPI: &str = "/openapi.json";

/// Every route here, as request metrics name them.
pub const ROUTES: [&str; 3] = [CUSTOMER, MANY, OPENAPI];

pub const OPENAPI_DOCUMENT: &str = include_str!("lookup/openapi.json");

/// Customers that one request may ask for.
const MOST_CUSTOMERS: usize = 1000;
/// Segments that one request may name.
const MOST_SEGMENTS: usize = 100;
/// What lookups are answered from.
#[derive(Clone)]
pub struct Lookup {
    pub source: Source,
    pub limits: Limits,
}

#[derive(Clone)]
struct Shared {
    document: Arc<str>,
    source: Source,
    room: Room,
}

pub fn router(source: Source, room: Room) -> Router {
    let document = match source {
        Source::Replica(_) => OPENAPI_DOCUMENT.into(),
        Source::Service(_) => service::document(OPENAPI_DOCUMENT).into(),
    };
    let shared = Shared { document, source, room: room.clone() };
    Router::new()
        .route(CUSTOMER, get(customer))
        .route(MANY, post(many))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(room, bounded))
        .route(OPENAPI, get(openapi))
        .layer(middleware::map_response(not_stored))
        .with_state(shared)
}

async fn openapi(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], shared.document.to_string())
}

async fn customer(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_| refused("the customer's id is not percent-encoded UTF-8"))?;
    shared.room.check_id(&id)?;
    let segments = Parameters::read(uri.query().unwrap_or_default(), &["segment"])?.all("segment");
    check_segments(segments.as_deref().unwrap_or_default())?;
    let mut found = looked_up(&shared.source, vec![id]).await?;
    let (id, standing) = found.pop().ok_or_else(unreadable)?;
    let standing = standing.map_err(|unread| shared.source.problem(unread))?;
    let tag = answer::entity_tag(&standing);
    let mut response = if answer::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(&Answer::new(&id, &standing, segments.as_deref())?)
    };
    let fresh = [
        (HeaderName::from_static("as-of"), Some(standing.as_of.to_string())),
        (HeaderName::from_static("lag-records"), Some(standing.lag.to_string())),
        (HeaderName::from_static("task-clock"), standing.task_clock.map(|clock| clock.to_string())),
        (header::ETAG, Some(tag)),
    ];
    for (name, text) in fresh {
        let value = text.and_then(|text| HeaderValue::from_str(&text).ok());
        response.headers_mut().extend(value.map(|value| (name, value)));
    }
    Ok(response)
}

/// The body of `POST /api/v1/memberships`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    customers: Vec<String>,
    segments: Option<Vec<String>>,
}

async fn many(State(shared): State<Shared>, request: Request) -> Result<Response, Problem> {
    let form = r#"{"customers": ["…"], "segments": ["…"]} (segments may be absent)"#;
    let asked: Asked = shared.room.json(request, form).await?;
    if asked.customers.len() > MOST_CUSTOMERS {
        return Err(refused(format!("{} customers are asked for; one request may ask for {MOST_CUSTOMERS}", asked.customers.len())));
    }
    asked.customers.iter().try_for_each(|id| shared.room.check_id(id))?;
    check_segments(asked.segments.as_deref().unwrap_or_default())?;
    let found = all(&shared.source, looked_up(&shared.source, asked.customers).await?)?;
    let answers = found.iter().map(|(id, standing)| Answer::new(id, standing, asked.segments.as_deref()));
    let answer = json(&answer::Answers { customers: answers.collect::<Result<_, _>>()? });
    Ok(naming(answer, found.into_iter().map(|(id, _)| id)))
}

/// Looks up off the threads that serve: a read that misses the cache waits for the disk.
async fn looked_up(source: &Source, ids: Vec<String>) -> Result<Vec<(String, Result<Standing, Unread>)>, Problem> {
    let source = source.clone();
    let look = move || ids.into_iter().map(|id| (source.lookup(&id), id)).map(|(standing, id)| (id, standing)).collect();
    tokio::task::spawn_blocking(look).await.map_err(|_| unreadable())
}

/// Every answer, or the first reason why there is none; of customers that are elsewhere, where each of them is.
fn all(source: &Source, found: Vec<(String, Result<Standing, Unread>)>) -> Result<Vec<(String, Standing)>, Problem> {
    let elsewhere = |(at, (_, standing)): (usize, &(String, Result<Standing, Unread>))| match standing {
        Err(Unread::Elsewhere(partition)) => Some((at, *partition)),
        _ => None,
    };
    let elsewhere: Vec<_> = found.iter().enumerate().filter_map(elsewhere).collect();
    let each = |(id, standing): (String, Result<_, _>)| standing.map(|standing| (id, standing));
    found.into_iter().map(each).collect::<Result<_, _>>().map_err(|unread| source.problem_of_many(unread, &elsewhere))
}

/// Refuses names that no segment could have, and too many of them.
pub fn check_segments(segments: &[String]) -> Result<(), Problem> {
    if segments.len() > MOST_SEGMENTS {
        return Err(refused(format!("{} segments are named; one request may name {MOST_SEGMENTS}", segments.len())));
    }
    if segments.iter().any(String::is_empty) {
        return Err(refused("a segment's key is empty"));
    }
    Ok(())
}
