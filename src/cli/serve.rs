//! `segmentd serve`: a read replica of the memberships, for lookups over HTTP.
//!
//! **Invariant:** it answers health from before the first record is read; lookups only from a copy that has been read to
//! its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::sync::watch;

use super::credentials::Credentials;
use super::service::{http_threads, request_at_signal};
use super::{Outcome, logging, report, systemd};
use crate::audit::Audit;
use crate::config::{self, Config};
use crate::http::lookup::{self, Lookup, Source};
use crate::http::room::Limits;
use crate::http::{self, PROGRESS_LIMIT, Server, Site};
use crate::metrics::{Labels, Metrics};
use crate::replica::{self, Memberships};
use crate::runtime::Shutdown;
use crate::runtime::status::Status;

/// How many lookups read the disk at once; the others wait for their turn.
const READERS: usize = 16;

/// Answer lookups: which segments is a customer in?
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd serve
  curl http://127.0.0.1:8081/api/v1/customers/ann/segments?segment=loyal
  SEGMENTD_STATE__DIR=/var/lib/replica-2 SEGMENTD_SERVE__LISTEN=127.0.0.1:8082 segmentd serve

A read replica of the membership topic, in a folder of its own below state.dir. Any number of them may run, each with
its own folder. It reads the sections deployment, kafka, output, state, limits, access and serve of the configuration.")]
pub struct Args {
    /// The configuration; the environment counts before it
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(Some(&args.config)) else { return Ok(Outcome::Refused) };
    logging::start();
    let routes = http::ROUTES.into_iter().chain(lookup::ROUTES).collect();
    let metrics = Metrics::new(&Labels { routes, ..Labels::default() })?;
    serve(&config, &metrics)
}

fn serve(config: &Config, metrics: &Metrics) -> anyhow::Result<Outcome> {
    let (status, shutdown, memberships) = (Status::new(), Shutdown::default(), Arc::new(Memberships::default()));
    let io = http_threads(READERS)?;
    let lookup = Lookup { source: Source::Replica(memberships.clone()), limits: Limits::new(config.limits.id_bytes) };
    let site =
        Site { metrics: metrics.clone(), status: status.clone(), progress_limit: PROGRESS_LIMIT, lookup: Some(lookup), service: None };
    let credentials = Credentials::read(config, metrics, Audit::default())?;
    let server = io.block_on(Server::bind(&config.serve.to_string(), site)).context("the HTTP server cannot start")?;
    let server = credentials.protect(server);
    tracing::info!(address = %server.address(), topic = %config.output.membership, "listening");
    let (stop_http, stopped) = watch::channel(false);
    io.spawn(request_at_signal(shutdown.clone()));
    io.spawn(credentials.follow());
    io.spawn(systemd::tell(status.clone()));
    let http = io.spawn(server.run(stopped));
    let result = replica::run(config.replica_settings(), memberships, metrics, status, &shutdown);
    // Nobody may be left to hear it; then there is nothing to stop.
    let _ = stop_http.send(true);
    io.block_on(http)??;
    io.shutdown_timeout(Duration::from_millis(100));
    result?;
    Ok(Outcome::Done)
}
