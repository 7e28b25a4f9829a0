//! `segmentd plan`: what would a change of definitions do?
//!
//! **Invariant:** nothing is touched: both sets are loaded, compared, and at most replayed over files; or a running service is
//! asked what it would do, which it does not do.

mod arms;
mod difference;
mod live;
mod over;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use serde_json::{Value, json};

use super::Outcome;
use super::around::{Around, Epoch};
use super::report::{self, Format};
use crate::config::ruleset::Ruleset;
use crate::id::CustomerId;
use difference::Change;
use over::Course;

/// Of whom enters or leaves, so many are named.
const EXAMPLES: usize = 5;

/// Show what a change of definitions does before it is made
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd plan config/segments/ new-segments/
  segmentd plan loyal.yaml loyal-new.yaml --over year.ndjson.zst   who would enter, who would leave?
  segmentd plan new-segments/ --url http://localhost:8080           the same among the customers of now

added, removed    customers enter or leave for that reason alone (cause `definition`)
changed           the rules mean something else: every customer is decided anew
affected          the rules stay, but a segment or a list that they name does not
annotated         only what people read, or what is told of the segment; nobody moves
warning           an experiment deals its arms otherwise: customers change sides

With --over both sets run over the files, and are compared at the last event.

With --url the definitions in force are those of running services: only the new ones are named. Each
service decides all its customers by them, beside its work and for at most two minutes, and forgets it;
name all services that share the topic, and they are added up. A token, where they want one, comes from
the environment (SEGMENTD_TOKEN); it needs the scope read:customers.")]
pub struct Args {
    /// The definitions as they are: a file or a folder; with --url, as they shall be
    old: PathBuf,
    /// The definitions as they shall be
    #[arg(required_unless_present = "url", conflicts_with = "url")]
    new: Option<PathBuf>,
    /// Events to run both over: NDJSON, plain, .zst or .gz
    #[arg(long, value_name = "FILE", num_args = 1..)]
    over: Vec<PathBuf>,
    /// Where a running service answers; may be given several times
    #[arg(long, value_name = "URL", conflicts_with = "over")]
    url: Vec<String>,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    epoch: Epoch,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if args.over.iter().any(|path| path == Path::new("-")) {
        anyhow::bail!("--over reads each file twice: stdin cannot be one of them");
    }
    let Some(new) = &args.new else { return live::show(&args.old, &args.url, args.format) };
    let (Some(old), Some(new)) = (loaded(&args.old, args), loaded(new, args)) else { return Ok(Outcome::Refused) };
    let (old_plan, new_plan) = (Arc::new(old.plan()), Arc::new(new.plan()));
    let courses = match args.over.is_empty() {
        true => None,
        false => {
            let over = |plan| over::courses(plan, &args.over, args.epoch.length());
            Some((over(&old_plan)?, over(&new_plan)?))
        }
    };
    let arms = arms::dealt_otherwise(&old, &new);
    let mut unchanged = Vec::new();
    for (key, change) in difference::segments(&old, &new) {
        let effect = courses.as_ref().map(|(old, new)| Effect::of(old.get(&key), new.get(&key)));
        match args.format {
            Format::Text if matches!(change, Change::Unchanged) && !effect.as_ref().is_some_and(Effect::moves) => unchanged.push(key),
            Format::Text => show(&key, change, arms.get(&key), effect.as_ref()),
            Format::Json => println!(
                "{}",
                json!({"segment": key, "change": change, "warning": arms.get(&key), "over": effect.map(|effect| effect.to_json())})
            ),
        }
    }
    let (added, gone) = difference::aggregates(&old_plan, &new_plan);
    match args.format {
        Format::Text => {
            show_unchanged(unchanged.iter().map(String::as_str));
            added.iter().for_each(|text| println!("new aggregate   {text}"));
            gone.iter().for_each(|text| println!("aggregate gone  {text}"));
        }
        Format::Json => println!("{}", json!({"aggregates": {"new": added, "gone": gone}})),
    }
    Ok(Outcome::Done)
}

/// `None`: refused, and said why.
fn loaded(path: &Path, args: &Args) -> Option<Ruleset> {
    let (ruleset, diagnostics) = args.around.load(&[path.to_owned()]);
    if ruleset.is_none() {
        report::complain(&diagnostics);
    }
    ruleset
}

/// What a change does to one segment, over the events.
struct Effect {
    members: (usize, usize),
    enter: Vec<CustomerId>,
    leave: Vec<CustomerId>,
    /// By direction and cause: with the old definitions, and with the new ones.
    transitions: BTreeMap<(&'static str, &'static str), (u64, u64)>,
}

impl Effect {
    fn of(old: Option<&Course>, new: Option<&Course>) -> Effect {
        let nothing = Course::default();
        let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
        let mut transitions: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        old.transitions.iter().for_each(|(key, n)| transitions.entry(*key).or_default().0 = *n);
        new.transitions.iter().for_each(|(key, n)| transitions.entry(*key).or_default().1 = *n);
        Effect {
            members: (old.members.len(), new.members.len()),
            enter: new.members.difference(&old.members).cloned().collect(),
            leave: old.members.difference(&new.members).cloned().collect(),
            transitions,
        }
    }

    fn moves(&self) -> bool {
        self.enter.len() + self.leave.len() > 0
    }

    fn to_json(&self) -> Value {
        let some = |customers: &[CustomerId]| customers.iter().take(EXAMPLES).map(ToString::to_string).collect::<Vec<_>>();
        let transition = |((direction, cause), (old, new)): (&(&str, &str), &(u64, u64))| json!({"transition": direction, "cause": cause, "old": old, "new": new});
        json!({
            "members": {"old": self.members.0, "new": self.members.1},
            "enter": self.enter.len(), "leave": self.leave.len(),
            "examples": {"enter": some(&self.enter), "leave": some(&self.leave)},
            "transitions": self.transitions.iter().map(transition).collect::<Vec<_>>(),
        })
    }
}

/// All those of which nothing is to be told, in one line.
fn show_unchanged<'a>(keys: impl ExactSizeIterator<Item = &'a str>) {
    let (count, some) = (keys.len(), keys.take(EXAMPLES).collect::<Vec<_>>().join(", "));
    match count {
        0 => {}
        count if count > EXAMPLES => println!("unchanged  {some} and {} more", count - EXAMPLES),
        _ => println!("unchanged  {some}"),
    }
}

fn show(key: &str, change: Change, warning: Option<&String>, effect: Option<&Effect>) {
    let word = format!("{change:?}").to_lowercase();
    println!("{word:<10} {key}");
    if let Some(warning) = warning {
        println!("           warning: {warning}");
    }
    let Some(effect) = effect.filter(|effect| !matches!(change, Change::Annotated) || effect.moves()) else { return };
    let Effect { members, enter, leave, transitions } = effect;
    println!(
        "           members {} -> {}: {} would enter, {} would leave (cause `definition`)",
        members.0,
        members.1,
        enter.len(),
        leave.len()
    );
    for (word, customers) in [("enter", enter), ("leave", leave)].into_iter().filter(|(_, customers)| !customers.is_empty()) {
        let some: Vec<&str> = customers.iter().take(EXAMPLES).map(CustomerId::as_str).collect();
        let more = if customers.len() > EXAMPLES { ", …" } else { "" };
        println!("           {word}: {}{more}", some.join(", "));
    }
    for ((direction, cause), (old, new)) in transitions.iter().filter(|(_, (old, new))| old != new) {
        println!("           over the files, {direction} by {cause}: {old} -> {new}");
    }
}
