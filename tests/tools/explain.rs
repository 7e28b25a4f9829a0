//! `segmentd explain`.

use std::path::Path;

use segmentd::store::StateDir;
use serde_json::{Value, json};

use super::service::service;
use super::stopped;
use crate::command::{code, file, segmentd, stderr, stdout, with_input};

const SEGMENTS: &str = "
segments:
  - {key: loyal, when: 'count(orders last 30d) > 2 and every(orders last 30d: total > 20)'}
  - {key: spender, when: 'sum(orders.total lifetime) in [50, 500)'}
  - {key: lapsed, when: 'count(orders lifetime) > 0 and count(orders last 30d) == 0'}
";

fn order(customer: &str, id: &str, day: u32, total: &str) -> String {
    format!(
        r#"{{"type":"track","event":"Order Completed","userId":"{customer}","messageId":"{id}","timestamp":"2026-01-{day:02}T10:00:00Z","properties":{{"order_id":"{id}","total":{total}}}}}"#
    )
}

fn events() -> String {
    [order("ann", "a", 1, "25"), order("ann", "b", 2, "30.50"), order("bob", "c", 5, "1"), order("ann", "d", 9, "21")].join("\n")
}

fn explain(arguments: &[&str]) -> std::process::Output {
    let (_folder, path) = file("segments.yaml", SEGMENTS);
    with_input(&[&["explain", "--segments", &path, "--customer"], arguments, &["-"]].concat(), &events())
}

#[test]
fn a_member_is_told_why_and_until_when() {
    let output = explain(&["ann"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output), @r"
    loyal: a member at 2026-01-09T10:00:00.000Z, since 2026-01-09T10:00:00.000Z
      * count(orders last 30d) is 3, > 2: yes, until 1 less
        every(orders last 30d: total > 20): yes
      leaves if nothing more happens: 2026-01-31T10:00:00.000Z

    spender: a member at 2026-01-09T10:00:00.000Z, since 2026-01-02T10:00:00.000Z
      * sum(orders.total lifetime) is 76.5, in [50, 500): yes, until more than 26.5 less
      leaves if nothing more happens: never

    lapsed: not a member at 2026-01-09T10:00:00.000Z, never was one
        count(orders lifetime) is 3, > 0: yes, until 3 less
      * count(orders last 30d) is 3, == 0: no, needs 3 less
      enters if nothing more happens: 2026-02-08T10:00:00.000Z
    ");
}

#[test]
fn an_earlier_instant_knows_nothing_of_what_came_later() {
    insta::assert_snapshot!(stdout(&explain(&["ann", "--segment", "loyal", "--at", "2026-01-04T00:00:00Z"])), @r"
    loyal: not a member at 2026-01-04T00:00:00.000Z, never was one
      * count(orders last 30d) is 2, > 2: no, needs 1 more
        every(orders last 30d: total > 20): yes
      enters if nothing more happens: never
    ");
}

/// The cut of the epoch that ended after the third order; by then the others had spent 1 and 55.50.
#[test]
fn who_is_ranked_is_told_its_value_and_the_cut() {
    let (_folder, path) = file("segments.yaml", "segments: [{key: best, when: 'top 50% by sum(orders.total last 365d)'}]");
    let explained = |arguments: &[&str]| {
        let output = with_input(&[&["explain", "--segments", &path, "--customer", "bob"], arguments, &["-"]].concat(), &events());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    insta::assert_snapshot!(explained(&["--at", "2026-01-06T00:00:00Z"]), @r"
    best: not a member at 2026-01-06T00:00:00.000Z, never was one
      * sum(orders.total last 365d) is 1, >= 55.5 (the cut among all customers, approximate): no, needs 54.5 more
      enters if nothing more happens: never
    ");
    let found: serde_json::Value = serde_json::from_str(&explained(&["--format", "json"])).unwrap();
    assert_eq!(found["reasons"][0]["approximate"], true);
}

/// To be taken off the list, and then what the rules ask; a list is no way in or out for others.
#[test]
fn who_is_pinned_or_banned_is_told_so() {
    let segments = "
segments:
  - {key: loyal, when: 'count(orders lifetime) > 2', pin: testers, ban: complainers}
  - {key: buyer, when: 'count(orders lifetime) > 0', pin: testers, ban: complainers}
lists: {testers: [bob], complainers: [ann]}
";
    let (_folder, path) = file("segments.yaml", segments);
    let explain = |customer: &str| stdout(&with_input(&["explain", "--segments", &path, "--customer", customer, "-"], &events()));
    insta::assert_snapshot!(explain("ann") + &explain("bob"), @r#"
    loyal: not a member at 2026-01-09T10:00:00.000Z, never was one
        count(orders lifetime) is 3, > 2: yes, until 1 less
        pin: list("testers"): no
      * ban: list("complainers"): yes
      enters if nothing more happens: never

    buyer: not a member at 2026-01-09T10:00:00.000Z, never was one
        count(orders lifetime) is 3, > 0: yes, until 3 less
        pin: list("testers"): no
      * ban: list("complainers"): yes
      enters if nothing more happens: never

    loyal: a member at 2026-01-09T10:00:00.000Z, since 2026-01-05T10:00:00.000Z
        count(orders lifetime) is 1, > 2: no, needs 2 more
      * pin: list("testers"): yes
        ban: list("complainers"): no
      leaves if nothing more happens: never

    buyer: a member at 2026-01-09T10:00:00.000Z, since 2026-01-05T10:00:00.000Z
      * count(orders lifetime) is 1, > 0: yes, until 1 less
      * pin: list("testers"): yes
        ban: list("complainers"): no
      leaves if nothing more happens: never
    "#);
}

#[test]
fn a_later_instant_lets_time_run_on() {
    insta::assert_snapshot!(stdout(&explain(&["ann", "--segment", "lapsed", "--segment", "loyal", "--at", "2026-02-01T10:00:00Z"])), @r"
    lapsed: not a member at 2026-02-01T10:00:00.000Z, never was one
        count(orders lifetime) is 3, > 0: yes, until 3 less
      * count(orders last 30d) is 1, == 0: no, needs 1 less
      enters if nothing more happens: 2026-02-08T10:00:00.000Z

    loyal: not a member at 2026-02-01T10:00:00.000Z, left at 2026-01-31T10:00:00.000Z
      * count(orders last 30d) is 1, > 2: no, needs 2 more
        every(orders last 30d: total > 20): yes
      enters if nothing more happens: never
    ");
}

#[test]
fn a_program_gets_an_object_a_segment() {
    let output = explain(&["bob", "--segment", "spender", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["reasons"][0]["distance"], serde_json::json!({"by": "49", "direction": "more", "beyond": false}));
    assert_eq!((&found["member"], &found["since"], &found["changes_at"]), (&false.into(), &().into(), &().into()));
}

#[test]
fn whom_nobody_knows_is_no_success() {
    let output = explain(&["ann", "--at", "2025-01-01T00:00:00Z"]);
    assert!(code(&output) == 1 && stderr(&output).contains("no event of this customer"), "{}", stderr(&output));
    let output = explain(&["ann", "--segment", "loyl"]);
    assert!(code(&output) == 1 && stderr(&output).contains("did you mean `loyal`?"), "{}", stderr(&output));
    assert_eq!(code(&segmentd(&["explain", "--customer", "ann", "-"])), 2);
}

/// What a service that has taken all events leaves behind: two partitions, of which the second one has them.
fn leave_state(folder: &Path) {
    stopped::leave_state(folder, SEGMENTS, &[String::new(), events()]);
}

/// Every file with its contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { contents(&path) } else { vec![(path.display().to_string(), std::fs::read(&path).unwrap())] })
        .collect();
    found.sort();
    found
}

#[test]
fn the_state_of_a_stopped_service_says_what_its_events_say() {
    let folder = tempfile::tempdir().unwrap();
    leave_state(folder.path());
    let before = contents(folder.path());
    let (_segments, path) = file("segments.yaml", SEGMENTS);
    let state = folder.path().to_string_lossy();
    let stored = |arguments: &[&str]| segmentd(&[&["explain", "--segments", &path, "--state", &state, "--customer"], arguments].concat());
    for arguments in [&["ann"][..], &["bob"], &["ann", "--at", "2026-02-01T10:00:00Z"], &["ann", "--format", "json"]] {
        let output = stored(arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(stdout(&output), stdout(&explain(arguments)));
    }
    assert!(contents(folder.path()) == before, "nothing in the folder is changed");
    let refused = |arguments: &[&str]| (code(&stored(arguments)), stderr(&stored(arguments)).replace(&*state, "STATE"));
    insta::assert_snapshot!(refused(&["zoe"]).1, @"error: the state in STATE knows no such customer");
    insta::assert_snapshot!(refused(&["ann", "--at", "2026-01-01T00:00:00Z"]).1, @"error: the state stands at 2026-01-09T10:00:00.000Z: an earlier instant can be explained only from files of events");
    let running = StateDir::lock(folder.path(), None).unwrap();
    let (code, message) = refused(&["ann"]);
    insta::assert_snapshot!(message.replace(&std::process::id().to_string(), "PID"), @"error: state folder STATE is in use by process PID: a state can be read only while its service is stopped; read files of events instead");
    assert_eq!(code, 1);
    drop(running);
}

#[test]
fn other_definitions_are_explained_as_they_would_decide() {
    let folder = tempfile::tempdir().unwrap();
    leave_state(folder.path());
    let (_segments, path) = file("segments.yaml", "segments: [{key: keen, when: 'count(orders last 30d) > 1'}]");
    let output = segmentd(&["explain", "--segments", &path, "--customer", "ann", "--state", &folder.path().to_string_lossy()]);
    insta::assert_snapshot!(stdout(&output), @r"
    keen: a member at 2026-01-09T10:00:00.000Z, since 2026-01-09T10:00:00.000Z
      * count(orders last 30d) is 3, > 1: yes, until 2 less
      leaves if nothing more happens: 2026-02-01T10:00:00.000Z
    ");
}

#[test]
fn a_running_service_is_asked_and_names_the_one_that_knows() {
    let asked = "GET /api/v1/customers/ann%2Fb/explain?segment=big HTTP/1.0";
    let reason = json!({"aggregate": "sum(orders.total last 10d)", "value": "0", "op": ">=", "threshold": "50", "met": false,
        "distance": {"by": "50", "direction": "more", "beyond": false}, "needed": true});
    let big = json!({"customer": "ann/b", "segment": "big", "at": "2026-01-13T00:00:00.000Z", "member": false, "since": null, "entries": 0,
        "reasons": [reason], "changes_at": null});
    let owner = service(asked, vec![(200, json!({"seen": true, "decided": false, "explanations": [big]}))]);
    let elsewhere = json!({"detail": "the customer's partition belongs to another process", "owner": owner});
    let url = service(asked, vec![(421, elsewhere)]);
    let output = segmentd(&["explain", "--url", &url, "--customer", "ann/b", "--segment", "big"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output), @r"
    big: not a member at 2026-01-13T00:00:00.000Z, never was one
      * sum(orders.total last 10d) is 0, >= 50: no, needs 50 more
      enters if nothing more happens: never
    ");
    assert!(stderr(&output).contains("still to be decided"), "{}", stderr(&output));
}

#[test]
fn a_service_that_does_not_know_the_customer_or_its_owner_says_so() {
    let asked = "GET /api/v1/customers/ann/explain HTTP/1.0";
    let ask = |answer: (u16, Value)| {
        let url = service(asked, vec![answer]);
        let output = segmentd(&["explain", "--url", &url, "--customer", "ann"]);
        assert_eq!(code(&output), 1);
        stderr(&output).replace(&url, "URL")
    };
    insta::assert_snapshot!(ask((200, json!({"seen": false, "decided": true, "explanations": []}))), @"error: no event of this customer was accepted");
    insta::assert_snapshot!(ask((421, json!({"detail": "it belongs to another process"}))), @"error: URL explains nothing: 421: it belongs to another process; name the address of the process that owns it");
    insta::assert_snapshot!(ask((401, json!({"detail": "a token is needed"}))), @"error: URL explains nothing: 401: a token is needed");
}
