//! `segmentd erase`: asks the service to forget customers, and says where something of them is left until when.
//!
//! **Invariant:** ids go into requests and nowhere else: what is printed names nobody.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use comfy_table::{Table, presets};

use super::Outcome;
use super::report::{self, Format};
use crate::id::CustomerId;
use crate::runtime::erasure::{self, Left};

/// Erase customers: ask the service to forget them, and say what is left where until when
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd erase c-4711
  segmentd erase - < ids.txt          one id a line; leaves no id in the shell's history
  segmentd erase --receipt            what would be left where, without erasing anybody

The request is a record in the first input topic. What it does, and what remains: docs/erasure.md.")]
pub struct Args {
    /// Ids as they stand in `userId`, or `-` for stdin
    #[arg(value_name = "CUSTOMER", required_unless_present = "receipt")]
    customers: Vec<String>,
    /// Erase nobody; only say where something would be left
    #[arg(long, conflicts_with = "customers")]
    receipt: bool,
    /// The configuration; without it config/segmentd.yaml, if there is one, and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(args.config.as_deref()) else { return Ok(Outcome::Refused) };
    let Some(ruleset) = report::definitions(&config) else { return Ok(Outcome::Refused) };
    let settings = report::settings(&config, &ruleset);
    if !args.receipt {
        let customers = customers(&args.customers, config.limits.id_bytes)?;
        erasure::request(&settings, &ruleset.catalogue, &customers)?;
        eprintln!("asked for {} to be erased: done when the service comes to the request", customers.len());
    }
    let left = erasure::receipt(&settings)?;
    let mut out = std::io::stdout();
    match args.format {
        Format::Text => writeln!(out, "{}", table(&left))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(&left)?)?,
    }
    Ok(Outcome::Done)
}

/// Ids of the command line, or those that stand on stdin.
pub(super) fn customers(written: &[String], id_bytes: usize) -> anyhow::Result<Vec<CustomerId>> {
    let read = if written == ["-"] { std::io::read_to_string(std::io::stdin()).context("stdin cannot be read")? } else { String::new() };
    let lines = read.lines().map(str::to_owned);
    let ids: Vec<String> = lines.chain(written.iter().filter(|id| *id != "-").cloned()).filter(|id| !id.is_empty()).collect();
    if let Some(place) = ids.iter().position(|id| id.len() > id_bytes) {
        bail!("id {} of {} is longer than {id_bytes} bytes: the service takes no such customer", place + 1, ids.len());
    }
    Ok(ids.into_iter().map(CustomerId::new).collect())
}

fn table(left: &[Left]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["TOPIC", "WHAT IS LEFT", "GONE BY", "BECAUSE OF"]);
    for Left { topic, what, yours, gone_by, because } in left {
        let by = gone_by.map_or_else(|| "no bound".to_owned(), |at| at.to_string());
        table.add_row([topic.as_str(), what, &by, &format!("{because}{}", if *yours { " (yours)" } else { "" })]);
    }
    table
}
