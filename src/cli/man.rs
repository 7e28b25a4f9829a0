//! `segmentd man`: the manual pages, made from the same text as `--help`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;

use super::{Cli, Outcome};

/// Print the manual page, or write those of all commands
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  segmentd man | man -l -\n  segmentd man --to /usr/local/share/man/man1")]
pub struct Args {
    /// A folder; segmentd.1, segmentd-run.1 and so on are written there
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if let Some(folder) = &args.to {
        clap_mangen::generate_to(Cli::command(), folder).with_context(|| format!("{} cannot be written to", folder.display()))?;
        return Ok(Outcome::Done);
    }
    let mut page = vec![];
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(Outcome::Done)
}
