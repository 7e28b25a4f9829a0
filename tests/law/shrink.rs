//! From a page that fails to a smaller one that fails too, by leaving things out: what proptest's own shrinking cannot do
//! well, since it knows the dice and not the page.
//!
//! **Invariant:** whatever is returned fails; nothing that can be left out of it alone still fails.

use std::collections::BTreeMap;

use segmentd::rule::ast::{Expr, ExprKind};
use segmentd::rule::parse;
use segmentd::scenario::{Page, PageSegment, PageStage};
use serde_json::Value as Json;

use super::rules::end;

/// The smallest failing page that leaving out one thing after another leads to.
pub fn smallest(mut page: Page, fails: impl Fn(&Page) -> bool) -> Page {
    loop {
        let next = smaller(&page).find(|smaller| fails(smaller));
        match next {
            Some(smaller) => page = smaller,
            None => return page,
        }
    }
}

fn smaller(page: &Page) -> impl Iterator<Item = Page> {
    without_segments(page)
        .chain(without_ladders(page))
        .chain(without_stages(page))
        .chain(without_events(page))
        .chain(simpler_rules(page))
        .chain(simpler_stages(page))
        .chain(without_fields(page))
}

fn without_segments(page: &Page) -> impl Iterator<Item = Page> {
    (0..page.segments.len()).map(|i| changed(page, |page| drop(page.segments.remove(i))))
}

fn without_ladders(page: &Page) -> impl Iterator<Item = Page> {
    (0..page.ladders.len()).map(|i| changed(page, |page| drop(page.ladders.remove(i))))
}

fn without_stages(page: &Page) -> impl Iterator<Item = Page> {
    let without = |(i, stage): (usize, usize)| {
        changed(page, |page| {
            page.ladders[i].stages.remove(stage);
            end(&mut page.ladders[i].stages);
        })
    };
    stages_of(page).map(without)
}

/// Ladder and rank of each.
fn stages_of(page: &Page) -> impl Iterator<Item = (usize, usize)> {
    page.ladders.iter().enumerate().flat_map(|(i, ladder)| (0..ladder.stages.len()).map(move |stage| (i, stage)))
}

/// Many at once first: half of them, a quarter, …
fn without_events(page: &Page) -> impl Iterator<Item = Page> {
    let count = page.events.len();
    let lengths =
        std::iter::successors(Some(count.div_ceil(2)), |length| (*length > 1).then(|| length.div_ceil(2))).filter(move |_| count > 0);
    lengths.flat_map(move |length| {
        (0..count).step_by(length).map(move |from| changed(page, |page| drop(page.events.drain(from..(from + length).min(count)))))
    })
}

fn without_fields(page: &Page) -> impl Iterator<Item = Page> {
    let places = page.events.iter().enumerate().flat_map(|(i, event)| (0..event.fields.len()).map(move |field| (i, field)));
    let needed = |(i, field): &(usize, usize)| page.events[*i].fields[*field].0 != "order_id";
    places.filter(needed).map(|(i, field)| changed(page, |page| drop(page.events[i].fields.remove(field))))
}

fn simpler_rules(page: &Page) -> impl Iterator<Item = Page> {
    page.segments.iter().enumerate().flat_map(move |(i, segment)| {
        simpler(segment).into_iter().map(move |simpler| changed(page, |page| page.segments[i] = simpler.clone()))
    })
}

fn simpler_stages(page: &Page) -> impl Iterator<Item = Page> {
    stages_of(page).flat_map(move |(i, rank)| {
        let simpler = simpler_stage(&page.ladders[i].stages[rank]).into_iter();
        simpler.map(move |simpler| changed(page, |page| page.ladders[i].stages[rank] = simpler.clone()))
    })
}

fn simpler_stage(stage: &PageStage) -> Vec<PageStage> {
    let whens = stage.when.iter().flat_map(|when| parts(when)).map(|when| PageStage { when: Some(when), ..stage.clone() });
    let exits = stage.exit_when.iter().flat_map(|exit| parts(exit)).map(|exit| PageStage { exit_when: Some(exit), ..stage.clone() });
    let bare = [PageStage { exit_when: None, ..stage.clone() }].into_iter();
    let fewer = fewer(&stage.options).map(|options| PageStage { options, ..stage.clone() });
    bare.chain(fewer).filter(|bare| bare != stage).chain(whens).chain(exits).collect()
}

/// The options without one of them.
fn fewer(options: &BTreeMap<String, Json>) -> impl Iterator<Item = BTreeMap<String, Json>> {
    options.keys().map(|name| {
        let mut fewer = options.clone();
        fewer.remove(name);
        fewer
    })
}

fn simpler(segment: &PageSegment) -> Vec<PageSegment> {
    let whens = parts(&segment.when).into_iter().map(|when| PageSegment { when, ..segment.clone() });
    let exits = segment.exit_when.iter().flat_map(|exit| parts(exit)).map(|exit| PageSegment { exit_when: Some(exit), ..segment.clone() });
    let bare = [PageSegment { exit_when: None, ..segment.clone() }, PageSegment { timezone: None, ..segment.clone() }];
    let fewer = fewer(&segment.options).map(|options| PageSegment { options, ..segment.clone() });
    bare.into_iter().chain(fewer).filter(|bare| bare != segment).chain(whens).chain(exits).collect()
}

/// The rule with one of its parts in its place, or without its first filter.
fn parts(rule: &str) -> Vec<String> {
    let Ok(Expr { kind, .. }) = parse(rule) else { return Vec::new() };
    match kind {
        ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter().map(Expr::to_string).collect(),
        ExprKind::Not(inner) => vec![inner.to_string()],
        _ => Vec::new(),
    }
}

fn changed(page: &Page, change: impl FnOnce(&mut Page)) -> Page {
    let mut page = page.clone();
    change(&mut page);
    page
}
