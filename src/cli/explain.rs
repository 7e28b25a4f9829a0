//! `segmentd explain`: why is this customer in this segment, or why not?
//!
//! The events are replayed until the instant that is asked for; those of others only move the clock. Or the customer is read
//! from the state of a service that is stopped, and time runs on from there.
//!
//! **Invariant:** what is said is what the engine decided: nothing is evaluated here.

mod answer;
mod stored;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;

use super::Outcome;
use super::around::{Around, Epoch};
use super::input::each_event;
use super::replay::{instant, progress};
use super::report::{self, Format};
use crate::engine::{Epochs, Partition, nobody, why};
use crate::event::Event;
use crate::id::{CustomerId, SegmentKey};
use crate::kafka::wire::{DecodeLimits, Decoder};
use crate::plan::Plan;
use crate::rule::diagnostic::nearest;
use crate::runtime::task::pass;
use crate::time::EventTime;
use answer::Answer;
use stored::stored;

pub(super) use stored::refused;

/// Say why a customer is in a segment or not, and what would change it
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd explain --segments config/segments/ --customer ann events.ndjson
  segmentd explain --segments loyal.yaml --customer ann --segment loyal --at 2026-02-01T00:00:00Z events.ndjson.zst
  segmentd explain --segments config/segments/ --customer ann --state /var/lib/segmentd

Each condition of the rule is shown with its value and what it is compared with. `*` marks the fewest that would have to
be otherwise for the customer to enter or leave, and by how much. Without --at: as it is after the last event.

With --state: as it is at the last transaction of a service that is stopped; nothing in the folder is changed. Definitions
that are not the service's are shown as they would decide. While the service runs, its folder cannot be read.

Exit codes: 0 explained, 1 the customer or the segment is not known, 2 usage, 78 definitions refused.")]
pub struct Args {
    /// A file of definitions, or a folder of them; may be given several times
    #[arg(long, required = true, value_name = "PATH")]
    segments: Vec<PathBuf>,
    /// Whose memberships
    #[arg(long, value_name = "ID")]
    customer: String,
    /// Only this segment; may be given several times
    #[arg(long, value_name = "KEY")]
    segment: Vec<String>,
    /// As it was, or will be if nothing more happens, at this instant
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
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
        report::complain(&diagnostics);
        return Ok(Outcome::Refused);
    };
    let plan = Arc::new(ruleset.plan());
    let segments = segments(&plan, &args.segment)?;
    let customer = CustomerId::new(args.customer.as_str());
    let partition = match &args.state {
        Some(folder) => at(stored(&plan, &customer, folder)?, args.at)?,
        None => replayed(&plan, &customer, args)?,
    };
    let t = args.at.unwrap_or(partition.clock());
    let Some(state) = partition.find(&customer).and_then(|slot| partition.resident(slot).state.as_deref()).filter(|state| state.is_known())
    else {
        anyhow::bail!("no event of this customer was accepted{}", if args.at.is_some() { format!(" until {t}") } else { String::new() });
    };
    for segment in segments {
        let key: &SegmentKey = &plan.segments[segment].key;
        let answer = Answer { customer: &customer, segment: key, at: t, why: why(&plan, &customer, state, segment, t) };
        match args.format {
            Format::Text => print!("{answer}"),
            Format::Json => println!("{}", answer.to_json()),
        }
    }
    Ok(Outcome::Done)
}

/// The positions of the segments asked for; all, if none is named.
fn segments(plan: &Plan, keys: &[String]) -> anyhow::Result<Vec<usize>> {
    let position = |key: &String| {
        let known = || plan.segments.iter().map(|segment| segment.key.as_str());
        known().position(|known| known == key).ok_or_else(|| {
            let near = nearest(key, known()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            anyhow::anyhow!("there is no segment `{key}`{near}")
        })
    };
    if keys.is_empty() { Ok((0..plan.segments.len()).collect()) } else { keys.iter().map(position).collect() }
}

/// A partition that knows only this customer, its clock at the instant that is asked for; it knows all, where customers
/// are ranked.
fn replayed(plan: &Arc<Plan>, customer: &CustomerId, args: &Args) -> anyhow::Result<Partition> {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    let mut epochs = Epochs::new(args.epoch.length());
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let bar = progress(&args.files);
    let rejected = each_event(&args.files, &mut decoder, &bar, |event| {
        end_epochs(&mut epochs, &mut partition, args.at.map_or(event.time, |at| at.min(event.time)));
        take(&mut partition, event, customer, args.at)
    })?;
    bar.finish_and_clear();
    if rejected > 0 {
        eprintln!("{rejected} records were rejected; `segmentd replay` says why");
    }
    let end = args.at.unwrap_or(partition.clock());
    end_epochs(&mut epochs, &mut partition, end);
    pass(&mut partition, end, true);
    Ok(partition)
}

pub(super) fn end_epochs(epochs: &mut Epochs, partition: &mut Partition, to: EventTime) {
    while epochs.end_one(std::slice::from_mut(partition), to) {
        partition.settled();
    }
}

/// Lets time run on from what is stored; what was before has not been kept.
fn at(mut partition: Partition, at: Option<EventTime>) -> anyhow::Result<Partition> {
    let clock = partition.clock();
    let end = at.unwrap_or(clock);
    if end < clock {
        anyhow::bail!("the state stands at {clock}: an earlier instant can be explained only from files of events");
    }
    pass(&mut partition, end, true);
    Ok(partition)
}

fn take(partition: &mut Partition, event: &Event, customer: &CustomerId, at: Option<EventTime>) -> ControlFlow<()> {
    if at.is_some_and(|at| event.time > at) {
        return ControlFlow::Break(());
    }
    if event.customer == *customer || !partition.plan().rankings.is_empty() {
        let Ok(_) = partition.accept(event, None, None, &mut nobody);
        partition.settled();
    } else {
        pass(partition, event.time, false);
    }
    ControlFlow::Continue(())
}
