//! `segmentd completions`: a script for the shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Outcome};

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "Example:\n  segmentd completions bash > /etc/bash_completion.d/segmentd")]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    // Into memory first: the generator panics where a pipe closes early.
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "segmentd", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(Outcome::Done)
}
