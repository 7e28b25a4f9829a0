//! The names in rules that only the whole set of files can answer: segments, lists, and the order between segments.
//!
//! **Invariant:** on success every reference stands, in the order returned, before the one that makes it.

use std::collections::HashMap;

use super::super::ast::{Expr, Name};
use super::super::diagnostic::{Diagnostic, MAX_SHOWN};
use super::super::{order, walk};
use super::loader::{Draft, Loader, Written};

/// Reports unknown names and circles; gives the order of evaluation (incomplete if there was an error).
pub fn resolve(loader: &mut Loader<'_>) -> Vec<usize> {
    let mut problems = Vec::new();
    for (rule, written) in loader.drafts.iter().flat_map(Draft::rules) {
        unknown_names(rule, written, loader, &mut problems);
    }
    let (order, circles) = order::evaluation_order(&references(&loader.drafts));
    problems.extend(circles.iter().filter_map(|circle| circular(&loader.drafts, circle)));
    loader.diagnostics.extend(problems);
    order
}

fn unknown_names(rule: &Expr, written: &Written, loader: &Loader<'_>, out: &mut Vec<Diagnostic>) {
    let lists: Vec<&str> = loader.lists.keys().chain(loader.names.lists).map(|key| key.as_str()).collect();
    for name in unknown(rule, walk::segments, |name| loader.keys.contains_key(name)) {
        out.push(unknown_name("unknown-segment", "segment", written, name, loader.keys.keys().map(|key| key.as_str()), out.len()));
    }
    for name in unknown(rule, walk::lists, |name| lists.contains(&name)) {
        out.push(unknown_name("unknown-list", "list", written, name, lists.iter().copied(), out.len()));
    }
}

/// `before`: how many were found already. Looking for the nearest of very many keys takes time: only what is shown gets it.
fn unknown_name<'k>(
    code: &'static str,
    what: &str,
    written: &Written,
    name: &Name,
    known: impl Iterator<Item = &'k str>,
    before: usize,
) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, written.location(name.place), format!("there is no {what} `{}`", name.text));
    if before < MAX_SHOWN { diagnostic.suggest(&name.text, known) } else { diagnostic }
}

fn unknown<'e>(expr: &'e Expr, names: fn(&'e Expr) -> Vec<&'e Name>, known: impl Fn(&str) -> bool) -> Vec<&'e Name> {
    names(expr).into_iter().filter(|name| !known(&name.text)).collect()
}

/// For each segment, the positions of those it refers to. A broken segment has none, and is not referred to.
fn references(drafts: &[Draft]) -> Vec<Vec<usize>> {
    let positions: HashMap<&str, usize> = drafts.iter().enumerate().map(|(i, d)| (d.definition.key.as_str(), i)).collect();
    let of = |draft: &Draft| {
        let names = draft.rules().flat_map(|(rule, _)| walk::segments(rule));
        names.filter_map(|name| positions.get(name.text.as_str()).copied()).collect()
    };
    drafts.iter().map(of).collect()
}

/// Points at the reference by which the first segment of the circle leads into it.
fn circular(drafts: &[Draft], circle: &[usize]) -> Option<Diagnostic> {
    let keys: Vec<&str> = circle.iter().filter_map(|i| drafts.get(*i)).map(|d| d.definition.key.as_str()).collect();
    let (first, next) = (keys.first()?, keys.get(1).or(keys.first())?);
    let place = drafts.get(*circle.first()?)?.rules().find_map(|(rule, written)| {
        let name = walk::segments(rule).into_iter().find(|name| name.text == *next)?;
        Some(written.location(name.place))
    })?;
    let message = match keys.len() {
        1 => format!("the segment `{first}` refers to itself"),
        _ => format!("segments refer to each other in a circle: {} -> {first}", keys.join(" -> ")),
    };
    Some(Diagnostic::error("cycle", place, message).help("one of them must be decided without the others"))
}
