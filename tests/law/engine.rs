//! The law itself.

use std::sync::Arc;

use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::scenario::{Expectation, ExpectedTransition, Outcome, Page, differences};

use super::cases;
use super::naive::{self, Ends, Rule, rule_of};

/// In release about a millisecond each; `PROPTEST_CASES` asks for more.
const CASES: u32 = 4000;

fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(CASES), failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_equals_the_naive_evaluator(page in cases::page(1)) {
        check(&page, Ends::Ignored)?;
    }

    /// Orders are forgotten, refunds come too late, late events reach back behind what is remembered.
    #[test]
    fn the_engine_equals_the_naive_evaluator_over_a_year(page in cases::page(16)) {
        check(&page, Ends::Ignored)?;
    }

    #[test]
    fn an_entry_says_when_it_ends_by_itself(page in cases::page(1).prop_filter("few", |page| page.events.len() < 8)) {
        check(&page, Ends::Found)?;
    }
}

/// Fails with the page, complete with what the naive evaluator expects of it.
fn check(page: &Page, ends: Ends) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let rules: Vec<Rule> = page.segments.iter().map(rule_of).collect();
    let expected = naive::transitions(&rules, page, &catalogue, ends);
    let page = Page { expect: expected.iter().map(|outcome| expectation(outcome, ends)).collect(), ..page.clone() };
    let plan = page.plan(&catalogue).unwrap_or_else(|found| panic!("{}\n{found:?}", page.to_yaml(&catalogue)));
    let segments = page.segments.iter().map(|segment| Expectation::Never(segment.key.clone()));
    let whole = Page { expect: page.expect.iter().cloned().chain(segments).collect(), ..page.clone() };
    let lines = differences(&whole, &page.run(&plan));
    prop_assert!(lines.is_empty(), "\n{}\nexpected (-) and found (+):\n{}", page.to_yaml(&catalogue), lines.join("\n"));
    Ok(())
}

fn expectation(outcome: &Outcome, ends: Ends) -> Expectation {
    let all = outcome.as_expectation();
    Expectation::Transition(ExpectedTransition { valid_until: all.valid_until.filter(|_| ends == Ends::Found), ..all })
}
