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
mod query;

#[cfg(test)]
pub mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::replica::{LookupError, Memberships, Standing};
use answer::Answer;

pub const CUSTOMER: &str = "/api/v1/customers/{id}/segments";
pub const MANY: &str = "/api/v1/memberships";
pub const OPENAPI: &str = "/openapi.json";

/// Every route here, as request metrics name them.
pub const ROUTES: [&str; 3] = [CUSTOMER, MANY, OPENAPI];

const OPENAPI_DOCUMENT: &str = include_str!("lookup/openapi.json");

/// Customers that one request may ask for.
const MOST_CUSTOMERS: usize = 1000;
/// Segments that one request may name.
const MOST_SEGMENTS: usize = 100;
/// A thousand ids of half a kilobyte, and as much again for escapes.
const BODY_BYTES: usize = 1 << 20;

/// How much is answered at once, and how long one answer may take.
#[derive(Clone, Copy)]
pub struct Limits {
    pub at_once: usize,
    /// For the request to arrive, and once more for the answer.
    pub time: Duration,
    /// The longest customer id, in bytes: no event could carry a longer one.
    pub id_bytes: usize,
}

impl Limits {
    pub fn new(id_bytes: usize) -> Limits {
        Limits { at_once: 128, time: Duration::from_secs(5), id_bytes }
    }
}

/// What lookups are answered from.
#[derive(Clone)]
pub struct Lookup {
    pub memberships: Arc<Memberships>,
    pub limits: Limits,
}

#[derive(Clone)]
struct Shared {
    lookup: Lookup,
    room: Arc<Semaphore>,
}

pub fn router(lookup: Lookup) -> Router {
    let shared = Shared { room: Arc::new(Semaphore::new(lookup.limits.at_once)), lookup };
    Router::new()
        .route(CUSTOMER, get(customer))
        .route(MANY, post(many))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(shared.clone(), bounded))
        .route(OPENAPI, get(openapi))
        .layer(middleware::map_response(not_stored))
        .with_state(shared)
}

/// Refuses what there is no room for, and gives up on what takes too long.
async fn bounded(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Ok(_room) = shared.room.try_acquire() else {
        return later("too many requests are being answered at this moment");
    };
    // Twice: a slow body has its own limit, and its own answer.
    match tokio::time::timeout(shared.lookup.limits.time * 2, next.run(request)).await {
        Ok(response) => response,
        Err(_) => later("no answer in time"),
    }
}

/// Somebody may leave a segment at any moment: nothing in between may answer in our place.
async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI_DOCUMENT)
}

async fn customer(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_| refused("the customer's id is not percent-encoded UTF-8"))?;
    check_id(&id, shared.lookup.limits)?;
    let segments = query::segments(uri.query().unwrap_or_default())?;
    check_segments(segments.as_deref().unwrap_or_default())?;
    let (id, standing) = found(&shared.lookup, vec![id]).await?.pop().ok_or_else(not_yet)?;
    let tag = answer::entity_tag(&standing);
    let mut response = if answer::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::json(&Answer::new(&id, &standing, segments.as_deref())?)
    };
    let fresh = [
        (HeaderName::from_static("as-of"), standing.as_of.to_string()),
        (HeaderName::from_static("lag-records"), standing.lag.to_string()),
    ];
    for (name, text) in fresh.into_iter().chain([(header::ETAG, tag)]) {
        response.headers_mut().extend(HeaderValue::from_str(&text).ok().map(|value| (name, value)));
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
    let limits = shared.lookup.limits;
    let body = tokio::time::timeout(limits.time, Bytes::from_request(request, &()));
    let body = body.await.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {BODY_BYTES} bytes")),
        _ => refused("the body broke off"),
    })?;
    // serde's own words would repeat what was sent.
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        refused(format!(r#"the body is not {{"customers": ["…"], "segments": ["…"]}} (segments may be absent): {place}"#))
    })?;
    if asked.customers.len() > MOST_CUSTOMERS {
        return Err(refused(format!("{} customers are asked for; one request may ask for {MOST_CUSTOMERS}", asked.customers.len())));
    }
    asked.customers.iter().try_for_each(|id| check_id(id, limits))?;
    check_segments(asked.segments.as_deref().unwrap_or_default())?;
    let found = found(&shared.lookup, asked.customers).await?;
    let answers = found.iter().map(|(id, standing)| Answer::new(id, standing, asked.segments.as_deref()));
    Ok(answer::json(&answer::Answers { customers: answers.collect::<Result<_, _>>()? }))
}

/// Looks up off the threads that serve: a read that misses the cache waits for the disk.
async fn found(lookup: &Lookup, ids: Vec<String>) -> Result<Vec<(String, Standing)>, Problem> {
    let memberships = lookup.memberships.clone();
    let look = move || ids.into_iter().map(|id| memberships.lookup(&id).map(|standing| (id, standing))).collect();
    let found: Result<Vec<_>, LookupError> = tokio::task::spawn_blocking(look).await.map_err(|_| unreadable())?;
    found.map_err(|error| match error {
        LookupError::NotYet => not_yet(),
        LookupError::Store(error) => {
            tracing::error!(%error, "a lookup failed");
            unreadable()
        }
    })
}

fn check_id(id: &str, limits: Limits) -> Result<(), Problem> {
    match id.len() {
        0 => Err(refused("a customer's id is empty")),
        length if length > limits.id_bytes => {
            Err(refused(format!("a customer's id has {length} bytes; no event carries more than {} (limits.id_bytes)", limits.id_bytes)))
        }
        _ => Ok(()),
    }
}

fn check_segments(segments: &[String]) -> Result<(), Problem> {
    if segments.len() > MOST_SEGMENTS {
        return Err(refused(format!("{} segments are named; one request may name {MOST_SEGMENTS}", segments.len())));
    }
    if segments.iter().any(String::is_empty) {
        return Err(refused("a segment's key is empty"));
    }
    Ok(())
}

fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn unreadable() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the record cannot be read; the log says more")
}

fn not_yet() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, LookupError::NotYet.to_string()).retry_after(1)
}

fn later(detail: &str) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1).into_response()
}
