//! `segmentd load`: an NDJSON file into a Kafka topic, keyed as the service expects; and, many times over, a load.
//!
//! A copy k > 0 of an event has `-k` behind its customer, message and order ids: new customers with the same history.
//! All copies of an event go out together, so that time runs on in every partition as it does in the file.
//!
//! **Invariant:** a line is sent as it came, byte for byte, but for those suffixes.

mod copies;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::Outcome;
use super::input::Lines;
use super::report;
use crate::id::TopicName;
use crate::kafka::Sender;
use crate::runtime::clock;
use copies::Ids;

/// Send an NDJSON file into Kafka, keyed by customer id
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd load --topic shop.events events.ndjson.zst
  segmentd load --topic shop.events --copies 12 --rate 50000 events.ndjson.zst")]
pub struct Args {
    /// NDJSON, plain, .zst or .gz; `-` is stdin
    file: PathBuf,
    /// An input topic, such as shop.events
    #[arg(long)]
    topic: String,
    /// Events a second; as fast as Kafka takes them if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Send each event N times, each for a customer of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    copies: u32,
    /// Where Kafka is; without it config/segmentd.yaml, if there is one, and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Longer than any record that the service would read.
const LONGEST_LINE: usize = 64 << 20;

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(args.config.as_deref()) else { return Ok(Outcome::Refused) };
    let sender = Sender::connect(&config.kafka_settings(), &TopicName(args.topic.as_str().into()))?;
    let (sent, skipped) = send_all(args, &sender)?;
    sender.finish()?;
    eprintln!("{sent} records sent to {}", args.topic);
    if skipped > 0 {
        eprintln!("{skipped} lines without a customer id left out");
    }
    Ok(Outcome::Done)
}

/// Sent records, and lines without a customer.
fn send_all(args: &Args, sender: &Sender) -> anyhow::Result<(u64, u64)> {
    let mut lines = Lines::open(&args.file, LONGEST_LINE, |_| {})?;
    let (start, mut sent, mut skipped) = (clock::now(), 0u64, 0);
    let mut value = vec![];
    while let Some(line) = lines.next()? {
        let Some(ids) = Ids::of(line) else {
            skipped += u64::from(!line.is_empty());
            continue;
        };
        for copy in 0..args.copies {
            let customer = ids.write_copy(line, copy, &mut value);
            sender.send(customer.as_bytes(), Some(&value))?;
            sent += 1;
            if let Some(rate) = args.rate {
                // From the start, not from the last record: a slow moment is made up for, the rate holds on average.
                let due = start + Duration::from_secs_f64(sent as f64 / rate as f64);
                std::thread::sleep(due.saturating_duration_since(clock::now()));
            }
        }
    }
    Ok((sent, skipped))
}
