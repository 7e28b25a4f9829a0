//! `segmentd explain`.

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
