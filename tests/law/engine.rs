//! The law itself.

use std::sync::Arc;

use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::scenario::{Expectation, ExpectedTransition, Happening, Outcome, Page, differences};

use super::cases;
use super::events::Shape;
use super::naive::{self, Ends, rules_of};
use super::rules;
use super::shrink::smallest;
use super::top::cuts_of;

/// `PROPTEST_CASES` asks for other numbers.
pub const CASES: u32 = 500;

pub fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 0,
        // However many cases are asked for: some pages have nothing in them, and are thrown away.
        max_global_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn the_engine_equals_the_naive_evaluator(case in cases::case(Shape::DENSE)) {
        check(&case.0, Ends::Ignored)?;
    }

    #[test]
    fn it_does_when_orders_get_too_old_to_be_changed(case in cases::case(Shape::SPARSE)) {
        check(&case.0, Ends::Ignored)?;
    }

    #[test]
    fn it_does_for_sequences(case in cases::case_of(rules::sequences(), Shape::DENSE)) {
        check(&case.0, Ends::Found)?;
    }

    #[test]
    fn an_entry_says_when_it_ends_by_itself(case in cases::announcing(Shape { events: 9, ..Shape::DENSE })) {
        check(&case.0, Ends::Found)?;
    }
}

proptest! {
    #![proptest_config(config(CASES / 40))]

    #[test]
    fn it_does_when_the_oldest_orders_live_on_in_totals_only(case in cases::case(Shape::LONG)) {
        check(&case.0, Ends::Ignored)?;
    }
}

/// Fails with the smallest page that does, complete with what the naive evaluator expects of it.
pub fn check(page: &Page, ends: Ends) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let differs = |page: &Page| difference(page, ends, &catalogue).is_some_and(|lines| !lines.is_empty());
    let refused = || TestCaseError::fail(format!("refused:\n{}", page.to_yaml(&catalogue)));
    if difference(page, ends, &catalogue).ok_or_else(refused)?.is_empty() {
        return Ok(());
    }
    let page = smallest(page.clone(), differs);
    let lines = difference(&page, ends, &catalogue).unwrap_or_default();
    Err(TestCaseError::fail(format!("\n{}expected (-) and found (+):\n{}", page.to_yaml(&catalogue), lines.join("\n"))))
}

/// What the engine does and the naive evaluator does not, and the other way round; `None` if the page is refused.
fn difference(page: &Page, ends: Ends, catalogue: &Arc<Catalogue>) -> Option<Vec<String>> {
    let plan = page.plan(catalogue).ok()?;
    let expected = naive::transitions_by(&cuts_of(page, &plan), &rules_of(page), page, catalogue, ends);
    let stages = page.ladders.iter().flat_map(|ladder| &ladder.stages).map(|stage| &stage.key);
    let silent = page.segments.iter().map(|segment| &segment.key).chain(stages).map(|key| Expectation::Never(key.clone()));
    let expect = expected.iter().map(|outcome| expectation(outcome, ends)).chain(silent).collect();
    Some(differences(&Page { expect, ..page.clone() }, &page.run(&plan)))
}

fn expectation(outcome: &Outcome, ends: Ends) -> Expectation {
    let all = outcome.as_expectation();
    let valid_until = all.valid_until.filter(|_| ends == Ends::Found || outcome.happening == Happening::Expiring);
    let from = Some(outcome.from.clone()).filter(|_| outcome.happening != Happening::Expiring);
    Expectation::Transition(ExpectedTransition { valid_until, from, published: Some(outcome.published), ..all })
}
