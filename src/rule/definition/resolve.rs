//! The names in rules that only the whole set of files can answer: segments, lists, and the order between segments.
//!
//! **Invariant:** on success every reference stands, in the order returned, before the one that makes it.

use std::collections::HashMap;

use super::super::ast::{Expr, Name};
use super::super::diagnostic::Diagnostic;
use super::super::{order, walk};
use super::loader::{Draft, Loader, Written};

/// Reports unknown names and circles; gives the order of evaluation (incomplete if there was an error).
pub fn resolve(loader: &mut Loader<'_>) -> Vec<usize> {
    let mut problems = Vec::new();
    for draft in &loader.drafts {
        for written in draft.written() {
            problems.extend(unknown_names(written, loader));
        }
    }
    let (order, circles) = order::evaluation_order(&references(&loader.drafts));
    problems.extend(circles.iter().filter_map(|circle| circular(&loader.drafts, circle)));
    loader.diagnostics.extend(problems);
    order
}

impl Draft {
    fn written(&self) -> impl Iterator<Item = &Written> {
        std::iter::once(&self.when).chain(&self.exit_when)
    }
}

fn unknown_names(written: &Written, loader: &Loader<'_>) -> Vec<Diagnostic> {
    let segments = unknown(&written.expr, walk::segments, |name| loader.keys.contains_key(name));
    let lists = unknown(&written.expr, walk::lists, |name| {
        loader.lists.contains_key(name) || loader.names.lists.iter().any(|list| list.as_str() == name)
    });
    let segments = segments.into_iter().map(|name| {
        let diagnostic = Diagnostic::error("unknown-segment", written.location(name.place), format!("there is no segment `{}`", name.text));
        diagnostic.suggest(&name.text, loader.keys.keys().map(|key| key.as_str()))
    });
    let list_names = || loader.lists.keys().chain(loader.names.lists).map(|key| key.as_str());
    let lists = lists.into_iter().map(|name| {
        let diagnostic = Diagnostic::error("unknown-list", written.location(name.place), format!("there is no list `{}`", name.text));
        diagnostic.suggest(&name.text, list_names())
    });
    segments.chain(lists).collect()
}

fn unknown<'e>(expr: &'e Expr, names: fn(&'e Expr) -> Vec<&'e Name>, known: impl Fn(&str) -> bool) -> Vec<&'e Name> {
    names(expr).into_iter().filter(|name| !known(&name.text)).collect()
}

/// For each segment, the positions of those it refers to. A broken segment has none, and is not referred to.
fn references(drafts: &[Draft]) -> Vec<Vec<usize>> {
    let positions: HashMap<&str, usize> = drafts.iter().enumerate().map(|(i, d)| (d.definition.key.as_str(), i)).collect();
    let of = |draft: &Draft| {
        let names = draft.written().flat_map(|written| walk::segments(&written.expr));
        names.filter_map(|name| positions.get(name.text.as_str()).copied()).collect()
    };
    drafts.iter().map(of).collect()
}

/// Points at the reference by which the first segment of the circle leads into it.
fn circular(drafts: &[Draft], circle: &[usize]) -> Option<Diagnostic> {
    let keys: Vec<&str> = circle.iter().filter_map(|i| drafts.get(*i)).map(|d| d.definition.key.as_str()).collect();
    let (first, next) = (keys.first()?, keys.get(1).or(keys.first())?);
    let place = drafts.get(*circle.first()?)?.written().find_map(|written| {
        let name = walk::segments(&written.expr).into_iter().find(|name| name.text == *next)?;
        Some(written.location(name.place))
    })?;
    let message = format!("segments refer to each other in a circle: {} -> {first}", keys.join(" -> "));
    Some(Diagnostic::error("cycle", place, message).help("one of them must be decided without the others"))
}
