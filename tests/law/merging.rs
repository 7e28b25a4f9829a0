//! The law where ids turn out to be one customer's: random aliases among random events.
//!
//! What a repeat of an order says under the other id is left to the pages of `tests/scenarios/`: here each order has one
//! customer, and what refers to it may come from anybody.

use proptest::prelude::*;
use segmentd::event::streams::StreamRole;
use segmentd::event::{Catalogue, Value};
use segmentd::id::{EventId, Partition};
use segmentd::scenario::PageEvent;
use segmentd::transition::Cause;

use super::cases::{self, Case};
use super::engine::{check, config};
use super::events::Shape;
use super::naive::{Ends, rules_of, transitions};

const IDS: [&str; 4] = ["c", "d", "e", "f"];

proptest! {
    #![proptest_config(config(super::engine::CASES / 2))]

    #[test]
    fn the_engine_equals_the_naive_evaluator_where_ids_become_one(case in merging(Shape::DENSE)) {
        check(&case.0, Ends::Ignored)?;
    }

    #[test]
    fn it_does_when_orders_get_too_old(case in merging(Shape::SPARSE)) {
        check(&case.0, Ends::Ignored)?;
    }
}

proptest! {
    #![proptest_config(config(super::engine::CASES / 5))]

    /// What is sent from one partition to another arrives at once here; where events come in order, nothing else differs.
    #[test]
    fn the_number_of_partitions_does_not_matter(case in merging(Shape::DENSE)) {
        let mut page = case.0;
        page.events.sort_by_key(|event| event.at);
        let plan = page.plan(&Catalogue::segment_spec().into()).unwrap();
        let [one, four, seven] = [1, 4, 7].map(|count| {
            let home = |customer: &str| customer.bytes().map(i32::from).sum::<i32>() * 31 % count;
            page.events.iter_mut().for_each(|event| event.partition = Partition(home(event.customer.as_str())));
            let mut found: Vec<String> = page.run(&plan).iter().map(|outcome| format!("{outcome:?}")).collect();
            found.sort();
            found
        });
        prop_assert_eq!(&one, &four);
        prop_assert_eq!(&one, &seven);
    }
}

proptest! {
    #![proptest_config(config(super::engine::CASES / 60))]

    #[test]
    fn it_does_when_both_had_orders_that_are_not_kept(case in merging(Shape::LONG)) {
        check(&case.0, Ends::Ignored)?;
    }
}

/// Some events become aliases at the instant at which they stood.
fn merging(shape: Shape) -> impl Strategy<Value = Case> {
    let who = prop::sample::select(&IDS[..]);
    let aliases = prop::collection::vec((any::<prop::sample::Index>(), who.clone(), who), 1..4);
    (cases::case(shape), aliases).prop_map(move |(Case(mut page), aliases)| {
        let catalogue = Catalogue::segment_spec();
        // Totals of orders that are not kept have no instants: what of them is later than an erasure is not known.
        let erases = |event: &PageEvent| catalogue.stream(event.stream).role == StreamRole::Erasures;
        page.events.retain(|event| shape.stretch == 1 || !erases(event));
        page.events.iter_mut().for_each(|event| own(event, &catalogue));
        for (at, customer, into) in aliases {
            let place = at.index(page.events.len().max(1));
            let Some(event) = page.events.get_mut(place) else { continue };
            event.stream = catalogue.with_role(StreamRole::Aliases).unwrap();
            event.customer = customer.into();
            event.id = EventId::new(format!("alias-{place}"));
            event.fields = vec![("into".into(), Value::Text(into.into()))];
        }
        Case(page)
    })
}

/// An order is always the same customer's.
fn own(event: &mut PageEvent, catalogue: &Catalogue) {
    if catalogue.stream(event.stream).role == StreamRole::Orders {
        let number: usize = event.id.as_str().bytes().map(usize::from).sum();
        event.customer = IDS[number % IDS.len()].into();
    } else if !matches!(catalogue.stream(event.stream).role, StreamRole::Erasures) {
        event.id = EventId::new(format!("{}-{}", event.customer, event.id.as_str()));
    }
}

/// A generator that merges nobody who is in a segment would let every engine pass.
#[test]
fn many_cases_merge_members() {
    let (mut runner, catalogue) = (proptest::test_runner::TestRunner::deterministic(), Catalogue::segment_spec());
    let mut carrying = 0;
    for _ in 0..200 {
        let page = proptest::strategy::ValueTree::current(&merging(Shape::DENSE).new_tree(&mut runner).unwrap()).0;
        let found = transitions(&rules_of(&page), &page, &catalogue, Ends::Ignored);
        let carried = |outcome: &segmentd::scenario::Outcome| outcome.cause == Cause::Merge && !outcome.published;
        carrying += usize::from(found.iter().any(carried));
    }
    assert!(carrying > 60, "in {carrying} a member is merged");
}
