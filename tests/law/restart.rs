//! What is stored is enough: a partition that is thrown away after every event and read back from bytes decides what one
//! does that never forgets.
//!
//! Long histories matter most here: they are stored in pieces, and the oldest only as totals.

use std::sync::Arc;

use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::plan::Plan;
use segmentd::scenario::{self, Outcome, Page};

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::life::Life;
use super::merging::merging;
use super::rules;
use super::shrink::smallest;

proptest! {
    #![proptest_config(config(CASES / 4))]

    #[test]
    fn a_partition_that_forgets_after_every_event_decides_the_same(case in cases::announcing(Shape::SPARSE)) {
        check(&case.0)?;
    }
}

proptest! {
    #![proptest_config(config(CASES / 4))]

    #[test]
    fn it_does_for_sequences(case in cases::case_of(rules::sequences(), Shape::DENSE)) {
        check(&case.0)?;
    }

    #[test]
    fn it_does_where_ids_become_one(case in merging(Shape::DENSE)) {
        check(&case.0)?;
    }
}

proptest! {
    #![proptest_config(config(CASES / 20))]

    #[test]
    fn it_does_over_long_histories(case in cases::case(Shape::LONG)) {
        check(&case.0)?;
    }
}

fn check(page: &Page) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let differs = |page: &Page| page.plan(&catalogue).is_ok_and(|plan| by_customer(page.run(&plan)) != by_customer(forgetful(page, &plan)));
    if differs(page) {
        let page = smallest(page.clone(), differs);
        let plan = page.plan(&catalogue).map_err(|_| TestCaseError::fail("refused"))?;
        let lines = |outcomes: Vec<Outcome>| by_customer(outcomes).iter().map(Outcome::to_string).collect::<Vec<_>>().join("\n");
        let (kept, read) = (lines(page.run(&plan)), lines(forgetful(&page, &plan)));
        return Err(TestCaseError::fail(format!("\n{}in memory:\n{kept}\nread back:\n{read}", page.to_yaml(&catalogue))));
    }
    Ok(())
}

/// What was stored under other definitions may have a customer on several stages, or on none.
#[test]
fn segments_that_become_a_ladder_leave_each_customer_on_one_stage() {
    let before = "name: x
segments: [{key: a, when: trait.a}, {key: b, when: trait.b}, {key: c, when: trait.c}]
events:
  - {at: 2026-01-01T00:00:00Z, customer: all, identify: {a: true, b: true, c: true}}
  - {at: 2026-01-01T00:00:00Z, customer: two, identify: {a: false, b: true, c: true}}
  - {at: 2026-01-01T00:00:00Z, customer: none, identify: {a: false}}";
    let stages = |rules: [&str; 2]| {
        format!("name: y\nladders: [{{key: l, stages: [{{key: a, {}}}, {{key: b, {}}}, {{key: c}}]}}]", rules[0], rules[1])
    };
    let same = stages(["when: trait.a", "when: trait.b"]);
    assert_eq!(after(before, &same, "all"), ["exited b", "exited c"]);
    assert_eq!(after(before, &same, "two"), ["exited c"]);
    assert_eq!(after(before, &same, "none"), ["entered c"]);
    assert_eq!(after(before, &stages(["when: trait.x", "when: trait.b"]), "all"), ["exited a", "exited c"]);
    assert_eq!(after(before, &stages(["when: trait.x", "when: trait.y"]), "two"), ["exited b"]);
    assert_eq!(after(before, &stages(["when: trait.c", "when: trait.b"]), "two"), ["exited b", "exited c", "entered a"]);
    assert_eq!(after(before, &stages(["when: trait.c", "when: trait.b, min_stay: 1d"]), "two"), ["exited c"]);
}

/// What is decided of a customer when definitions change.
fn after(before: &str, after: &str, customer: &str) -> Vec<String> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let [page, other] = [before, after].map(|text| scenario::parse("page", text, &catalogue).unwrap().remove(0));
    let mut life = Life::new(&page.plan(&catalogue).unwrap());
    page.events.iter().for_each(|event| life.take(event));
    life.redefine(&other.plan(&catalogue).unwrap(), false);
    let before = life.told().len();
    life.decide_all();
    let decided = life.told()[before..].iter().filter(|outcome| outcome.customer.as_str() == customer);
    decided.map(|outcome| format!("{} {}", outcome.happening.as_str(), outcome.segment)).collect()
}

/// Between customers no order is promised at one instant.
fn by_customer(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    outcomes.sort_by(|a, b| a.customer.cmp(&b.customer));
    outcomes
}

/// Each event meets a new partition that knows only what the one before it stored.
fn forgetful(page: &Page, plan: &Arc<Plan>) -> Vec<Outcome> {
    let mut life = Life::new(plan);
    for event in &page.events {
        life.restart();
        life.take(event);
    }
    life.restart();
    life.run_to(page.until);
    life.told().to_vec()
}
