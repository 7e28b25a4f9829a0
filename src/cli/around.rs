//! What stands around definitions that a command reads without a configuration: the user's own streams and lists.
//!
//! **Invariant:** every such command names them alike, and reads them as the service does.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::ID_BYTES;
use crate::config::ruleset::{self, Paths, Ruleset};
use crate::engine::Epochs;
use crate::rule::diagnostic::Diagnostic;
use crate::time::Span;

#[derive(Args)]
pub struct Around {
    /// Your own streams
    #[arg(long, value_name = "FILE")]
    streams: Option<PathBuf>,
    /// Folder of static lists
    #[arg(long, value_name = "FOLDER")]
    lists: Option<PathBuf>,
}

/// How often `top p%` finds its cut anew.
#[derive(Args)]
pub struct Epoch {
    /// How often the cuts of `top p% by ...` are sought, as the service's `top.epoch`
    #[arg(long = "epoch", value_name = "DURATION", value_parser = epoch)]
    epoch: Option<Span>,
}

impl Epoch {
    pub fn length(&self) -> Span {
        self.epoch.unwrap_or(Epochs::DEFAULT)
    }
}

fn epoch(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "no duration: write 30s, 1m, 1h or 1d".to_owned())
}

impl Around {
    pub fn streams(&self) -> Option<&Path> {
        self.streams.as_deref()
    }

    /// Loads and checks definitions with what stands around them; without an error there is a ruleset.
    pub fn load(&self, segments: &[PathBuf]) -> (Option<Ruleset>, Vec<Diagnostic>) {
        ruleset::load(Paths { streams: self.streams(), segments, lists: self.lists.as_deref() }, ID_BYTES)
    }
}
