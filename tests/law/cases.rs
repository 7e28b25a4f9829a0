//! A random case is a page, so that a failing one can be read, kept and run like any other.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use segmentd::event::Catalogue;
use segmentd::scenario::Page;
use segmentd::time::EventTime;

use super::naive::{Ends, rule_of, transitions};
use super::{events, rules};

const DAY: i64 = 86_400_000;

/// Rules, a history of a fortnight, and three weeks of silence after it; all of it `stretch` times as long.
pub fn page(stretch: i64) -> impl Strategy<Value = Page> {
    let beginning = prop::sample::select(&events::BEGINNINGS[..]).prop_map(|text| EventTime::parse(text).unwrap());
    (rules::segments(), beginning, 1..=3usize).prop_flat_map(move |(segments, beginning, customers)| {
        events::history(beginning, stretch, customers).prop_map(move |events| Page {
            name: "found by chance".into(),
            lists: vec![("staff".into(), vec!["d".into()])],
            segments: segments.clone(),
            events,
            until: Some(EventTime::from_millis(beginning.millis() + 35 * stretch * DAY)),
            expect: Vec::new(),
        })
    })
}

/// A generator whose rules nothing ever satisfies would let every engine pass.
#[test]
fn most_cases_lead_to_transitions() {
    let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
    let productive = (0..200).filter(|_| {
        let page = page(1).new_tree(&mut runner).unwrap().current();
        let rules: Vec<_> = page.segments.iter().map(rule_of).collect();
        transitions(&rules, &page, &catalogue, Ends::Ignored).len() > 3
    });
    assert!(productive.count() > 100);
}

/// A rule that the checker refuses would never reach the engine.
#[test]
fn every_case_passes_the_checker() {
    let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
    for _ in 0..300 {
        let page = page(1).new_tree(&mut runner).unwrap().current();
        let loaded = page.definitions(&catalogue);
        assert!(loaded.definitions.is_some(), "{}\n{:?}", page.to_yaml(&catalogue), loaded.diagnostics);
    }
}
