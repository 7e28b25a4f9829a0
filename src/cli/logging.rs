//! Where log lines go: to stderr, as text on a terminal and as JSON otherwise.
//!
//! `SEGMENTD_LOG` chooses what is logged, in the form of tracing's directives: `debug`, `warn,segmentd::runtime=debug`.
//!
//! **Invariant:** set up once, by the commands that run long; a log line never goes to stdout.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// For the service.
pub fn start() {
    start_at("info");
}

/// For a command that shows something else.
pub fn start_quiet() {
    start_at("error");
}

fn start_at(default: &str) {
    let filter = EnvFilter::try_from_env("SEGMENTD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (a test that runs two commands) changes nothing.
    let _already_set =
        if std::io::stderr().is_terminal() { lines.with_target(false).try_init() } else { lines.json().flatten_event(true).try_init() };
}
