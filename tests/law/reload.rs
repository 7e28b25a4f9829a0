//! The law across a reload: other rules are put in force at a random point, customers are decided anew when something
//! wants them or when a scan comes by, and from then on memberships are those of the new rules from scratch; what the
//! change does not touch goes on as if nothing had happened.
//!
//! Every second rule is the negation of what it will be: so everything that the new rules look at has been kept, and
//! nearly every membership has to change. Pins and bans come with the new rules. What depends on the path (`exit_when`, `min_stay`, `segment(… last …)`, ladders)
//! is left out: what it would have said before the change nobody knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::customer::codec::{self, FormatError};
use segmentd::engine::{Loaded, Partition, rebuild};
use segmentd::event::Catalogue;
use segmentd::id::CustomerId;
use segmentd::plan::{Common, Plan};
use segmentd::scenario::{Happening, Outcome, Page, PageSegment};
use segmentd::time::EventTime;

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::restart::{Stored, read, revived, settle};
use super::shrink::smallest;

proptest! {
    #![proptest_config(config(CASES / 2))]

    #[test]
    fn after_a_reload_memberships_are_those_of_the_new_rules(case in cases::case(Shape::DENSE), at in 0.0..1.0f64, later in 0.0..1.0f64, wait: bool) {
        check(&case.0, at, later, wait)?;
    }
}

fn check(page: &Page, at: f64, later: f64, wait: bool) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let page = without_paths(page);
    prop_assume!(!page.segments.is_empty());
    prop_assert!(before(&page).plan(&catalogue).is_ok() && page.plan(&catalogue).is_ok(), "refused:\n{}", page.to_yaml(&catalogue));
    let differs = |page: &Page| difference(page, &catalogue, at, later, wait).is_some();
    if differs(&page) {
        let page = smallest(page, differs);
        let found = difference(&page, &catalogue, at, later, wait).unwrap_or_default();
        return Err(TestCaseError::fail(format!(
            "\n{}reloaded at {at}, scanned at {later}, {}waited for:\n{found}",
            page.to_yaml(&catalogue),
            if wait { "" } else { "not " }
        )));
    }
    Ok(())
}

fn without_paths(page: &Page) -> Page {
    let free = |segment: &PageSegment| {
        let mut options = segment.options.clone();
        options.retain(|name, _| ["pin", "ban"].contains(&name.as_str()));
        PageSegment { exit_when: None, options, ..segment.clone() }
    };
    let mut segments: Vec<_> =
        page.segments.iter().map(free).filter(|s| !(s.when.contains("segment(") && s.when.contains("last"))).collect();
    loop {
        let keys: Vec<_> = segments.iter().map(|segment| format!("segment(\"{}\")", segment.key)).collect();
        let before = segments.len();
        // Whoever names something that was left out goes too.
        segments
            .retain(|s| s.when.matches("segment(").count() == keys.iter().map(|key| s.when.matches(key.as_str()).count()).sum::<usize>());
        if segments.len() == before {
            return Page { segments, ladders: Vec::new(), ..page.clone() };
        }
    }
}

/// The rules that are in force first.
fn before(page: &Page) -> Page {
    let negated =
        |segment: &PageSegment| PageSegment { when: format!("not ({})", segment.when), options: BTreeMap::new(), ..segment.clone() };
    let segments = page.segments.iter().enumerate().map(|(i, segment)| if i % 2 == 0 { negated(segment) } else { segment.clone() });
    Page { segments: segments.collect(), ..page.clone() }
}

fn difference(page: &Page, catalogue: &Arc<Catalogue>, at: f64, later: f64, wait: bool) -> Option<String> {
    let (old, new) = (before(page).plan(catalogue).ok()?, page.plan(catalogue).ok()?);
    let scratch = page.run(&new);
    let reloaded = reloaded(page, &old, &new, at, later, wait);
    let (found, wanted) = (members(&reloaded), members(&scratch));
    if found != wanted {
        return Some(format!("members: {found:?}\nfrom scratch: {wanted:?}"));
    }
    let untouched = |outcomes: &[Outcome]| {
        let alone =
            |outcome: &&Outcome| page.segments.iter().enumerate().any(|(i, s)| i % 2 == 1 && s.key == outcome.segment && is_alone(s));
        let mut lines: Vec<_> = outcomes.iter().filter(alone).map(Outcome::to_string).collect();
        lines.sort();
        lines
    };
    let (found, wanted) = (untouched(&reloaded), untouched(&scratch));
    (found != wanted).then(|| format!("untouched: {found:#?}\nundisturbed: {wanted:#?}"))
}

fn is_alone(segment: &PageSegment) -> bool {
    !segment.when.contains("segment(")
}

/// Who is in what at the end.
fn members(outcomes: &[Outcome]) -> BTreeMap<(String, String), bool> {
    let mut members = BTreeMap::new();
    for outcome in outcomes {
        let is = outcome.happening == Happening::Entered;
        let was = members.insert((outcome.customer.to_string(), outcome.segment.to_string()), is);
        assert_eq!(was.unwrap_or(false), !is, "transitions alternate");
    }
    members.retain(|_, is| *is);
    members
}

/// The page with the old rules up to one point, and a scan at a later one; `wait`: for which customers wait as far as they can.
fn reloaded(page: &Page, old: &Arc<Plan>, new: &Arc<Plan>, at: f64, later: f64, wait: bool) -> Vec<Outcome> {
    let (mut stored, mut out) = (Stored::new(), Vec::new());
    let reload = (page.events.len() as f64 * at) as usize;
    let scan = reload + ((page.events.len() - reload) as f64 * later) as usize;
    let common = if wait { new.common_with(old).map(Arc::new) } else { None };
    let mut partition = Partition::new(old.clone(), EventTime::MIN);
    for (number, event) in page.events.iter().enumerate() {
        if number == reload {
            partition.redefine(new.clone());
        }
        let plan = partition.plan().clone();
        if number == scan {
            decide_all(&mut partition, &plan, &stored);
        }
        let event = event.to_event(&plan.catalogue, &plan.projection);
        let common = common.as_ref().filter(|_| number >= reload);
        partition.accept(&event, None, None, &mut |customer| going_on(&plan, common, &stored, customer)).unwrap();
        settle(&mut partition, &plan, &mut stored, &mut out);
        for slot in partition.changed().to_vec() {
            partition.resident_mut(slot).state.as_deref_mut().into_iter().for_each(codec::written);
        }
        partition.settled();
    }
    // The service stops here, and comes back: what is in memory only is gone.
    let mut partition = revived(new, partition.clock(), &stored);
    decide_all(&mut partition, new, &stored);
    let end = page.until.map_or(partition.clock(), |until| until.max(partition.clock()));
    let just_after = EventTime::from_millis(end.millis() + 1);
    while partition.fire_next(just_after, None, &mut |customer| read(new, &stored, customer)).unwrap() {}
    out.extend(partition.outputs().map(Outcome::from));
    out
}

fn decide_all(partition: &mut Partition, plan: &Plan, stored: &Stored) {
    let customers: Vec<CustomerId> = stored.keys().filter_map(|key| codec::customer_of(key)).collect();
    for customer in customers {
        let slot = partition.slot(&customer);
        partition.ensure(slot, None, &mut |customer| read(plan, stored, customer)).unwrap();
        partition.complete(slot, None);
    }
}

/// As a customer is read that the scan has not come to: by what both plans have in common, where there is anything.
fn going_on(plan: &Plan, common: Option<&Arc<Common>>, stored: &Stored, customer: &CustomerId) -> Result<Option<Loaded>, FormatError> {
    let Some(mut loaded) = read(plan, stored, customer)? else { return Ok(None) };
    let head = stored.get(&codec::head_key(customer));
    let by_old = |common: &&Arc<Common>| head.and_then(|head| codec::fingerprint_of(head)).is_some_and(|found| common.continues(found));
    if let Some(common) = common.filter(by_old) {
        loaded.state.standing.common = Some(common.clone());
        rebuild(plan, customer, &loaded.state.facts, &mut loaded.state.standing);
        loaded.redecide = None;
    }
    Ok(Some(loaded))
}
