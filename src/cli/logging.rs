//! Where log lines go: to stderr, as text on a terminal and as JSON otherwise.
//!
//! `SEGMENTD_LOG` chooses what is logged, in the form of tracing's directives: `debug`, `warn,segmentd::runtime=debug`.
//!
//! Records of who read or erased a customer (target `audit`) are written whatever is chosen, unless it names `audit`.
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
    let filter = filter(std::env::var("SEGMENTD_LOG").ok().as_deref(), default);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (a test that runs two commands) changes nothing.
    let _already_set =
        if std::io::stderr().is_terminal() { lines.with_target(false).try_init() } else { lines.json().flatten_event(true).try_init() };
}

/// What is asked for, if it can be understood.
fn filter(asked: Option<&str>, default: &str) -> EnvFilter {
    let audited = |directives: &str| {
        let named = directives.split(',').any(|directive| directive.trim_start().starts_with("audit"));
        if named { directives.to_owned() } else { format!("{directives},audit=info") }
    };
    let asked = asked.filter(|text| !text.trim().is_empty()).and_then(|text| EnvFilter::try_new(audited(text)).ok());
    asked.unwrap_or_else(|| EnvFilter::new(audited(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_records_are_written_unless_they_are_named() {
        for (asked, expected) in [
            (None, "audit=info,info"),
            (Some("warn"), "audit=info,warn"),
            (Some("warn,audit=off"), "audit=off,warn"),
            (Some(""), "audit=info,info"),
            (Some("=,="), "audit=info,info"),
        ] {
            assert_eq!(filter(asked, "info").to_string(), expected, "{asked:?}");
        }
    }
}
