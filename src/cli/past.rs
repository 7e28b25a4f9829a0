//! What `explain` and `report` look back on: events in files, replayed up to an instant, or the state of a service that is
//! stopped.
//!
//! **Invariant:** a replayed partition stands at the instant that is asked for, with what is due at it done, and knows
//! nothing later.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args};

use super::around::{Around, Epoch};
use super::input::each_event;
use super::replay::progress;
use super::report::complain;
use crate::engine::{Epochs, Partition, accept_among};
use crate::kafka::wire::{DecodeLimits, Decoder};
use crate::plan::Plan;
use crate::runtime::task::pass;
use crate::time::EventTime;

/// A command may add to both groups what stands for definitions and events at once.
#[derive(Args)]
#[command(group = ArgGroup::new("definitions").required(true), group = ArgGroup::new("source").required(true))]
pub struct Past {
    /// A file of definitions, or a folder of them; may be given several times
    #[arg(long, group = "definitions", value_name = "PATH")]
    segments: Vec<PathBuf>,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    epoch: Epoch,
    /// State folder of a service that is stopped, instead of files
    #[arg(long, group = "source", value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// NDJSON, plain, .zst or .gz; `-` is stdin
    #[arg(group = "source", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Past {
    /// The definitions to look by; `None`: refused, and said why.
    pub fn plan(&self) -> Option<Arc<Plan>> {
        let (ruleset, diagnostics) = self.around.load(&self.segments);
        if ruleset.is_none() {
            complain(&diagnostics);
        }
        ruleset.map(|ruleset| Arc::new(ruleset.plan()))
    }

    /// The state folder, if that is to be read instead of files.
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// Replays the files, up to `at` or to their end.
    pub fn replay(&self, plan: &Arc<Plan>, at: Option<EventTime>) -> anyhow::Result<Partition> {
        let mut partition = Partition::new(plan.clone(), EventTime::MIN);
        let mut epochs = Epochs::new(self.epoch.length());
        let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
        let bar = progress(&self.files);
        let rejected = each_event(&self.files, &mut decoder, &bar, |event| {
            if at.is_some_and(|at| event.time > at) {
                return ControlFlow::Break(());
            }
            end_epochs(&mut epochs, &mut partition, event.time);
            accept_among(std::slice::from_mut(&mut partition), |_| 0, event);
            partition.settled();
            ControlFlow::Continue(())
        })?;
        bar.finish_and_clear();
        if rejected > 0 {
            eprintln!("{rejected} records were rejected; `segmentd replay` says why");
        }
        let end = at.unwrap_or(partition.clock());
        end_epochs(&mut epochs, &mut partition, end);
        pass(&mut partition, end, true);
        Ok(partition)
    }
}

fn end_epochs(epochs: &mut Epochs, partition: &mut Partition, to: EventTime) {
    while epochs.end_one(std::slice::from_mut(partition), to) {
        partition.settled();
    }
}
