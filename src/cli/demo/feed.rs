//! Sends the sample into the broker, at a pace that follows the events' own times.

use std::io::{BufRead, BufReader};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use super::EVENTS;
use crate::config::ConfigFile;
use crate::id::TopicName;
use crate::kafka::{Sender, Settings};
use crate::runtime::{Shutdown, clock};
use crate::time::{EventTime, Span};

#[derive(Deserialize)]
struct Stamp<'a> {
    #[serde(rename = "userId")]
    customer: &'a str,
    timestamp: &'a str,
}

/// Sends everything, `speed` days a second, and gives the number of events. Ends early when the service does.
pub fn start(settings: Settings, speed: u32, shutdown: Shutdown) -> anyhow::Result<JoinHandle<anyhow::Result<u64>>> {
    Ok(std::thread::Builder::new().name("feed".into()).spawn(move || feed(&settings, speed, &shutdown))?)
}

fn feed(settings: &Settings, speed: u32, shutdown: &Shutdown) -> anyhow::Result<u64> {
    let topics = ConfigFile::default().input.topics;
    let sender = Sender::connect(settings, &TopicName(topics.first().map_or("", String::as_str).into()))?;
    let lines = BufReader::new(zstd::Decoder::with_buffer(EVENTS)?).lines();
    let (begun, mut first, mut sent) = (clock::now(), None, 0);
    for line in lines {
        let line = line?;
        let stamp: Stamp<'_> = serde_json::from_str(&line).context("the sample is damaged")?;
        let time = EventTime::parse(stamp.timestamp).context("the sample is damaged")?;
        let due = begun + pace(*first.get_or_insert(time), time, speed);
        while clock::now() < due && !shutdown.is_requested() {
            sender.poll(due.saturating_duration_since(clock::now()).min(Duration::from_millis(50)));
        }
        if shutdown.is_requested() {
            break;
        }
        sender.send(stamp.customer.as_bytes(), Some(line.as_bytes()))?;
        sent += 1;
    }
    sender.finish()?;
    Ok(sent)
}

/// How long after the first event an event is due.
fn pace(first: EventTime, time: EventTime, speed: u32) -> Duration {
    let passed = time.millis().saturating_sub(first.millis()).max(0);
    Duration::from_secs_f64(passed as f64 / Span::DAY.millis() as f64 / f64::from(speed))
}
