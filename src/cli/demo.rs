//! `segmentd demo`: the same service, on a Kafka broker inside this process, fed with real purchases at a fast pace.
//!
//! The broker is librdkafka's own for tests. It keeps everything in memory and knows neither fencing nor offsets in
//! transactions: it shows what the service does, not that it does so exactly once (docs/exactly-once.md, "Traps").
//!
//! **Invariant:** what is shown comes out of the transitions topic, as any reader would see it; nothing is simulated.

mod broker;
mod feed;
mod screen;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use super::service::Service;
use super::{Outcome, logging};
use crate::config::{self, Config, ruleset};
use crate::history;
use crate::http::peers::Peers;
use crate::runtime::{Settings, Shutdown, clock};
use crate::time::Span;
use broker::Broker;
use screen::Screen;

/// Segments whose thresholds fit groceries; those of config/segments/ fit other shops.
const SEGMENTS: &str = include_str!("../../assets/demo.segments.yaml");

/// 26,202 events of 391 households in 14 months; source and terms: tests/data/README.md.
const EVENTS: &[u8] = include_bytes!("../../assets/demo.ndjson.zst");

/// More than the purchases last.
const HISTORY: Span = Span::from_days(1_000);

/// Show customers entering and leaving segments; needs nothing installed
#[derive(Parser)]
pub struct Args {
    /// Days of purchases a second
    #[arg(long, value_name = "DAYS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    speed: u32,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    logging::start_quiet();
    let state = TemporaryFolder::new()?;
    let broker = Broker::start().context("the broker inside the process cannot start")?;
    let settings = settings(&broker, &state)?;
    let ruleset = ruleset::load_text("demo.segments.yaml", SEGMENTS).context("the demo's own segments are wrong")?;
    let mut screen = Screen::new(&ruleset.definitions);
    let history = history::Settings {
        kafka: settings.kafka.clone(),
        topic: settings.topics.transitions.name.clone(),
        dir: settings.state_dir.join("history"),
        keep: HISTORY,
    };
    let service = Service::new(settings.clone(), Some(history), &ruleset, Arc::new(ruleset.plan()), "127.0.0.1:0", Peers::default())?;
    let service = service.with_console();
    screen.begin(service.address(), args.speed);

    let shutdown = Shutdown::default();
    let asked = shutdown.clone();
    let running = std::thread::Builder::new().name("service".into()).spawn(move || service.run(&asked))?;
    let feeding = feed::start(settings.kafka, args.speed, shutdown.clone())?;
    let mut reader = broker.reader()?;
    // Quiet for this long after the last event: everything has come through.
    let (patience, mut last_seen) = (Duration::from_secs(3), clock::now());
    loop {
        let quiet = feeding.is_finished() && clock::now().duration_since(last_seen) > patience;
        if quiet || running.is_finished() {
            break;
        }
        if let Some(record) = reader.next(Duration::from_millis(50)) {
            last_seen = clock::now();
            screen.show(&record)?;
        }
    }
    shutdown.request();
    let served = running.join().map_err(|_| anyhow::anyhow!("the service panicked; this is a bug"))?;
    let fed = feeding.join().map_err(|_| anyhow::anyhow!("the feeder panicked; this is a bug"))?;
    screen.end(fed?)?;
    served.context("the service failed")?;
    Ok(Outcome::Done)
}

fn settings(broker: &Broker, state: &TemporaryFolder) -> anyhow::Result<Settings> {
    let nothing = std::iter::empty();
    let config: Config =
        config::parse("demo", "deployment: demo".into(), nothing).map_err(|_| anyhow::anyhow!("the defaults are refused"))?;
    let mut settings = config.service_settings();
    settings.kafka.bootstrap = broker.bootstrap();
    settings.kafka.embedded = true;
    settings.create_topics = false;
    settings.state_dir = state.0.clone();
    // The purchases are years old: their own times move the clock, and none is too far ahead.
    settings.clock.follow_wall = false;
    settings.lanes = 1;
    Ok(settings)
}

/// A folder that goes when the demo ends.
struct TemporaryFolder(std::path::PathBuf);

impl TemporaryFolder {
    fn new() -> anyhow::Result<TemporaryFolder> {
        let path = std::env::temp_dir().join(format!("segmentd-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(TemporaryFolder(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // It is below the system's folder for such things, which is emptied by itself.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
