//! `segmentd audit`: what stands for a customer in audit records, so that these are found.
//!
//! **Invariant:** no id is printed, and no key.

use std::io::Write;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;

use super::{Outcome, erase, report};
use crate::config::access;

/// Find a customer in audit records: print what stands for it there
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd audit - < id.txt | grep -F -f - service.log
                                    every record of this customer; leaves no id in the shell's history
  segmentd audit c-4711 --key secret/audit-2025.key
                                    by a key that was in force before, too

One hash a line, for each key and each customer: of access.audit_key, then of each --key. What records say: docs/access.md.")]
pub struct Args {
    /// Ids as they stand in `userId`, or `-` for stdin, one a line
    #[arg(value_name = "CUSTOMER", required = true)]
    customers: Vec<String>,
    /// A key that was in force before; several times for several
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The configuration; without it config/segmentd.yaml, if there is one, and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(args.config.as_deref()) else { return Ok(Outcome::Refused) };
    let files = config.access.audit_key.iter().chain(&args.keys);
    let keys = files.map(|file| access::audit_key(file)).collect::<Result<Vec<_>, _>>()?;
    ensure!(!keys.is_empty(), "there is no key: set access.audit_key, or give one with --key");
    let customers = erase::customers(&args.customers, config.limits.id_bytes)?;
    let mut out = std::io::stdout();
    for key in &keys {
        for customer in &customers {
            writeln!(out, "{}", key.hash(customer.as_str()))?;
        }
    }
    Ok(Outcome::Done)
}
