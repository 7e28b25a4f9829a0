//! `segmentd token`: makes tokens for the HTTP server.
//!
//! **Invariant:** the token itself is printed once and kept nowhere; the file has its hash.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};

use super::{Outcome, report};
use crate::config::access;
use crate::http::access::{Hash, Scope};
use crate::runtime::clock;
use crate::time::EventTime;

/// Make tokens for the HTTP server
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(New),
}

/// Print a new token once, and the line for the file of tokens
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd token new till-berlin --scope read:customers --expires 365d
  segmentd token new prometheus --scope metrics --to tokens.yaml > prometheus.token

Scopes: read:segments, read:customers, write:lists, erase, metrics.")]
struct New {
    /// Who will hold it; audit records say it
    name: String,
    /// What it may do; several times for several
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// When it ends: 90d, or an instant; without it, never
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// How many requests a second it may make
    #[arg(long, value_name = "N", default_value_t = access::PER_SECOND, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_second: u32,
    /// Append the line to this file of tokens instead of printing it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// So that those who look for leaked secrets know one.
const PREFIX: &str = "segmentd_";

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Command::New(new) = &args.command;
    let token = random()?;
    let line = line(new, &token)?;
    match &new.to {
        Some(path) => append(path, &line)?,
        None => eprint!("# For the file that access.tokens names. The token on stdout is kept nowhere else.\n{line}"),
    }
    writeln!(std::io::stdout(), "{token}")?;
    Ok(Outcome::Done)
}

fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes).context("there are no random numbers")?;
    Ok(bytes.iter().fold(PREFIX.to_owned(), |token, byte| format!("{token}{byte:02x}")))
}

fn line(new: &New, token: &str) -> anyhow::Result<String> {
    ensure!(access::is_name(&new.name), "`{}` is no name: letters, digits, `.`, `_` and `-`, at most 64", new.name);
    if let Some(unknown) = new.scopes.iter().find(|scope| Scope::parse(scope).is_none()) {
        bail!("there is no scope `{unknown}`; there are {}", Scope::ALL.map(Scope::as_str).join(", "));
    }
    let expires = new.expires.as_deref().map(end).transpose()?.map(|end| format!(", expires: {end}")).unwrap_or_default();
    let (name, hash, scopes, per_second) = (&new.name, Hash::of(token), new.scopes.join(", "), new.per_second);
    Ok(format!("  - {{name: {name}, sha256: {hash}, scopes: [{scopes}]{expires}, per_second: {per_second}}}\n"))
}

fn end(text: &str) -> anyhow::Result<EventTime> {
    access::end(text, clock::wall()).with_context(|| format!("`{text}` is no end: 90d, or 2027-01-01T00:00:00Z"))
}

/// Nothing is written unless the file is right with the line.
fn append(path: &Path, line: &str) -> anyhow::Result<()> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "tokens:\n".to_owned(),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let text = format!("{}\n{line}", before.trim_end());
    if let Err(problems) = access::parse(&path.display().to_string(), text.clone()) {
        report::complain(&problems);
        bail!("with the new line {} would not be right; nothing was written", path.display());
    }
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
