//! `segmentd replay`: what would have happened? The engine over files, without Kafka.
//!
//! Event time alone moves the clock; at the end it is set to `--until`, if that is later. Partitions are chosen as Kafka
//! would, each with a clock of its own, so that a replay can show that their number does not matter.
//!
//! **Invariant:** the same files and definitions give the same output, byte for byte; nothing here asks what time it is
//! but the figures at the end.

mod ahead;
mod audience;
mod tally;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::around::{Around, Epoch};
use super::{Outcome, report};
use crate::engine::{Epochs, Partition, accept_among, nobody};
use crate::event::Event;
use crate::id::CustomerId;
use crate::kafka::partitioner::partition;
use crate::kafka::wire::encode::{move_line, output_line};
use crate::kafka::wire::{DecodeLimits, Decoded, Decoder};
use crate::plan::Plan;
use crate::runtime::clock;
use crate::time::EventTime;
use crate::transition::Output;
use ahead::{Stretch, read_ahead};
use audience::Audience;
use tally::Tally;

/// Run definitions over files of events, without Kafka
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd replay --segments config/segments/ events.ndjson.zst
  segmentd replay --segments lapsed.yaml --until 2026-03-01T00:00:00Z --format audience jan.ndjson feb.ndjson
  zcat events.ndjson.gz | segmentd replay --segments config/segments/ - | grep '\"segment\":\"lapsed\"'")]
pub struct Args {
    /// A file of definitions, or a folder of them; may be given several times
    #[arg(long, required = true, value_name = "PATH")]
    segments: Vec<PathBuf>,
    #[command(flatten)]
    around: Around,
    /// Set the clock to this instant at the end, so that time alone ends memberships until then
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<EventTime>,
    /// Divide the customers as a topic with N partitions would
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    partitions: u32,
    #[command(flatten)]
    epoch: Epoch,
    /// Every transition, or who is a member at the end
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write here instead of to stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// NDJSON, plain, .zst or .gz; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Transitions,
    Audience,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (ruleset, diagnostics) = args.around.load(&args.segments);
    report::complain(&diagnostics);
    let Some(ruleset) = ruleset else { return Ok(Outcome::Refused) };
    let begun = clock::now();
    let plan = Arc::new(ruleset.plan());
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let mut replay = Replay::new(&plan, args)?;
    for file in &args.files {
        replay.file(file, &mut decoder)?;
    }
    replay.end(args.until)?;
    replay.tally.show(clock::now().duration_since(begun));
    Ok(Outcome::Done)
}

/// A replay on its way through its files.
struct Replay {
    partitions: Vec<Partition>,
    epochs: Epochs,
    sink: Sink,
    tally: Tally,
    bar: ProgressBar,
}

/// Where transitions go: out at once, or into an account of who is a member.
enum Sink {
    Lines { out: Box<dyn Write>, line: Vec<u8> },
    Audience { out: Box<dyn Write>, audience: Audience },
}

impl Replay {
    fn new(plan: &Arc<Plan>, args: &Args) -> anyhow::Result<Replay> {
        let out: Box<dyn Write> = match &args.output {
            Some(path) => {
                Box::new(BufWriter::with_capacity(1 << 18, File::create(path).with_context(|| format!("cannot write {}", path.display()))?))
            }
            None => Box::new(BufWriter::with_capacity(1 << 18, io::stdout())),
        };
        Ok(Replay {
            partitions: (0..args.partitions).map(|_| Partition::new(plan.clone(), EventTime::MIN)).collect(),
            epochs: Epochs::new(args.epoch.length()),
            sink: match args.format {
                Format::Transitions => Sink::Lines { out, line: Vec::with_capacity(1024) },
                Format::Audience => Sink::Audience { out, audience: Audience::default() },
            },
            tally: Tally::default(),
            bar: progress(&args.files),
        })
    }

    fn file(&mut self, path: &Path, decoder: &mut Decoder) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let stretches = read_ahead(scope, path, decoder, self.bar.clone());
            stretches.into_iter().try_for_each(|stretch| self.apply(stretch?, path))
        })
    }

    /// Applies some lines, and writes what was decided.
    fn apply(&mut self, stretch: Stretch, path: &Path) -> anyhow::Result<()> {
        for (line, decoded) in stretch {
            match decoded {
                Decoded::Event(event) => self.event(&event)?,
                Decoded::Skipped(reason) => self.tally.skipped(reason),
                Decoded::Rejected(reject) => self.tally.rejected(&reject, path, line),
            }
        }
        self.emit_all()
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        self.end_epochs(event.time)?;
        let count = self.partitions.len() as u32;
        let home = |customer: &CustomerId| partition(customer.as_str().as_bytes(), count).0 as usize;
        self.tally.accepted(&accept_among(&mut self.partitions, home, event));
        Ok(())
    }

    /// Lets all epochs end that do so at or before `to`.
    fn end_epochs(&mut self, to: EventTime) -> anyhow::Result<()> {
        while self.epochs.end_one(&mut self.partitions, to) {
            self.emit_all()?;
        }
        Ok(())
    }

    fn emit_all(&mut self) -> anyhow::Result<()> {
        (0..self.partitions.len()).try_for_each(|at| self.emit(at))
    }

    /// Writes what partition `at` has decided since the last call.
    fn emit(&mut self, at: usize) -> anyhow::Result<()> {
        let partition = &mut self.partitions[at];
        self.tally.transitions += partition.transitions().len() as u64;
        for output in partition.outputs() {
            match (&mut self.sink, output) {
                (Sink::Lines { out, line }, _) => {
                    line.clear();
                    output_line(output, line);
                    if let Output::Transition(transition) = output {
                        move_line(transition, line);
                    }
                    out.write_all(line)?;
                }
                (Sink::Audience { audience, .. }, Output::Transition(transition)) => audience.apply(transition),
                (Sink::Audience { .. }, Output::Announcement(_)) => {}
            }
        }
        partition.settled();
        Ok(())
    }

    /// Sets the clocks to `until`, where that is later, and writes what is due at or before them.
    fn end(&mut self, until: Option<EventTime>) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if let Some(until) = until {
            self.end_epochs(until)?;
        }
        for at in 0..self.partitions.len() {
            // A clock that is further on stays there: time does not run back. What is due at the instant of the last event
            // happens, too: left out, it would depend on who shares the partition whether `until` itself is looked at.
            let clock = self.partitions[at].clock();
            let end = until.map_or(clock, |until| until.max(clock));
            let just_after = EventTime::from_millis(end.millis().saturating_add(1));
            while let Ok(true) = self.partitions[at].fire_next(just_after, None, &mut nobody) {
                self.emit(at)?;
            }
            self.partitions[at].set_clock(end);
        }
        match &mut self.sink {
            Sink::Lines { out, .. } => out.flush()?,
            Sink::Audience { out, audience } => {
                audience.write(out)?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

/// Over the bytes of all files; hidden where stderr is no terminal or a size is not known.
pub(super) fn progress(files: &[PathBuf]) -> ProgressBar {
    let sizes: Option<Vec<u64>> = files.iter().map(|file| file.metadata().ok().filter(|m| m.is_file()).map(|m| m.len())).collect();
    let Some(sizes) = sizes else { return ProgressBar::hidden() };
    let bar = ProgressBar::new(sizes.iter().sum());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

pub(super) fn instant(text: &str) -> Result<EventTime, String> {
    EventTime::parse(text).ok_or_else(|| "no instant: write RFC 3339 with an offset, as 2026-03-01T00:00:00Z".to_owned())
}

/// `3 refunds` style figures of this command: `1,234,567`.
pub(super) fn count(n: u64) -> String {
    HumanCount(n).to_string()
}

/// Events a second, for a person.
fn per_second(events: u64, took: Duration) -> String {
    count((events as f64 / took.as_secs_f64().max(0.001)) as u64)
}
