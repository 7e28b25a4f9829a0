//! The routes of a running service: its segments, and what its own partitions have committed of customers.
//!
//! | route | answers |
//! | --- | --- |
//! | `GET /api/v1/segments`, `GET /api/v1/segments/{key}` | definitions in force, with figures |
//! | `GET /api/v1/segments/{key}/customers` | who is in a segment, page by page |
//! | `GET /api/v1/segments/{key}/history` | how many were in a segment, who came and who went |
//! | `GET /api/v1/ladders/{key}/flows` | who moved from stage to stage |
//! | `GET /api/v1/customers/{id}` | memberships, aggregates and traits of a customer, and when it is looked at next |
//! | `GET /api/v1/customers/{id}/timeline` | what has happened to a customer |
//! | `GET /api/v1/customers/{id}/explain` | why it is in a segment or not |
//! | `GET /api/v1/experiments`, `GET /api/v1/experiments/{key}` | what came of both arms |
//! | `DELETE /api/v1/customers/{id}` | the customer is to be erased |
//! | `GET /api/v1/lists`, `GET`, `PUT`, `DELETE /api/v1/lists/{key}/customers/{id}` | lists, and who is on one; to come onto it, or off it |
//! | `GET /api/v1/processes` | which processes there are, and how they are |
//! | `POST /api/v1/definitions/check` | is this text right? |
//! | `POST /api/v1/definitions/explain` | what would these rules say of a customer? |
//! | `POST /api/v1/definitions/plan` | what would these definitions do to all customers? |
//! | `GET /api/v1/transitions` | transitions as they are committed |
//!
//! **Invariant:** a customer of a partition that is not here is never answered for; whoever asks is told where to ask, if that
//! is known. Nothing here changes anything: [requests] are records in topics.

mod customer;
mod definitions;
mod document;
mod experiments;
mod explain;
mod flows;
mod live;
mod looks;
mod members;
mod plan;
mod processes;
mod requests;
mod rules;
mod segments;
mod steps;
mod timeline;
mod together;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;

pub use document::document;
pub use explain::explanation;
pub use rules::{InForce, Rules};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::peers::Peers;
use super::problem::Problem;
use super::room::{BODY_BYTES, Room, bounded, later, not_stored, unreadable};
use crate::history::History;
use crate::id::Partition;
use crate::metrics::Metrics;
use crate::runtime::Settings;
use crate::runtime::committed::{Committed, Freshness, Reading, Unread};
use crate::runtime::feed::Feed;
use crate::runtime::measuring::Measuring;
use crate::runtime::owners::Owners;
use crate::runtime::status::Status;
use crate::runtime::trying::Trying;
use crate::store::StoreError;
use crate::time::EventTime;
use together::Covered;

pub const SEGMENTS: &str = "/api/v1/segments";
pub const SEGMENT: &str = "/api/v1/segments/{key}";
pub const MEMBERS: &str = "/api/v1/segments/{key}/customers";
pub const CUSTOMER: &str = "/api/v1/customers/{id}";
pub const TIMELINE: &str = "/api/v1/customers/{id}/timeline";
pub const HISTORY: &str = "/api/v1/segments/{key}/history";
pub const FLOWS: &str = "/api/v1/ladders/{key}/flows";
pub const EXPLAIN: &str = "/api/v1/customers/{id}/explain";
pub const TRANSITIONS: &str = "/api/v1/transitions";
pub const EXPERIMENTS: &str = "/api/v1/experiments";
pub const EXPERIMENT: &str = "/api/v1/experiments/{key}";
pub const LISTS: &str = "/api/v1/lists";
pub const LISTED: &str = "/api/v1/lists/{key}/customers/{id}";
pub const PROCESSES: &str = "/api/v1/processes";
pub const CHECK: &str = "/api/v1/definitions/check";
pub const TRY: &str = "/api/v1/definitions/explain";
pub const PLAN: &str = "/api/v1/definitions/plan";

/// Every route here, as request metrics name them.
pub const ROUTES: [&str; 17] = [
    SEGMENTS,
    SEGMENT,
    MEMBERS,
    HISTORY,
    FLOWS,
    CUSTOMER,
    TIMELINE,
    EXPLAIN,
    CHECK,
    TRY,
    PLAN,
    TRANSITIONS,
    EXPERIMENTS,
    EXPERIMENT,
    LISTS,
    LISTED,
    PROCESSES,
];

/// What the routes here are answered from.
#[derive(Clone)]
pub struct Service {
    pub partitions: Partitions,
    pub rules: InForce,
    pub metrics: Metrics,
    pub feed: Feed,
    /// `None`: none is kept.
    pub history: Option<History>,
    pub measuring: Measuring,
    pub status: Status,
    pub peers: Peers,
    /// Where requests are sent; `None`: there is no Kafka.
    pub requests: Option<Arc<Settings>>,
}

/// The partitions of this process, and where the others are.
#[derive(Clone)]
pub struct Partitions {
    pub committed: Committed,
    pub owners: Owners,
}

/// How fresh an answer about a customer is.
#[derive(Serialize, JsonSchema)]
struct Fresh {
    /// Everything that was committed by then is in the answer.
    as_of: String,
    /// Records of the inputs of the customer's partition that were not committed yet, when last looked at.
    lag_records: u64,
    /// How far time has passed in the customer's partition. Absent: nothing has happened there.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_clock: Option<String>,
}

#[derive(Clone)]
struct Shared {
    service: Service,
    room: Room,
    /// Places for those who listen to transitions.
    listeners: Arc<Semaphore>,
    /// Places for what is on its way to Kafka.
    requests: Arc<Semaphore>,
    looks: looks::Looks,
    trying: Trying,
}

pub fn router(service: Service, room: Room) -> Router {
    let listeners = Arc::new(Semaphore::new(live::CLIENTS));
    let requests = Arc::new(Semaphore::new(requests::AT_ONCE));
    let (looks, trying) = (looks::Looks::default(), Trying::default());
    let shared = Shared { service, room: room.clone(), listeners, requests, looks, trying };
    Router::new()
        .route(SEGMENTS, get(segments::all))
        .route(SEGMENT, get(segments::one))
        .route(MEMBERS, get(members::members))
        .route(HISTORY, get(flows::segment))
        .route(FLOWS, get(flows::ladder))
        .route(CUSTOMER, get(customer::customer).delete(requests::erase))
        .route(LISTS, get(requests::lists))
        .route(LISTED, get(requests::listed).put(requests::put_on).delete(requests::take_off))
        .route(TIMELINE, get(timeline::timeline))
        .route(EXPLAIN, get(explain::explain))
        .route(EXPERIMENTS, get(experiments::all))
        .route(EXPERIMENT, get(experiments::one))
        .route(PROCESSES, get(processes::processes))
        .route(CHECK, post(definitions::check))
        .route(TRY, post(definitions::explain))
        .route(PLAN, post(plan::plan))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(room, bounded))
        // Not bounded in time: it goes on until one of the two has enough.
        .route(TRANSITIONS, get(live::transitions))
        .layer(middleware::map_response(not_stored))
        .with_state(shared)
}

impl Partitions {
    pub fn problem(&self, unread: Unread) -> Problem {
        match unread {
            Unread::NotYet => later(unread.to_string()),
            Unread::Elsewhere(partition) => self.elsewhere(partition),
            Unread::Store(error) => {
                tracing::error!(%error, "a customer cannot be read");
                unreadable()
            }
        }
    }

    /// Where each customer of a list is.
    pub fn places(&self, elsewhere: &[(usize, Partition)]) -> Value {
        let place = |(at, partition): &(usize, Partition)| match self.owners.of(*partition) {
            Some(owner) => json!({"at": at, "partition": partition.0, "owner": owner}),
            None => json!({"at": at, "partition": partition.0}),
        };
        elsewhere.iter().map(place).collect()
    }

    /// Misdirected (RFC 9110 §15.5.20): the same request, sent to the owner, will be answered.
    fn elsewhere(&self, partition: Partition) -> Problem {
        let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, Unread::Elsewhere(partition).to_string());
        let problem = problem.with("partition", json!(partition.0));
        match self.owners.of(partition) {
            Some(owner) => problem.with("owner", json!(owner)),
            None => problem,
        }
    }

    fn covered(&self) -> Covered {
        Covered::new(self.committed.running().into_iter().map(|partition| partition.0), self.committed.partitions())
    }

    /// Reads a customer's partition, off the threads that serve.
    async fn read_of<T: Send + 'static>(
        &self,
        customer: crate::id::CustomerId,
        read: impl FnOnce(&Reading<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<(T, Freshness), Problem> {
        let partitions = self.clone();
        let task = tokio::task::spawn_blocking(move || partitions.committed.read_of(&customer, read));
        task.await.map_err(|_| unreadable())?.map_err(|unread| self.problem(unread))
    }
}

impl From<Freshness> for Fresh {
    fn from(fresh: Freshness) -> Fresh {
        let task_clock = Some(fresh.task_clock).filter(|clock| *clock != EventTime::MIN).map(|clock| clock.to_string());
        Fresh { as_of: fresh.as_of.to_string(), lag_records: fresh.lag, task_clock }
    }
}
