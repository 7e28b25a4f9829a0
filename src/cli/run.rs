//! `segmentd run`: the service, until it is told to stop.
//!
//! SIGTERM and SIGINT ask it to stop: it commits what it has, leaves the group and ends, in under five seconds. SIGHUP,
//! or a change of their files, makes it load segments, lists and streams anew ([`super::reload`]).
//!
//! **Invariant:** nothing is started before configuration, streams, lists and definitions have all been checked.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use crossbeam_channel::unbounded;

use super::reload::{Listing, Origin};
use super::service::Service;
use super::{Outcome, logging, report};
use crate::config;
use crate::kafka::topics::TopicError;
use crate::runtime::listed::{ListError, ListTopics};
use crate::runtime::{RunError, Shutdown};

/// Run the service: Kafka in, Kafka out
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd run
  SEGMENTD_KAFKA__BOOTSTRAP=kafka:9092 segmentd run --config /etc/segmentd/segmentd.yaml

Any scalar of the configuration may be set by the environment, as above. SEGMENTD_LOG chooses what is logged: info,
debug, or tracing's directives. It writes JSON where stderr is no terminal.")]
pub struct Args {
    /// The configuration; the environment counts before it
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(Some(&args.config)) else { return Ok(Outcome::Refused) };
    let origin = Origin::of(args.config.clone(), &config);
    let Some(ruleset) = report::definitions(&config) else { return Ok(Outcome::Refused) };
    logging::start();
    tracing::info!(deployment = config.deployment, segments = ruleset.definitions.segments.len(), "starting");
    let (changed, changes) = unbounded();
    let topics = ListTopics::new(config.kafka_settings(), config.limits.id_bytes, changed);
    if let Err(error) = topics.follow(ruleset.list_topics.values()) {
        eprintln!("error: {error}");
        return Ok(if matches!(error, ListError::Missing(_)) { Outcome::Refused } else { Outcome::Failed });
    }
    let plan = Arc::new(ruleset.plan_with(&topics.contents(&ruleset.list_topics)));
    let service =
        Service::new(config.service_settings(), config.history_settings(), &ruleset, plan, &config.listen.to_string(), config.peers())?;
    let service = if config.console { service.with_console() } else { service };
    let listing = Listing { topics, changes, ruleset };
    let service = service.protected(&config)?.reloading(origin, config, listing);
    match service.run(&Shutdown::default()) {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if is_configuration(&error) => {
            eprintln!("error: {error}");
            Ok(Outcome::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

/// Trying again would not help: somebody has to change the configuration or the topics.
fn is_configuration(error: &RunError) -> bool {
    match error {
        RunError::OwnedProperty { .. } => true,
        RunError::Topics(topics) => !matches!(topics, TopicError::Unreachable { .. } | TopicError::CreationFailed { .. }),
        _ => false,
    }
}
