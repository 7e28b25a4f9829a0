//! The figures of the README, measured: `make bench`. Nothing is asserted but that the work was done; a figure belongs
//! to the machine that it was measured on, and the broker shares its cores here.
//!
//! ```text
//! replay        golden data and segments, median of five: with a core for reading and one for deciding, and on one core
//! throughput    the same events twelve times over (1,984,080; 29,628 customers) drained from a filled topic, median of three
//! latency       open loop at a tenth of that throughput, from the record's timestamp to the commit of its transition
//! memory        100,000 customers
//! lookups       a read replica of 100,000 customers: as many as it answers; at 2,000 a second; and beside 20,000 events/s
//! in the service  the same of `segmentd run` itself, and what they cost its events, in pairs (`lookups_in_the_service`)
//! visible       how soon after a reader of committed records an answer has a transition, one at a time (`visible`)
//! reload        100 segments more over 100,000 customers, while 10,000 events/s come: of all kinds (`reload`), and sums
//!               whose hundred thresholds every customer climbs, so that each event makes two transitions (`reload_of_sums`)
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod figures {
    pub mod asking;
    pub mod metrics;
    pub mod pairs;
    pub mod rig;
    pub mod visible;
}
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use figures::asking::ask;
use figures::metrics::shown;
use figures::pairs::Pairs;
use figures::rig::{Rig, Service};
use support::client::{Writer, create_topic};

const EVENTS: &str = "tests/data/complete-journey.ndjson.zst";
const SEGMENTS: &str = "tests/data/golden.segments.yaml";
const TOPIC: &str = "shop.events";
const TRANSITIONS: &str = "segment-transitions";
const MEMBERSHIP: &str = "segment-membership";
const PARTITIONS: i32 = 4;
const COMMIT: &str = "segmentd_commit_duration_seconds";
/// Of the replica.
const CUSTOMERS: u32 = 100_000;

#[test]
#[ignore = "minutes of measuring: `make bench`"]
fn figures() {
    // In turns, or the machine's moods would be taken for a difference.
    let (mut free, mut pinned): (Vec<f64>, Vec<f64>) = (0..5).map(|_| (replay(&[]), replay(&["taskset", "--cpu-list", "0"]))).unzip();
    println!("\nreplay              {:>9.0} events/s; {:.0} on one core", median(&mut free), median(&mut pinned));
    let most = throughput();
    latency((most / 10.0) as u64);
    memory();
}

#[test]
#[ignore = "minutes of measuring: `make bench`"]
fn lookups() {
    let rig = Rig::new();
    create_topic(rig.broker.bootstrap(), MEMBERSHIP, PARTITIONS);
    let writer = Writer::connect(rig.broker.bootstrap());
    for customer in 0..CUSTOMERS {
        let membership = r#"{"since":"2026-01-01T00:00:00.000Z","entry":1,"sequence":1,"valid_until":null,"version":"0123456789abcdef"}"#;
        let record = format!(
            r#"{{"customer":"c-{customer}","segments":{{"loyal":{membership},"big":{membership}}},"updated_at":"2026-01-01T00:00:00.000Z"}}"#
        );
        writer.send(MEMBERSHIP, None, &format!("c-{customer}"), Some(record.as_bytes()));
    }
    writer.flush();
    let begun = Instant::now();
    // Every customer comes, far from the one before; one in eight was never seen.
    let stranger = |number: u32| format!("c-{}", number.wrapping_mul(7919) % (CUSTOMERS / 7 * 8));
    let replica = rig.replica();
    replica.await_ready();
    println!("\nreplica ready       {:>9.1} s, {CUSTOMERS} customers from Kafka", begun.elapsed().as_secs_f64());
    drop(replica);
    let begun = Instant::now();
    let replica = rig.replica();
    replica.await_ready();
    println!("replica ready       {:>9.1} s, from its disk", begun.elapsed().as_secs_f64());
    ask(replica.http, &stranger, None, Duration::from_secs(5)).print("as many as it can");
    ask(replica.http, &stranger, Some(2000), Duration::from_secs(10)).print("at 2,000/s");
    let service = rig.service();
    service.await_ready();
    std::thread::scope(|scope| {
        scope.spawn(|| rig.load(Path::new(EVENTS), &["--rate", "20000", "--copies", "2"]));
        std::thread::sleep(Duration::from_secs(3));
        ask(replica.http, &stranger, Some(2000), Duration::from_secs(10)).print("at 2,000/s beside 20,000 events/s");
    });
}

/// Events a second, as the command itself says, started by `launcher`.
fn replay(launcher: &[&str]) -> f64 {
    let command = [env!("CARGO_BIN_EXE_segmentd"), "replay", "--segments", SEGMENTS, "--until", "2018-03-01T00:00:00Z"];
    let words = [launcher, &command, &["--output", "/dev/null", EVENTS]].concat();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("165,340 events, 65,816 transitions"), "{said}");
    let rate = said.split('(').nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    rate.replace(',', "").parse().unwrap()
}

/// The median of three drains, each by a deployment to which everything is new. Before them comes one that is not counted: of a
/// broker that has just started, the JVM is what is slow.
fn throughput() -> f64 {
    let rig = Rig::new();
    let sent = rig.load(Path::new(EVENTS), &["--copies", "12"]);
    let mut rates: Vec<f64> = ["-0", "-1", "-2", "-3"].into_iter().map(|suffix| drain(&rig, suffix, sent)).skip(1).collect();
    let rate = median(&mut rates);
    println!("through Kafka       {rate:>9.0} events/s ({:.0} to {:.0}), exactly once, {sent} events", rates[0], rates[2]);
    rate
}

/// Events a second of the filled topic.
fn drain(rig: &Rig, suffix: &str, sent: u64) -> f64 {
    rig.configure(suffix);
    let service = rig.service();
    let (begun, first) = service.await_consumed(warm(sent));
    let before = service.metrics();
    let (ended, last) = service.await_consumed(sent);
    println!("commit, of a drain  {:>9}", shown(&service.metrics().since(&before, COMMIT)));
    (last - first) as f64 / (ended - begun).as_secs_f64()
}

/// For more than a minute: of one that has just started, the broker's JVM is what is slow.
fn latency(rate: u64) {
    let rig = Rig::new();
    let service = rig.service();
    service.await_ready();
    let before = std::thread::scope(|scope| {
        scope.spawn(|| rig.load(Path::new(EVENTS), &["--copies", "4", "--rate", &rate.to_string()]));
        service.await_consumed(warm(4 * 165_340));
        service.metrics()
    });
    std::thread::sleep(Duration::from_secs(1));
    let after = service.metrics();
    println!("end to end          {:>9} at {rate} events/s", shown(&after.since(&before, "segmentd_transition_latency_seconds")));
    println!("commit then         {:>9}", shown(&after.since(&before, COMMIT)));
}

/// Measured after 40 % of the events: before that a broker's JVM that has just started is what is slow.
fn warm(events: u64) -> u64 {
    events * 2 / 5
}

fn memory() {
    let rig = Rig::new();
    // The first part of the year, for as many times more households as make 100,000.
    let part = rig.folder.path().join("part.ndjson");
    let text = zstd::decode_all(std::fs::File::open(EVENTS).unwrap()).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').take(40_000).collect();
    std::fs::write(&part, lines.concat()).unwrap();
    let households: BTreeSet<&[u8]> = lines.iter().map(|line| customer(line)).collect();
    let copies = 100_000 / households.len() + 1;
    let sent = rig.load(&part, &["--copies", &copies.to_string()]);
    let service = rig.service();
    service.await_consumed(sent);
    std::thread::sleep(Duration::from_secs(2));
    let metrics = service.metrics();
    let customers = households.len() * copies;
    println!(
        "memory              {:>9.0} MiB resident, {customers} customers",
        metrics.sum("process_resident_memory_bytes") / f64::from(1 << 20)
    );
    println!("state               {:>9.0} bytes a customer", metrics.sum("segmentd_state_bytes") / customers as f64);
}

/// The service itself, asked for the customers that it has, alone and beside events; and what that costs the events.
#[test]
#[ignore = "minutes of measuring: `make bench`"]
fn lookups_in_the_service() {
    let text = zstd::decode_all(std::fs::File::open(EVENTS).unwrap()).unwrap();
    let ids: BTreeSet<&[u8]> = text.split_inclusive(|b| *b == b'\n').map(customer).collect();
    let ids: Vec<String> = ids.into_iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect();
    let household = |number: u32| format!("{}-{}", ids[number.wrapping_mul(7919) as usize % ids.len()], 1 + number % 12);
    println!();
    beside_a_rate(&household);
    beside_a_backlog(&household);
}

fn beside_a_rate(household: &(dyn Fn(u32) -> String + Sync)) {
    let rig = Rig::new();
    let service = rig.service();
    service.await_ready();
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| rig.load(Path::new(EVENTS), &["--rate", "20000", "--copies", "12"]));
        service.await_consumed(200_000);
        let mut pairs = Pairs::default();
        pairs.measure(&service, household, || !loading.is_finished());
        pairs.print("at 2,000/s beside 20,000 events/s");
    });
}

fn beside_a_backlog(household: &(dyn Fn(u32) -> String + Sync)) {
    let rig = Rig::new();
    let sent = rig.load(Path::new(EVENTS), &["--copies", "12"]);
    let service = rig.service();
    let consumed = || service.metrics().sum("segmentd_events_consumed_total") as u64;
    service.await_consumed(sent / 10);
    let mut pairs = Pairs::default();
    pairs.measure(&service, household, || consumed() < sent * 8 / 10);
    pairs.print("at 2,000/s beside as many events as it can");
    service.await_consumed(sent);
    ask(service.http, household, None, Duration::from_secs(5)).print("the service itself, as many as it can");
    ask(service.http, household, Some(2000), Duration::from_secs(10)).print("the service itself, at 2,000/s");
}

#[test]
#[ignore = "minutes of measuring: `make bench`"]
fn visible() {
    let rig = Rig::new();
    let service = rig.service();
    service.await_ready();
    figures::visible::measure(rig.broker.bootstrap(), TOPIC, TRANSITIONS, &service.http.to_string());
}

#[test]
#[ignore = "minutes of measuring: `make bench`"]
fn reload() {
    measure_reload((0..100).map(|n| definition(n % 10, n / 10)));
}

#[test]
#[ignore = "minutes of measuring: `make bench`"]
fn reload_of_sums() {
    measure_reload((0..100).map(|n| format!("sum(orders.total last {}d) > {}", 7 + n % 30, 300 + 5 * n)));
}

/// One of ten segments of one of ten kinds: those of the golden data, with other numbers.
fn definition(kind: u32, n: u32) -> String {
    let (weeks, tens) = (14 + 7 * n, 30 + 10 * n);
    match kind {
        0 => format!("count(orders last {weeks}d) >= {}", 2 + n / 2),
        1 => format!("count(orders lifetime) > 0 and count(orders last {weeks}d) == 0"),
        2 => format!("sum(orders.total last {tens}d) >= {}", 100 + 50 * n),
        3 => format!("avg(orders.total last {tens}d) in [{}, {})", 10 + 10 * n, 30 + 10 * n),
        4 => format!("max(orders.total last {weeks}d) >= {}", 50 + 20 * n),
        5 => format!("count(orders last {tens}d) > 2 and every(orders last {tens}d: total > {})", 10 + 2 * n),
        6 => format!("sum(orders.total last {weeks}d) < 0.5 * sum(orders.total from {}d to {weeks}d ago)", 2 * weeks),
        7 => format!("distinct(orders.store_id last {tens}d) >= {}", 2 + n / 3),
        8 => format!("sum(orders.total lifetime where redeemed) >= {}", 50 + 50 * n),
        _ => format!("returned(orders after {weeks}d within 14d)"),
    }
}

fn measure_reload(rules: impl Iterator<Item = String>) {
    // Holds everybody, as docs/sizing.md advises for a hundred segments more.
    let rig = Rig::with_memory("3GiB");
    let (past, live) = (rig.folder.path().join("past.ndjson"), rig.folder.path().join("live.ndjson"));
    let text = zstd::decode_all(std::fs::File::open(EVENTS).unwrap()).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    let (first, second) = lines.split_at(40_000);
    std::fs::write(&past, first.concat()).unwrap();
    let households: BTreeSet<&[u8]> = first.iter().map(|line| customer(line)).collect();
    let copies = 100_000 / households.len() + 1;
    std::fs::write(&live, as_they_come(second, Duration::from_micros(100) * copies as u32)).unwrap();
    let copies = copies.to_string();
    let sent = rig.load(&past, &["--copies", &copies]);
    let service = rig.service();
    service.await_consumed(sent);
    let live = rig.loading(&live, &["--copies", &copies, "--rate", "10000"]);
    std::thread::sleep(Duration::from_secs(10));
    let start = service.metrics();
    std::thread::sleep(Duration::from_secs(15));
    let before = service.metrics();
    let added = rules.enumerate().map(|(n, rule)| format!("  - {{key: added_{n}, when: '{rule}'}}\n"));
    let defined = std::fs::read_to_string(SEGMENTS).unwrap();
    std::fs::write(rig.segments(), format!("{defined}{}", added.collect::<String>())).unwrap();
    let begun = Instant::now();
    Command::new("kill").args(["-HUP", &service.process.id().to_string()]).status().unwrap();
    // Asked rarely: with 111 segments a scrape is no small thing.
    let is_running = || {
        std::thread::sleep(Duration::from_millis(250));
        service.metrics().sum("segmentd_backfill_remaining_customers") > 0.0
    };
    service.await_that("begun", is_running);
    service.await_that("decided", || !is_running());
    let (took, then) = (begun.elapsed().as_secs_f64(), service.metrics());
    std::thread::sleep(Duration::from_secs(15));
    let after = service.metrics();
    drop(live);
    let count = |name: &str| then.sum(name) - before.sum(name);
    let customers = count("segmentd_backfill_customers_total");
    println!("reload              {:>9.0} customers/s, {customers} customers in {took:.1} s, 100 segments more", customers / took);
    for (phase, from, to) in [("before", &start, &before), ("meanwhile", &before, &then), ("after", &then, &after)] {
        println!("  end to end {phase:<9} {}", shown(&to.since(from, "segmentd_transition_latency_seconds")));
        println!("  commit {phase:<13} {}", shown(&to.since(from, COMMIT)));
    }
    println!("  meanwhile {:>9} events, {} transitions", count("segmentd_events_consumed_total"), count("segmentd_transitions_total"));
}

/// Events that happen `apart` from each other: time passes as fast as it does, and not half a year in minutes.
fn as_they_come(lines: &[&[u8]], apart: Duration) -> Vec<u8> {
    let begin: jiff::Timestamp = std::str::from_utf8(member(lines[0], "timestamp")).unwrap().parse().unwrap();
    let moved = lines.iter().enumerate().map(|(number, line)| {
        let (before, now) = (member(line, "timestamp"), begin + apart * number as u32);
        let text = std::str::from_utf8(line).unwrap();
        text.replacen(std::str::from_utf8(before).unwrap(), &format!("{now:.3}"), 1).into_bytes()
    });
    moved.collect::<Vec<_>>().concat()
}

fn customer(line: &[u8]) -> &[u8] {
    member(line, "userId")
}

/// A text in a record, by its name.
fn member<'a>(line: &'a [u8], name: &str) -> &'a [u8] {
    let begin = format!("\"{name}\":\"");
    let start = line.windows(begin.len()).position(|part| part == begin.as_bytes()).unwrap() + begin.len();
    line[start..].split(|b| *b == b'"').next().unwrap()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
