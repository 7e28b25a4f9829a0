//! The statistics of an experiment's report against an independent computation: tests/data/statistics.json is what SciPy
//! makes of the same sums (tests/data/statistics.py).
//!
//! **Invariant:** the file is never written by this program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use segmentd::experiment::{Arms, Comparison, Estimate, Experiment, Figures, Goal, Holdout};
use segmentd::money::Number;
use serde_json::Value;

const BY_SCIPY: &str = include_str!("data/statistics.json");

fn cases() -> Vec<Value> {
    serde_json::from_str(BY_SCIPY).unwrap()
}

fn comparison(case: &Value) -> Comparison {
    let goal = Goal { stream: "orders".into(), value: Some("total".into()), within: None, steps: Vec::new() };
    let holdout = Holdout::parse(case["holdout"].as_str().unwrap()).unwrap();
    let experiment = Experiment { holdout, salt: "salt".into(), goal: Some(goal) };
    Comparison::of(&experiment, &Arms { treatment: figures(&case["treatment"]), control: figures(&case["control"]) })
}

fn figures(arm: &Value) -> Figures {
    let count = |name: &str| arm[name].as_u64().unwrap();
    let number = |name: &str| Number::from(&arm[name].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap());
    let (value, squares) = (number("value"), number("squares"));
    Figures { exposed: count("exposed"), converted: count("converted"), value, squares, ..Figures::default() }
}

/// Relative to what is expected; near 0 absolute.
#[track_caller]
fn near(found: f64, expected: &Value, within: f64, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= within * expected.abs().max(1e-3), "{what}: {found} where SciPy has {expected}");
}

fn check(name: &str, found: Option<Estimate>, expected: &Value) {
    let found = found.unwrap();
    near(found.difference, &expected["difference"], 1e-9, &format!("{name}, difference"));
    near(found.low, &expected["low"], 1e-8, &format!("{name}, low"));
    near(found.high, &expected["high"], 1e-8, &format!("{name}, high"));
    match (found.detectable, &expected["detectable"]) {
        (None, Value::Null) => {}
        (Some(found), expected) => near(found, expected, 1e-8, &format!("{name}, detectable")),
        (found, expected) => panic!("{name}, detectable: {found:?} where SciPy has {expected}"),
    }
}

#[test]
fn the_difference_of_rates_is_that_of_scipy() {
    cases().iter().for_each(|case| check(case["name"].as_str().unwrap(), comparison(case).conversion, &case["conversion"]));
}

#[test]
fn the_difference_of_means_is_that_of_scipy() {
    cases().iter().for_each(|case| check(case["name"].as_str().unwrap(), comparison(case).value, &case["value_per_exposed"]));
}

#[test]
fn the_sample_ratio_is_that_of_scipy() {
    for case in cases() {
        let (found, expected) = (comparison(&case).dealt, &case["sample_ratio"]);
        let Some(found) = found else {
            assert!(expected.is_null(), "{}", case["name"]);
            continue;
        };
        near(found.chi_square, &expected["chi_square"], 1e-9, "chi square");
        near(found.p, &expected["p"], 1e-8, case["name"].as_str().unwrap());
        assert_eq!(found.is_plausible(), expected["p"].as_f64().unwrap() >= 0.01);
    }
}

/// Newcombe 1998, Table II, contrast (a), method 10.
#[test]
fn the_interval_of_rates_is_that_of_its_paper() {
    let conversion = comparison(&cases()[0]).conversion.unwrap();
    assert_eq!(format!("{:.4} {:.4}", conversion.low, conversion.high), "0.0524 0.3339");
}

#[test]
fn where_nothing_can_be_estimated_nothing_is_said() {
    let goal = Goal { stream: "orders".into(), value: Some("total".into()), within: None, steps: Vec::new() };
    let experiment = Experiment { holdout: Holdout::parse("50%").unwrap(), salt: "salt".into(), goal: Some(goal) };
    let some = |exposed: u64| Figures { exposed, ..Figures::default() };
    let compare = |treatment, control| Comparison::of(&experiment, &Arms { treatment, control });
    assert_eq!(compare(some(0), some(0)), Comparison { conversion: None, value: None, dealt: None });
    assert_eq!(compare(some(3), some(0)).conversion, None);
    // Nobody bought anything: there is no spread to judge a difference by.
    assert_eq!(compare(some(3), some(3)).value, None);
    let nothing_seen = compare(some(3), some(3)).conversion.unwrap();
    assert!(nothing_seen.low < 0.0 && nothing_seen.high > 0.0, "{nothing_seen:?}");
}

/// What docs/experiments.md says of 66 of 233 against 168.
#[test]
fn the_page_on_experiments_says_what_its_numbers_are() {
    let page = std::fs::read_to_string("docs/experiments.md").unwrap();
    let goal = Goal { stream: "orders".into(), value: None, within: None, steps: Vec::new() };
    let experiment = Experiment { holdout: Holdout::parse("50%").unwrap(), salt: "salt".into(), goal: Some(goal) };
    let arm = |converted, exposed| Figures { converted, exposed, ..Figures::default() };
    let compare = |treatment, control| Comparison::of(&experiment, &Arms { treatment, control });
    let mailed = |converted| compare(arm(converted, 168), arm(66, 233));
    let odds = 1.0 / mailed(0).dealt.unwrap().p;
    assert!(page.contains(&format!("come up once in {odds:.0}\n")), "{odds}");
    let inconclusive: Vec<u64> = (0..=168).filter(|converted| !mailed(*converted).conversion.unwrap().is_conclusive()).collect();
    assert!(page.contains(&format!("From {} to {} conversions", inconclusive[0], inconclusive.last().unwrap())), "{inconclusive:?}");
    let seen = 66.0 / 233.0 + mailed(0).conversion.unwrap().detectable.unwrap();
    assert!(page.contains(&format!("lifts 28.3 % to {:.1} %", seen * 100.0)), "{seen}");
    for (points, row) in
        [(10, "| 10 percentage points | 348 |"), (5, "| 5 | 1,338 |"), (3, "| 3 | 3,650 |"), (2, "| 2 | 8,133 |"), (1, "| 1 | 32,206 |")]
    {
        let customers: u64 = row.rsplit('|').nth(1).unwrap().trim().replace(',', "").parse().unwrap();
        // As nearly 66 of 233 as whole customers allow.
        let converted = (customers * 66 + 116) / 233;
        let rise = compare(arm(0, customers), arm(converted, customers)).conversion.unwrap().detectable.unwrap() * 100.0;
        assert!(page.contains(row) && (rise / f64::from(points) - 1.0).abs() < 0.003, "{row}: {rise}");
    }
}
