//! A random case is a page, so that a failing one can be read, kept and run like any other.

use proptest::prelude::*;
use segmentd::scenario::Page;
use segmentd::time::EventTime;

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

#[cfg(test)]
mod tests {
    use super::super::naive::{Ends, rule_of, transitions};
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    use segmentd::event::Catalogue;

    /// A generator whose rules nothing ever satisfies would let every engine pass.
    #[test]
    fn most_cases_lead_to_transitions() {
        let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
        let productive = (0..200).filter(|_| {
            let page = super::page(1).new_tree(&mut runner).unwrap().current();
            let rules: Vec<_> = page.segments.iter().map(rule_of).collect();
            transitions(&rules, &page, &catalogue, Ends::Ignored).len() > 3
        });
        assert!(productive.count() > 100);
    }
}
