//! What is written down of who asked about whom: every customer that an answer tells of, and nobody by id.
//!
//! Log lines of all tests of the process come together; each test finds its own by a key of its own.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::audit::Key;
use crate::http::lookup::MANY;
use crate::http::service::fixture::{Scene, day};
use crate::http::service::{TRANSITIONS, TRY};
use crate::runtime::clock::Deadline;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn records() -> Vec<Value> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8(lines).unwrap();
    assert!(!lines.contains("hush-"), "{lines}");
    let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|line: &Value| line["target"] == "audit").collect()
}

/// Ann, Bob and Cid are loyal; records are under the key of this digit.
fn scene(digit: &str) -> (Scene, Key) {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| Lines).init());
    let mut scene = Scene::new("segments: [{key: loyal, when: 'count(orders last 30d) > 0'}]");
    ["hush-ann", "hush-bob", "hush-cid"].into_iter().for_each(|customer| scene.order(customer, day(1), 20));
    scene.commit();
    let key = || Key::parse(&digit.repeat(64)).unwrap();
    scene.audit.replace(Some(key()));
    (scene, key())
}

/// Whom the records of a route name, of these; each record's for itself.
fn check(key: &Key, route: &str, among: &[&str], expected: &[&[&str]]) {
    let named = |record: &Value| -> Vec<&str> {
        let hashes: Vec<&str> = record["customers"].as_str().unwrap_or("").split(' ').collect();
        among.iter().copied().filter(|id| hashes.contains(&key.hash(id).as_str())).collect()
    };
    let found = || {
        let records = records();
        let of_route = records.iter().filter(|record| record["route"] == route);
        of_route.map(named).filter(|named| !named.is_empty()).collect::<Vec<_>>()
    };
    let deadline = Deadline::after(Duration::from_secs(10));
    // A line is written after its answer.
    while found().len() < expected.len() && !deadline.is_past() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(found(), expected, "{route}");
}

const ALL: [&str; 4] = ["hush-ann", "hush-bob", "hush-cid", "hush-nobody"];

#[test]
fn whom_an_answer_tells_of_is_written_down() {
    let (scene, key) = scene("a");
    scene.get("/api/v1/customers/hush-ann/timeline");
    check(&key, "/api/v1/customers/{id}/timeline", &ALL, &[&["hush-ann"]]);
    scene.post(MANY, r#"{"customers": ["hush-bob", "hush-nobody"]}"#);
    check(&key, MANY, &ALL, &[&["hush-bob", "hush-nobody"]]);
    scene.post(TRY, r#"{"customer": "hush-cid", "when": "count(orders last 1d) > 0"}"#);
    check(&key, TRY, &ALL, &[&["hush-cid"]]);
    scene.get("/api/v1/segments/loyal/customers");
    check(&key, "/api/v1/segments/{key}/customers", &ALL, &[&["hush-ann", "hush-bob", "hush-cid"]]);
}

#[test]
fn each_transition_of_the_stream_is_written_down_as_it_is_told() {
    let (mut scene, key) = scene("b");
    assert_eq!(scene.server.listens(TRANSITIONS), 200);
    let mut stream = std::net::TcpStream::connect(scene.server.address).unwrap();
    write!(stream, "GET {TRANSITIONS} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let deadline = Deadline::after(Duration::from_secs(10));
    io::Read::read_exact(&mut stream, &mut [0; 64]).unwrap();
    scene.order("hush-dan", day(2), 20);
    scene.commit();
    while !records().iter().any(|record| record["route"] == TRANSITIONS && record["customers"] == key.hash("hush-dan")) {
        assert!(!deadline.is_past(), "{:?}", records());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_erasure_is_written_down_without_the_id() {
    let (scene, key) = scene("c");
    let (erased, partition) = ([crate::id::CustomerId::new("hush-eve")], crate::id::Partition(7));
    scene.audit.erased(partition, erased.iter());
    scene.audit.erased(partition, [].iter());
    let of_ours = |record: &Value| record["message"] == "erased" && record["partition"] == 7;
    let found: Vec<Value> = records().into_iter().filter(of_ours).collect();
    assert_eq!(found.len(), 1, "of nobody there is no record");
    assert_eq!((&found[0]["customers"], &found[0]["erased"]), (&key.hash("hush-eve").into(), &1.into()));
}
