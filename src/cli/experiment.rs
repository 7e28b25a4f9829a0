//! `segmentd report`: did it pay? The arms of an experiment, counted from the same events that dealt them.
//!
//! The events are replayed, or the customers are read from the state of a service that is stopped.
//!
//! **Invariant:** what is counted is what the engine exposed, and what is said follows from the sums: nothing is sampled.

mod screen;
mod stored;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;

use super::Outcome;
use super::around::{Around, Epoch};
use super::explain::end_epochs;
use super::input::each_event;
use super::replay::{instant, progress};
use super::report::{self as complaints, Format};
use crate::customer::measure;
use crate::engine::{Epochs, Partition, nobody};
use crate::experiment::{Arms, Report};
use crate::kafka::wire::{DecodeLimits, Decoder};
use crate::plan::Plan;
use crate::rule::diagnostic::nearest;
use crate::runtime::task::pass;
use crate::time::EventTime;

/// Measure an experiment: did the campaign pay?
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd report coupon_programme --segments config/segments/ events.ndjson.zst
  segmentd report coupon_programme --segments config/segments/ --at 2026-03-01T00:00:00Z jan.ndjson feb.ndjson
  segmentd report coupon_programme --segments config/segments/ --state /var/lib/segmentd --format json

Who entered counts in the arm that the hash dealt, from the first entry on that the policy let through: the control arm as
if its mail had gone out too, and treatment whether the mail was opened or not (intention to treat). An event of the goal
after the entry, and `within` it, is a conversion; its value is summed, refunds off, cancelled orders out.

An interval that contains 0 is inconclusive: the campaign may have brought something, nothing, or have done harm. Then the
last column says which difference these many customers would have shown in 4 of 5 cases; smaller ones need more customers.
Decide before it starts when to look, and look then: who looks every day will one day see a difference.

Without --at: as it stands after the last event, or at the last transaction of the service whose state is read.

Exit codes: 0 reported, 1 there is no such experiment, 2 usage, 78 definitions refused.")]
pub struct Args {
    /// Key of the segment whose experiment it is
    #[arg(value_name = "EXPERIMENT")]
    experiment: String,
    /// A file of definitions, or a folder of them; may be given several times
    #[arg(long, required = true, value_name = "PATH")]
    segments: Vec<PathBuf>,
    /// As it stood at this instant, or will if nothing more happens
    #[arg(long, value_name = "INSTANT", value_parser = instant, conflicts_with = "state")]
    at: Option<EventTime>,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    epoch: Epoch,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// State folder of a service that is stopped, instead of files
    #[arg(long, value_name = "FOLDER", conflicts_with = "files")]
    state: Option<PathBuf>,
    /// NDJSON, plain, .zst or .gz; `-` is stdin
    #[arg(required_unless_present = "state", value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (ruleset, diagnostics) = args.around.load(&args.segments);
    let Some(ruleset) = ruleset else {
        complaints::complain(&diagnostics);
        return Ok(Outcome::Refused);
    };
    let plan = Arc::new(ruleset.plan());
    let experiment = position(&plan, &args.experiment)?;
    let (as_of, sums) = match &args.state {
        Some(folder) => stored::stored(&plan, folder)?,
        None => replayed(&plan, args)?,
    };
    let report = report(&plan, experiment, as_of, sums);
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Text => write!(out, "{}", screen::Screen(&report))?,
        Format::Json => writeln!(out, "{}", report.to_json())?,
    }
    Ok(Outcome::Done)
}

/// The experiment's position in the plan.
fn position(plan: &Plan, key: &str) -> anyhow::Result<usize> {
    let known = || plan.experiments.iter().map(|experiment| plan.segments[experiment.segment].key.as_str());
    known().position(|known| known == key).ok_or_else(|| {
        let near = nearest(key, known()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        match plan.segments.iter().any(|segment| segment.key.as_str() == key) {
            true => anyhow::anyhow!("the segment `{key}` has no experiment: give it one with `experiment: {{holdout: 50%, goal: orders}}`"),
            false => anyhow::anyhow!("there is no experiment `{key}`{near}"),
        }
    })
}

fn report(plan: &Plan, position: usize, as_of: EventTime, mut sums: Vec<Arms>) -> Report {
    let experiment = &plan.experiments[position];
    let segment = plan.segments[experiment.segment].key.clone();
    Report::new(segment, experiment.definition.clone(), as_of, sums.swap_remove(position))
}

/// The clock at the end, and the sums of each experiment.
fn replayed(plan: &Arc<Plan>, args: &Args) -> anyhow::Result<(EventTime, Vec<Arms>)> {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    let mut epochs = Epochs::new(args.epoch.length());
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let bar = progress(&args.files);
    let rejected = each_event(&args.files, &mut decoder, &bar, |event| {
        end_epochs(&mut epochs, &mut partition, args.at.map_or(event.time, |at| at.min(event.time)));
        if args.at.is_some_and(|at| event.time > at) {
            return ControlFlow::Break(());
        }
        let Ok(_) = partition.accept(event, None, None, &mut nobody);
        partition.settled();
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    if rejected > 0 {
        eprintln!("{rejected} records were rejected; `segmentd replay` says why");
    }
    let end = args.at.unwrap_or(partition.clock());
    end_epochs(&mut epochs, &mut partition, end);
    pass(&mut partition, end, true);
    Ok((end, sums(plan, &partition)))
}

fn sums(plan: &Plan, partition: &Partition) -> Vec<Arms> {
    let mut sums = vec![Arms::default(); plan.experiments.len()];
    for state in partition.residents().filter_map(|resident| resident.state.as_deref()) {
        measure(plan, &state.facts, &state.standing, partition.clock(), &mut sums);
    }
    sums
}
