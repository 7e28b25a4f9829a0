//! `segmentd import`: rules from the languages of others.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};

use super::{Outcome, report};
use crate::config::ruleset;
use crate::rule::definition::MAX_FILE_BYTES;
use crate::rule::diagnostic::{Diagnostic, Location, Source};
use crate::rule::import::segment_query;

/// Turn an audience of another system into a rule
#[derive(Parser)]
#[command(after_help = "\
Examples:
  echo \"event('Order Completed').within(30 days).count() >= 3\" | segmentd import segment -
  segmentd import segment audience.sql --key loyal >> config/segments/loyal.yaml")]
pub struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    Segment(Segment),
}

/// From an audience query in Segment's query language
#[derive(Parser)]
#[command(after_help = "\
What cannot be said in a rule is refused, with its place and a reason. docs/segment-queries.md sets the two languages side
by side. Exit codes: 0 imported, 1 refused, 2 usage.")]
struct Segment {
    /// A file with one query; `-` is stdin
    file: PathBuf,
    /// Print a whole definition with this key, not the rule alone
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Your own streams: which events and properties there are
    #[arg(long, value_name = "FILE")]
    streams: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let From::Segment(args) = &args.from;
    let (catalogue, mut diagnostics) = ruleset::catalogue(args.streams.as_deref());
    let source = Source::new(args.file.display().to_string(), read(&args.file)?);
    match segment_query(&source.text, &catalogue) {
        Ok(rule) if diagnostics.is_empty() => println!("{}", printed(&rule.to_string(), args.key.as_deref())),
        Ok(_) => {}
        Err(findings) => diagnostics.extend(findings.into_iter().map(|finding| {
            let bytes = Some(finding.place.start as usize..finding.place.end as usize);
            finding.at(Location { source: source.clone(), bytes })
        })),
    }
    report::complain(&diagnostics);
    Ok(if diagnostics.iter().any(Diagnostic::is_error) { Outcome::Failed } else { Outcome::Done })
}

fn printed(rule: &str, key: Option<&str>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    key.map_or_else(|| rule.to_owned(), |key| format!("segments:\n  - key: {}\n    when: {}", quoted(key), quoted(rule)))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut text = String::new();
    let reader: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).with_context(unreadable)?),
    };
    reader.take(MAX_FILE_BYTES).read_to_string(&mut text).with_context(unreadable)?;
    Ok(text)
}
