//! The names in rules that only the whole set of files can answer: segments, lists, and the order between segments.
//!
//! **Invariant:** on success every reference stands, in the order returned, before the one that makes it.

use std::collections::HashMap;

use super::super::ast::{Expr, Name};
use super::super::diagnostic::{Diagnostic, Location, MAX_SHOWN};
use super::super::{order, walk};
use super::loader::{Draft, Loader, Written};

/// Segments of a circle that a message names; the others are behind them.
const MAX_NAMED: usize = 8;

/// Reports unknown names and circles; gives the order of evaluation (incomplete if there was an error).
pub fn resolve(loader: &mut Loader<'_>) -> Vec<usize> {
    let mut problems = Vec::new();
    for (rule, written) in loader.drafts.iter().flat_map(Draft::rules) {
        unknown_names(rule, written, loader, &mut problems);
    }
    let positions = loader.drafts.iter().enumerate().map(|(i, d)| (d.definition.key.as_str(), i)).collect();
    lower_stages(&loader.drafts, &positions, &mut problems);
    let (order, circles) = order::evaluation_order(&references(&loader.drafts, &positions));
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
        out.push(or_where_lists_stand(unknown_name("unknown-list", "list", written, name, lists.iter().copied(), out.len()), name));
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

/// Where no known list is near, there is probably none yet.
fn or_where_lists_stand(diagnostic: Diagnostic, name: &Name) -> Diagnostic {
    if diagnostic.label.is_some() {
        return diagnostic;
    }
    let key = &name.text;
    diagnostic
        .help(format!("its customers stand in the definitions, `lists: {{{key}: [ann, bob]}}`, or in a file `{key}.txt` of the lists"))
}

fn unknown<'e>(expr: &'e Expr, names: fn(&'e Expr) -> Vec<&'e Name>, known: impl Fn(&str) -> bool) -> Vec<&'e Name> {
    names(expr).into_iter().filter(|name| !known(&name.text)).collect()
}

/// Where the drafts stand, by key.
type Positions<'d> = HashMap<&'d str, usize>;

/// For each segment, the positions of those that are decided before it: which it refers to, and the stage above. A
/// broken segment has none, and is not referred to; neither is a lower stage, which is reported by itself.
fn references(drafts: &[Draft], positions: &Positions<'_>) -> Vec<Vec<usize>> {
    let of = |(at, draft): (usize, &Draft)| {
        let names = draft.rules().flat_map(|(rule, _)| walk::segments(rule));
        let named = names.filter_map(|name| positions.get(name.text.as_str()).copied()).filter(|named| !is_below(drafts, *named, at));
        let above = at.checked_sub(1).filter(|above| is_below(drafts, at, *above));
        named.chain(above).collect()
    };
    drafts.iter().enumerate().map(of).collect()
}

/// Both are stages of one ladder, and `this` comes after `that`.
fn is_below(drafts: &[Draft], this: usize, that: usize) -> bool {
    match (drafts[this].definition.stage, drafts[that].definition.stage) {
        (Some(this), Some(that)) => this.ladder == that.ladder && this.rank > that.rank,
        _ => false,
    }
}

fn lower_stages(drafts: &[Draft], positions: &Positions<'_>, out: &mut Vec<Diagnostic>) {
    for (at, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.definition.stage.is_some()) {
        for (rule, written) in draft.rules() {
            let lower = |name: &&Name| positions.get(name.text.as_str()).is_some_and(|named| is_below(drafts, *named, at));
            out.extend(walk::segments(rule).into_iter().filter(lower).map(|name| {
                let message = format!("the stage `{}` refers to `{}`, which stands below it", draft.definition.key, name.text);
                let diagnostic = Diagnostic::error("lower-stage", written.location(name.place), message);
                diagnostic.help("stages are decided from the first to the last: a stage may use those above it")
            }));
        }
    }
}

/// Where a draft names another; a stage comes after the one above it without naming it.
fn reference(draft: &Draft, key: &str) -> Option<Location> {
    draft.rules().find_map(|(rule, written)| {
        let name = walk::segments(rule).into_iter().find(|name| name.text == key)?;
        Some(written.location(name.place))
    })
}

/// Points at the first reference of the circle that is written.
fn circular(drafts: &[Draft], circle: &[usize]) -> Option<Diagnostic> {
    let key = |at: usize| drafts[circle[at % circle.len()]].definition.key.as_str();
    let (begin, place) = (0..circle.len()).find_map(|at| Some((at, reference(&drafts[circle[at]], key(at + 1))?)))?;
    let keys: Vec<&str> = (begin..begin + circle.len()).map(key).collect();
    let first = keys.first()?;
    let message = match keys.len() {
        1 => format!("the segment `{first}` refers to itself"),
        ..=MAX_NAMED => format!("segments refer to each other in a circle: {} -> {first}", keys.join(" -> ")),
        all => format!("{all} segments refer to each other in a circle: {} -> … -> {first}", keys[..MAX_NAMED].join(" -> ")),
    };
    Some(Diagnostic::error("cycle", place, message).help("one of them must be decided without the others"))
}
