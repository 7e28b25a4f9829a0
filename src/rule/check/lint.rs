//! Legal, but probably not meant.
//!
//! - `not (avg(…) > 5)` is also true where there is no average: a comparison with null is false. Silent once the rule
//!   asks anywhere whether that value `is null`.
//! - `every(…)` of no events is true. Silent where a `count` or an `any` of the same stream stands beside it.
//! - `in [10, 5)` holds nothing, and nothing is divided by 0.

use super::super::ast::{ArithmeticOp, Expr, ExprKind, Function, Literal, Quantifier};
use super::super::diagnostic::Finding;
use super::super::walk;

/// The warnings about a rule that is otherwise right.
pub fn lint(rule: &Expr) -> Vec<Finding> {
    let mut linter = Linter { asked: asked_for_null(rule), findings: Vec::new() };
    linter.walk(rule, false, &mut Vec::new());
    linter.findings
}

struct Linter<'a> {
    /// What the rule compares with null itself.
    asked: Vec<&'a Expr>,
    findings: Vec<Finding>,
}

fn asked_for_null(rule: &Expr) -> Vec<&Expr> {
    let mut asked = Vec::new();
    walk::every(rule, &mut |e| {
        if let ExprKind::IsNull { value, .. } = &e.kind {
            asked.push(&**value);
        }
    });
    asked
}

impl<'a> Linter<'a> {
    /// `negated`: under an odd number of `not`; `beside`: what else must hold where this stands.
    fn walk(&mut self, expr: &'a Expr, negated: bool, beside: &mut Vec<&'a Expr>) {
        match &expr.kind {
            ExprKind::Not(inner) => return self.walk(inner, !negated, beside),
            ExprKind::And(all) => {
                let outer = beside.len();
                beside.extend(all.iter());
                all.iter().for_each(|e| self.walk(e, negated, beside));
                return beside.truncate(outer);
            }
            ExprKind::Or(all) => return all.iter().for_each(|e| self.walk(e, negated, beside)),
            ExprKind::Quantified { quantifier: Quantifier::Every, over, .. } if !negated && !guarded(&over.stream.text, beside) => {
                self.unguarded(expr, &over.stream.text);
            }
            ExprKind::Arithmetic { op: ArithmeticOp::Divide, right, .. } if is_zero(right) => {
                self.findings.push(Finding::warning(
                    "divided-by-zero",
                    expr.place,
                    "what is divided by 0 is null, and compares with nothing",
                ));
            }
            ExprKind::InRange { low, high, .. } | ExprKind::Between { low, high, .. } => self.empty_range(expr, low, high),
            _ => {}
        }
        if negated && let Some(value) = compared(expr).into_iter().find(|value| self.may_be_null(value)) {
            self.negated(expr, value);
        }
        // What stands in a filter or an operand is no longer negated, nor guarded, by what stands around.
        walk::children(expr, &mut |child| self.walk(child, false, &mut Vec::new()));
    }

    fn unguarded(&mut self, expr: &Expr, stream: &str) {
        let finding = Finding::warning("every-of-nothing", expr.place, format!("this also holds for a customer without any {stream}"));
        self.findings.push(finding.help(format!("if that is not meant, add `count({stream} …) > 0 and`")));
    }

    fn negated(&mut self, expr: &Expr, value: &Expr) {
        let finding = Finding::warning("negated-null", expr.place, format!("its `not` is also true where `{value}` is null"));
        self.findings.push(finding.help(format!("say what is meant: `{value} is null or …`, or `{value} is not null and …`")));
    }

    fn empty_range(&mut self, expr: &Expr, low: &Expr, high: &Expr) {
        if let (ExprKind::Literal(Literal::Number(low)), ExprKind::Literal(Literal::Number(high))) = (&low.kind, &high.kind)
            && low > high
        {
            self.findings.push(Finding::warning("empty-range", expr.place, format!("nothing lies between {low} and {high}")));
        }
    }

    fn may_be_null(&self, value: &Expr) -> bool {
        if self.asked.contains(&value) {
            return false;
        }
        match &value.kind {
            ExprKind::Field(_) | ExprKind::Trait(_) => true,
            ExprKind::Aggregate(aggregate) => !matches!(aggregate.function, Function::Count | Function::Sum | Function::Distinct),
            ExprKind::Arithmetic { left, right, .. } => self.may_be_null(left) || self.may_be_null(right),
            ExprKind::Negate(inner) => self.may_be_null(inner),
            _ => false,
        }
    }
}

fn is_zero(value: &Expr) -> bool {
    matches!(&value.kind, ExprKind::Literal(Literal::Number(number)) if number.is_zero())
}

/// The values that a comparison looks at.
fn compared(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Compare { left, right, .. } => vec![left, right],
        ExprKind::Between { value, low, high } | ExprKind::InRange { value, low, high, .. } => vec![value, low, high],
        ExprKind::InSet { value, .. } | ExprKind::Contains { value, .. } => vec![value],
        _ => Vec::new(),
    }
}

/// Whether something beside speaks of how many events there are, or demands one.
fn guarded(stream: &str, beside: &[&Expr]) -> bool {
    beside.iter().any(|e| match &e.kind {
        ExprKind::Quantified { quantifier: Quantifier::Any, over, .. } => over.stream.text == stream,
        _ => compared(e).into_iter().any(|value| is_count(value, stream)),
    })
}

fn is_count(value: &Expr, stream: &str) -> bool {
    matches!(&value.kind, ExprKind::Aggregate(a) if a.function == Function::Count && a.over.stream.text == stream)
}
