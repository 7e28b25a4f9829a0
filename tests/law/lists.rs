//! The law where lists change between events: whoever comes on one or leaves it is decided anew, when something wants the customer or
//! when a scan comes by; nobody else is touched; and in the end memberships are those by the last lists from scratch.
//!
//! A list that stands in a topic takes the same way. What its records say becomes a plan with other lists, as a file does, before
//! anything here hears of it: that the contents are right is tried in `src/runtime/listed.rs` and `tests/lists_kafka.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::id::{CustomerId, ListKey};
use segmentd::plan::Plan;
use segmentd::scenario::{Outcome, Page};
use segmentd::transition::Cause;

use super::cases::{self, Case};
use super::engine::{CASES, config};
use super::events::Shape;
use super::life::Life;
use super::reload::{come_to_an_end, members, without_paths};
use super::shrink::smallest;

/// Who is on `staff`, and who on `banned`.
type Lists = [Vec<CustomerId>; 2];

/// Lists that are put in force.
#[derive(Clone, Debug)]
struct Change {
    /// As a part of what there is to come.
    at: f64,
    lists: Lists,
    /// A scan looks at everybody at once.
    scanned: bool,
}

proptest! {
    #![proptest_config(config(CASES / 2))]

    #[test]
    fn memberships_are_those_by_the_lists_as_they_are_now(case in case(), changes in changes()) {
        check(&case.0, &changes)?;
    }
}

/// Pages whose every second rule asks for a list.
fn case() -> impl Strategy<Value = Case> {
    cases::case(Shape::DENSE).prop_map(|Case(page)| {
        let mut page = without_paths(&page);
        let asking = page.segments.iter_mut().step_by(2);
        asking.for_each(|segment| segment.when = format!("list(\"staff\") or ({}) and not list(\"banned\")", segment.when));
        Case(page)
    })
}

fn lists() -> impl Strategy<Value = Lists> {
    let some = || prop::sample::subsequence(vec!["c", "d", "e"], 0..=3).prop_map(|ids| ids.into_iter().map(CustomerId::from).collect());
    (some(), some()).prop_map(|(staff, banned)| [staff, banned])
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0.0..1.0f64, lists(), any::<bool>()).prop_map(|(at, lists, scanned)| Change { at, lists, scanned });
    prop::collection::vec(change, 1..4).prop_map(|mut changes| {
        changes.sort_by(|a, b| a.at.total_cmp(&b.at));
        changes
    })
}

fn check(page: &Page, changes: &[Change]) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    prop_assume!(!page.segments.is_empty());
    let differs = |page: &Page| difference(page, &catalogue, changes).is_some();
    if differs(page) {
        let page = smallest(page.clone(), differs);
        let found = difference(&page, &catalogue, changes).unwrap_or_default();
        return Err(TestCaseError::fail(format!("\n{}{changes:?}:\n{found}", page.to_yaml(&catalogue))));
    }
    Ok(())
}

fn difference(page: &Page, catalogue: &Arc<Catalogue>, changes: &[Change]) -> Option<String> {
    let last = plan(page, catalogue, &changes.last()?.lists)?;
    let (found, scratch) = (relisted(page, catalogue, changes)?, page.run(&last));
    if members(&found) != members(&scratch) {
        return Some(format!("members: {:?}\nfrom scratch: {:?}", members(&found), members(&scratch)));
    }
    let [found, scratch] = [found, scratch].map(|outcomes| untouched(page, changes, &outcomes));
    (found != scratch).then(|| format!("untouched: {found:#?}\nundisturbed: {scratch:#?}"))
}

fn plan(page: &Page, catalogue: &Arc<Catalogue>, [staff, banned]: &Lists) -> Option<Arc<Plan>> {
    let lists = vec![(ListKey::new("staff"), staff.clone()), (ListKey::new("banned"), banned.clone())];
    Page { lists, ..page.clone() }.plan(catalogue).ok()
}

fn relisted(page: &Page, catalogue: &Arc<Catalogue>, changes: &[Change]) -> Option<Vec<Outcome>> {
    let mut life = Life::new(&page.plan(catalogue).ok()?);
    let mut changes = changes.iter().map(|change| ((page.events.len() as f64 * change.at) as usize, change)).peekable();
    for (number, event) in page.events.iter().enumerate() {
        while let Some((_, change)) = changes.next_if(|(at, _)| *at == number) {
            life.redefine(&plan(page, catalogue, &change.lists)?, true);
            if change.scanned {
                life.decide_all();
            }
        }
        life.take(event);
    }
    Some(come_to_an_end(life, page))
}

/// What was told of customers who stood on the same lists all the time.
fn untouched(page: &Page, changes: &[Change], outcomes: &[Outcome]) -> Vec<String> {
    let at_first: Vec<_> = ["staff", "banned"].map(|key| page.lists.iter().find(|(k, _)| k.as_str() == key)).into_iter().collect();
    let stood = |id: &CustomerId, list: usize| at_first[list].is_some_and(|(_, ids)| ids.contains(id));
    let moved = |id: &CustomerId| changes.iter().any(|change| (0..2).any(|list| change.lists[list].contains(id) != stood(id, list)));
    let touched: BTreeSet<&CustomerId> = outcomes.iter().map(|outcome| &outcome.customer).filter(|id| moved(id)).collect();
    let mut lines: Vec<_> = outcomes.iter().filter(|o| !touched.contains(&o.customer)).map(Outcome::to_string).collect();
    lines.sort();
    lines
}

/// A generator whose lists nobody's rules ask for would let every engine pass.
#[test]
fn in_many_cases_somebody_moves_by_a_list_alone() {
    use proptest::strategy::ValueTree;
    let (mut runner, catalogue) = (proptest::test_runner::TestRunner::deterministic(), Arc::new(Catalogue::segment_spec()));
    let (mut moving, mut waiting) = (0, 0);
    for _ in 0..200 {
        let (Case(page), changes) = (case(), changes()).new_tree(&mut runner).unwrap().current();
        let found = relisted(&page, &catalogue, &changes).unwrap();
        let moves = found.iter().any(|outcome| outcome.cause == Cause::List);
        moving += usize::from(moves);
        waiting += usize::from(moves && changes.iter().all(|change| !change.scanned));
    }
    assert!(moving > 40 && waiting > 8, "in {moving} somebody moves by a list, in {waiting} without a scan");
}
