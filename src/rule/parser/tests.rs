//! What parses, as its canonical text; what does not, as its message.

use super::super::diagnostic::{Location, Source, Style, render_all};
use super::*;

/// A rule and its canonical text.
#[track_caller]
fn check(text: &str, canonical: &str) {
    let tree = parse(text).unwrap();
    assert_eq!(tree.to_string(), canonical);
    assert_eq!(parse(canonical).unwrap(), tree, "the canonical text means something else");
}

#[track_caller]
fn same(text: &str) {
    check(text, text);
}

/// The messages about a text that is no rule.
fn messages(text: &str) -> String {
    let source = Source::new("rule", text);
    let findings = parse(text).unwrap_err();
    let diagnostics: Vec<_> = findings
        .into_iter()
        .map(|finding| {
            let bytes = Some(finding.place.start as usize..finding.place.end as usize);
            finding.at(Location { source: source.clone(), bytes })
        })
        .collect();
    render_all(&diagnostics, Style::Plain).trim_end().to_owned()
}

#[test]
fn the_examples_of_the_contract_parse() {
    same("count(orders last 30d) > 2 and every(orders last 30d: total > 20)");
    check(
        "sum(orders.total lifetime where redeemed) in [5_000, 10_000)  # middle tier",
        "sum(orders.total lifetime where redeemed) in [5000, 10000)",
    );
    same("count(orders lifetime) > 0 and count(orders last 30d) == 0");
    same("returned(orders after 90d within 14d)");
    same("avg(orders.total last 365d) in [50, 100)");
    same("sum(orders.total last 30d) < 0.5 * sum(orders.total from 60d to 30d ago)");
    same("segment(\"golden\" last 90d) and not segment(\"golden\") and not list(\"staff\")");
    same("sequence(product_adds then no orders within 1h last 1d)");
    same("top 5% by sum(orders.total last 365d)");
}

#[test]
fn every_window_parses() {
    for window in ["last 90s", "older than 5m", "from 2h to 1h ago", "since 2026-01-31", "lifetime"] {
        same(&format!("count(orders {window}) > 0"));
    }
    for unit in ["day", "week", "month", "quarter", "year"] {
        same(&format!("count(orders this {unit}) > count(orders previous {unit})"));
    }
    check("count(orders last 2w) > 0", "count(orders last 14d) > 0");
}

#[test]
fn every_condition_parses() {
    same("trait.age between 18 and 30 or trait.city in {\"Oslo\", \"Bergen\"}");
    same("trait.tags contains \"vip\" and trait.email is not null and trait.phone is null");
    same("min(orders.total last 1d) in (1, 2] or max(orders.total last 1d) in (1, 2)");
    same("none(orders last 1d where coupon == \"X\": products.category contains \"toys\")");
    same("sequence(a where x == 1 same y then no b then c where z within 1d last 2d)");
    same("(count(orders lifetime) > 2) == true");
}

#[test]
fn parentheses_stay_only_where_they_mean_something() {
    check("((trait.a) or (trait.b and trait.c))", "trait.a or trait.b and trait.c");
    same("(trait.a or trait.b) and trait.c");
    same("trait.a and (trait.b and trait.c)");
    same("not (trait.a or trait.b)");
    check("not (not trait.a)", "not not trait.a");
    same("not trait.a == 1");
    check("(trait.a * trait.b) + trait.c > 0", "trait.a * trait.b + trait.c > 0");
    same("trait.a - (trait.b - trait.c) > 0");
    same("trait.a / (trait.b / trait.c) > (trait.d + 1) * 2");
}

#[test]
fn a_minus_before_a_number_is_its_sign() {
    check("trait.a > - 5", "trait.a > -5");
    check("trait.a -5 > 1", "trait.a - 5 > 1");
    same("trait.a - -5 > 1");
    check("--5 < trait.a", "-(-5) < trait.a");
    same("-(5) < trait.a");
    same("-trait.a < -(trait.b + 1)");
    check("trait.a > -0", "trait.a > 0");
}

#[test]
fn words_of_the_grammar_are_names_after_a_dot() {
    same("sum(orders.where last 1d) > 0");
    same("trait.and == true");
    same("any(orders last 1d: products.last == 1 and count == 2 and day == 3 and list == 4)");
}

#[test]
fn a_trait_of_any_name_stands_in_quotes() {
    same("trait.\"first name\" == \"Ann\" and trait.\"1st\" and trait.\"é\" > 1");
    same(r#"trait."say \"hi\" \\ bye" is null"#);
    check("trait.\"plan\" == \"gold\"", "trait.plan == \"gold\"");
    assert_eq!(parse("trait.\"\" == 1").unwrap_err()[0].code, "syntax");
}

#[test]
fn texts_know_two_escapes() {
    same(r#"trait.a == "say \"hi\" \\ bye""#);
    same("trait.a == \"größer ≥ 'x' # no comment\"");
}

#[test]
fn a_number_that_cannot_be_held_exactly_is_refused() {
    same("trait.a == 79228162514264337593543950335");
    insta::assert_snapshot!(messages("trait.a == 79228162514264337593543950336"), @r"
    error[bad-number]: `79228162514264337593543950336` cannot be held exactly
     --> rule:1:12
      |
    1 | trait.a == 79228162514264337593543950336
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: numbers of up to 28 digits always can, the fraction included
    ");
    insta::assert_snapshot!(messages("trait.a == 0.00000000000000000000000000001"), @r"
    error[bad-number]: `0.00000000000000000000000000001` cannot be held exactly
     --> rule:1:12
      |
    1 | trait.a == 0.00000000000000000000000000001
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: numbers of up to 28 digits always can, the fraction included
    ");
}

#[test]
fn malformed_numbers_and_durations_say_what_they_should_be() {
    insta::assert_snapshot!(messages("trait.a == 1.5.2"), @r"
    error[bad-number]: `1.5.2` is not a number
     --> rule:1:12
      |
    1 | trait.a == 1.5.2
      |            ^^^^^
      |
      = help: numbers look like 20, 5_000 or 0.25
    ");
    insta::assert_snapshot!(messages("trait.a == 1__000"), @r"
    error[bad-number]: `1__000` is not a number
     --> rule:1:12
      |
    1 | trait.a == 1__000
      |            ^^^^^^
      |
      = help: numbers look like 20, 5_000 or 0.25
    ");
    insta::assert_snapshot!(messages("count(orders last 30x) > 2"), @r"
    error[bad-duration]: `30x` is neither a number nor a duration
     --> rule:1:19
      |
    1 | count(orders last 30x) > 2
      |                   ^^^
      |
      = help: durations are digits and one of s, m, h, d, w: `30d`
    ");
    insta::assert_snapshot!(messages("count(orders last 0d) > 2"), @r"
    error[bad-duration]: `0d` is not a possible duration
     --> rule:1:19
      |
    1 | count(orders last 0d) > 2
      |                   ^^
      |
      = help: a duration is more than 0 and at most a thousand years
    ");
    insta::assert_snapshot!(messages("count(orders since 2026-02-30) > 2"), @r"
    error[bad-date]: `2026-02-30` is not a date
     --> rule:1:20
      |
    1 | count(orders since 2026-02-30) > 2
      |                    ^^^^^^^^^^
      |
      = help: dates are written YYYY-MM-DD: `since 2026-01-31`
    ");
}

#[test]
fn every_missing_window_is_reported() {
    insta::assert_snapshot!(messages("count(orders) > 2 and sum(orders.total where total > 2) > 5"), @r"
    error[missing-window]: `orders` has no window, and there is none by default
     --> rule:1:7
      |
    1 | count(orders) > 2 and sum(orders.total where total > 2) > 5
      |       ^^^^^^ a window is missing after this
      |
      = help: for example `last 30d`, `this month`, `since 2026-01-31` or `lifetime`

    error[missing-window]: `orders` has no window, and there is none by default
     --> rule:1:27
      |
    1 | count(orders) > 2 and sum(orders.total where total > 2) > 5
      |                           ^^^^^^^^^^^^ a window is missing after this
      |
      = help: for example `last 30d`, `this month`, `since 2026-01-31` or `lifetime`
    ");
    insta::assert_snapshot!(messages("count(orders 30d) > 2"), @r"
    error[missing-window]: `orders` has no window, and there is none by default
     --> rule:1:14
      |
    1 | count(orders 30d) > 2
      |              ^^^ did you mean `last 30d`?
      |
      = help: for example `last 30d`, `this month`, `since 2026-01-31` or `lifetime`
    ");
    insta::assert_snapshot!(messages("count(orders lats 30d) > 2"), @r"
    error[syntax]: expected a window, such as `last 30d` or `lifetime`, found `lats`
     --> rule:1:14
      |
    1 | count(orders lats 30d) > 2
      |              ^^^^ did you mean `last`?
    ");
}

#[test]
fn signs_of_other_languages_are_translated() {
    insta::assert_snapshot!(messages("trait.a = 1"), @r"
    error[syntax]: `=` is not part of the rule language
     --> rule:1:9
      |
    1 | trait.a = 1
      |         ^ did you mean `==`?
    ");
    insta::assert_snapshot!(messages("trait.a == 1 && trait.b"), @r"
    error[syntax]: `&&` is not part of the rule language
     --> rule:1:14
      |
    1 | trait.a == 1 && trait.b
      |              ^^ did you mean `and`?
    ");
    insta::assert_snapshot!(messages("trait.a == 'x'"), @r#"
    error[syntax]: `'` is not part of the rule language
     --> rule:1:12
      |
    1 | trait.a == 'x'
      |            ^ did you mean `"`?
    "#);
    insta::assert_snapshot!(messages("1 < trait.a < 5"), @r"
    error[syntax]: comparisons do not chain
     --> rule:1:13
      |
    1 | 1 < trait.a < 5
      |             ^
      |
      = help: write `x between a and b`, `x in [a, b)`, or two comparisons with `and`
    ");
}

#[test]
fn slips_from_other_languages_are_told_how_it_is_said_here() {
    let help = |rule: &str| parse(rule).unwrap_err()[0].help.clone().unwrap_or_default();
    for (rule, expected) in [
        ("trait.a == 1 AND trait.b", "small letters: `and`"),
        ("trait.a == null", "`x is null`"),
        ("trait.a not in {1}", "`not x in {…}`"),
        ("trait.a is true", "`x == true`"),
        ("trait.a > .5", "`0.5`"),
        ("trait.a like \"b\"", "`x contains"),
        ("count(orders last 30 days) > 1", "`30d`"),
        ("count(orders last month) > 1", "`previous month`"),
        ("exists(orders lifetime)", "there are count, sum,"),
        ("segment(gold)", "`\"gold\"`"),
        ("returned(orders.total after 1d)", "a stream stands here alone"),
        ("returned(orders where total > 5 after 1d within 1d)", "a stream stands here alone"),
        ("top 5% by orders.total", "put together"),
        ("top 5 by sum(orders.total last 30d)", "`top 5% by …`"),
        ("count(orders within 30d) > 1", "`last 30d`"),
        ("count(orders last 1mo) > 1", "`previous month`"),
        ("count(orders last 1y) > 1", "`365d`"),
        ("count(orders last 30d) > 1e3", "`1_000`"),
        ("count(orders last 30d) > 5,000", "`5_000`"),
        ("trait.a in (1, 2, 3)", "`x in {1, 2}`"),
        ("trait.a is 3", "`x == 3`"),
        ("trait.a > $5", "a number alone"),
        ("trait.a > 5 €", "a number alone"),
    ] {
        assert!(help(rule).contains(expected), "{rule}: {}", help(rule));
    }
    assert_eq!(parse("trait.a <> 1").unwrap_err()[0].label.as_deref(), Some("did you mean `!=`?"));
    assert_eq!(help("trait.a == 1 trait.b"), "", "no guess where nothing is known");
    assert_eq!(help("trait.plan.x == 1"), "", "no guess where nothing is known");
}

#[test]
fn what_breaks_off_says_what_was_expected() {
    insta::assert_snapshot!(messages(""), @r"
    error[empty-rule]: the rule is empty
     --> rule:1:1
      |
    1 |
      | ^
    ");
    insta::assert_snapshot!(messages("count(orders last 30d) >"), @r"
    error[syntax]: expected a value, found the end of the rule
     --> rule:1:25
      |
    1 | count(orders last 30d) >
      |                         ^
    ");
    insta::assert_snapshot!(messages("count(orders last 30d"), @r"
    error[syntax]: expected `)`, found the end of the rule
     --> rule:1:22
      |
    1 | count(orders last 30d
      |                      ^
    ");
    insta::assert_snapshot!(messages("trait.a == \"x"), @r#"
    error[bad-string]: this string is not closed
     --> rule:1:12
      |
    1 | trait.a == "x
      |            ^ a closing `"` is missing
    "#);
    insta::assert_snapshot!(messages("trait.a == 1 trait.b"), @r"
    error[syntax]: expected the end of the rule, found `trait`
     --> rule:1:14
      |
    1 | trait.a == 1 trait.b
      |              ^^^^^
    ");
    insta::assert_snapshot!(messages("cuont(orders last 30d) > 2"), @r"
    error[unknown-function]: there is no function `cuont`
     --> rule:1:1
      |
    1 | cuont(orders last 30d) > 2
      | ^^^^^ did you mean `count`?
    ");
    insta::assert_snapshot!(messages("every(orders last 30d: total > 2) == true"), @r"
    error[syntax]: a condition is not compared as it stands
     --> rule:1:35
      |
    1 | every(orders last 30d: total > 2) == true
      |                                   ^^
      |
      = help: put it in parentheses
    ");
    insta::assert_snapshot!(messages("sequence(no orders then coupons)"), @r"
    error[sequence-start]: the first step of a sequence cannot be `no`
     --> rule:1:13
      |
    1 | sequence(no orders then coupons)
      |             ^^^^^^
    ");
}

#[test]
fn nesting_is_bounded_whatever_its_shape() {
    let code = |text: String| parse(&text).unwrap_err()[0].code;
    assert_eq!(code("(".repeat(1_000_000)), "too-long");
    assert_eq!(code("(".repeat(60_000)), "too-deep");
    assert_eq!(code("not ".repeat(16_000)), "too-deep");
    assert_eq!(code(format!("trait.a > 1{}", " + 1".repeat(16_000))), "too-deep");
    assert_eq!(code(format!("trait.a > {}", "-(".repeat(20_000))), "too-deep");
    assert!(parse(&"trait.a or ".repeat(5_000).trim_end_matches(" or ").replace("  ", " ")).is_ok());
}
