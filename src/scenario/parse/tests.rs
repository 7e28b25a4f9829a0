//! What is no page, each with its message.

use super::*;
use crate::rule::diagnostic::{Style, render_all};

/// Everything that is said about a text.
fn check(text: &str) -> String {
    let diagnostics = parse("a.test.yaml", text, &Catalogue::segment_spec()).err().unwrap_or_default();
    render_all(&diagnostics, Style::Plain).trim_end().to_owned()
}

#[test]
fn a_misspelt_field_is_named() {
    insta::assert_snapshot!(check("name: x\nevents:\n  - {at: 2026-01-01T00:00:00Z, orders: {order_id: a, totl: 1}}"), @r"
    error[unknown-field]: the stream `orders` has no field `totl`
     --> a.test.yaml:3:54
      |
    3 |   - {at: 2026-01-01T00:00:00Z, orders: {order_id: a, totl: 1}}
      |                                                      ^^^^ did you mean `total`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
}

#[test]
fn a_misspelt_stream_is_named() {
    insta::assert_snapshot!(check("name: x\nevents:\n  - {at: 2026-01-01T00:00:00Z, order: {order_id: a}}"), @r"
    error[unknown-stream]: there is no stream `order`
     --> a.test.yaml:3:32
      |
    3 |   - {at: 2026-01-01T00:00:00Z, order: {order_id: a}}
      |                                ^^^^^ did you mean `orders`?
      |
      = help: streams are listed by `segmentd schema streams`
    ");
}

#[test]
fn a_number_is_not_a_text() {
    insta::assert_snapshot!(check("name: x\nevents: [{at: 2026-01-01T00:00:00Z, orders: {order_id: 17}}]"), @r"
    error[wrong-type]: `order_id` cannot be 17
     --> a.test.yaml:2:56
      |
    2 | events: [{at: 2026-01-01T00:00:00Z, orders: {order_id: 17}}]
      |                                                        ^^
      |
      = help: its type is string; a text that looks like a number stands in quotes
    ");
}

#[test]
fn an_instant_without_an_offset_is_refused() {
    insta::assert_snapshot!(check("name: x\nuntil: 2026-01-01T00:00:00"), @r"
    error[bad-instant]: `2026-01-01T00:00:00` is no instant with an offset
     --> a.test.yaml:2:8
      |
    2 | until: 2026-01-01T00:00:00
      |        ^^^^^^^^^^^^^^^^^^^
      |
      = help: instants are written as RFC 3339: `2026-03-01T00:00:00Z`
    ");
}

#[test]
fn an_unknown_key_of_a_page_comes_with_the_nearest_known_one() {
    insta::assert_snapshot!(check("name: x\nevent: []"), @r"
    error[unknown-key]: a page has no `event`
     --> a.test.yaml:2:1
      |
    2 | event: []
      | ^^^^^ did you mean `events`?
      |
      = help: possible keys are name, lists, segments, ladders, events, epoch, until, expect
    ");
}

#[test]
fn every_problem_of_an_expectation_is_reported() {
    insta::assert_snapshot!(check("name: x\nexpect:\n  - {at: 2026-01-01T00:00:00Z, entered: a, cuase: b}\n  - {at: 2026-01-01T00:00:00Z, cause: tiem, exited: a}\n  - {entered: a, exited: b}"), @r"
    error[unknown-key]: an expectation has no `cuase`
     --> a.test.yaml:3:44
      |
    3 |   - {at: 2026-01-01T00:00:00Z, entered: a, cuase: b}
      |                                            ^^^^^ did you mean `cause`?
      |
      = help: possible keys are never, entered, exited, expiring, at, customer, cause, sequence, entry, valid_until, from, published, arm

    error[bad-value]: `cause` cannot be `tiem`
     --> a.test.yaml:4:39
      |
    4 |   - {at: 2026-01-01T00:00:00Z, cause: tiem, exited: a}
      |                                       ^^^^ did you mean `time`?
      |
      = help: it is one of event, late_event, time, refund, cancellation, trait, list, definition, merge, delete

    error[bad-expectation]: one of `entered`, `exited`, `expiring`, `never` names the segment
     --> a.test.yaml:5:5
      |
    5 |   - {entered: a, exited: b}
      |     ^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn numbers_are_read_from_their_text() {
    let text = "name: x\nevents: [{at: 2026-01-01T00:00:00Z, orders: {order_id: '7', total: 0.10000000000000000001}}]";
    let page = parse("x", text, &Catalogue::segment_spec()).unwrap().remove(0);
    assert_eq!(page.events[0].field("total"), Some(&Value::Number("0.10000000000000000001".parse().unwrap())));
}
