//! `segmentd report`: did it pay? The arms of an experiment, counted from the same events that dealt them.
//!
//! The events are replayed, or the customers are read from the state of a service that is stopped, or running services are
//! asked, each of which has a part of the customers.
//!
//! **Invariant:** what is counted is what the engine exposed, and what is said follows from the sums: nothing is sampled.

mod fetched;
mod screen;
mod stored;

use std::io::Write;

use clap::Parser;

use super::Outcome;
use super::past::Past;
use super::replay::instant;
use super::report::Format;
use crate::customer::measure;
use crate::engine::Partition;
use crate::experiment::{Arms, Document, Report};
use crate::plan::Plan;
use crate::rule::diagnostic::nearest;
use crate::time::EventTime;

/// Measure an experiment: did the campaign pay?
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd report coupon_programme --segments config/segments/ events.ndjson.zst
  segmentd report coupon_programme --segments config/segments/ --at 2026-03-01T00:00:00Z jan.ndjson
  segmentd report coupon_programme --segments config/segments/ --state /var/lib/segmentd/state
  segmentd report coupon_programme --url http://localhost:8080 --url http://other:8080

Who entered counts in the arm that the hash dealt, from the first entry on that the policy let
through: the control arm as if its mail had gone out too, and treatment whether the mail was
opened or not (intention to treat). An event of the goal after the entry, and `within` it, is a
conversion; its value is summed, refunds off, cancelled orders out.

An interval that contains 0 is inconclusive: the campaign may have brought something, nothing, or
have done harm. Then the last column says which difference these many customers would have shown
in 4 of 5 cases; smaller ones need more customers. Decide before it starts when to look, and look
then: who looks every day will one day see a difference.

Without --at: as it stands after the last event, or at the last transaction of the service whose
state is read.

With --url: what running services have counted of their partitions, added up. Name all that share
the topic. A token, where they want one, comes from the environment (SEGMENTD_TOKEN); it needs the
scope read:segments.

Exit codes: 0 reported, 1 there is no such experiment, 2 usage, 78 definitions refused.")]
pub struct Args {
    /// Key of the segment whose experiment it is
    #[arg(value_name = "EXPERIMENT")]
    experiment: String,
    /// As it stood at this instant, or will if nothing more happens
    #[arg(long, value_name = "INSTANT", value_parser = instant, conflicts_with = "state")]
    at: Option<EventTime>,
    #[command(flatten)]
    past: Past,
    /// Where a running service answers, instead of files; may be given several times
    #[arg(long, groups = ["definitions", "source"], conflicts_with = "at", value_name = "URL")]
    url: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if !args.url.is_empty() {
        return show(&fetched::fetched(&args.url, &args.experiment)?, args.format);
    }
    let Some(plan) = args.past.plan() else { return Ok(Outcome::Refused) };
    let experiment = position(&plan, &args.experiment)?;
    let (as_of, sums) = match args.past.state() {
        Some(folder) => stored::stored(&plan, folder)?,
        None => counted(&plan, &args.past.replay(&plan, args.at)?),
    };
    show(&report(&plan, experiment, as_of, sums), args.format)
}

fn show(report: &Report, format: Format) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => write!(out, "{}", screen::Screen(report))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(&Document::from(report))?)?,
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

fn report(plan: &Plan, position: usize, as_of: Option<EventTime>, mut sums: Vec<Arms>) -> Report {
    let experiment = &plan.experiments[position];
    let segment = plan.segments[experiment.segment].key.clone();
    Report::new(segment, experiment.definition.clone(), as_of, sums.swap_remove(position))
}

/// The clock, and the sums of each experiment.
fn counted(plan: &Plan, partition: &Partition) -> (Option<EventTime>, Vec<Arms>) {
    let mut sums = vec![Arms::default(); plan.experiments.len()];
    for state in partition.residents().filter_map(|resident| resident.state.as_deref()) {
        measure(plan, &state.facts, &state.standing, partition.clock(), &mut sums);
    }
    (Some(partition.clock()).filter(|clock| *clock != EventTime::MIN), sums)
}
