//! What is stored is enough: a partition that is thrown away after every event and read back from bytes decides what one
//! does that never forgets.
//!
//! Long histories matter most here: they are stored in pieces, and the oldest only as totals.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::customer::codec::{self, FormatError};
use segmentd::engine::{Loaded, Partition, rebuild};
use segmentd::event::Catalogue;
use segmentd::id::CustomerId;
use segmentd::plan::Plan;
use segmentd::scenario::{Outcome, Page};
use segmentd::time::EventTime;
use segmentd::transition::Cause;

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::shrink::smallest;

/// What a store holds: values by key.
pub type Stored = BTreeMap<Vec<u8>, Vec<u8>>;

proptest! {
    #![proptest_config(config(CASES / 4))]

    #[test]
    fn a_partition_that_forgets_after_every_event_decides_the_same(case in cases::case(Shape::SPARSE)) {
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
    out.extend(partition.take_transitions().iter().map(Outcome::from));
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
    let Some(head) = stored.get(&codec::head_key(customer)) else { return Ok(None) };
    let read = codec::read(plan, customer, head, |key| Ok::<_, FormatError>(stored.get(key).cloned()))?;
    let mut state = read.state;
    rebuild(plan, customer, &state.facts, &mut state.standing);
    let redecide = (!read.current).then_some(Cause::Definition);
    Ok(Some(Loaded { state, redecide }))
}

pub fn settle(partition: &mut Partition, plan: &Plan, stored: &mut Stored, out: &mut Vec<Outcome>) {
    out.extend(partition.take_transitions().iter().map(Outcome::from));
    for slot in partition.changed().to_vec() {
        let resident = partition.resident_mut(slot);
        let armed = resident.armed;
        let Some(state) = resident.state.as_deref_mut() else { continue };
        codec::write(plan, &resident.customer, state, armed, &mut |key, value| match value {
            Some(value) => drop(stored.insert(key, value)),
            None => drop(stored.remove(&key)),
        });
    }
}
