//! The service in this process: the runtime's threads, the HTTP server beside them, and the signals that end both.
//!
//! **Invariant:** the HTTP server answers from before the first record is read until after the last is committed, so
//! that a probe sees every state.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Sender, unbounded};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::credentials::Credentials;
use super::reload::{Listing, Origin, Reload};
use super::systemd;
use crate::audit::Audit;
use crate::config::Config;
use crate::config::ruleset::Ruleset;
use crate::history::{self, Following, History};
use crate::http::lookup::{self, Lookup, Source};
use crate::http::peers::Peers;
use crate::http::room::Limits;
use crate::http::service::{InForce, Partitions, Rules};
use crate::http::{self, PROGRESS_LIMIT, ROUTES, Server, Site, console};
use crate::kafka::wire::RejectCode;
use crate::metrics::{Labels, Metrics};
use crate::plan::Plan;
use crate::runtime::committed::Committed;
use crate::runtime::feed::Feed;
use crate::runtime::measuring::Measuring;
use crate::runtime::owners::Owners;
use crate::runtime::status::Status;
use crate::runtime::{self, Definitions, Observed, RunError, Settings, Shutdown};

/// The states of a task's life that metrics show.
const TASK_STATES: [&str; 2] = ["restoring", "running"];

/// How many answers read the disk at once; the others wait for their turn.
const READERS: usize = 8;

pub struct Service {
    settings: Settings,
    definitions: Definitions,
    rules: InForce,
    changes: Sender<Arc<Plan>>,
    reload: Option<Reload>,
    credentials: Option<Credentials>,
    following: Option<Following>,
    measuring: Measuring,
    observed: Observed,
    server: Server,
    io: Runtime,
}

impl Service {
    /// Listens already; reads nothing yet. `plan`: of the ruleset.
    pub fn new(
        settings: Settings,
        history: Option<history::Settings>,
        ruleset: &Ruleset,
        plan: Arc<Plan>,
        listen: &str,
        peers: Peers,
    ) -> anyhow::Result<Service> {
        let observed = Observed {
            metrics: Metrics::new(&labels(&settings, ruleset))?,
            status: Status::new(),
            committed: Committed::default(),
            owners: Owners::default(),
            feed: Feed::default(),
            audit: Audit::default(),
        };
        let following = history.map(|settings| Following {
            history: History::new(settings.keep),
            settings,
            committed: observed.committed.clone(),
            metrics: observed.metrics.history.clone(),
        });
        let measuring = Measuring::new(observed.metrics.experiments.clone());
        let io = http_threads(READERS)?;
        let partitions = Partitions { committed: observed.committed.clone(), owners: observed.owners.clone() };
        let rules =
            InForce::new(Rules { definitions: ruleset.definitions.clone(), plan: plan.clone(), list_topics: ruleset.list_topics.clone() });
        let service = http::service::Service {
            partitions: partitions.clone(),
            rules: rules.clone(),
            metrics: observed.metrics.clone(),
            feed: observed.feed.clone(),
            history: following.as_ref().map(|following| following.history.clone()),
            measuring: measuring.clone(),
            status: observed.status.clone(),
            peers,
            requests: Some(Arc::new(settings.clone())),
        };
        let lookup = Lookup { source: Source::Service(partitions), limits: Limits::new(settings.limits.id_bytes) };
        let site = Site {
            metrics: observed.metrics.clone(),
            status: observed.status.clone(),
            progress_limit: PROGRESS_LIMIT,
            lookup: Some(lookup),
            service: Some(service),
        };
        let server = io.block_on(Server::bind(listen, site)).context("the HTTP server cannot start")?;
        tracing::info!(address = %server.address(), "listening");
        let (changes, changed) = unbounded();
        let definitions = Definitions { plan, changes: changed };
        Ok(Service { settings, definitions, rules, changes, reload: None, credentials: None, following, measuring, observed, server, io })
    }

    /// Follows the files that `config` names.
    pub fn reloading(mut self, origin: Origin, config: Config, listing: Listing) -> Service {
        let metrics = self.observed.metrics.reloads.clone();
        let in_force = self.definitions.plan.clone();
        let reload = Reload::new(origin, config, in_force, self.rules.clone(), self.changes.clone(), metrics, self.settings.clone());
        self.reload = Some(reload.listing(listing));
        self
    }

    /// Answers only whom the files let that `config` names, and follows them.
    pub fn protected(mut self, config: &Config) -> anyhow::Result<Service> {
        let credentials = Credentials::read(config, &self.observed.metrics, self.observed.audit.clone())?;
        self.server = credentials.protect(self.server);
        self.credentials = Some(credentials);
        Ok(self)
    }

    /// Shows the console.
    pub fn with_console(mut self) -> Service {
        self.server = self.server.with_console();
        self
    }

    /// Where metrics and health are.
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// Blocks until a signal or `shutdown` ends the service, or it cannot go on.
    pub fn run(self, shutdown: &Shutdown) -> Result<(), RunError> {
        let Service { settings, definitions, rules: _, changes: _, reload, credentials, following, measuring, observed, server, io } = self;
        let (stop_http, stopped) = watch::channel(false);
        io.spawn(request_at_signal(shutdown.clone()));
        io.spawn(systemd::tell(observed.status.clone()));
        if let Some(reload) = reload {
            let (hang_up, hangups) = unbounded();
            io.spawn(tell_hangups(hang_up));
            // It ends when the runtime does, and with it the sender of hang-ups.
            named_thread("reload", move || reload.follow(&hangups))?;
        }
        credentials.map(|credentials| io.spawn(credentials.follow()));
        let http = io.spawn(server.run(stopped));
        let over = shutdown.clone();
        let following = following.map(|following| named_thread("history", move || following.run(&over))).transpose()?;
        let (over, committed) = (shutdown.clone(), observed.committed.clone());
        let measuring = named_thread("experiments", move || measuring.follow(&committed, &over))?;
        let result = runtime::run(settings, definitions, observed, shutdown);
        shutdown.request();
        // They have nothing to hand over: a panic there is in the log, and what they keep is a cache.
        following.into_iter().chain([measuring]).for_each(|thread| drop(thread.join()));
        // Nobody may be left to hear it; then there is nothing to stop.
        let _ = stop_http.send(true);
        match io.block_on(http) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the HTTP server failed"),
            Err(error) => tracing::error!(%error, "the HTTP server ended badly"),
        }
        io.shutdown_timeout(Duration::from_millis(100));
        result
    }
}

fn named_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, RunError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(RunError::NoThread)
}

fn labels(settings: &Settings, ruleset: &Ruleset) -> Labels {
    Labels {
        topics: settings.inputs(),
        streams: ruleset.catalogue.streams.iter().map(|stream| stream.name.clone()).collect(),
        segments: ruleset.definitions.segments.iter().map(|segment| segment.key.clone()).collect(),
        reject_reasons: RejectCode::ALL.map(RejectCode::as_str).to_vec(),
        task_states: TASK_STATES.to_vec(),
        routes: ROUTES.into_iter().chain(lookup::ROUTES).chain(http::service::ROUTES).chain(console::ROUTES).collect(),
    }
}

pub(super) async fn request_at_signal(shutdown: Shutdown) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be received; only kill -9 ends this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    systemd::tell_stopping();
    shutdown.request();
}

/// One for each SIGHUP.
async fn tell_hangups(hang_up: Sender<()>) {
    let Ok(mut signals) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be received; it ends this process");
        return;
    };
    while signals.recv().await.is_some() && hang_up.send(()).is_ok() {}
}

/// What HTTP is answered on: two threads, and up to `readers` more that wait for the disk.
pub fn http_threads(readers: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(readers).thread_name("http").enable_all().build()
}
