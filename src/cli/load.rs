//! `segmentd load`: an NDJSON file into a Kafka topic, keyed as the service expects; and, many times over, a load.
//!
//! A copy k > 0 of an event has `-k` behind its customer, message and order ids: new customers with the same history.
//! All copies of an event go out together, so that time runs on in every partition as it does in the file.
//!
//! **Invariant:** a line is sent as it came, byte for byte, but for those suffixes.

mod copies;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::Outcome;
use super::input::Lines;
use super::report;
use crate::kafka::Settings;
use crate::kafka::partitioner::partition;
use crate::kafka::settings::Logged;
use crate::kafka::topics::Topics;
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
    let sender = Sender::connect(&config.kafka_settings(), &args.topic)?;
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
            sender.send(customer.as_bytes(), &value)?;
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

/// Sends to the partition that Java's clients would choose.
pub struct Sender {
    producer: BaseProducer<Deliveries>,
    topic: String,
    partitions: u32,
}

#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
}

impl rdkafka::ClientContext for Deliveries {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        Logged.log(level, facility, line);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.failed.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
    }
}

impl Sender {
    pub fn connect(settings: &Settings, topic: &str) -> anyhow::Result<Sender> {
        let existing = Topics::connect(settings)?.existing()?;
        let Some(partitions) = existing.partitions.get(topic) else {
            bail!("topic `{topic}` does not exist; `segmentd topics` shows those that do")
        };
        let mut config = settings.admin();
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("compression.type", "lz4");
        let producer = config.create_with_context(Deliveries::default()).context("cannot make a producer")?;
        Ok(Sender { producer, topic: topic.to_owned(), partitions: u32::try_from(*partitions)? })
    }

    pub fn send(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let to = partition(key, self.partitions).0;
        let mut record = BaseRecord::to(&self.topic).partition(to).key(key).payload(value);
        while let Err((error, refused)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error).context("Kafka refused a record");
            }
            self.producer.poll(Duration::from_millis(10));
            record = refused;
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Lets records go out and come back acknowledged for a while.
    pub fn poll(&self, wait: Duration) {
        self.producer.poll(wait);
    }

    /// Waits until every record is with Kafka.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.producer.flush(Duration::from_secs(60)).context("Kafka did not take all records within a minute")?;
        match self.producer.context().failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => bail!("{failed} records were not delivered"),
        }
    }
}
