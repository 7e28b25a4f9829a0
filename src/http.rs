//! The HTTP interface: is it alive, is it ready, what are its figures, which version is it.
//!
//! | route | answers |
//! | --- | --- |
//! | `/livez` | 200 while every thread makes progress; 503 names those that do not. Never depends on Kafka |
//! | `/readyz` | 200 once partitions are assigned, restored and read; its checks as JSON; 503 otherwise |
//! | `/metrics` | Prometheus text exposition format |
//! | `/version` | version and git revision |
//!
//! A read replica answers [lookups](lookup) beside these, a service more, and [pages for people](console). Who may ask what is for [one layer](access) to say.
//!
//! Every error is a problem document (RFC 9457). Everything from outside is bounded: connections, idle time, the time
//! that a shutdown waits.
//!
//! **Invariant:** a request reads what the threads have published and never waits for them.

pub mod access;
pub mod console;
mod health;
mod listener;
pub mod lookup;
mod parameters;
pub mod peers;
pub mod place;
mod problem;
pub mod room;
pub mod service;
pub mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::{Build, CONTENT_TYPE, Metrics};
use crate::runtime::clock;
use crate::runtime::status::Status;
use access::Access;
use health::Progress;
use listener::{Bounded, Bounds};
use lookup::Lookup;
use problem::Problem;
use room::{Limits, Room};
use service::Service;
use tls::Identity;

/// Every route of every process, as request metrics name them.
pub const ROUTES: [&str; 5] = ["/livez", "/readyz", "/metrics", "/version", OTHER];

/// The route of all paths that are none: what a client writes never becomes a label.
const OTHER: &str = "other";

/// What a shutdown grants to requests that are being answered; the whole process has five seconds.
const GRACE: Duration = Duration::from_secs(1);

/// How long a thread may stand still before the process is better restarted: well beyond any bounded call, and short
/// enough that its partitions are not silent for long.
pub const PROGRESS_LIMIT: Duration = Duration::from_secs(30);

/// Why the server cannot run: stop, a person has to act.
#[derive(thiserror::Error, Debug)]
pub enum HttpError {
    #[error("cannot listen on {listen}; {hint}")]
    Bind { listen: String, hint: &'static str, source: io::Error },
    #[error("the HTTP server failed")]
    Serve(#[from] io::Error),
}

/// What the routes show.
#[derive(Clone)]
pub struct Site {
    pub metrics: Metrics,
    pub status: Status,
    /// A thread that has not come round for this long is stuck; [`PROGRESS_LIMIT`] in service.
    pub progress_limit: Duration,
    /// What lookups are answered from, where they are.
    pub lookup: Option<Lookup>,
    /// Of a running service.
    pub service: Option<Service>,
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: Bounded,
    address: SocketAddr,
    router: Router,
    access: Access,
    shown: Shown,
}

#[derive(Clone)]
struct Shown {
    metrics: Metrics,
    status: Status,
    progress: Arc<Progress>,
}

impl Server {
    /// Listens on `listen` (`host:port`; port 0 takes a free one).
    pub async fn bind(listen: &str, site: Site) -> Result<Server, HttpError> {
        let bounds = if site.lookup.is_some() { Bounds::LOOKUPS } else { Bounds::DEFAULT };
        Server::bind_within(listen, site, bounds).await
    }

    async fn bind_within(listen: &str, site: Site, bounds: Bounds) -> Result<Server, HttpError> {
        let bind = async { TcpListener::bind(listen).await.and_then(|listener| Ok((listener.local_addr()?, listener))) };
        let (address, listener) = bind.await.map_err(|source| refused(listen, source))?;
        let shown = Shown { metrics: site.metrics, status: site.status, progress: Arc::new(Progress::new(site.progress_limit)) };
        let router = router(shown.clone(), site.lookup, site.service);
        Ok(Server { listener: Bounded::new(listener, bounds), address, router, access: Access::open(), shown })
    }

    /// Answers only whom `access` lets, and speaks TLS if there is an identity.
    pub fn protected(mut self, access: Access, identity: Option<Identity>) -> Server {
        self.access = access;
        identity.into_iter().for_each(|identity| self.listener.as_identity(identity));
        self
    }

    /// Shows the console too.
    pub fn with_console(mut self) -> Server {
        self.router = self.router.merge(console::router());
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` turns true or its sender is gone, then lets open requests end, for a second at most.
    pub async fn run(self, shutdown: watch::Receiver<bool>) -> Result<(), HttpError> {
        let guarded = self.router.layer(middleware::from_fn_with_state(self.access, access::guard));
        // Outermost: who is turned away is counted too.
        let observed = guarded.layer(middleware::from_fn_with_state(self.shown, observe));
        let serve = axum::serve(self.listener, observed).with_graceful_shutdown(stopped(shutdown.clone()));
        tokio::select! {
            served = serve => Ok(served?),
            () = async { stopped(shutdown).await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error says that the sender is gone: nobody could ever stop us again.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn refused(listen: &str, source: io::Error) -> HttpError {
    let hint = match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there: stop it, or set http.listen (SEGMENTD_HTTP__LISTEN), of a replica serve.listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege: set http.listen (SEGMENTD_HTTP__LISTEN), of a replica serve.listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: set http.listen (SEGMENTD_HTTP__LISTEN), of a replica serve.listen"
        }
        _ => "http.listen (SEGMENTD_HTTP__LISTEN), of a replica serve.listen, is host:port, as in 127.0.0.1:8080",
    };
    HttpError::Bind { listen: listen.into(), hint, source }
}

fn router(shown: Shown, lookup: Option<Lookup>, service: Option<Service>) -> Router {
    let room = Room::new(lookup.as_ref().map_or_else(|| Limits::new(0), |lookup| lookup.limits));
    let lookups = lookup.map(|lookup| lookup::router(lookup.source, room.clone())).unwrap_or_default();
    let services = service.map(|service| service::router(service, room)).unwrap_or_default();
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(shown)
        .merge(lookups)
        .merge(services)
        .fallback(not_served)
}

async fn not_served() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such route; see /livez, /readyz, /metrics, /version, and /openapi.json")
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(e) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

async fn version() -> impl IntoResponse {
    Json(serde_json::json!({"version": Build::CURRENT.version, "revision": Build::CURRENT.revision}))
}

/// Records how long a request took.
async fn observe(State(shown): State<Shown>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.and_then(|path| access::route_of(path.as_str())).unwrap_or(OTHER);
    let started = clock::now();
    let response = next.run(request).await;
    shown.metrics.requests.observe(route, response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}
