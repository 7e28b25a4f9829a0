//! Transitions as they are committed, as server-sent events.
//!
//! Source: WHATWG HTML §9.2. An event `open` says that from now on nothing is missed; then `transition` and `announcement`,
//! each with its deterministic id; `dropped`, the last one, that this client was too slow.
//!
//! **Invariant:** a client that does not read costs a place among the clients and no memory that grows; it is closed once
//! nothing more can be written to it for as long as a connection may be idle.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Shared;
use super::segments::named;
use crate::http::access::Recorder;
use crate::http::lookup::check_segments;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::later;
use crate::id::SegmentKey;
use crate::runtime::feed::Told;

/// How many clients listen at once.
pub const CLIENTS: usize = 32;
/// A comment that keeps the connection, and whatever stands in between, from taking silence for an end.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Who listens, and to what.
struct Listening {
    receiver: Receiver<Arc<Told>>,
    /// `None`: to everything.
    segments: Option<HashSet<SegmentKey>>,
    next: Next,
    recorder: Recorder,
    _place: OwnedSemaphorePermit,
}

enum Next {
    Open(String),
    Transition,
    End,
}

pub async fn transitions(State(shared): State<Shared>, Extension(recorder): Extension<Recorder>, uri: Uri) -> Result<Response, Problem> {
    let keys = Parameters::read(uri.query().unwrap_or_default(), &["segment"])?.all("segment");
    check_segments(keys.as_deref().unwrap_or_default())?;
    let rules = shared.service.rules.current();
    let known = |key: &String| named(&rules, key).map(|index| rules.definitions.segments[index].key.clone());
    let segments = keys.map(|keys| keys.iter().map(known).collect::<Result<_, _>>()).transpose()?;
    let place = Semaphore::try_acquire_owned(shared.listeners.clone()).map_err(|_| later(format!("{CLIENTS} clients listen already")))?;
    let receiver = shared.service.feed.listen();
    let opened = json!({"partitions": shared.service.partitions.covered()}).to_string();
    let listening = Listening { receiver, segments, next: Next::Open(opened), recorder, _place: place };
    Ok(Sse::new(events(listening)).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response())
}

fn events(listening: Listening) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(listening, |mut listening| async move { Some((Ok(listening.next().await?), listening)) })
}

impl Listening {
    /// `None`: it is over.
    async fn next(&mut self) -> Option<Event> {
        match std::mem::replace(&mut self.next, Next::Transition) {
            Next::Open(opened) => Some(Event::default().event("open").data(opened)),
            Next::Transition => self.told().await,
            Next::End => None,
        }
    }

    async fn told(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(told) if self.is_wanted(&told) => {
                    self.recorder.told(told.customer.as_str());
                    return Some(Event::default().event(told.kind).id(&told.id).data(&told.line));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    self.next = Next::End;
                    return Some(Event::default().event("dropped").data(json!({"missed": missed}).to_string()));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn is_wanted(&self, told: &Told) -> bool {
        self.segments.as_ref().is_none_or(|segments| segments.contains(&told.segment))
    }
}
