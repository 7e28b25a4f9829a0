//! A random case is a page, so that a failing one can be read, kept and run like any other.

use std::fmt;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use segmentd::event::Catalogue;
use segmentd::scenario::{Page, PageLadder, PageSegment};
use segmentd::time::EventTime;
use segmentd::transition::Cause;

use super::events::{self, Shape};
use super::naive::{Ends, rules_of, transitions};
use super::rules;

/// A page that shows itself as its text.
#[derive(Clone)]
pub struct Case(pub Page);

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_yaml(&Catalogue::segment_spec()))
    }
}

/// Rules, a history of that shape, and silence after it. Nobody announces anything: to find every end takes long.
pub fn case(shape: Shape) -> impl Strategy<Value = Case> {
    case_of(rules::definitions(false), shape)
}

/// The same, with many ends that are announced.
pub fn announcing(shape: Shape) -> impl Strategy<Value = Case> {
    case_of(rules::definitions(true), shape)
}

/// The same with rules of one kind.
pub fn case_of(definitions: impl Strategy<Value = (Vec<PageSegment>, Vec<PageLadder>)>, shape: Shape) -> impl Strategy<Value = Case> {
    let beginning = prop::sample::select(&events::BEGINNINGS[..]).prop_map(|text| EventTime::parse(text).unwrap());
    (definitions, beginning, 1..=3usize).prop_flat_map(move |((segments, ladders), beginning, customers)| {
        events::history(beginning, shape, customers).prop_map(move |events| {
            Case(Page {
                name: "found by chance".into(),
                lists: vec![("staff".into(), vec!["d".into()]), ("banned".into(), vec!["c".into(), "d".into()])],
                segments: segments.clone(),
                ladders: ladders.clone(),
                events,
                epoch: None,
                until: Some(EventTime::from_millis(beginning.millis() + shape.length_with_silence())),
                expect: Vec::new(),
            })
        })
    })
}

/// A generator whose rules nothing ever satisfies would let every engine pass.
#[test]
fn most_cases_lead_to_transitions() {
    let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
    let productive = (0..200).filter(|_| {
        let page = case(Shape::DENSE).new_tree(&mut runner).unwrap().current().0;
        transitions(&rules_of(&page), &page, &catalogue, Ends::Ignored).len() > 3
    });
    assert!(productive.count() > 100);
}

/// The same for ladders, and for what keeps a customer on a stage.
#[test]
fn many_cases_move_customers_on_ladders_that_keep_them() {
    let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
    let (mut moving, mut keeping) = (0, 0);
    for _ in 0..200 {
        let page = case(Shape::DENSE).new_tree(&mut runner).unwrap().current().0;
        let found = transitions(&rules_of(&page), &page, &catalogue, Ends::Ignored);
        moving += usize::from(found.iter().any(|outcome| outcome.from.is_some()));
        let mut free = page.clone();
        free.ladders.iter_mut().flat_map(|ladder| &mut ladder.stages).for_each(|stage| {
            stage.exit_when = None;
            stage.options.remove("min_stay");
        });
        keeping += usize::from(transitions(&rules_of(&free), &free, &catalogue, Ends::Ignored) != found);
    }
    assert!(moving > 40 && keeping > 30, "{moving} move, in {keeping} it matters that a stage keeps");
}

/// The same for erasures: of somebody who is in a segment, and of somebody who comes back.
#[test]
fn many_cases_erase_customers_of_whom_some_come_back() {
    let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
    let (mut erasing, mut reviving) = (0, 0);
    for _ in 0..200 {
        let page = case(Shape::DENSE).new_tree(&mut runner).unwrap().current().0;
        let found = transitions(&rules_of(&page), &page, &catalogue, Ends::Ignored);
        erasing += usize::from(found.iter().any(|outcome| outcome.cause == Cause::Delete));
        reviving += usize::from(found.iter().any(|outcome| outcome.sequence > 1_000_000_000));
    }
    assert!(erasing > 40 && reviving > 20, "{erasing} erase a member, in {reviving} somebody comes back");
}

/// A rule that the checker refuses would never reach the engine.
#[test]
fn every_case_passes_the_checker() {
    let (mut runner, catalogue) = (TestRunner::deterministic(), Catalogue::segment_spec());
    for _ in 0..300 {
        let page = case(Shape::DENSE).new_tree(&mut runner).unwrap().current().0;
        let loaded = page.definitions(&catalogue);
        assert!(loaded.definitions.is_some(), "{}\n{:?}", page.to_yaml(&catalogue), loaded.diagnostics);
    }
}
