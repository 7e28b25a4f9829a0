//! What the demo shows: some of the transitions as they come, and a summary of all.
//!
//! ```text
//! 2017-03-04 17:22  hh-2200  enters  loyal     count(orders last 30d) is 3, > 2
//! 2017-04-03 10:01  hh-2200  leaves  loyal     by time alone: count(orders last 30d) is 2, not > 2
//! ```
//!
//! **Invariant:** every transition is counted, whether it is shown or not.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{Table, presets};
use indicatif::HumanCount;
use serde::Deserialize;

use crate::rule::definition::Definitions;
use crate::runtime::clock;

/// More lines than this a second nobody reads.
const LINE_EVERY: Duration = Duration::from_millis(150);

#[derive(Deserialize)]
#[serde(tag = "event")]
enum Record {
    #[serde(rename = "Audience Entered", alias = "Audience Exited")]
    Transition { properties: Shown },
    /// From stage to stage; its exit and its entry have records of their own.
    #[serde(rename = "Stage Changed")]
    Move,
}

#[derive(Deserialize)]
struct Shown {
    customer: String,
    segment: String,
    transition: String,
    at: String,
    cause: String,
    evidence: Vec<Evidence>,
}

#[derive(Deserialize)]
struct Evidence {
    aggregate: String,
    value: Option<String>,
    op: String,
    threshold: Option<String>,
    met: bool,
}

pub struct Screen {
    /// By segment, in order of definition.
    counts: Vec<(String, Counts)>,
    by_key: BTreeMap<String, usize>,
    begun: Instant,
    next_line: Instant,
    hidden: u64,
}

#[derive(Default)]
struct Counts {
    entered: u64,
    left: u64,
    left_by_time: u64,
}

impl Screen {
    pub fn new(definitions: &Definitions) -> Screen {
        let keys = || definitions.segments.iter().map(|segment| segment.key.to_string());
        let (begun, by_key) = (clock::now(), keys().enumerate().map(|(i, key)| (key, i)).collect());
        Screen { counts: keys().map(|key| (key, Counts::default())).collect(), by_key, begun, next_line: begun, hidden: 0 }
    }

    pub fn begin(&mut self, http: SocketAddr, speed: u32) {
        eprintln!("The service runs on a Kafka broker inside this process, at {speed} days a second: 391 households, 14 months.");
        eprintln!("(This broker does not give exactly-once; a real one does. docs/exactly-once.md)");
        eprintln!("Look at it while it runs: http://{http}/console/\n");
    }

    /// Counts a transition, and shows it if the last one shown is long enough ago.
    pub fn show(&mut self, record: &[u8]) -> anyhow::Result<()> {
        let record = serde_json::from_slice(record).context("a transition cannot be read")?;
        let Record::Transition { properties: shown } = record else { return Ok(()) };
        self.count(&shown);
        if clock::now() < self.next_line {
            self.hidden += 1;
            return Ok(());
        }
        self.next_line = clock::now() + LINE_EVERY;
        let verb = if shown.transition == "entered" { "enters" } else { "leaves" };
        let at = shown.at.get(..16).unwrap_or(&shown.at).replace('T', " ");
        writeln!(std::io::stdout(), "{at}  {:<8} {verb}  {:<15} {}", shown.customer, shown.segment, shown.why())?;
        Ok(())
    }

    fn count(&mut self, shown: &Shown) {
        let Some((_, counts)) = self.by_key.get(&shown.segment).and_then(|at| self.counts.get_mut(*at)) else { return };
        if shown.transition == "entered" {
            counts.entered += 1;
        } else {
            counts.left += 1;
            counts.left_by_time += u64::from(shown.cause == "time");
        }
    }

    pub fn end(&self, events: u64) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["SEGMENT", "ENTERED", "LEFT", "BY TIME ALONE", "MEMBERS NOW"]);
        for (key, Counts { entered, left, left_by_time }) in &self.counts {
            let figures = [*entered, *left, *left_by_time, entered.saturating_sub(*left)].map(|n| HumanCount(n).to_string());
            table.add_row(std::iter::once(key.clone()).chain(figures));
        }
        let transitions: u64 = self.counts.iter().map(|(_, counts)| counts.entered + counts.left).sum();
        writeln!(std::io::stdout(), "\n{table}")?;
        let (events, transitions, hidden) = (HumanCount(events), HumanCount(transitions), HumanCount(self.hidden));
        let took = clock::now().duration_since(self.begun).as_secs();
        eprintln!("\n{events} events in, {transitions} transitions out ({hidden} of them not shown), {took} s");
        eprintln!("Next: your own events. segmentd replay --segments config/segments/ your-events.ndjson (docs/getting-started.md)");
        Ok(())
    }
}

impl Shown {
    /// The evidence that decided: of an exit, a predicate that does not hold any more.
    fn why(&self) -> String {
        let entered = self.transition == "entered";
        let decisive = self.evidence.iter().find(|evidence| evidence.met == entered).or(self.evidence.first());
        let by = if self.cause == "time" { "by time alone: " } else { "" };
        let Some(Evidence { aggregate, value, op, threshold, met }) = decisive else { return format!("{by}{}", self.cause) };
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".into());
        // Of `every`, `any` and `none`: how many of how many.
        if op == "is" {
            return format!("{by}{aggregate}: {} of {}", text(value), text(threshold));
        }
        format!("{by}{aggregate} is {}, {}{op} {}", text(value), if *met { "" } else { "not " }, text(threshold))
    }
}
