//! What an experiment measures equals what a naive count over the whole accepted history finds, to the last cent: whatever
//! was late, repeated, refunded or cancelled, and however often everything was forgotten and read back from bytes.
//!
//! **Invariant:** the naive count shares nothing with the engine but decoded values. It takes entries from the naive
//! evaluator, and counts the rows that are there in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_rational::BigRational;
use num_traits::Zero;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use segmentd::customer::{Exposure, measure};
use segmentd::engine::{Partition, nobody};
use segmentd::event::Catalogue;
use segmentd::experiment::{Arm, Arms, Figures};
use segmentd::money::Number;
use segmentd::plan::Plan;
use segmentd::scenario::{Page, PageSegment};
use segmentd::time::EventTime;

use super::cases;
use super::engine::{CASES, config};
use super::events::Shape;
use super::history::{History, Row};
use super::life::Life;
use super::naive::{self, Cuts, Ends, rules_of};
use super::publication::Goal;
use super::rules;
use super::shrink::smallest;
use super::value::Scalar;

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn the_report_equals_a_naive_count(page in measured(Shape::DENSE)) {
        check(&page.0)?;
    }

    #[test]
    fn it_does_when_orders_get_too_old_to_be_changed(page in measured(Shape::SPARSE)) {
        check(&page.0)?;
    }
}

proptest! {
    #![proptest_config(config(CASES / 20))]

    #[test]
    fn it_does_when_most_rows_are_no_longer_kept(page in measured(Shape::LONG)) {
        check(&page.0)?;
    }
}

const BUYER: &str = "count(orders lifetime) > 0";

/// Rules of all kinds, each with an experiment.
fn measured(shape: Shape) -> impl Strategy<Value = cases::Case> {
    let segments = (rules::definitions(false), prop::collection::vec(rules::experiment(), 6));
    let segments = segments.prop_map(|((mut segments, ladders), experiments)| {
        // Whom no other rule lets in enters here, with the first order.
        segments.push(PageSegment { key: "buyer".into(), timezone: None, when: BUYER.into(), exit_when: None, options: BTreeMap::new() });
        segments.rotate_right(1);
        for (PageSegment { options, .. }, experiment) in segments.iter_mut().zip(experiments) {
            options.insert("experiment".into(), experiment);
        }
        (segments, ladders)
    });
    cases::case_of(segments, shape)
}

fn check(page: &Page) -> Result<(), TestCaseError> {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let found = |page: &Page| {
        let plan = page.plan(&catalogue).ok()?;
        Some([counted(page, &catalogue), in_memory(page, &plan), from_bytes(page, &plan)])
    };
    let differs = |page: &Page| found(page).is_some_and(|[naive, kept, read]| naive != kept || naive != read);
    if found(page).is_none() || differs(page) {
        let page = smallest(page.clone(), differs);
        return Err(TestCaseError::fail(format!("\n{}naive, in memory, read back:\n{:#?}", page.to_yaml(&catalogue), found(&page))));
    }
    Ok(())
}

/// By segment.
type Found = BTreeMap<String, Arms>;

/// A generator under which nothing is ever counted would let everything pass.
#[test]
fn much_is_counted() {
    let (catalogue, arms) = (Catalogue::segment_spec(), |page: &Page, catalogue: &Catalogue| counted(page, catalogue).into_values());
    let pages = pages(Shape::DENSE, 300);
    let count = |holds: &dyn Fn(&Figures) -> bool| {
        let any = |page: &&Page| arms(page, &catalogue).any(|arms| holds(&arms.treatment) || holds(&arms.control));
        pages.iter().filter(any).count()
    };
    let repeated = count(&|figures| figures.converted > 0 && figures.converted < figures.goals);
    let stepped = count(&|figures| figures.reached.len() > 1 && figures.reached[1] > 0);
    let open = count(&|figures| figures.open > 0 && figures.value != Number::ZERO);
    assert!(repeated > 40 && stepped > 12 && open > 9, "{repeated} convert more than once, {stepped} reach steps, {open} are open");
}

/// The same for rows that are no longer kept.
#[test]
fn in_long_histories_much_that_counts_is_no_longer_kept() {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let pages = pages(Shape::LONG, 20);
    let forgotten = pages.iter().filter(|page| {
        let plan = page.plan(&catalogue).unwrap();
        let goals = plan.experiments.iter().filter_map(|experiment| Some((experiment.key, experiment.goal.as_ref()?)));
        let goals: Vec<_> = goals.collect();
        run(page, &plan).residents().filter_map(|resident| resident.state.as_deref()).any(|state| {
            let dropped = |stream: usize| state.facts.histories[stream].newest_dropped();
            let counts = |exposure: &Exposure| {
                goals.iter().any(|(key, goal)| *key == exposure.experiment && dropped(goal.stream) > Some(exposure.at))
            };
            state.standing.exposures.iter().any(counts)
        })
    });
    assert!(forgotten.count() > 10);
}

fn pages(shape: Shape, count: usize) -> Vec<Page> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| measured(shape).new_tree(&mut runner).unwrap().current().0).collect()
}

fn counted(page: &Page, catalogue: &Catalogue) -> Found {
    let rules = rules_of(page);
    let (_, customers) = naive::run(&Cuts::default(), &rules, page, catalogue, Ends::Ignored);
    let end = page.until.unwrap().max(page.events.iter().map(|event| event.at).max().unwrap_or(EventTime::MIN)).millis();
    let mut found = Found::new();
    for rule in &rules {
        for customer in &customers {
            let Some(arm) = rule.publication.arm(&customer.id) else { continue };
            let arms = found.entry(rule.key.clone()).or_default();
            let entries = customer.entries.get(&rule.key).into_iter().flatten();
            let exposed = entries.filter(|(_, through)| *through).map(|(at, _)| *at).min();
            if let Some(exposed) = exposed {
                add(arms.of_mut(arm), rule.publication.goal.as_ref(), exposed, end, &customer.history, catalogue);
            }
        }
    }
    found.retain(|_, arms| arms.exposed() > 0);
    found
}

fn add(figures: &mut Figures, goal: Option<&Goal>, exposed: i64, end: i64, history: &History, catalogue: &Catalogue) {
    figures.exposed += 1;
    let Some(goal) = goal else { return };
    let last = goal.within.map_or(i64::MAX, |within| exposed + within);
    figures.open += u64::from(goal.within.is_some() && last > end);
    let counts = |row: &&Row| exposed < row.time && row.time <= last;
    let rows = |stream: &str| history.rows(catalogue.find(stream).unwrap(), catalogue);
    let goals = rows(&goal.stream);
    let value = |row: &Row| match goal.value.as_ref().map(|name| row.fields.get(name.as_str())) {
        Some(Some(Scalar::Number(number))) => number.clone(),
        _ => BigRational::zero(),
    };
    let (count, total) = goals.iter().filter(counts).fold((0, BigRational::zero()), |(n, sum), row| (n + 1, sum + value(row)));
    figures.goals += count;
    figures.converted += u64::from(count > 0);
    figures.value = figures.value.plus(&number(&total));
    figures.squares = figures.squares.plus(&number(&(&total * &total)));
    figures.reached.resize(goal.funnel().len(), 0);
    let mut after = (exposed, i64::MAX);
    for (step, stream) in goal.funnel().iter().enumerate() {
        let rows = rows(stream);
        let next = rows.iter().filter(counts).map(|row| (row.time, row.arrival)).filter(|place| *place > after).min();
        let Some(place) = next else { break };
        after = place;
        figures.reached[step] += 1;
    }
}

fn number(exact: &BigRational) -> Number {
    Number::from_parts(exact.numer().clone(), exact.denom().clone()).unwrap()
}

fn in_memory(page: &Page, plan: &Arc<Plan>) -> Found {
    let partition = run(page, plan);
    let mut sums = vec![Arms::default(); plan.experiments.len()];
    for state in partition.residents().filter_map(|resident| resident.state.as_deref()) {
        measure(plan, &state.facts, &state.standing, partition.clock(), &mut sums);
    }
    by_segment(plan, sums)
}

fn run(page: &Page, plan: &Arc<Plan>) -> Partition {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    for event in &page.events {
        partition.accept(&event.to_event(&plan.catalogue, &plan.projection), None, None, &mut nobody).unwrap();
    }
    let end = page.until.unwrap().max(partition.clock());
    while partition.fire_next(EventTime::from_millis(end.millis() + 1), None, &mut nobody).unwrap() {}
    partition.set_clock(end);
    partition
}

/// Everything is thrown away after each event and at the end.
fn from_bytes(page: &Page, plan: &Arc<Plan>) -> Found {
    let mut life = Life::new(plan);
    for event in &page.events {
        life.restart();
        life.take(event);
    }
    life.restart();
    let end = life.run_to(page.until);
    let mut sums = vec![Arms::default(); plan.experiments.len()];
    for state in life.states() {
        measure(plan, &state.facts, &state.standing, end, &mut sums);
    }
    by_segment(plan, sums)
}

fn by_segment(plan: &Plan, sums: Vec<Arms>) -> Found {
    let mut found = Found::new();
    for (experiment, mut arms) in plan.experiments.iter().zip(sums) {
        let steps = experiment.goal.as_ref().map_or(0, |goal| goal.steps.len());
        for arm in Arm::ALL.iter().filter(|_| arms.exposed() > 0).collect::<Vec<_>>() {
            let figures = arms.of_mut(*arm);
            figures.reached.resize(if figures.exposed > 0 { steps } else { 0 }, 0);
        }
        if arms.exposed() > 0 {
            found.insert(plan.segments[experiment.segment].key.to_string(), arms);
        }
    }
    found
}
