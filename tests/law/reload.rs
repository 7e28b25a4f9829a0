//! The law across a reload: other rules are put in force at a random point, customers are decided anew when something
//! wants them or when a scan comes by, and from then on memberships are those of the new rules from scratch; what the
//! change does not touch goes on as if nothing had happened. So too where ids become one customer on the way, and where the rules
//! are taken back before a scan has come to anybody.
//!
//! Every second rule is the negation of what it will be: so everything that the new rules look at has been kept, and
//! nearly every membership has to change. Pins and bans come with the new rules. What depends on the path (`exit_when`, `min_stay`, `segment(… last …)`, ladders)
//! is left out: what it would have said before the change nobody knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::plan::Plan;
use segmentd::scenario::{Happening, Outcome, Page, PageSegment};

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::life::Life;
use super::merging::merging;
use super::shrink::smallest;

proptest! {
    #![proptest_config(config(CASES / 2))]

    #[test]
    fn after_a_reload_memberships_are_those_of_the_new_rules(case in cases::case(Shape::DENSE), when in when()) {
        check(&case.0, when, &difference)?;
    }

    /// Aliases come before the reload, between it and the scan, and after both.
    #[test]
    fn they_are_where_ids_become_one(case in merging(Shape::DENSE), when in when()) {
        check(&case.0, when, &difference)?;
    }

    /// The first rules again, before a scan has come to anybody: whoever had an event meanwhile has missed something.
    #[test]
    fn rules_that_are_taken_back_leave_nothing_behind(case in cases::case(Shape::DENSE), when in when()) {
        check(&case.0, when, &difference_when_taken_back)?;
    }
}

/// When the reload comes and when the scan, as parts of what there is to come.
#[derive(Clone, Copy, Debug)]
struct When {
    at: f64,
    later: f64,
    /// For the scan customers wait as far as they can.
    wait: bool,
    /// Nobody is in memory when the rules change.
    cold: bool,
    /// Nothing more is looked at than what holds at the last event: later most windows are empty.
    ends: bool,
}

fn when() -> impl Strategy<Value = When> {
    (0.0..1.0f64, 0.0..1.0f64, any::<[bool; 3]>()).prop_map(|(at, later, [wait, cold, ends])| When { at, later, wait, cold, ends })
}

impl When {
    fn among(self, events: usize) -> (usize, usize) {
        let reload = (events as f64 * self.at) as usize;
        (reload, reload + ((events - reload) as f64 * self.later) as usize)
    }
}

type Difference = dyn Fn(&Page, &Arc<Catalogue>, When) -> Option<String>;

fn check(page: &Page, when: When, difference: &Difference) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let page = Page { until: page.until.filter(|_| !when.ends), ..without_paths(page) };
    prop_assume!(!page.segments.is_empty());
    prop_assert!(before(&page).plan(&catalogue).is_ok() && page.plan(&catalogue).is_ok(), "refused:\n{}", page.to_yaml(&catalogue));
    let differs = |page: &Page| difference(page, &catalogue, when).is_some();
    if differs(&page) {
        let page = smallest(page, differs);
        let found = difference(&page, &catalogue, when).unwrap_or_default();
        return Err(TestCaseError::fail(format!("\n{}{when:?}:\n{found}", page.to_yaml(&catalogue))));
    }
    Ok(())
}

pub fn without_paths(page: &Page) -> Page {
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

fn difference(page: &Page, catalogue: &Arc<Catalogue>, when: When) -> Option<String> {
    let (old, new) = (before(page).plan(catalogue).ok()?, page.plan(catalogue).ok()?);
    differ(page, &reloaded(page, &old, &new, when), &page.run(&new))
}

/// The rules of the page, then others, then those of the page, all before a scan.
fn difference_when_taken_back(page: &Page, catalogue: &Arc<Catalogue>, when: When) -> Option<String> {
    let (others, own) = (before(page).plan(catalogue).ok()?, page.plan(catalogue).ok()?);
    let (change, back) = when.among(page.events.len());
    let mut life = Life::new(&own);
    for (number, event) in page.events.iter().enumerate() {
        if number == change {
            change_to(&others, &mut life, when);
        }
        if number == back {
            change_to(&own, &mut life, when);
        }
        life.take(event);
    }
    differ(page, &come_to_an_end(life, page), &page.run(&own))
}

fn change_to(plan: &Arc<Plan>, life: &mut Life, when: When) {
    if when.cold {
        life.restart();
    }
    life.redefine(plan, when.wait);
}

/// Where memberships, or what was told of segments that both sets of rules have, are others than they should be.
fn differ(page: &Page, told: &[Outcome], scratch: &[Outcome]) -> Option<String> {
    let (found, wanted) = (members(told), members(scratch));
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
    let (found, wanted) = (untouched(told), untouched(scratch));
    (found != wanted).then(|| format!("untouched: {found:#?}\nundisturbed: {wanted:#?}"))
}

fn is_alone(segment: &PageSegment) -> bool {
    !segment.when.contains("segment(")
}

/// Who is in what at the end.
pub fn members(outcomes: &[Outcome]) -> BTreeMap<(String, String), bool> {
    let mut members = BTreeMap::new();
    for outcome in outcomes {
        let is = outcome.happening == Happening::Entered;
        let was = members.insert((outcome.customer.to_string(), outcome.segment.to_string()), is);
        assert_eq!(was.unwrap_or(false), !is, "transitions alternate");
    }
    members.retain(|_, is| *is);
    members
}

/// The page with the old rules up to one point, and a scan at a later one.
fn reloaded(page: &Page, old: &Arc<Plan>, new: &Arc<Plan>, when: When) -> Vec<Outcome> {
    let (reload, scan) = when.among(page.events.len());
    let mut life = Life::new(old);
    for (number, event) in page.events.iter().enumerate() {
        if number == reload {
            change_to(new, &mut life, when);
        }
        if number == scan {
            life.decide_all();
        }
        life.take(event);
    }
    come_to_an_end(life, page)
}

/// The service stops here, and comes back.
pub fn come_to_an_end(mut life: Life, page: &Page) -> Vec<Outcome> {
    life.restart();
    life.decide_all();
    life.run_to(page.until);
    life.told().to_vec()
}
