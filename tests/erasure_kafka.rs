//! Erasing a customer, against a real Apache Kafka and `segmentd` itself: asked for by the command, through a kill and a
//! restore from nothing but the topics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use segmentd::store::{Shared, StateDir, Store};
use segmentd::time::EventTime;
use support::client::{Read, ask, get, read_all};
use support::scene::Scene;
use support::service::{CHANGELOG, DEAD_LETTERS, INPUT, MEMBERSHIP};

const ID: &str = "erase-me@example.org";

#[test]
fn an_erased_customer_is_nowhere_and_does_not_come_back() {
    let mut scene = Scene::new(2);
    scene.define("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}, {key: recent, when: 'count(orders last 3650d) > 0'}]");
    let http = format!("127.0.0.1:{}", support::kafka::free_port());
    let config = scene.configure(&http);
    audit(&scene, &config);
    let mut service = scene.run(&config, "a");
    scene.send_orders(2);
    (0..40).for_each(|n| order(&scene, n, "2026-01-02T10:00:00Z"));
    scene.await_transitions(82, Duration::from_secs(40));

    let receipt = erase(&config);
    assert!(receipt.contains(CHANGELOG) && receipt.contains("max.compaction.lag.ms=604800000"), "{receipt}");
    let records = scene.await_transitions(84, Duration::from_secs(20));
    assert_eq!(exits(records), 2, "cause `delete`, from both segments");
    let hash = with_the_id(&config, &["audit", "-"]);
    let erased: Vec<String> = scene.logs().lines().filter(|line| line.contains(r#""message":"erased""#)).map(str::to_owned).collect();
    assert!(erased.len() == 1 && erased[0].contains(hash.trim()), "{erased:?}, {hash}");

    // Late, a repeat, and one that cannot even be read.
    order(&scene, 100, "2026-01-03T10:00:00Z");
    order(&scene, 1, "2026-01-02T10:00:00Z");
    let broken =
        format!(r#"{{"type":"track","event":"Order Completed","userId":"{ID}","timestamp":"2026-01-03T10:00:00Z","properties":7}}"#);
    scene.send(INPUT, None, ID, Some(broken.as_bytes()));
    await_erased(&http, 3);
    await_history(&http);
    service.kill();
    assert_eq!(traces(&scene, "a", &http), Vec::<String>::new());

    // Another machine, that has nothing but the topics.
    let mut service = scene.run(&config, "b");
    order(&scene, 101, "2026-01-03T10:00:00Z");
    await_erased(&http, 1);
    assert_eq!(traces(&scene, "a", &http), Vec::<String>::new());
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    order(&scene, 102, &soon.to_string());
    let records = scene.await_transitions(86, Duration::from_secs(20));
    let last = records.iter().map(Read::json).rfind(|record| record["properties"]["customer"] == ID).unwrap();
    assert_eq!((&last["properties"]["sequence"], &last["properties"]["entry"]), (&1_000_000_001u64.into(), &1.into()));

    // Who came back after that instant can be erased as well: after it, so the clock has to be past it.
    std::thread::sleep(Duration::from_secs(3));
    erase(&config);
    scene.await_transitions(88, Duration::from_secs(20));
    await_history(&http);
    service.terminate();
    assert_eq!(traces(&scene, "b", &http), Vec::<String>::new());
}

/// An order of the customer's; `n` makes it another one.
fn order(scene: &Scene, n: usize, at: &str) {
    let order = format!(
        r#"{{"type":"track","event":"Order Completed","messageId":"m-{n}","userId":"{ID}","timestamp":"{at}","properties":{{"order_id":"x-{n}","total":20}}}}"#
    );
    scene.send(INPUT, None, ID, Some(order.as_bytes()));
    scene.flush();
}

/// Gives audit records a key.
fn audit(scene: &Scene, config: &Path) {
    let key = scene.states.path().join("audit.key");
    std::fs::write(&key, "7".repeat(64)).unwrap();
    let before = std::fs::read_to_string(config).unwrap();
    std::fs::write(config, format!("{before}access: {{audit_key: {}}}\n", key.display())).unwrap();
}

/// `segmentd erase`; the receipt.
fn erase(config: &Path) -> String {
    with_the_id(config, &["erase", "-"])
}

/// What a command says that is given the id by stdin, as it should be.
fn with_the_id(config: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segmentd"));
    let mut child = command.args(arguments).arg("--config").arg(config).stdin(std::process::Stdio::piped());
    child = child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), ID.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success() && !text.contains(ID), "{text}");
    text
}

fn exits(records: &[Read]) -> usize {
    let of_customer = |record: &&Read| {
        let properties = &record.json()["properties"];
        properties["customer"] == ID && properties["transition"] == "exited" && properties["cause"] == "delete"
    };
    records.iter().filter(of_customer).count()
}

/// Waits until a process has refused so many records. One that was killed may have refused some for nothing.
fn await_erased(http: &str, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let refused = || {
        let text = get(http, "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("segmentd_events_rejected_total{reason=\"erased\"} ").map(str::to_owned));
        line.and_then(|count| count.parse().ok()).unwrap_or(0u64)
    };
    while refused() < count {
        assert!(Instant::now() < deadline, "{} of {count} refused", refused());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the history has read whatever is committed by now.
fn await_history(http: &str) {
    let now = EventTime::from_millis(jiff::Timestamp::now().as_millisecond()).to_string();
    let deadline = Instant::now() + Duration::from_secs(30);
    let as_of = || {
        let (_, body) = ask(http, "/api/v1/customers/c-0/timeline")?;
        Some(serde_json::from_str::<serde_json::Value>(&body).ok()?["as_of"].as_str()?.to_owned())
    };
    while as_of().is_none_or(|as_of| as_of < now) {
        assert!(Instant::now() < deadline, "the history is as of {:?}", as_of());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every place that names the customer, where it should not: the last value of each key, metrics, logs and the store.
fn traces(scene: &Scene, state: &str, http: &str) -> Vec<String> {
    let bootstrap = scene.broker.bootstrap();
    let mut places: Vec<(String, Vec<u8>)> =
        vec![("metrics".into(), get(http, "/metrics").into_bytes()), ("logs".into(), scene.logs().into())];
    for topic in [CHANGELOG, MEMBERSHIP] {
        let compacted: BTreeMap<_, _> =
            read_all(bootstrap, topic).into_iter().map(|record| ((record.partition, record.key), record.value)).collect();
        let kept = compacted.into_iter().filter_map(|((_, key), value)| Some([key.unwrap_or_default(), value?].concat()));
        places.extend(kept.map(|bytes| (topic.to_owned(), bytes)));
    }
    let letters = read_all(bootstrap, DEAD_LETTERS)
        .into_iter()
        .map(|letter| [letter.key, letter.value].into_iter().flatten().collect::<Vec<_>>().concat());
    places.extend(letters.map(|bytes| (DEAD_LETTERS.to_owned(), bytes)));
    places.extend(stored(&scene.states.path().join(state)).into_iter().map(|bytes| ("store".to_owned(), bytes)));
    places.extend(stored(&scene.states.path().join(state).join("history")).into_iter().map(|bytes| ("history".to_owned(), bytes)));
    let holds = |bytes: &[u8]| bytes.windows(ID.len()).any(|window| window == ID.as_bytes());
    places
        .into_iter()
        .filter(|(_, bytes)| holds(bytes))
        .map(|(place, bytes)| format!("{place}: {}", String::from_utf8_lossy(&bytes)))
        .collect()
}

/// Keys and values of all stores in a folder that no process uses.
fn stored(folder: &Path) -> Vec<Vec<u8>> {
    let (shared, dir) = (Shared::new(64 << 20), StateDir::lock_to_look(folder).unwrap());
    let mut found = Vec::new();
    for partition in dir.partitions().unwrap() {
        let store = Store::open_to_read(&shared, &dir.partition(partition)).unwrap();
        let states = store.scan_state(b"", None, usize::MAX).unwrap().into_iter().flat_map(|(key, value)| [key.to_vec(), value.to_vec()]);
        let timers = store.timers_from(EventTime::MIN, b"", usize::MAX).unwrap().into_iter().map(|timer| timer.customer.to_vec());
        found.extend(states.chain(timers).chain(store.manifest().unwrap()));
    }
    assert!(found.len() > 40, "others are there");
    found
}
