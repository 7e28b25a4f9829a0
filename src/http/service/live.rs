//! Transitions as they are committed, as server-sent events.
//!
//! Source: WHATWG HTML §9.2. An event `open` says that from now on nothing is missed; then `transition` and `announcement`,
//! each with its deterministic id; `dropped`, the last one, that this client was too slow; `ended`, the last one, that another process
//! that was listened to tells no more.
//!
//! **Invariant:** a client that does not read costs a place among the clients and no memory that grows; it is closed once
//! nothing more can be written to it for as long as a connection may be idle.

mod elsewhere;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::segments::named;
use super::together::{PROCESSES, asks_all, of_one};
use super::{Service, Shared};
use crate::http::access::Recorder;
use crate::http::lookup::check_segments;
use crate::http::parameters::Parameters;
use crate::http::peers;
use crate::http::problem::Problem;
use crate::http::room::later;
use crate::id::SegmentKey;
use crate::runtime::feed::Told;
use elsewhere::Elsewhere;

/// How many clients listen at once.
pub const CLIENTS: usize = 32;
/// A comment that keeps the connection, and whatever stands in between, from taking silence for an end.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

const ENDED: &str = r#"{"why":"another process tells no more, or partitions have gone to one that is not listened to: listen again"}"#;

/// Who listens, and to what.
struct Listening {
    receiver: Receiver<Arc<Told>>,
    /// `None`: to everything.
    segments: Option<HashSet<SegmentKey>>,
    next: Next,
    /// `None`: to this process alone.
    elsewhere: Option<Elsewhere>,
    service: Service,
    recorder: Recorder,
    _place: OwnedSemaphorePermit,
}

enum Next {
    Open(String),
    Transition,
    End,
}

/// What is read of an event of another process.
#[derive(Deserialize)]
struct Whose {
    customer: String,
}

pub async fn transitions(
    State(shared): State<Shared>,
    Extension(recorder): Extension<Recorder>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["segment", PROCESSES])?;
    let keys = parameters.all("segment");
    check_segments(keys.as_deref().unwrap_or_default())?;
    let rules = shared.service.rules.current();
    let known = |key: &String| named(&rules, key).map(|index| rules.definitions.segments[index].key.clone());
    let segments = keys.map(|keys| keys.iter().map(known).collect::<Result<_, _>>()).transpose()?;
    let asks_all = asks_all(&parameters)?;
    let place = Semaphore::try_acquire_owned(shared.listeners.clone()).map_err(|_| later(format!("{CLIENTS} clients listen already")))?;
    let (receiver, mut partitions) = (shared.service.feed.listen(), shared.service.partitions.covered());
    let elsewhere = if asks_all {
        let (elsewhere, others) = Elsewhere::listen(&shared.service, &of_one(&uri), headers.get(header::AUTHORIZATION)).await;
        others.add(&mut partitions, |_, _: IgnoredAny| Ok(()));
        Some(elsewhere)
    } else {
        None
    };
    let next = Next::Open(json!({"partitions": partitions}).to_string());
    let listening = Listening { receiver, segments, next, elsewhere, service: shared.service, recorder, _place: place };
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
            let told = tokio::select! {
                told = self.receiver.recv() => told,
                heard = heard(&mut self.elsewhere, &self.service) => return self.told_elsewhere(heard),
            };
            match told {
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

    /// As it was told there. `None`: there will be no more.
    fn told_elsewhere(&mut self, heard: Option<peers::Event>) -> Option<Event> {
        let Some(peers::Event { kind, id, data }) = heard else {
            self.next = Next::End;
            return Some(Event::default().event("ended").data(ENDED));
        };
        match serde_json::from_str::<Whose>(&data) {
            Ok(whose) => self.recorder.told(&whose.customer),
            // The last one: it was too slow there.
            Err(_) => self.next = Next::End,
        }
        let event = Event::default().event(kind).data(data);
        Some(if id.is_empty() { event } else { event.id(id) })
    }

    fn is_wanted(&self, told: &Told) -> bool {
        self.segments.as_ref().is_none_or(|segments| segments.contains(&told.segment))
    }
}

/// The next event of another process; never, where none is listened to.
async fn heard(elsewhere: &mut Option<Elsewhere>, service: &Service) -> Option<peers::Event> {
    match elsewhere {
        Some(elsewhere) => elsewhere.next(service).await,
        None => std::future::pending().await,
    }
}
