//! What a rule says of a customer of whom nothing is known: no event, no trait, on no list.
//!
//! **Invariant:** follows the null logic of semantics §3; what depends on others (`segment`, `list`) is taken as false.

use rust_decimal::Decimal;

use super::super::ast::{ArithmeticOp, CompareOp, Expr, ExprKind, Function, Literal, Quantifier, Window};
use super::super::diagnostic::Finding;
use super::super::walk;
use super::bounds;

#[derive(Clone, PartialEq)]
enum Known<'e> {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(&'e str),
}

/// A warning for each absence (`count(orders last 30d) == 0`, `not top 5% by …`) of a rule that holds for such a customer.
pub fn lint(when: &Expr) -> Vec<Finding> {
    let mut findings = Vec::new();
    if holds(when) {
        absences(when, false, &mut findings);
    }
    findings
}

fn absences(expr: &Expr, negated: bool, findings: &mut Vec<Finding>) {
    match &expr.kind {
        ExprKind::Not(inner) => absences(inner, !negated, findings),
        ExprKind::And(all) | ExprKind::Or(all) => all.iter().for_each(|e| absences(e, negated, findings)),
        _ => findings.extend(absence(expr, negated)),
    }
}

fn absence(expr: &Expr, negated: bool) -> Option<Finding> {
    if let ExprKind::Top { by, .. } = &expr.kind {
        return negated.then(|| unranked(expr, &by.over.stream.text));
    }
    let (value, demanded) = bounds::demand(expr)?;
    let ExprKind::Aggregate(aggregate) = &value.kind else { return None };
    let none_only = demanded.holds(Decimal::ZERO) != negated && demanded.holds(Decimal::ONE) == negated;
    // Over the whole life, absence is what is meant: who never did.
    if aggregate.function != Function::Count || aggregate.over.window == Window::Lifetime || !none_only {
        return None;
    }
    let stream = &aggregate.over.stream.text;
    let finding = Finding::warning("no-baseline", expr.place, format!("this also holds for a customer who never had any {stream}"));
    Some(finding.help(format!("for those who stopped, add `count({stream} lifetime) > 0 and`")))
}

fn unranked(top: &Expr, stream: &str) -> Finding {
    let message = format!("its `not` also holds for a customer who ranks nowhere, for want of any {stream}");
    Finding::warning("no-baseline", top.place, message).help(format!("for those who rank lower, add `count({stream} …) > 0 and`"))
}

fn holds(expr: &Expr) -> bool {
    known(expr) == Known::Bool(true)
}

fn known(expr: &Expr) -> Known<'_> {
    match &expr.kind {
        ExprKind::Literal(Literal::Number(number)) => Known::Number(*number),
        ExprKind::Literal(Literal::Text(text)) => Known::Text(text),
        ExprKind::Literal(Literal::Bool(value)) => Known::Bool(*value),
        ExprKind::Aggregate(a) if matches!(a.function, Function::Count | Function::Sum | Function::Distinct) => {
            Known::Number(Decimal::ZERO)
        }
        ExprKind::Trait(_) | ExprKind::Field(_) | ExprKind::Aggregate(_) => Known::Null,
        ExprKind::Arithmetic { op, left, right } => arithmetic(*op, &known(left), &known(right)),
        ExprKind::Negate(inner) => arithmetic(ArithmeticOp::Subtract, &Known::Number(Decimal::ZERO), &known(inner)),
        _ => Known::Bool(decided(expr)),
    }
}

fn decided(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::And(all) => all.iter().all(holds),
        ExprKind::Or(all) => all.iter().any(holds),
        ExprKind::Not(inner) => !holds(inner),
        ExprKind::Compare { op, left, right } => compare(*op, &known(left), &known(right)),
        ExprKind::Between { value, low, high } => {
            compare(CompareOp::GreaterOrEqual, &known(value), &known(low)) && compare(CompareOp::LessOrEqual, &known(value), &known(high))
        }
        ExprKind::InRange { value, low, low_included, high, high_included } => {
            let above = if *low_included { CompareOp::GreaterOrEqual } else { CompareOp::Greater };
            let below = if *high_included { CompareOp::LessOrEqual } else { CompareOp::Less };
            compare(above, &known(value), &known(low)) && compare(below, &known(value), &known(high))
        }
        ExprKind::InSet { value, set } => match known(value) {
            Known::Number(n) => set.contains(&Literal::Number(n)),
            _ => false,
        },
        ExprKind::IsNull { value, negated } => (known(value) == Known::Null) != *negated,
        ExprKind::Quantified { quantifier, .. } => *quantifier != Quantifier::Any,
        _ => false,
    }
}

fn arithmetic<'e>(op: ArithmeticOp, left: &Known<'_>, right: &Known<'_>) -> Known<'e> {
    let (Known::Number(a), Known::Number(b)) = (left, right) else { return Known::Null };
    let result = match op {
        ArithmeticOp::Add => a.checked_add(*b),
        ArithmeticOp::Subtract => a.checked_sub(*b),
        ArithmeticOp::Multiply => a.checked_mul(*b),
        ArithmeticOp::Divide => a.checked_div(*b),
    };
    result.map_or(Known::Null, Known::Number)
}

fn compare(op: CompareOp, left: &Known<'_>, right: &Known<'_>) -> bool {
    let ordering = match (left, right) {
        (Known::Number(a), Known::Number(b)) => a.cmp(b),
        (Known::Text(a), Known::Text(b)) => a.cmp(b),
        (Known::Bool(a), Known::Bool(b)) => a.cmp(b),
        _ => return false,
    };
    op.accepts(ordering)
}

/// A warning for each `distinct` whose memory has no end.
pub fn unbounded(rule: &Expr, findings: &mut Vec<Finding>) {
    walk::every(rule, &mut |expr| {
        if let ExprKind::Aggregate(aggregate) = &expr.kind
            && aggregate.function == Function::Distinct
            && matches!(aggregate.over.window, Window::Lifetime | Window::OlderThan(_) | Window::Since(_))
        {
            let message = "every value that was ever seen is kept, for each customer and for ever";
            let finding = Finding::warning("unbounded-distinct", aggregate.over.window_place, message);
            findings.push(finding.help("a bounded window costs less: `last 365d`"));
        }
    });
}
