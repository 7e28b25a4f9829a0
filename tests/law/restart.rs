//! What is stored is enough: a partition that is thrown away after every event and read back from bytes decides what one
//! does that never forgets.
//!
//! Long histories matter most here: they are stored in pieces, and the oldest only as totals.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::customer::CustomerState;
use segmentd::customer::codec::{self, FormatError, Secret};
use segmentd::engine::{Loaded, Partition, rebuild};
use segmentd::event::Catalogue;
use segmentd::id::CustomerId;
use segmentd::plan::Plan;
use segmentd::scenario::{self, Outcome, Page};
use segmentd::time::EventTime;
use segmentd::transition::Cause;

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::rules;
use super::shrink::smallest;

/// What erased customers are recognised by.
const SECRET: [u8; Secret::BYTES] = *b"nobody knows it ";

/// What a store holds: values by key.
pub type Stored = BTreeMap<Vec<u8>, Vec<u8>>;

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
    let (plan, other) = (page.plan(&catalogue).unwrap(), other.plan(&catalogue).unwrap());
    let (mut partition, mut stored) = (Partition::new(plan.clone(), EventTime::MIN), Stored::new());
    for event in &page.events {
        let event = event.to_event(&plan.catalogue, &plan.projection);
        partition.accept(&event, None, None, &mut |_| Ok::<_, FormatError>(None)).unwrap();
    }
    settle(&mut partition, &plan, &mut stored, &mut Vec::new());
    let mut partition = Partition::new(other.clone(), partition.clock());
    let slot = partition.slot(&customer.into());
    partition.ensure(slot, None, &mut |customer| read(&other, &stored, customer)).unwrap();
    partition.transitions().iter().map(|t| format!("{} {}", t.direction.as_str(), t.segment)).collect()
}

/// Between customers no order is promised at one instant.
fn by_customer(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    outcomes.sort_by(|a, b| a.customer.cmp(&b.customer));
    outcomes
}

/// Each event meets a new partition that knows only what the one before it stored.
fn forgetful(page: &Page, plan: &Arc<Plan>) -> Vec<Outcome> {
    let (mut stored, mut clock, mut out) = (Stored::new(), EventTime::MIN, Vec::new());
    for event in &page.events {
        let mut partition = revived(plan, clock, &stored);
        let event = event.to_event(&plan.catalogue, &plan.projection);
        partition.accept(&event, None, None, &mut |customer| read(plan, &stored, customer)).unwrap();
        clock = partition.clock();
        settle(&mut partition, plan, &mut stored, &mut out);
    }
    let end = EventTime::from_millis(page.until.map_or(clock, |until| until.max(clock)).millis() + 1);
    let mut partition = revived(plan, clock, &stored);
    while partition.fire_next(end, None, &mut |customer| read(plan, &stored, customer)).unwrap() {}
    out.extend(partition.outputs().map(Outcome::from));
    out
}

pub fn revived(plan: &Arc<Plan>, clock: EventTime, stored: &Stored) -> Partition {
    let mut partition = Partition::new(plan.clone(), clock);
    for (key, value) in stored {
        if let (Some(customer), Some(due)) = (codec::customer_of(key), codec::armed_of(key, value)) {
            partition.arm_stored(&customer, due);
        }
    }
    partition
}

pub fn read(plan: &Plan, stored: &Stored, customer: &CustomerId) -> Result<Option<Loaded>, FormatError> {
    let Some(head) = stored.get(&codec::head_key(customer)) else {
        let erased = stored.get(&Secret::new(SECRET).key_of(customer)).map(|value| codec::read_erased(value)).transpose()?;
        let nobody = |erased| Loaded { state: CustomerState { erased: Some(erased), ..CustomerState::new(plan) }, redecide: None };
        return Ok(erased.map(nobody));
    };
    let read = codec::read(plan, customer, head, |key| Ok::<_, FormatError>(stored.get(key).cloned()))?;
    let mut state = read.state;
    rebuild(plan, customer, &state.facts, &mut state.standing);
    let redecide = (!read.current).then_some(Cause::Definition);
    Ok(Some(Loaded { state, redecide }))
}

pub fn settle(partition: &mut Partition, plan: &Plan, stored: &mut Stored, out: &mut Vec<Outcome>) {
    out.extend(partition.outputs().map(Outcome::from));
    for slot in partition.gone() {
        let resident = partition.resident(*slot);
        let (id, erased) = (&resident.customer, resident.state.as_ref().unwrap().erased.unwrap());
        let parts = codec::parts_of(id);
        stored.retain(|key, _| *key != codec::head_key(id) && !parts.iter().any(|part| key.starts_with(part)));
        stored.insert(Secret::new(SECRET).key_of(id), codec::write_erased(&erased));
    }
    for slot in partition.changed().to_vec() {
        let resident = partition.resident_mut(slot);
        let armed = resident.armed;
        let Some(state) = resident.state.as_deref_mut().filter(|state| state.is_known()) else { continue };
        codec::write(plan, &resident.customer, state, armed, &mut |key, value| match value {
            Some(value) => drop(stored.insert(key, value)),
            None => drop(stored.remove(&key)),
        });
    }
}
