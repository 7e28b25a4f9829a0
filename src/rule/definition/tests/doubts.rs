//! Definitions that are right, but probably not meant.

use super::{check, places};

#[test]
fn absence_without_a_baseline_is_doubtful() {
    insta::assert_snapshot!(check("segments: [{key: lapsed, when: 'count(orders last 30d) == 0'}]"), @r"
    warning[no-baseline]: this also holds for a customer who never had any orders
     --> a.yaml:1:33
      |
    1 | segments: [{key: lapsed, when: 'count(orders last 30d) == 0'}]
      |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: for those who stopped, add `count(orders lifetime) > 0 and`
    ");
    let of = |when: &str| places(&format!("segments: [{{key: a, when: '{when}'}}]"));
    for doubtful in [
        "count(orders last 30d where total > 5) < 1",
        "not count(orders last 30d) > 0 and not list(\"vip\")",
        "count(orders last 30d) == 0 or trait.a == 1",
        "count(orders this year) <= 0 and avg(orders.total last 30d) is null",
    ] {
        assert!(of(doubtful)[0].starts_with("no-baseline"), "{doubtful}: {:?}", of(doubtful));
    }
    for meant in [
        "count(orders lifetime) == 0",
        "count(orders lifetime) > 0 and count(orders last 30d) == 0",
        "list(\"vip\") and count(orders last 30d) == 0",
        "trait.plan == \"gold\" and count(orders last 30d) == 0",
        "count(orders last 30d) < 5",
        "days_since(orders lifetime) > 30",
    ] {
        assert_eq!(of(meant), Vec::<String>::new(), "{meant}");
    }
    assert_eq!(of("count(orders last 9d) > 1', exit_when: 'count(orders last 30d) == 0"), Vec::<String>::new());
}

#[test]
fn a_way_out_that_is_open_from_the_start_is_doubtful() {
    insta::assert_snapshot!(check("segments: [{key: a, when: 'count(orders last 30d) >= 4', exit_when: 'count(orders last 30d) > 2'}]"), @r"
    warning[never-holds]: this holds whenever `count(orders last 30d) >= 4` does, so nobody ever enters
     --> a.yaml:1:70
      |
    1 | segments: [{key: a, when: 'count(orders last 30d) >= 4', exit_when: 'count(orders last 30d) > 2'}]
      |                                                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: `exit_when` wins over `when`: let it begin where `when` has ended
    ");
    let of = |when: &str, exit: &str| places(&format!("segments: [{{key: a, when: '{when}', exit_when: '{exit}'}}]"));
    assert_eq!(of("trait.a == \"x\"", "trait.a == \"x\"").len(), 1);
    assert_eq!(of("count(orders last 30d) >= 4", "count(orders last 30d) < 2"), Vec::<String>::new());
    assert_eq!(of("count(orders last 30d) >= 4", "count(orders last 30d) >= 9"), Vec::<String>::new());
}

#[test]
fn tiers_that_overlap_or_leave_a_gap_are_doubtful() {
    let of = |first: &str, second: &str| {
        let rule = |key: &str, range: &str| format!("  - {{key: {key}, when: 'sum(orders.total lifetime) {range}'}}\n");
        check(&format!("segments:\n{}{}", rule("low", first), rule("high", second)))
    };
    insta::assert_snapshot!(of("between 100 and 300", ">= 300"), @r"
    warning[tier-overlap]: exactly 300 is in `low` and in `high`
     --> a.yaml:3:24
      |
    3 |   - {key: high, when: 'sum(orders.total lifetime) >= 300'}
      |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: tiers share no number if each ends before the next begins: `[…, 300)`
    ");
    insta::assert_snapshot!(of("in [100, 300)", "> 300"), @r"
    warning[tier-gap]: exactly 300 is neither in `low` nor in `high`
     --> a.yaml:3:24
      |
    3 |   - {key: high, when: 'sum(orders.total lifetime) > 300'}
      |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: let one of them begin or end with it: `[300, …)`
    ");
    insta::assert_snapshot!(of("in [100, 300)", "in [250, 500)"), @r"
    warning[tier-overlap]: 250 to 300 is in `low` and in `high`
     --> a.yaml:3:24
      |
    3 |   - {key: high, when: 'sum(orders.total lifetime) in [250, 500)'}
      |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: tiers share no number if each ends before the next begins: `[…, 250)`
    ");
    for fitting in [("in [100, 300)", ">= 300"), ("> 100", "> 500"), ("< 100", "> 50"), ("in [100, 300)", "in [150, 200)"), ("< 5", "> 9")]
    {
        assert_eq!(of(fitting.0, fitting.1), "", "{fitting:?}");
    }
}
