//! How much is answered at once, and how long one answer may take: shared by every route that reads customers.
//!
//! **Invariant:** what there is no room for is refused at once. A request that waits in a queue is answered when nobody waits
//! for it any more.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::rule::diagnostic::nearest;

/// A thousand ids of half a kilobyte, and as much again for escapes.
pub const BODY_BYTES: usize = 1 << 20;

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

/// The room that requests take. Cheap to clone.
#[derive(Clone)]
pub struct Room {
    pub limits: Limits,
    free: Arc<Semaphore>,
}

impl Room {
    pub fn new(limits: Limits) -> Room {
        Room { limits, free: Arc::new(Semaphore::new(limits.at_once)) }
    }

    /// Refuses an id that no event could carry.
    pub fn check_id(&self, id: &str) -> Result<(), Problem> {
        let most = self.limits.id_bytes;
        match id.len() {
            0 => Err(refused("a customer's id is empty")),
            length if length > most => {
                Err(refused(format!("a customer's id has {length} bytes; no event carries more than {most} (limits.id_bytes)")))
            }
            _ => Ok(()),
        }
    }

    /// Reads a body of JSON. `form` is what is said when it is something else.
    pub async fn json<T: DeserializeOwned>(&self, request: Request, form: &str) -> Result<T, Problem> {
        let body = tokio::time::timeout(self.limits.time, Bytes::from_request(request, &()));
        let body = body.await.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))?;
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {BODY_BYTES} bytes")),
            _ => refused("the body broke off"),
        })?;
        // serde's own words would repeat what was sent.
        serde_json::from_slice(&body)
            .map_err(|error| refused(format!("the body is not {form}: line {}, column {}", error.line(), error.column())))
    }
}

/// Refuses what there is no room for, and gives up on what takes too long.
pub async fn bounded(State(room): State<Room>, request: Request, next: Next) -> Response {
    let Ok(_taken) = room.free.try_acquire() else {
        return later("too many requests are being answered at this moment").into_response();
    };
    // Twice: a slow body has its own limit, and its own answer.
    match tokio::time::timeout(room.limits.time * 2, next.run(request)).await {
        Ok(response) => response,
        Err(_) => later("no answer in time").into_response(),
    }
}

/// Somebody may leave a segment at any moment: nothing in between may answer in our place.
pub async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub fn json(answer: &impl Serialize) -> Response {
    match serde_json::to_vec(answer) {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Err(_) => unreadable().into_response(),
    }
}

pub fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Where a key stands among those that there are of its kind.
///
/// Errors: 404, with the one that was most likely meant.
pub fn position<'a>(kind: &str, key: &str, known: impl Iterator<Item = &'a str> + Clone) -> Result<usize, Problem> {
    known.clone().position(|one| one == key).ok_or_else(|| {
        let near = nearest(key, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Problem::new(StatusCode::NOT_FOUND, format!("there is no such {kind}{near}"))
    })
}

pub fn unreadable() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the record cannot be read; the log says more")
}

pub fn later(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}
