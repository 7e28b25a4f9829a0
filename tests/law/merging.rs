//! The law where ids turn out to be one customer's: random aliases among random events.
//!
//! What a repeat of an order says under the other id is left to the pages of `tests/scenarios/`: here each order has one
//! customer, and what refers to it may come from anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::engine::{Partition, accept_among, nobody};
use segmentd::event::streams::StreamRole;
use segmentd::event::{Catalogue, Value};
use segmentd::id::{self, CustomerId, EventId};
use segmentd::rank::{Counts, Sketch};
use segmentd::scenario::{Page, PageEvent};
use segmentd::time::EventTime;
use segmentd::transition::Cause;

use super::cases::{self, Case};
use super::engine::{check, config};
use super::events::Shape;
use super::naive::{Ends, rules_of, transitions, transitions_by};
use super::top;

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

    /// Who goes ranks no more, and who stays ranks by what both did.
    #[test]
    fn it_does_for_ranks(case in merging_of(top::case(1), Shape::DENSE)) {
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
            page.events.iter_mut().for_each(|event| event.partition = id::Partition(home(event.customer.as_str())));
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
pub fn merging(shape: Shape) -> impl Strategy<Value = Case> {
    merging_of(cases::case(shape), shape)
}

fn merging_of(cases: impl Strategy<Value = Case>, shape: Shape) -> impl Strategy<Value = Case> {
    let who = prop::sample::select(&IDS[..]);
    let aliases = prop::collection::vec((any::<prop::sample::Index>(), who.clone(), who), 1..4);
    (cases, aliases).prop_map(move |(Case(mut page), aliases)| {
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

/// The same where customers are ranked: cuts that nobody's merge moves, or that move nobody, would prove nothing.
#[test]
fn many_cases_merge_customers_who_rank() {
    let (mut runner, catalogue) = (proptest::test_runner::TestRunner::deterministic(), Catalogue::segment_spec().into());
    let (mut merging, mut ranking) = (0, 0);
    for _ in 0..200 {
        let page = proptest::strategy::ValueTree::current(&merging_of(top::case(1), Shape::DENSE).new_tree(&mut runner).unwrap()).0;
        let plan = page.plan(&catalogue).unwrap();
        let cuts = top::cuts_of(&page, &plan);
        let found = transitions_by(&cuts, &rules_of(&page), &page, &catalogue, Ends::Ignored);
        merging += usize::from(found.iter().any(|outcome| outcome.cause == Cause::Merge));
        ranking += usize::from(cuts.changes.len() > 1);
    }
    assert!(merging > 60 && ranking > 60, "{merging} merge members, in {ranking} cuts move");
}

proptest! {
    #![proptest_config(config(super::engine::CASES / 2))]

    /// The law takes cuts as they are found; this is what they are found from.
    #[test]
    fn whoever_became_one_ranks_as_if_there_had_been_no_other_id(case in merging_of(top::case(1), Shape::DENSE)) {
        let catalogue = Arc::new(Catalogue::segment_spec());
        let mut page = case.0;
        page.events.retain(|event| catalogue.stream(event.stream).role != StreamRole::Erasures);
        // At one instant the order of arrival would differ.
        page.events.iter_mut().enumerate().for_each(|(i, event)| event.at = EventTime::from_millis(event.at.millis() + i as i64));
        let (alone, becoming) = of_one_id_each(&page, &catalogue);
        prop_assume!(becoming.iter().all(|id| alone.events.iter().any(|event| event.customer == *id)));
        prop_assert_eq!(ranks(&page, &catalogue), ranks(&alone, &catalogue), "{}", page.to_yaml(&catalogue));
    }
}

/// The page without its aliases, each event under the id that its customer has in the end; and the ids that others became.
fn of_one_id_each(page: &Page, catalogue: &Catalogue) -> (Page, Vec<CustomerId>) {
    let mut became: BTreeMap<CustomerId, CustomerId> = BTreeMap::new();
    let end = |became: &BTreeMap<CustomerId, CustomerId>, id: &CustomerId| {
        let mut id = id.clone();
        while let Some(next) = became.get(&id) {
            id = next.clone();
        }
        id
    };
    let (aliases, mut events): (Vec<_>, Vec<_>) =
        page.events.iter().cloned().partition(|event| catalogue.stream(event.stream).role == StreamRole::Aliases);
    for alias in &aliases {
        let Some(Value::Text(into)) = alias.field("into") else { continue };
        let (from, into) = (end(&became, &alias.customer), end(&became, &CustomerId::new(into.clone())));
        if from != into {
            became.insert(from, into);
        }
    }
    events.iter_mut().for_each(|event| event.customer = end(&became, &event.customer));
    let becoming = became.values().map(|id| end(&became, id)).collect();
    (Page { events, ..page.clone() }, becoming)
}

/// How many customers are in each bucket of each ranking at the end.
fn ranks(page: &Page, catalogue: &Arc<Catalogue>) -> Vec<Counts> {
    let plan = page.plan(catalogue).unwrap();
    let mut partitions = [Partition::new(plan.clone(), EventTime::MIN)];
    for event in &page.events {
        accept_among(&mut partitions, |_| 0, &event.to_event(&plan.catalogue, &plan.projection));
    }
    let end = EventTime::from_millis(page.until.unwrap().millis() + 1);
    while let Ok(true) = partitions[0].fire_next(end, None, &mut nobody) {}
    partitions[0].sketches().map(Sketch::to_counts).collect()
}
