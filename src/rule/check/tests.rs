//! What fits, and what does not, as its message.

use super::super::diagnostic::{Location, Source, Style, render_all};
use super::super::{fixture, parser};
use super::*;

mod sequence;

/// Everything that is said about a rule; empty: nothing.
fn check(text: &str) -> String {
    let source = Source::new("rule", text);
    let findings = super::check(&parser::parse(text).unwrap(), &fixture::catalogue());
    let at = |finding: Finding| {
        let bytes = Some(finding.place.start as usize..finding.place.end as usize);
        finding.at(Location { source: source.clone(), bytes })
    };
    let diagnostics: Vec<_> = findings.into_iter().map(at).collect();
    render_all(&diagnostics, Style::Plain).trim_end().to_owned()
}

/// The codes of what is said about a rule.
fn codes(text: &str) -> Vec<&'static str> {
    let findings = super::check(&parser::parse(text).unwrap(), &fixture::catalogue());
    findings.into_iter().map(|finding| finding.code).collect()
}

#[test]
fn what_fits_passes_in_silence() {
    for text in [
        "count(orders last 30d) > 2 and every(orders last 30d: total > 20)",
        "sum(orders.total lifetime where redeemed) in [100, 300)",
        "count(orders.redeemed last 1d) > 0",
        "first(orders.store_id lifetime) == \"a\" or latest(orders.gift lifetime)",
        "days_since(orders lifetime) > 3 and days_since_first(orders.coupon lifetime) > 3",
        "distinct(orders.products.category last 90d) >= 4 and sum(orders.products.price last 90d) > 5",
        "any(orders last 1d: products.category contains \"toys\" and not gift)",
        "trait.age > 18 and trait.city == \"Oslo\" and trait.tags contains 5 and trait.vip",
        "(count(orders lifetime) > 2) == true",
        "-sum(orders.total lifetime) + 2 * trait.x < 0.5",
        "returned(orders after 60d within 14d) and segment(\"a\" last 3d) and list(\"b\")",
        "trait.a in {1, \"x\", true}",
        "none(orders.total last 1d: total > 5) or any(orders.products.category lifetime: gift)",
    ] {
        assert_eq!(check(text), "", "{text}");
    }
}

#[test]
fn unknown_names_come_with_the_nearest_known_one() {
    insta::assert_snapshot!(check("sum(orders.totl last 30d) > 100"), @r"
    error[unknown-field]: the stream `orders` has no field `totl`
     --> rule:1:12
      |
    1 | sum(orders.totl last 30d) > 100
      |            ^^^^ did you mean `total`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("count(order last 30d where total > 1) > 100"), @r"
    error[unknown-stream]: there is no stream `order`
     --> rule:1:7
      |
    1 | count(order last 30d where total > 1) > 100
      |       ^^^^^ did you mean `orders`?
      |
      = help: streams are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("every(orders last 30d: orders.total > 20)"), @r"
    error[unknown-field]: the stream `orders` has no field `orders.total`
     --> rule:1:24
      |
    1 | every(orders last 30d: orders.total > 20)
      |                        ^^^^^^^^^^^^ did you mean `total`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("count(identify lifetime) > 1"), @r"
    error[unknown-stream]: there is no stream `identify`
     --> rule:1:7
      |
    1 | count(identify lifetime) > 1
      |       ^^^^^^^^
      |
      = help: streams are listed by `segmentd schema streams`
    ");
}

#[test]
fn a_filter_looks_at_one_event_alone() {
    insta::assert_snapshot!(check("any(orders last 1d: total > avg(orders.total last 1d))"), @r"
    error[not-in-filter]: an aggregate cannot stand in a filter
     --> rule:1:29
      |
    1 | any(orders last 1d: total > avg(orders.total last 1d))
      |                             ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a filter looks at one event: its fields and literals
    ");
    for text in ["trait.a", "segment(\"x\")", "list(\"x\")", "returned(orders after 1d within 1d)", "any(orders last 1d: gift)"] {
        assert_eq!(codes(&format!("count(orders last 1d where {text}) > 1")), ["not-in-filter"], "{text}");
    }
}

#[test]
fn a_field_outside_a_filter_is_no_value() {
    insta::assert_snapshot!(check("total > 20"), @r"
    error[field-outside-filter]: `total` is no value of a customer
     --> rule:1:1
      |
    1 | total > 20
      | ^^^^^
      |
      = help: a field belongs to an event: use it in an aggregate or a filter; a customer's own values are `trait.…`, and a text stands in quotes
    ");
}

#[test]
fn a_trait_with_a_hyphen_is_quoted() {
    insta::assert_snapshot!(check("trait.first-name == \"Ann\""), @r#"
    error[field-outside-filter]: `-` subtracts here, and `name` is no value of a customer
     --> rule:1:1
      |
    1 | trait.first-name == "Ann"
      | ^^^^^^^^^^^^^^^^
      |
      = help: a trait of that name is written `trait."first-name"`
    "#);
    assert!(check("trait.\"a\\\"b\"-c > 1").contains(r#"written `trait."a\"b-c"`"#));
    assert_eq!(codes("trait.a - b > 1"), ["field-outside-filter"]);
    assert_eq!(codes("trait.a-trait.b > 1 and trait.\"first-name\" == \"Ann\""), [""; 0]);
}

#[test]
fn a_condition_must_be_true_or_false() {
    insta::assert_snapshot!(check("count(orders last 1d) and \"x\""), @r#"
    error[not-a-condition]: a condition is expected here, and this is a number
     --> rule:1:1
      |
    1 | count(orders last 1d) and "x"
      | ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: compare it with something

    error[not-a-condition]: a condition is expected here, and this is a text
     --> rule:1:27
      |
    1 | count(orders last 1d) and "x"
      |                           ^^^
      |
      = help: compare it with something
    "#);
    assert_eq!(codes("any(orders last 1d: total)"), ["not-a-condition"]);
    assert_eq!(codes("not 5"), ["not-a-condition"]);
}

#[test]
fn types_that_never_meet_are_refused() {
    insta::assert_snapshot!(check("count(orders last 1d) == \"2\""), @r#"
    error[type-mismatch]: a number is never equal to a text
     --> rule:1:1
      |
    1 | count(orders last 1d) == "2"
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(check("any(orders last 1d: store_id < \"b\")"), @r#"
    error[not-ordered]: `<` orders numbers, and this is a text
     --> rule:1:21
      |
    1 | any(orders last 1d: store_id < "b")
      |                     ^^^^^^^^
    "#);
    insta::assert_snapshot!(check("sum(orders.store_id last 1d) > 5"), @r"
    error[not-a-number]: `sum` needs a field of numbers, and `store_id` is a text
     --> rule:1:12
      |
    1 | sum(orders.store_id last 1d) > 5
      |            ^^^^^^^^
    ");
    let range = check("trait.a in [\"a\", \"b\"]");
    assert_eq!(range.matches("a set of texts stands in braces: `in {\"a\", \"b\"}`").count(), 2, "{range}");
    insta::assert_snapshot!(check("any(orders last 1d: products.category == \"toys\")"), @r#"
    error[compared-array]: an array is not compared
     --> rule:1:21
      |
    1 | any(orders last 1d: products.category == "toys")
      |                     ^^^^^^^^^^^^^^^^^
      |
      = help: ask for one of its elements: `… contains "x"`
    "#);
    insta::assert_snapshot!(check("any(orders last 1d: total contains 5)"), @r"
    error[not-an-array]: `contains` looks into a text or an array, and this is a number
     --> rule:1:21
      |
    1 | any(orders last 1d: total contains 5)
      |                     ^^^^^
    ");
    for (text, code) in [
        ("any(orders last 1d: store_id in {\"a\", 2})", "type-mismatch"),
        ("any(orders last 1d: products.category contains 2)", "type-mismatch"),
        ("any(orders last 1d: store_id contains true)", "type-mismatch"),
        ("any(orders last 1d: products.category in {\"a\"})", "compared-array"),
        ("any(orders last 1d: store_id between 1 and 2)", "not-a-number"),
        ("any(orders last 1d: total in [\"a\", 2))", "not-a-number"),
        ("any(orders last 1d: gift + 1 > 2)", "not-a-number"),
        ("(count(orders last 1d) > 2) > 1", "not-ordered"),
        ("-\"x\" == trait.a", "not-a-number"),
        ("min(orders.gift last 1d) == 1", "not-a-number"),
    ] {
        assert_eq!(codes(text), [code], "{text}");
    }
}

#[test]
fn an_aggregate_says_what_it_needs() {
    insta::assert_snapshot!(check("sum(orders last 1d) > 5"), @r"
    error[missing-field]: `sum` needs a field
     --> rule:1:1
      |
    1 | sum(orders last 1d) > 5
      | ^^^^^^^^^^^^^^^^^^^
      |
      = help: name one behind the stream: `sum(orders.FIELD …)`
    ");
    insta::assert_snapshot!(check("count(orders from 30d to 60d ago) > 5"), @r"
    error[window-order]: the window from 30d to 60d ago is empty
     --> rule:1:14
      |
    1 | count(orders from 30d to 60d ago) > 5
      |              ^^^^^^^^^^^^^^^^^^^
      |
      = help: the longer time comes first: `from 60d to 30d ago`
    ");
    assert_eq!(codes("count(orders from 30d to 30d ago) > 5"), ["window-order"]);
    for function in ["avg", "min", "max", "distinct", "first", "latest"] {
        assert_eq!(codes(&format!("{function}(orders last 1d) == 5")), ["missing-field"]);
    }
}

#[test]
fn customers_are_ranked_by_a_number_and_a_share_is_one() {
    assert_eq!(codes("top 5% by sum(orders.total last 365d)"), [""; 0]);
    assert_eq!(codes("top 5% by sum(orders.totl last 365d)"), ["unknown-field"]);
    assert_eq!(codes("top 5% by latest(orders.coupon last 365d)"), ["not-a-number"]);
    assert_eq!(codes("top 0% by count(orders last 365d)"), ["percent-range"]);
    assert_eq!(codes("top 100.1% by count(orders last 365d)"), ["percent-range"]);
    assert_eq!(codes("any(orders last 1d: top 5% by count(orders last 365d))"), ["not-in-filter"]);
}

#[test]
fn a_share_that_leaves_nobody_out_or_takes_in_those_who_rank_nowhere_is_doubtful() {
    assert_eq!(codes("top 100% by count(orders last 365d)"), ["top-of-all"]);
    assert_eq!(codes("top 20% by days_since(orders lifetime)"), ["top-of-days"]);
    let at_entry = |text: &str| super::check_entry(&parser::parse(text).unwrap()).len();
    assert_eq!(at_entry("not top 20% by count(orders last 365d)"), 1);
    assert_eq!(at_entry("not top 20% by count(orders last 365d) and count(orders last 365d) > 0"), 0);
}

#[test]
fn every_problem_of_a_rule_is_reported() {
    assert_eq!(
        codes("count(ordes last 1d) > 1 and sum(orders.x last 1d) > 1 and 5"),
        ["unknown-stream", "unknown-field", "not-a-condition"]
    );
}

#[test]
fn a_negated_comparison_with_a_possible_null_is_doubtful() {
    insta::assert_snapshot!(check("not avg(orders.total last 1d) > 5"), @r"
    warning[negated-null]: its `not` is also true where `avg(orders.total last 1d)` is null
     --> rule:1:5
      |
    1 | not avg(orders.total last 1d) > 5
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: say what is meant: `avg(orders.total last 1d) is null or …`, or `avg(orders.total last 1d) is not null and …`
    ");
    assert_eq!(codes("not (count(orders last 1d) > 1 and trait.a == 1)"), ["negated-null"]);
    assert_eq!(codes("any(orders last 1d: not total > 5)"), ["negated-null"]);
    for silent in [
        "not count(orders last 1d) > 5",
        "not not trait.a == 1",
        "trait.a is not null and not trait.a == 1",
        "not trait.vip",
        "not any(orders last 1d: total > 5)",
    ] {
        assert_eq!(check(silent), "", "{silent}");
    }
}

#[test]
fn every_of_nothing_is_doubtful() {
    insta::assert_snapshot!(check("every(orders last 30d: total > 20)"), @r"
    warning[every-of-nothing]: this also holds for a customer without any orders
     --> rule:1:1
      |
    1 | every(orders last 30d: total > 20)
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: if that is not meant, add `count(orders …) > 0 and`
    ");
    assert_eq!(codes("count(refunds last 30d) > 2 and every(orders last 30d: total > 20)"), ["every-of-nothing"]);
    assert_eq!(codes("count(orders last 30d) > 2 or every(orders last 30d: total > 20)"), ["every-of-nothing"]);
    assert_eq!(check("count(orders last 30d) > 2 and (trait.a or every(orders last 30d: total > 20))"), "");
    assert_eq!(check("any(orders last 30d: gift) and every(orders last 30d: total > 20)"), "");
}

#[test]
fn a_division_by_zero_is_doubtful() {
    assert_eq!(codes("count(orders last 1d) / 0 > 1 or trait.a / 0.0 > trait.b / 2"), ["divided-by-zero", "divided-by-zero"]);
}

#[test]
fn a_range_that_holds_nothing_is_doubtful() {
    assert_eq!(codes("trait.a between 10 and 5 or trait.a in [10, 5)"), ["empty-range", "empty-range"]);
}

#[test]
fn what_can_never_hold_is_doubtful() {
    insta::assert_snapshot!(check("count(orders last 30d) > 5 and trait.a and count(orders last 30d) < 3"), @r"
    warning[never-holds]: this never holds together with `count(orders last 30d) > 5`
     --> rule:1:44
      |
    1 | count(orders last 30d) > 5 and trait.a and count(orders last 30d) < 3
      |                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: nothing is both; is `or` meant, or another number?
    ");
    insta::assert_snapshot!(check("count(orders last 30d) < 0"), @r"
    warning[never-holds]: `count(orders last 30d)` is never below 0
     --> rule:1:1
      |
    1 | count(orders last 30d) < 0
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: is another number meant?
    ");
    for never in [
        "count(orders last 30d) > 2 and count(orders last 30d) < 3",
        "sum(orders.total last 30d) > 5 and (trait.a or trait.b) and 5 > sum(orders.total last 30d)",
        "any(orders last 30d: total > 20 and total in [5, 10))",
        "trait.a between 1 and 2 and trait.a == 3",
        "count(orders last 30d) == 0.5",
    ] {
        assert_eq!(codes(never), ["never-holds"], "{never}");
    }
    for possible in [
        "sum(orders.total last 30d) > 2 and sum(orders.total last 30d) < 3",
        "count(orders last 30d) >= 2 and count(orders last 30d) < 3",
        "count(orders last 30d) > 5 or count(orders last 30d) < 3",
        "count(orders last 30d) > 5 and count(orders last 60d) < 3",
        "avg(orders.total last 30d) >= 5 and avg(orders.total last 30d) <= 5",
    ] {
        assert_eq!(check(possible), "", "{possible}");
    }
}

#[test]
fn what_always_holds_is_doubtful() {
    insta::assert_snapshot!(check("count(orders last 30d) >= 0"), @r"
    warning[always-holds]: this always holds: `count(orders last 30d)` is never below 0
     --> rule:1:1
      |
    1 | count(orders last 30d) >= 0
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: say `> 0` for at least one
    ");
    assert_eq!(codes("distinct(orders.store_id last 30d) > -1"), ["always-holds"]);
    assert_eq!(check("sum(orders.total last 30d) >= 0 and count(orders last 30d) >= 1"), "");
}

#[test]
fn a_distinct_without_an_end_is_doubtful() {
    insta::assert_snapshot!(check("distinct(orders.store_id lifetime where total > 5) > 3"), @r"
    warning[unbounded-distinct]: every value that was ever seen is kept, for each customer and for ever
     --> rule:1:26
      |
    1 | distinct(orders.store_id lifetime where total > 5) > 3
      |                          ^^^^^^^^
      |
      = help: a bounded window costs less: `last 365d`
    ");
    assert_eq!(codes("distinct(orders.store_id older than 5d) > 3 or distinct(orders.store_id since 2026-01-01) > 3").len(), 2);
    assert_eq!(check("distinct(orders.store_id this year) > 3"), "");
}
