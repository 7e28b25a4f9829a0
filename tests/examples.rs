//! The examples of consumers, against a real Kafka: killed again and again, they do nothing twice and leave nothing out.
//!
//! They need what they are written in: Python with `confluent_kafka`, a JDK. What is absent is skipped, and said so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and waits

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use segmentd::runtime::clock::Deadline;
use support::client::{Writer, create_topic};
use support::kafka::Broker;
use tempfile::TempDir;

const TOPIC: &str = "segment-entries";
const ENTRIES: usize = 300;
const KILLS: usize = 3;

/// Does this command work here?
fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Entries, each twice: a consumer that was killed sees one again, and this one surely does.
fn broker_with_entries() -> Broker {
    let broker = Broker::start();
    create_topic(broker.bootstrap(), TOPIC, 2);
    let writer = Writer::connect(broker.bootstrap());
    for n in (0..ENTRIES).flat_map(|n| [n, n]) {
        let event = if n % 10 == 9 { "Audience Expiring" } else { "Audience Entered" };
        let value = format!(
            r#"{{"type":"track","event":"{event}","messageId":"m-{n}","userId":"c-{n}","timestamp":"2026-01-01T00:00:00.000Z","properties":{{"customer":"c-{n}","segment":"loyal","at":"2026-01-01T00:00:00.000Z"}}}}"#
        );
        writer.send(TOPIC, None, &format!("c-{n}"), Some(value.as_bytes()));
    }
    writer.flush();
    broker
}

/// Kills the consumer while it works, and starts it again, until `given` tells of every entry; then nothing more comes.
fn check(start: impl Fn() -> Child, given: impl Fn() -> Vec<String>) {
    let expected: BTreeSet<String> = (0..ENTRIES).filter(|n| n % 10 != 9).map(|n| format!("m-{n}")).collect();
    let deadline = Deadline::after(Duration::from_secs(180));
    for kill in 1..=KILLS + 1 {
        let mut consumer = start();
        while given().len() < expected.len() * kill / (KILLS + 1) {
            assert!(!deadline.is_past(), "{} of {}", given().len(), expected.len());
            assert!(consumer.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(2));
        }
        consumer.kill().unwrap();
        consumer.wait().unwrap();
    }
    let given = given();
    assert_eq!(given.len(), expected.len(), "none twice");
    assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_consumer_in_python_gives_each_coupon_once() {
    if !works(Command::new("python3").args(["-c", "import confluent_kafka"])) {
        return eprintln!("SKIPPED: python3 has no confluent_kafka");
    }
    let (broker, folder) = (broker_with_entries(), TempDir::new().unwrap());
    let database = folder.path().join("coupons.sqlite");
    let start = || {
        let mut command = Command::new("python3");
        command.arg(example("consumer-python/consumer.py")).args(["--bootstrap", broker.bootstrap(), "--database"]).arg(&database);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let read = "import sqlite3, sys\ntry:\n    for row in sqlite3.connect(sys.argv[1]).execute('SELECT message_id FROM coupons'): print(*row)\nexcept sqlite3.OperationalError: pass";
    let given = || {
        let rows = Command::new("python3").args(["-c", read]).arg(&database).output().unwrap();
        String::from_utf8(rows.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    check(start, given);
}

#[test]
fn the_consumer_in_java_gives_each_coupon_once() {
    let (broker, folder) = (broker_with_entries(), TempDir::new().unwrap());
    // The broker's libraries have the client's.
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka-libs/*");
    let mut compile = Command::new("javac");
    compile.arg("-cp").arg(&libraries).arg("-d").arg(folder.path()).arg(example("consumer-java/EntryConsumer.java"));
    if !works(Command::new("javac").arg("-version")) {
        return eprintln!("SKIPPED: there is no javac");
    }
    assert!(compile.status().unwrap().success());
    let ledger = folder.path().join("coupons.tsv");
    let start = || {
        let classes = format!("{}:{}", folder.path().display(), libraries.display());
        let mut command = Command::new("java");
        command.args(["-Xmx100m", "-cp", &classes, "EntryConsumer", broker.bootstrap(), TOPIC, "coupons"]).arg(&ledger);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let given = || {
        let text = std::fs::read_to_string(&ledger).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect()
    };
    check(start, given);
}

fn example(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}
