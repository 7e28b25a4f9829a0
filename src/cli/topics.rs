//! `segmentd topics`: which topics the configuration needs, which of them exist, and what does not fit.

use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};

use super::{Outcome, report};
use crate::config::Config;
use crate::kafka::topics::{self, Existing, Purpose, Topics, Wanted};

/// Show the topics that the configuration needs, and create those that are missing
#[derive(Parser)]
#[command(after_help = "Examples:\n  segmentd topics\n  segmentd topics --create --config config/segmentd.yaml")]
pub struct Args {
    /// The configuration; without it config/segmentd.yaml, if there is one, and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Create what is missing, with the settings that each purpose needs; inputs are yours to create
    #[arg(long)]
    create: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(args.config.as_deref()) else { return Ok(Outcome::Refused) };
    let Some(ruleset) = report::definitions(&config) else { return Ok(Outcome::Refused) };
    let settings = report::settings(&config, &ruleset);
    let wanted = settings.wanted_topics();
    let cluster = Topics::connect(&config.kafka_settings())?;
    let mut existing = cluster.existing()?;
    if args.create {
        let partitions = topics::input_partitions(&existing, &config.input.topics)?;
        let missing = topics::missing(&existing, &wanted, partitions)?;
        cluster.create(&missing, partitions, existing.brokers)?;
        existing = cluster.existing()?;
    }
    writeln!(std::io::stdout(), "{}", table(&config, &wanted, &existing))?;
    Ok(verdict(&config, &wanted, &existing))
}

/// Everything exists, with counts that fit.
fn verdict(config: &Config, wanted: &[Wanted], existing: &Existing) -> Outcome {
    let missing =
        topics::input_partitions(existing, &config.input.topics).and_then(|partitions| topics::missing(existing, wanted, partitions));
    match missing {
        Ok(missing) if missing.is_empty() => Outcome::Done,
        Ok(missing) => {
            eprintln!("{} missing; `segmentd topics --create` creates what is ours to create", missing.len());
            Outcome::Failed
        }
        Err(error) => {
            eprintln!("error: {error}");
            Outcome::Failed
        }
    }
}

fn table(config: &Config, wanted: &[Wanted], existing: &Existing) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["TOPIC", "PURPOSE", "PARTITIONS"]);
    let partitions = |topic: &str| existing.partitions.get(topic).map_or("missing".to_owned(), ToString::to_string);
    for topic in &config.input.topics {
        table.add_row([topic.to_string(), "input".to_owned(), partitions(&topic.0)]);
    }
    for Wanted { topic, purpose } in wanted {
        table.add_row([topic.to_string(), described(*purpose).to_owned(), partitions(&topic.0)]);
    }
    table
}

fn described(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Log => "output",
        Purpose::DeadLetters => "records that could not be read",
        Purpose::Latest => "output, compacted",
        Purpose::Changelog => "state, compacted",
        Purpose::Owners => "owners of partitions, compacted",
        Purpose::Ranks => "ranks of customers, compacted",
        Purpose::Repartition => "records on their way to another partition",
    }
}
