//! What is refused, each with its message; what is said alike stands in docs/segment-queries.md, which a test runs.

use super::super::diagnostic::{Location, Source, Style, render_all};
use super::*;

fn check(query: &str) -> String {
    let source = Source::new("query", query);
    let at = |finding: Finding| {
        let bytes = Some(finding.place.start as usize..finding.place.end as usize);
        finding.at(Location { source: source.clone(), bytes })
    };
    match segment_query(query, &Catalogue::segment_spec()) {
        Ok(rule) => rule.to_string(),
        Err(findings) => render_all(&findings.into_iter().map(at).collect::<Vec<_>>(), Style::Plain).trim_end().to_owned(),
    }
}

#[test]
fn what_cannot_be_said_has_its_place_and_a_way_out() {
    insta::assert_snapshot!(check("event('Order Completed').mode(property('coupon'), 2) = 'x'"), @r"
    error[not-importable]: the most frequent value has no equal here
     --> query:1:26
      |
    1 | event('Order Completed').mode(property('coupon'), 2) = 'x'
      |                          ^^^^
      |
      = help: `latest(…)` gives the newest one
    ");
    insta::assert_snapshot!(check("event('Ordr Completed').count() >= 1"), @r"
    error[unknown-event]: no stream takes the event `Ordr Completed`
     --> query:1:7
      |
    1 | event('Ordr Completed').count() >= 1
      |       ^^^^^^^^^^^^^^^^ did you mean `Order Completed`?
      |
      = help: add a stream for it, and name your streams with --streams
    ");
    insta::assert_snapshot!(check("event('Order Completed').where(property('totl') > 5).count() >= 1"), @r"
    error[unknown-field]: the stream `orders` has no field for `totl`
     --> query:1:41
      |
    1 | event('Order Completed').where(property('totl') > 5).count() >= 1
      |                                         ^^^^^^ did you mean `total`?
      |
      = help: map it in your streams, and name them with --streams
    ");
    insta::assert_snapshot!(check("event('Order Completed').within(parent: 5 days).count() >= 1"), @r"
    error[not-importable]: one event cannot be the clock of another
     --> query:1:33
      |
    1 | event('Order Completed').within(parent: 5 days).count() >= 1
      |                                 ^^^^^^
      |
      = help: `sequence(…)` says what follows what
    ");
    insta::assert_snapshot!(check("ALL event('Order Completed').count() >= 1"), @r"
    error[not-importable]: `ALL` asks for the users of an account, and a segment is of customers
     --> query:1:1
      |
    1 | ALL event('Order Completed').count() >= 1
      | ^^^
      |
      = help: key the events by account, and write the condition for it
    ");
    insta::assert_snapshot!(check("trait('birthday').within_last(7 days)"), @r"
    error[not-importable]: `within_last`: the values of traits and properties are no dates here
     --> query:1:19
      |
    1 | trait('birthday').within_last(7 days)
      |                   ^^^^^^^^^^^
      |
      = help: a rule knows when events happened: use a window, as in `count(orders last 7d)` or `days_since(orders lifetime)`
    ");
    insta::assert_snapshot!(check("event('Order Completed').count()"), @r"
    error[syntax]: a comparison, such as `>= 1` or `.exists()`, is expected here
     --> query:1:33
      |
    1 | event('Order Completed').count()
      |                                 ^
    ");
    for (query, code) in [
        ("event('Order Completed').where(property('total') > trait('x')).count() >= 1", "error[not-importable]"),
        ("event('Order Completed').where(event('Order Refunded').count() > 0).count() >= 1", "error[not-importable]"),
        ("event('Order Completed').sources({exclude: 'a'}).count() >= 1", "error[not-importable]"),
        ("event('Order Completed').max(property('coupon') as string) = 'x'", "error[not-importable]"),
        ("event('Order Completed').within(1 days).within(2 days).count() > 0", "error[not-importable]"),
        ("event('Order Completed').unique(property('coupon')) = 'x'", "error[syntax]"),
        ("trait('') = 1", "error[not-importable]"),
        ("trait('a').starts_with('b')", "error[not-importable]"),
        ("trait('a') > 'b'", "error[not-ordered]"),
        ("property('total') > 5", "error[syntax]"),
        ("event('Order Completed').count() >= 1 trait('a') = 1", "error[syntax]"),
        ("trait('a", "error[syntax]"),
        ("", "error[syntax]"),
        ("event('Order Completed').within(1.5 days).count() > 0", "error[bad-duration]"),
    ] {
        assert!(check(query).starts_with(code), "{query}: {}", check(query));
    }
    assert!(check(&format!("{}trait('a') = 1", "NOT ".repeat(1000))).starts_with("error[too-deep]"));
}

#[test]
fn and_binds_tighter_than_or_and_parentheses_stay() {
    assert_eq!(check("trait('a') = 1 OR trait('b') = 1 AND trait('c') = 1"), "trait.a == 1 or trait.b == 1 and trait.c == 1");
    assert_eq!(check("(trait('a') = 1 OR trait('b') = 1) AND NOT trait('c') = 1"), "(trait.a == 1 or trait.b == 1) and not trait.c == 1");
}
