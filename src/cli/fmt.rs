//! `segmentd fmt`: rules in their canonical text, and from text to JSON and back.
//!
//! **Invariant:** a file is written only if all of its rules could be read, and then means what it meant.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use super::{Outcome, report};
use crate::rule::definition;
use crate::rule::diagnostic::{Diagnostic, Location, Source};
use crate::rule::format::{Change, format};
use crate::rule::{self, json};

/// Write rules in their canonical text, or convert one between text and JSON
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd fmt config/segments/                    every rule in canonical text
  segmentd fmt --check config/segments/            which rules are not? (exit code 1 if any)
  segmentd fmt --to json 'count(orders last 2w)>1'
  segmentd fmt --to text < rule.json

Only rules are rewritten, in the quotes they had; comments, order and layout around them stay. In a block (`|`, `>`) each
part of the outermost `and` or `or` gets a line of its own. A rule with a comment in it is left as it is.")]
pub struct Args {
    /// Files of definitions or tests, or folders of them; with --to, one rule, or nothing (or `-`) for stdin
    #[arg(required_unless_present = "to", value_name = "PATH|RULE")]
    what: Vec<String>,
    /// Change nothing; list what differs
    #[arg(long, conflicts_with = "to")]
    check: bool,
    /// Convert one rule to this form
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Text,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match args.to {
        Some(form) => convert(form, &args.what),
        None => files(&args.what.iter().map(PathBuf::from).collect::<Vec<_>>(), args.check),
    }
}

fn files(paths: &[PathBuf], only_check: bool) -> anyhow::Result<Outcome> {
    let (sources, mut diagnostics) = definition::sources(paths);
    let (tests, unreadable) = definition::test_sources(&paths.iter().filter(|path| path.is_dir()).cloned().collect::<Vec<_>>());
    diagnostics.extend(unreadable);
    let (mut files, mut rules) = (0, 0);
    for source in sources.iter().chain(&tests) {
        match format(source) {
            Ok(formatted) if formatted.changes.is_empty() => {}
            Ok(formatted) => {
                files += 1;
                rules += formatted.changes.len();
                if only_check {
                    formatted.changes.iter().for_each(show);
                } else {
                    std::fs::write(&source.name, &formatted.text).with_context(|| format!("cannot write {}", source.name))?;
                    println!("{}", source.name);
                }
            }
            Err(problems) => diagnostics.extend(problems),
        }
    }
    report::complain(&diagnostics);
    if rules > 0 {
        eprintln!("{rules} rules in {files} files {}", if only_check { "are not in canonical text" } else { "rewritten" });
    }
    let good = diagnostics.is_empty() && !(only_check && rules > 0);
    Ok(if good { Outcome::Done } else { Outcome::Failed })
}

fn show(change: &Change) {
    println!("{}\n- {}\n+ {}", change.location, change.before, change.after);
}

fn convert(form: Form, what: &[String]) -> anyhow::Result<Outcome> {
    let text = match what {
        [] => from_stdin()?,
        [one] if one == "-" => from_stdin()?,
        [one] => one.clone(),
        _ => anyhow::bail!("--to takes one rule: put it in quotes"),
    };
    match converted(form, &text) {
        Ok(converted) => {
            println!("{converted}");
            Ok(Outcome::Done)
        }
        Err(diagnostics) => {
            report::complain(&diagnostics);
            Ok(Outcome::Failed)
        }
    }
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    // Twice the longest rule: its JSON form is longer than its text.
    std::io::stdin().take(64 * rule::parser::MAX_BYTES as u64).read_to_string(&mut text).context("cannot read stdin")?;
    Ok(text)
}

fn converted(form: Form, text: &str) -> Result<String, Vec<Diagnostic>> {
    let source = Source::new("rule", text);
    let whole = || Location { source: source.clone(), bytes: None };
    match form {
        Form::Json => {
            let at = |bytes| Location { source: source.clone(), bytes };
            let place = |finding: rule::diagnostic::Finding| {
                let bytes = finding.place.start as usize..finding.place.end as usize;
                finding.at(at(Some(bytes)))
            };
            let expr = rule::parse(text).map_err(|findings| findings.into_iter().map(place).collect::<Vec<_>>())?;
            Ok(format!("{:#}", json::to_json(&expr)))
        }
        Form::Text => {
            let json = serde_json::from_str(text).map_err(|error| vec![not_json(&source, &error)])?;
            let expr = json::from_json(&json).map_err(|message| vec![Diagnostic::error("bad-rule", whole(), message)])?;
            Ok(expr.to_string())
        }
    }
}

fn not_json(source: &std::sync::Arc<Source>, error: &serde_json::Error) -> Diagnostic {
    let before: usize = source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = (before + error.column().saturating_sub(1)).min(source.text.len());
    Diagnostic::error("bad-json", Location { source: source.clone(), bytes: Some(at..at) }, format!("this is not JSON: {error}"))
}
