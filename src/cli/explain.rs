//! `segmentd explain`: why is this customer in this segment, or why not?
//!
//! The events are replayed until the instant that is asked for; those of others only move the clock. Or the customer is read
//! from the state of a service that is stopped, and time runs on from there. Or a running service is asked.
//!
//! **Invariant:** what is said is what the engine decided: nothing is evaluated here.

mod answer;
mod fetched;
mod stored;

use clap::Parser;
use serde_json::Value;

use super::Outcome;
use super::past::Past;
use super::replay::instant;
use super::report::Format;
use crate::engine::{Partition, why};
use crate::http::service::explanation;
use crate::id::{CustomerId, SegmentKey};
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
  segmentd explain --segments config/segments/ --customer ann --state /var/lib/segmentd/state
  segmentd explain --url http://localhost:8080 --customer ann --segment loyal

Each condition of the rule is shown with its value and what it is compared with. `*` marks the fewest that would have to
be otherwise for the customer to enter or leave, and by how much. Without --at: as it is after the last event.

With --state: as it is at the last transaction of a service that is stopped; nothing in the folder is changed. Definitions
that are not the service's are shown as they would decide. While the service runs, its folder cannot be read.

With --url: as a running service knows it, by its own definitions; one that has not this customer says
which one does, and that one is asked. A token, where it wants one, comes from the environment
(SEGMENTD_TOKEN); it needs the scope read:customers.

Exit codes: 0 explained, 1 the customer or the segment is not known, 2 usage, 78 definitions refused.")]
pub struct Args {
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
    past: Past,
    /// Where a running service answers, instead of definitions and files
    #[arg(long, groups = ["definitions", "source"], value_name = "URL")]
    url: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if let Some(url) = &args.url {
        fetched::fetched(url, &args.customer, &args.segment, args.at)?.iter().for_each(|told| show(told, args.format));
        return Ok(Outcome::Done);
    }
    let Some(plan) = args.past.plan() else { return Ok(Outcome::Refused) };
    let segments = segments(&plan, &args.segment)?;
    let customer = CustomerId::new(args.customer.as_str());
    let partition = match args.past.state() {
        Some(folder) => at(stored(&plan, &customer, folder)?, args.at)?,
        // Where customers are ranked, all of them count.
        None => args.past.replay(&plan, args.at)?,
    };
    let t = args.at.unwrap_or(partition.clock());
    let Some(state) = partition.find(&customer).and_then(|slot| partition.resident(slot).state.as_deref()).filter(|state| state.is_known())
    else {
        anyhow::bail!("no event of this customer was accepted{}", if args.at.is_some() { format!(" until {t}") } else { String::new() });
    };
    for segment in segments {
        let key: &SegmentKey = &plan.segments[segment].key;
        show(&explanation(&customer, key, t, &why(&plan, &customer, state, segment, t)), args.format);
    }
    Ok(Outcome::Done)
}

fn show(told: &Value, format: Format) {
    match format {
        Format::Text => print!("{}", Answer(told)),
        Format::Json => println!("{told}"),
    }
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
