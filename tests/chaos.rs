//! A year of real purchases through two processes that are killed, a broker that restarts and partitions that move:
//! afterwards a `read_committed` reader finds exactly the golden transitions, none missing, none twice, and the
//! membership topic agrees.
//!
//! `make chaos` runs the long form: 20 kills. `SEGMENTD_CHAOS_KILLS` and `SEGMENTD_CHAOS_SEED` change it. The short
//! form, with 3 kills over the first weeks, is one of the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segmentd::kafka::partitioner::partition;
use serde_json::Value as Json;
use support::client::{Read, Tail, Writer, create_topic, read_all};
use support::kafka::Broker;
use support::service::{INPUT, MEMBERSHIP, Service, TRANSITIONS};
use tempfile::TempDir;

const PARTITIONS: u32 = 4;
/// The instant up to which the golden transitions were computed.
const UNTIL: &str = "2018-03-01T00:00:00.000Z";
/// One millisecond later: whoever moves a task clock here has fired everything due at `UNTIL` or before.
const AFTER: &str = "2018-03-01T00:00:00.001Z";
const SENTINEL: &str = "sentinel-";

#[test]
fn kills_lose_and_double_nothing() {
    Chaos::new(1).run(3, Duration::from_secs(2));
}

#[test]
#[ignore = "the long form: `make chaos`"]
fn chaos() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    Chaos::new(number("SEGMENTD_CHAOS_SEED", 7)).run(number("SEGMENTD_CHAOS_KILLS", 20) as usize, Duration::from_secs(4));
}

struct Chaos {
    broker: Broker,
    states: TempDir,
    random: u64,
}

/// (customer, segment, sequence) → (direction, instant, entry)
type Facts = BTreeMap<(String, String, u64), (String, String, u64)>;
/// One entry of [`Facts`].
type Fact = ((String, String, u64), (String, String, u64));

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let broker = Broker::start_mortal();
        create_topic(broker.bootstrap(), INPUT, PARTITIONS as i32);
        Chaos { broker, states: TempDir::new().expect("a folder"), random: seed.max(1) }
    }

    /// Feeds all events, kills one of two processes `kills` times about every `pause`, restarts the broker and lets a
    /// third process join and leave on the way, then compares.
    fn run(mut self, kills: usize, pause: Duration) {
        let golden = golden();
        // A kill costs the dead member's session, 6 s; events have to come for as long as there are kills.
        let hurry = Arc::new(AtomicBool::new(false));
        let feeder = feed(self.broker.bootstrap().to_string(), (pause + Duration::from_secs(7)) * (kills as u32 + 2), hurry.clone());
        let mut services = [self.service("a"), self.service("b")];
        let mut tail = self.await_outputs();
        let mut recoveries = Vec::new();
        for kill in 0..kills {
            let until = Instant::now() + pause.mul_f64(0.5 + self.fraction());
            read_while(&mut tail, until);
            if kill == kills / 2 {
                self.broker.kill();
                self.broker.restart();
            }
            let victim = (self.fraction() * 2.0) as usize % 2;
            services[victim].kill();
            let killed = Instant::now();
            services[victim] = self.service(if victim == 0 { "a" } else { "b" });
            recoveries.push(recovery(&mut tail, killed));
            if kill == kills / 3 {
                let mut third = self.service("c");
                read_while(&mut tail, Instant::now() + pause);
                third.terminate();
            }
        }
        hurry.store(true, Ordering::Relaxed);
        feeder.join().expect("the feeder");
        let deadline = Instant::now() + Duration::from_secs(180);
        while Instant::now() < deadline && facts(&tail.records).len() < golden.len() {
            read_while(&mut tail, Instant::now() + Duration::from_secs(1));
        }
        for service in &mut services {
            service.terminate();
        }
        self.compare(&golden, kills, &mut recoveries);
    }

    fn service(&self, name: &str) -> Service {
        let segments = data("golden.segments.yaml");
        let environment = [("SERVICE_SEGMENTS", segments.to_str().expect("UTF-8")), ("SERVICE_LANES", "2")];
        Service::start(self.broker.bootstrap(), &self.states.path().join(name), &environment)
    }

    fn await_outputs(&self) -> Tail {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !support::client::exists(self.broker.bootstrap(), TRANSITIONS) {
            assert!(Instant::now() < deadline, "no output topic\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
        Tail::open(self.broker.bootstrap(), TRANSITIONS)
    }

    /// Between 0 and 1. Xorshift: the same seed, the same kills.
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn compare(&self, golden: &Facts, kills: usize, recoveries: &mut [Duration]) {
        let records = read_all(self.broker.bootstrap(), TRANSITIONS);
        let found = facts(&records);
        let counted = records.iter().filter(|record| fact(record).is_some()).count();
        let doubled = counted - found.len();
        let lost = golden.keys().filter(|key| !found.contains_key(*key)).count();
        let wrong = golden.iter().filter(|(key, value)| found.get(*key).is_some_and(|other| other != *value)).count();
        let extra = found.keys().filter(|key| !golden.contains_key(*key)).count();
        recoveries.sort();
        let at = |part: usize| {
            recoveries.get((recoveries.len() * part / 100).min(recoveries.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        println!(
            "kills {kills}, broker restarts 1, rebalances by a third process 2: of {} transitions {lost} lost, {doubled} doubled, {wrong} wrong, {extra} too many; \
             kill to next output p50 {:?}, max {:?}",
            golden.len(),
            at(50),
            at(100)
        );
        let is_right = (lost, doubled, wrong, extra) == (0, 0, 0, 0);
        assert!(is_right, "{}\n{}", difference(golden, &found), self.logs());
        assert_eq!(memberships(&read_all(self.broker.bootstrap(), MEMBERSHIP)), members(golden), "the membership topic disagrees");
    }

    fn logs(&self) -> String {
        ["a", "b", "c"]
            .iter()
            .map(|name| std::fs::read_to_string(self.states.path().join(format!("{name}.log"))).unwrap_or_default())
            .collect()
    }
}

/// Sends every event, in order, spread over `over` or, once there is no more to wait for, at once; then one to each partition that moves its clock behind `UNTIL`.
fn feed(bootstrap: String, over: Duration, hurry: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let writer = Writer::connect(&bootstrap);
        let events = unpacked("complete-journey.ndjson.zst");
        let count = events.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
        let began = Instant::now();
        for (index, line) in events.split(|b| *b == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let due = over.mul_f64(index as f64 / count as f64);
            if index % 100 == 0 && !hurry.load(Ordering::Relaxed) {
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            let event: Json = serde_json::from_slice(line).expect("JSON");
            writer.send(INPUT, None, event["userId"].as_str().expect("userId"), Some(line));
        }
        // Keyed records of one producer stay in order; the sentinels must not overtake them.
        writer.flush();
        for (customer, partition) in sentinels() {
            let value = format!(
                r#"{{"type":"track","event":"Campaign Sent","messageId":"{customer}","userId":"{customer}","timestamp":"{AFTER}","properties":{{}}}}"#
            );
            writer.send(INPUT, Some(partition), &customer, Some(value.as_bytes()));
        }
        writer.flush();
    })
}

/// A customer for each partition.
fn sentinels() -> Vec<(String, i32)> {
    let of = |wanted: i32| (0..).map(|n| format!("{SENTINEL}{n}")).find(|id| partition(id.as_bytes(), PARTITIONS).0 == wanted);
    (0..PARTITIONS as i32).filter_map(|partition| Some((of(partition)?, partition))).collect()
}

fn read_while(tail: &mut Tail, until: Instant) {
    while Instant::now() < until {
        tail.poll(Duration::from_millis(50));
    }
}

/// From the kill to the next record that was committed after it; at most 30 s are waited for.
fn recovery(tail: &mut Tail, killed: Instant) -> Duration {
    // What was committed before the kill may still be on its way to the reader.
    read_while(tail, killed + Duration::from_millis(200));
    let before = tail.records.len();
    while tail.records.len() == before && killed.elapsed() < Duration::from_secs(30) {
        tail.poll(Duration::from_millis(10));
    }
    killed.elapsed()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn unpacked(name: &str) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(data(name)).expect("tests/data")).expect("zstd")
}

fn golden() -> Facts {
    let lines = unpacked("golden.transitions.ndjson.zst");
    let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| fact_of(&serde_json::from_slice(line).expect("JSON"))).collect()
}

fn facts(records: &[Read]) -> Facts {
    records.iter().filter_map(fact).collect()
}

/// `None`: of a sentinel, or later than the golden data goes.
fn fact(record: &Read) -> Option<Fact> {
    let json = record.json();
    let fact = fact_of(&json["properties"]);
    (!fact.0.0.starts_with(SENTINEL) && fact.1.1.as_str() <= UNTIL).then_some(fact)
}

fn fact_of(json: &Json) -> Fact {
    let text = |key: &str| json[key].as_str().expect("text").to_string();
    let number = |key: &str| json[key].as_u64().expect("number");
    ((text("customer"), text("segment"), number("sequence")), (text("transition"), text("at"), number("entry")))
}

/// Who is in which segment, by the transitions.
fn members(facts: &Facts) -> BTreeSet<(String, String)> {
    let last: HashMap<(&str, &str), &str> =
        facts.iter().map(|((c, s, _), (direction, ..))| ((c.as_str(), s.as_str()), direction.as_str())).collect();
    last.into_iter().filter(|(_, direction)| *direction == "entered").map(|((c, s), _)| (c.to_string(), s.to_string())).collect()
}

/// Who is in which segment, by the last record of each customer in the membership topic.
fn memberships(records: &[Read]) -> BTreeSet<(String, String)> {
    let last: HashMap<&[u8], &Read> = records.iter().filter_map(|record| Some((record.key.as_deref()?, record))).collect();
    let mut found = BTreeSet::new();
    for record in last.values().filter(|record| record.value.is_some()) {
        let json = record.json();
        let customer = json["customer"].as_str().expect("customer").to_string();
        let segments = json["segments"].as_object().expect("segments");
        found.extend(segments.keys().map(|segment| (customer.clone(), segment.clone())));
    }
    found.retain(|(customer, _)| !customer.starts_with(SENTINEL));
    found
}

/// The first few that differ.
fn difference(golden: &Facts, found: &Facts) -> String {
    let missing = golden.iter().filter(|(key, value)| found.get(*key) != Some(value)).take(5);
    let extra = found.iter().filter(|(key, _)| !golden.contains_key(*key)).take(5);
    format!("expected: {:#?}\nunexpected: {:#?}", missing.collect::<Vec<_>>(), extra.collect::<Vec<_>>())
}
