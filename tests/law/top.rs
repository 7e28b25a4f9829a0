//! The law where customers are ranked: by the cuts that the engine found, it decides as the naive evaluator does; the cuts
//! are what they are said to be; and neither depends on how customers are divided over partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_rational::BigRational;
use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::id::Partition as PartitionNumber;
use segmentd::money::Number;
use segmentd::plan::Plan;
use segmentd::scenario::{Outcome, Page};
use segmentd::time::Span;

use super::cases::{self, Case};
use super::engine::{check, config};
use super::events::Shape;
use super::naive::{Cuts, Ends};
use super::rules;

/// The cuts that the engine finds on its way through a page.
pub fn cuts_of(page: &Page, plan: &Arc<Plan>) -> Cuts {
    let mut cuts = Cuts::default();
    if plan.cuts.is_empty() {
        return cuts;
    }
    cuts.epoch = page.epoch.unwrap_or(Span::MINUTE).millis();
    let mut version = 0;
    page.run_through(plan, &mut |partitions, end| {
        let found = partitions[0].cuts();
        if found.version() != version {
            let cut = |(index, text): (usize, &str)| Some((text.to_owned(), exact(found.at(index)?)));
            cuts.changes.push((end.millis(), plan.cut_texts().enumerate().filter_map(cut).collect()));
            version = found.version();
        }
    });
    cuts
}

fn exact(number: &Number) -> BigRational {
    let (numerator, denominator) = number.to_parts();
    BigRational::new(numerator, denominator)
}

/// Rules that rank, and a history in one partition or two.
pub fn case(partitions: i32) -> impl Strategy<Value = Case> {
    let epochs = prop::sample::select(&["1m", "1h", "6h", "1d"][..]).prop_map(Span::parse);
    (cases::case_of(rules::ranked(), Shape::DENSE), epochs).prop_map(move |(Case(page), epoch)| {
        let events = page.events.iter().cloned().map(|event| {
            let number = i32::from(event.customer.as_str() == "d") % partitions;
            segmentd::scenario::PageEvent { partition: PartitionNumber(number), ..event }
        });
        Case(Page { epoch, events: events.collect(), ..page })
    })
}

proptest! {
    #![proptest_config(config(super::engine::CASES))]

    #[test]
    fn it_does_for_ranks(case in case(2)) {
        check(&case.0, Ends::Ignored)?;
    }

    #[test]
    fn an_entry_among_the_top_says_when_it_ends_by_this_cut(case in case(1)) {
        check(&case.0, Ends::Found)?;
    }

    #[test]
    fn ranks_do_not_depend_on_how_customers_are_divided(case in case(2)) {
        let catalogue = Arc::new(Catalogue::segment_spec());
        let mut page = case.0;
        page.events.sort_by_key(|event| event.at);
        let divided = by_customer(page.run(&page.plan(&catalogue).unwrap()));
        page.events.iter_mut().for_each(|event| event.partition = PartitionNumber(0));
        prop_assert_eq!(divided, by_customer(page.run(&page.plan(&catalogue).unwrap())));
    }
}

/// Between customers no order is promised.
fn by_customer(outcomes: Vec<Outcome>) -> BTreeMap<String, Vec<Outcome>> {
    let mut found: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        found.entry(outcome.customer.to_string()).or_default().push(outcome);
    }
    found
}

/// A generator whose cuts let nobody in or out would let every engine pass.
#[test]
fn many_cases_move_customers_by_cuts_alone() {
    use proptest::strategy::ValueTree;
    let (mut runner, catalogue) = (proptest::test_runner::TestRunner::deterministic(), Arc::new(Catalogue::segment_spec()));
    let mut recut = 0;
    for _ in 0..100 {
        let page = case(2).new_tree(&mut runner).unwrap().current().0;
        let plan = page.plan(&catalogue).unwrap();
        let changes: Vec<i64> = cuts_of(&page, &plan).changes.iter().skip(1).map(|(end, _)| end - 1).collect();
        recut += usize::from(page.run(&plan).iter().any(|outcome| changes.contains(&outcome.at.millis())));
    }
    assert!(recut > 30, "in {recut} of 100 cases a cut that moved moves somebody");
}
