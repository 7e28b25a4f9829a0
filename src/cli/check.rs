//! `segmentd check`: is everything right with these definitions, streams and configurations?
//!
//! A configuration is checked with all that it names. What a file is, its keys say.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::Outcome;
use super::around::Around;
use super::report::{self, Format};
use crate::config::ruleset::{self, Ruleset};
use crate::config::{self, Kind};
use crate::rule::diagnostic::Diagnostic;
use crate::scenario;

/// Show every problem of definitions and configurations, with its place and a suggestion
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd check config/                         the configuration, and all that it names
  segmentd check config/segments/                definitions alone, over the built-in streams
  segmentd check --format json config/segments/  for a program: one object a line")]
pub struct Args {
    /// Configurations (segmentd.yaml), streams, files of definitions, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    around: Around,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Findings { diagnostics, segments } = check(args);
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

/// What was found so far.
#[derive(Default)]
struct Findings {
    diagnostics: Vec<Diagnostic>,
    /// Of files without an error.
    segments: usize,
}

impl Findings {
    fn configuration(&mut self, path: &Path) {
        match config::load(path, std::env::vars()) {
            Ok(config) => self.take(ruleset::load_for(&config)),
            Err(problems) => self.diagnostics.extend(problems),
        }
    }

    fn take(&mut self, (ruleset, problems): (Option<Ruleset>, Vec<Diagnostic>)) {
        self.diagnostics.extend(problems);
        let Some(Ruleset { definitions, catalogue, .. }) = ruleset else { return };
        self.segments += definitions.segments.len();
        self.diagnostics.extend(scenario::read_tests(&definitions, &catalogue).1);
    }
}

fn check(args: &Args) -> Findings {
    let mut findings = Findings::default();
    let mut definitions = vec![];
    for path in &args.paths {
        // A folder with a configuration in it is meant as that.
        let within = path.join("segmentd.yaml");
        let path = if within.exists() { &within } else { path };
        match config::kind(path) {
            Kind::Configuration => findings.configuration(path),
            Kind::Streams => findings.diagnostics.extend(ruleset::catalogue(Some(path)).1),
            Kind::Definitions => definitions.push(path.clone()),
        }
    }
    // Together: they may name each other.
    if !definitions.is_empty() {
        findings.take(args.around.load(&definitions));
    }
    findings
}
