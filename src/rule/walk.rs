//! Walking a tree: the one place that knows which expressions stand directly below which.
//!
//! **Invariant:** [`children`] visits every child once, in the order of the text, filters included.

use super::ast::{Aggregate, Expr, ExprKind, Name, Selection};

/// Calls `visit` for each expression directly below this one, also below its aggregates, filters and steps.
pub fn children<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::Or(all) | ExprKind::And(all) => all.iter().for_each(visit),
        ExprKind::Not(inner) | ExprKind::Negate(inner) => visit(inner),
        ExprKind::Compare { left, right, .. } | ExprKind::Arithmetic { left, right, .. } => {
            visit(left);
            visit(right);
        }
        ExprKind::Between { value, low, high } | ExprKind::InRange { value, low, high, .. } => {
            [value, low, high].into_iter().for_each(|e| visit(e));
        }
        ExprKind::InSet { value, .. } | ExprKind::Contains { value, .. } | ExprKind::IsNull { value, .. } => visit(value),
        ExprKind::Aggregate(aggregate) | ExprKind::Top { by: aggregate, .. } => below_selection(&aggregate.over, visit),
        ExprKind::Quantified { over, condition, .. } => {
            below_selection(over, visit);
            visit(condition);
        }
        ExprKind::Sequence(sequence) => sequence.steps.iter().filter_map(|s| s.filter.as_deref()).for_each(visit),
        ExprKind::Literal(_)
        | ExprKind::Field(_)
        | ExprKind::Trait(_)
        | ExprKind::Segment { .. }
        | ExprKind::List(_)
        | ExprKind::Returned { .. } => {}
    }
}

fn below_selection<'a>(selection: &'a Selection, visit: &mut dyn FnMut(&'a Expr)) {
    if let Some(filter) = &selection.filter {
        visit(filter);
    }
}

/// Calls `visit` for this expression and everything below it, parents first.
pub fn every<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    visit(expr);
    children(expr, &mut |child| every(child, visit));
}

/// How many expressions stand on the longest way down; a leaf has 1.
pub fn depth(expr: &Expr) -> usize {
    let mut below = 0;
    children(expr, &mut |child| below = below.max(depth(child)));
    1 + below
}

/// The segments that a rule refers to, as often as it does.
pub fn segments(expr: &Expr) -> Vec<&Name> {
    let mut names = Vec::new();
    every(expr, &mut |e| {
        if let ExprKind::Segment { key, .. } = &e.kind {
            names.push(key);
        }
    });
    names
}

/// The static lists that a rule refers to, as often as it does.
pub fn lists(expr: &Expr) -> Vec<&Name> {
    let mut names = Vec::new();
    every(expr, &mut |e| {
        if let ExprKind::List(name) = &e.kind {
            names.push(name);
        }
    });
    names
}

/// The aggregates of a rule, as often as it names them.
pub fn aggregates(expr: &Expr) -> Vec<&Aggregate> {
    let mut found = Vec::new();
    every(expr, &mut |e| {
        if let ExprKind::Aggregate(aggregate) = &e.kind {
            found.push(&**aggregate);
        }
    });
    found
}

/// The fields that a filter looks at, as often as it does.
pub fn fields(filter: &Expr) -> Vec<&Name> {
    let mut names = Vec::new();
    every(filter, &mut |e| {
        if let ExprKind::Field(name) = &e.kind {
            names.push(name);
        }
    });
    names
}
