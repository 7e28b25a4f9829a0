//! Lookups over a real socket, from copies without a broker behind them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::http::listener::Bounds;
use crate::http::tests::{Received, Running, start_site};
use crate::id::{Offset, Partition};
use crate::replica::{Copies, Memberships};
use crate::time::EventTime;

const ANN: &str = r#"{"customer":"ann","segments":{"loyal":{"since":"2026-01-01T00:00:00.000Z","entry":2,"sequence":3,"valid_until":"2026-01-31T00:00:00.000Z","version":"v1"}},"updated_at":"2026-01-01T00:00:00.000Z"}"#;

struct Replica {
    server: Running,
    copies: Arc<Copies>,
    _folder: TempDir,
}

/// One partition with ann's record in it, read to its end at offset 7, as of 1,000 ms.
fn replica() -> Replica {
    let replica = replica_within(Limits::new(512));
    replica.apply("ann", Some(ANN), 7);
    replica.copies.get(Partition(0)).unwrap().note_end(Offset(7), EventTime::from_millis(1000));
    replica
}

fn replica_within(limits: Limits) -> Replica {
    let folder = TempDir::new().unwrap();
    let copies = Arc::new(Copies::open(folder.path(), 8 << 20, "segment-membership", 1, None).unwrap());
    let memberships = Arc::new(Memberships::default());
    memberships.publish(copies.clone());
    Replica {
        server: start_site(Some(Lookup { source: Source::Replica(memberships), limits }), None, Bounds::LOOKUPS),
        copies,
        _folder: folder,
    }
}

impl Replica {
    fn apply(&self, customer: &str, record: Option<&str>, next: i64) {
        let record = (customer.as_bytes(), record.map(str::as_bytes));
        self.copies.get(Partition(0)).unwrap().apply(&[record], Offset(next), None).unwrap();
    }

    fn get(&self, path: &str, headers: &str) -> Received {
        self.server.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
    }

    fn post(&self, body: &str) -> Received {
        let length = body.len();
        self.server.send(&format!("POST {MANY} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    /// The answer about a customer, whose id is written as the path needs it.
    fn customer(&self, id: &str) -> Value {
        let received = self.get(&format!("/api/v1/customers/{id}/segments"), "");
        assert_eq!(received.code, 200, "{}", received.body);
        received.json()
    }
}

/// A refusal is a problem document with this status, and its detail has this in it.
fn check_refused(received: &Received, code: u16, detail: &str) {
    assert_eq!((received.code, received.header("content-type")), (code, Some("application/problem+json")), "{}", received.body);
    let problem = received.json();
    assert_eq!(problem["status"], code);
    assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
}

#[test]
fn a_customer_is_told_with_every_membership_and_how_fresh_that_is() {
    let replica = replica();
    let loyal = json!({"held": true, "since": "2026-01-01T00:00:00.000Z", "entry": 2, "sequence": 3, "valid_until": "2026-01-31T00:00:00.000Z", "version": "v1"});
    let expected = json!({"customer": "ann", "segments": {"loyal": loyal}, "updated_at": "2026-01-01T00:00:00.000Z", "as_of": "1970-01-01T00:00:01.000Z", "lag_records": 0});
    assert_eq!(replica.customer("ann"), expected, "although valid_until has passed: that is for the engine to say");
    let asked = replica.get("/api/v1/customers/ann/segments?segment=gold,loyal", "").json();
    assert_eq!(asked["segments"], json!({"gold": {"held": false}, "loyal": loyal}));
}

#[test]
fn a_customer_that_was_never_seen_holds_nothing() {
    let expected = json!({"customer": "bob", "segments": {}, "updated_at": null, "as_of": "1970-01-01T00:00:01.000Z", "lag_records": 0});
    assert_eq!(replica().customer("bob"), expected);
}

#[test]
fn a_tombstone_takes_the_memberships_away_and_lag_says_what_is_missing() {
    let replica = replica();
    replica.copies.get(Partition(0)).unwrap().note_end(Offset(9), EventTime::from_millis(2000));
    let behind = replica.customer("ann");
    assert_eq!((&behind["lag_records"], &behind["as_of"]), (&json!(2), &json!("1970-01-01T00:00:01.000Z")));
    replica.apply("ann", None, 9);
    let gone = replica.customer("ann");
    assert_eq!((&gone["segments"], &gone["lag_records"], &gone["as_of"]), (&json!({}), &json!(0), &json!("1970-01-01T00:00:02.000Z")));
}

#[test]
fn an_answer_that_the_client_has_is_not_sent_again_and_its_freshness_is() {
    let replica = replica();
    let path = "/api/v1/customers/ann/segments";
    let first = replica.get(path, "");
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.header("cache-control"), Some("no-store"));
    replica.apply("someone else", Some(ANN), 8);
    replica.copies.get(Partition(0)).unwrap().note_end(Offset(8), EventTime::from_millis(3000));
    let again = replica.get(path, &format!("if-none-match: \"x\", {tag}\r\n"));
    assert_eq!((again.code, again.body.as_str(), again.header("as-of")), (304, "", Some("1970-01-01T00:00:03.000Z")));
    assert_eq!((again.header("etag"), again.header("lag-records")), (Some(tag.as_str()), Some("0")));
    replica.apply("ann", None, 9);
    assert_eq!(replica.get(path, &format!("if-none-match: {tag}\r\n")).code, 200);
}

#[test]
fn any_id_can_be_asked_for() {
    let replica = replica();
    for id in ["a/b", "..", "%", "ä€🦀", "\u{0}\n\r", "a b+c", "\"'<script>", "x?segment=y#z"] {
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        replica.apply(id, Some(ANN), 7);
        let told = replica.customer(&encoded);
        assert_eq!((&told["customer"], &told["segments"]["loyal"]["held"]), (&json!(id), &json!(true)));
        let many = replica.post(&json!({"customers": [id]}).to_string()).json();
        assert_eq!(many["customers"][0], told);
    }
}

#[test]
fn an_id_that_no_event_could_carry_is_refused_and_stands_nowhere() {
    let replica = replica();
    let long = "x".repeat(10_000);
    check_refused(&replica.get(&format!("/api/v1/customers/{long}/segments"), ""), 400, "has 10000 bytes; no event carries more than 512");
    check_refused(&replica.post(&json!({"customers": [long]}).to_string()), 400, "has 10000 bytes");
    check_refused(&replica.post(r#"{"customers":[""]}"#), 400, "is empty");
    check_refused(&replica.get("/api/v1/customers/%FF%FE/segments", ""), 400, "percent-encoded UTF-8");
    check_refused(&replica.get("/api/v1/customers//segments", ""), 400, "is empty");
    check_refused(&replica.get("/api/v1/customers/ann/b/segments", ""), 404, "no such route");
    replica.customer("hush-hush");
    let metrics = replica.server.metrics();
    assert!(metrics.contains(r#"count{code="200",route="/api/v1/customers/{id}/segments"} 1"#), "{metrics}");
    assert!(!metrics.contains("hush-hush") && !metrics.contains("xxx"), "{metrics}");
}

#[test]
fn a_parameter_that_is_not_known_is_refused() {
    let replica = replica();
    check_refused(&replica.get("/api/v1/customers/ann/segments?segmnt=gold", ""), 400, "the only query parameter is `segment`");
    check_refused(&replica.get("/api/v1/customers/ann/segments?segment=", ""), 400, "a segment's key is empty");
    let many = vec!["s"; MOST_SEGMENTS + 1].join(",");
    check_refused(&replica.get(&format!("/api/v1/customers/ann/segments?segment={many}"), ""), 400, "101 segments are named");
}

#[test]
fn many_customers_are_told_in_the_order_in_which_they_were_asked_for() {
    let told = replica().post(r#"{"customers":["bob","ann","bob"],"segments":["loyal"]}"#).json();
    let held: Vec<_> = told["customers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["customer"].clone(), one["segments"]["loyal"]["held"].clone()))
        .collect();
    assert_eq!(held, [(json!("bob"), json!(false)), (json!("ann"), json!(true)), (json!("bob"), json!(false))]);
}

#[test]
fn a_body_that_asks_for_too_much_or_for_nothing_known_is_refused() {
    let replica = replica();
    for body in ["", "{", "[]", r#"{"customers":"hush-hush"}"#, r#"{"customers":[],"segment":[]}"#, "\u{0}"] {
        let received = replica.post(body);
        check_refused(&received, 400, "the body is not");
        assert!(!received.body.contains("hush-hush"), "{}", received.body);
    }
    let many = json!({"customers": vec!["c"; MOST_CUSTOMERS + 1]}).to_string();
    check_refused(&replica.post(&many), 400, "1001 customers are asked for");
    let large = format!(r#"{{"customers":["{}"]}}"#, "x".repeat(BODY_BYTES));
    check_refused(&replica.post(&large), 413, "at most 1048576 bytes");
    check_refused(&replica.get(MANY, ""), 405, "Allow");
    assert_eq!(replica.get(MANY, "").header("allow"), Some("POST"));
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    let replica = replica_within(Limits { time: Duration::from_millis(50), ..Limits::new(512) });
    let received = replica.server.send(&format!("POST {MANY} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{{"));
    check_refused(&received, 408, "did not arrive in time");
}

#[test]
fn without_room_a_lookup_is_sent_away_and_health_is_not() {
    let replica = replica_within(Limits { at_once: 0, ..Limits::new(512) });
    let received = replica.get("/api/v1/customers/ann/segments", "");
    check_refused(&received, 503, "too many requests");
    assert_eq!(received.header("retry-after"), Some("1"));
    assert_eq!(replica.get("/livez", "").code, 200);
}

#[test]
fn a_copy_that_was_never_read_to_its_end_answers_nothing() {
    let replica = replica_within(Limits::new(512));
    replica.apply("ann", Some(ANN), 7);
    check_refused(&replica.get("/api/v1/customers/ann/segments", ""), 503, "not been read to its end");
    replica.copies.get(Partition(0)).unwrap().note_end(Offset(7), EventTime::from_millis(1));
    assert_eq!(replica.get("/api/v1/customers/ann/segments", "").code, 200);
    replica.copies.get(Partition(0)).unwrap().clear().unwrap();
    check_refused(&replica.get("/api/v1/customers/ann/segments", ""), 503, "not been read to its end");
}

#[test]
fn a_record_that_is_not_ours_is_an_error_of_the_server() {
    let replica = replica();
    for record in ["", "[]", r#"{"segments":{"x":1},"updated_at":""}"#, r#"{"segments":{}}"#] {
        replica.apply("ann", Some(record), 7);
        check_refused(&replica.get("/api/v1/customers/ann/segments", ""), 500, "cannot be read");
    }
}

#[test]
fn the_openapi_document_describes_every_route_and_no_other() {
    let document = replica().get(OPENAPI, "").json();
    let described: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let routes = ROUTES.into_iter().chain(crate::http::ROUTES).filter(|route| *route != "other");
    let mut routes: Vec<&str> = routes.collect();
    routes.sort_unstable();
    let mut described: Vec<&str> = described.into_iter().map(String::as_str).collect();
    described.sort_unstable();
    assert_eq!(described, routes);
}
