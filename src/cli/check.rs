//! `segmentd check`: is everything right with these definitions, streams and configurations?
//!
//! A configuration is checked with all that it names. What a file is, its keys say.

use std::path::PathBuf;

use clap::Parser;

use super::Outcome;
use super::report::{self, Format};
use crate::config::{self, Config, ruleset};
use crate::rule::diagnostic::Diagnostic;

/// Show every problem of definitions and configurations, with its place and a suggestion
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd check config/segmentd.yaml            the configuration, and all that it names
  segmentd check config/segments/                definitions alone, over the built-in streams
  segmentd check --format json config/segments/  for a program: one object a line")]
pub struct Args {
    /// Configurations (segmentd.yaml), files of definitions, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Your own streams, for definitions that are checked alone
    #[arg(long, value_name = "FILE")]
    streams: Option<PathBuf>,
    /// Folder of static lists, for definitions that are checked alone
    #[arg(long, value_name = "FOLDER")]
    lists: Option<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (diagnostics, segments) = check(args);
    match args.format {
        Format::Json => report::print_json(&diagnostics)?,
        Format::Text => {
            report::complain(&diagnostics);
            if !diagnostics.iter().any(Diagnostic::is_error) {
                println!("{segments} segment{} checked", if segments == 1 { "" } else { "s" });
            }
        }
    }
    let failed = diagnostics.iter().any(|diagnostic| diagnostic.is_error() || args.deny_warnings);
    Ok(if failed { Outcome::Failed } else { Outcome::Done })
}

/// Every problem, and how many segments there are if there is no error.
fn check(args: &Args) -> (Vec<Diagnostic>, usize) {
    let (configurations, definitions): (Vec<_>, Vec<_>) = args.paths.iter().cloned().partition(|path| config::is_configuration(path));
    let (mut diagnostics, mut segments) = (vec![], 0);
    let mut check = |streams: Option<&PathBuf>, paths: &[PathBuf], lists: Option<&PathBuf>, id_bytes: usize| {
        let paths = ruleset::Paths { streams: streams.map(PathBuf::as_path), segments: paths, lists: lists.map(PathBuf::as_path) };
        let (ruleset, problems) = ruleset::load(paths, id_bytes);
        segments += ruleset.map_or(0, |ruleset| ruleset.definitions.segments.len());
        problems
    };
    for path in &configurations {
        diagnostics.extend(match config::load(path, std::env::vars()) {
            Ok(Config { streams, segments, lists, limits, .. }) => check(streams.as_ref(), &segments, lists.as_ref(), limits.id_bytes),
            Err(problems) => problems,
        });
    }
    if !definitions.is_empty() {
        diagnostics.extend(check(args.streams.as_ref(), &definitions, args.lists.as_ref(), config::ID_BYTES));
    }
    (diagnostics, segments)
}
