//! The commands of `segmentd`, one file each.
//!
//! Results go to stdout, everything else to stderr; colours and progress only to a terminal.
//!
//! **Invariant:** the exit code is one of [`Outcome`]'s; nothing below here ends the process.

mod around;
mod audit;
mod check;
mod completions;
mod credentials;
mod demo;
mod erase;
mod experiment;
mod explain;
mod fmt;
mod import;
mod input;
mod load;
mod logging;
mod man;
mod past;
mod plan;
mod ready;
mod reload;
mod remote;
mod replay;
mod report;
mod run;
mod schema;
mod serve;
mod service;
mod systemd;
mod test;
mod token;
mod topics;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::metrics::Build;

const EXAMPLES: &str = "\
Examples:
  segmentd demo                            customers enter and leave; nothing to install
  segmentd check config/                   is everything right?
  segmentd test config/segments/           do the rules do what their tests say?
  segmentd replay --segments config/segments/ events.ndjson
                                           what would have happened?
  segmentd report coupon_programme --segments config/segments/ events.ndjson
                                           did the campaign pay?
  segmentd run                             the service: Kafka in, Kafka out
  segmentd serve                           which segments is a customer in? over HTTP

Exit codes: 0 done, 1 a check or a command failed, 2 usage, 78 configuration refused.";

/// Kafka events in, exactly-once segment transitions out.
#[derive(Parser)]
#[command(name = "segmentd", after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Serve(serve::Args),
    Demo(demo::Args),
    Replay(replay::Args),
    Check(check::Args),
    Test(test::Args),
    Fmt(fmt::Args),
    Explain(explain::Args),
    Plan(plan::Args),
    Report(experiment::Args),
    Import(import::Args),
    Load(load::Args),
    Topics(topics::Args),
    Erase(erase::Args),
    Audit(audit::Args),
    Token(token::Args),
    Schema(schema::Args),
    Ready(ready::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// How a command ended; [`anyhow::Error`] is for what could not be done at all, and counts as `Failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// A check failed, or a command could not do its work.
    Failed,
    /// The configuration was refused at start (`EX_CONFIG` of sysexits.h).
    Refused,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let Build { version, revision } = Build::CURRENT;
    let version: &'static str = format!("{version} ({revision})").leak();
    let matches = Cli::command().version(version).get_matches();
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => exit_code(cli.command.run()),
        Err(error) => error.exit(),
    }
}

impl Command {
    fn run(self) -> anyhow::Result<Outcome> {
        match self {
            Command::Run(args) => run::run(&args),
            Command::Serve(args) => serve::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Test(args) => test::run(&args),
            Command::Fmt(args) => fmt::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Plan(args) => plan::run(&args),
            Command::Report(args) => experiment::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Load(args) => load::run(&args),
            Command::Topics(args) => topics::run(&args),
            Command::Erase(args) => erase::run(&args),
            Command::Audit(args) => audit::run(&args),
            Command::Token(args) => token::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Ready(args) => ready::run(&args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    }
}

fn exit_code(outcome: anyhow::Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Refused) => ExitCode::from(78),
        // `segmentd replay … | head` has what it wanted.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::from(1)
        }
    }
}

/// An error with its causes. Many name theirs within a sentence; such a cause is not said once more.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_told_once() {
        let bare = || anyhow::Error::from(io::Error::other("no room"));
        assert_eq!(
            told(&bare().context("cannot write: no room; free some").context("stopped")),
            "stopped: cannot write: no room; free some"
        );
        assert_eq!(told(&bare().context("stopped")), "stopped: no room");
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("another")));
    }
}
