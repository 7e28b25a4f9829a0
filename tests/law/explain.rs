//! Explanations against the naive evaluator: what is met, who is a member, and when that ends or begins by itself, at
//! random instants of random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::engine::{Partition, nobody, why};
use segmentd::event::Catalogue;
use segmentd::plan::Plan;
use segmentd::scenario::{Page, parse};
use segmentd::time::EventTime;

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::naive::{places, rules_of};

const DAY: i64 = 86_400_000;

proptest! {
    #![proptest_config(config(CASES / 4))]

    #[test]
    fn an_explanation_says_what_the_naive_evaluator_finds(
        case in cases::case(Shape { events: 9, ..Shape::DENSE }),
        event in any::<prop::sample::Index>(),
        later in prop_oneof![Just(0), Just(1), 0..DAY, 0..60 * DAY],
    ) {
        let page = case.0;
        prop_assume!(!page.events.is_empty());
        let t = EventTime::from_millis(event.get(&page.events).at.millis() + later);
        check(&page, t)?;
    }
}

#[test]
fn who_must_stay_below_enters_above_when_that_is_over() {
    let text = "
name: a stage above holds at midnight, and the one below keeps its customer until the noon after
ladders: [{key: l, stages: [{key: above, when: 'count(orders previous day) > 0'}, {key: below, min_stay: 36h}]}]
events: [{at: 2017-10-13T11:00:00Z, orders: {order_id: a}}]
";
    let page = parse("page", text, &Catalogue::segment_spec()).unwrap().remove(0);
    check(&page, EventTime::parse("2017-10-13T12:00:00Z").unwrap()).unwrap();
}

fn check(page: &Page, t: EventTime) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let plan = page.plan(&catalogue).map_err(|found| TestCaseError::fail(format!("{found:?}")))?;
    let partitions = replayed(page, &plan, t);
    for place in places(&rules_of(page), page, &catalogue, t) {
        let partition = &partitions[&place.partition];
        let slot = partition.find(&place.customer);
        let state = slot.and_then(|slot| partition.resident(slot).state.as_deref()).expect("the naive evaluator knows it");
        let segment = plan.segments.iter().position(|segment| segment.key.as_str() == place.segment).unwrap();
        let why = why(&plan, &place.customer, state, segment, t);
        let met: Vec<bool> = why.reasons.iter().map(|reason| reason.evidence.met).collect();
        prop_assert_eq!((why.member, met, why.changes_at), (place.member, place.met, place.changes_at), "{} at {}", place.segment, t);
        // Something is always to be changed, unless the logic cannot be otherwise.
        prop_assert!(why.needed.iter().all(|index| *index < why.reasons.len()));
    }
    Ok(())
}

fn replayed(page: &Page, plan: &Arc<Plan>, t: EventTime) -> BTreeMap<i32, Partition> {
    let (mut partitions, mut over) = (BTreeMap::new(), BTreeMap::new());
    for event in &page.events {
        let partition = partitions.entry(event.partition.0).or_insert_with(|| Partition::new(plan.clone(), EventTime::MIN));
        let over = over.entry(event.partition.0).or_insert(false);
        *over |= event.at > t;
        if !*over {
            let Ok(_) = partition.accept(&event.to_event(&plan.catalogue, &plan.projection), None, None, &mut nobody);
        }
    }
    for partition in partitions.values_mut() {
        while let Ok(true) = partition.fire_next(EventTime::from_millis(t.millis() + 1), None, &mut nobody) {}
        partition.set_clock(t);
    }
    partitions
}
