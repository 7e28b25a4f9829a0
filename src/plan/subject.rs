//! Cutting a predicate's text into what is looked at, how, and against what.
//!
//! **Invariant:** the three parts in order read as the predicate does.

use super::Subject;
use crate::rule::ast::{CompareOp, Expr, ExprKind, Literal};

impl Subject {
    pub(super) fn of(expr: &Expr) -> Subject {
        let (value, op, threshold) = match &expr.kind {
            ExprKind::Compare { op, left, right } => (&**left, symbol(*op), right.to_string()),
            ExprKind::Between { value, low, high } => (&**value, "between", format!("{low} and {high}")),
            ExprKind::InRange { value, low, low_included, high, high_included } => {
                let (open, close) = (if *low_included { '[' } else { '(' }, if *high_included { ']' } else { ')' });
                (&**value, "in", format!("{open}{low}, {high}{close}"))
            }
            ExprKind::InSet { value, set } => {
                (&**value, "in", format!("{{{}}}", set.iter().map(Literal::to_string).collect::<Vec<_>>().join(", ")))
            }
            ExprKind::Contains { value, element } => (&**value, "contains", element.to_string()),
            ExprKind::Top { by, .. } => return Subject { aggregate: by.to_string().into(), op: ">=", threshold: "the cut".into() },
            ExprKind::IsNull { value, negated } => (&**value, if *negated { "is not" } else { "is" }, "null".to_owned()),
            _ => (expr, "is", "true".to_owned()),
        };
        Subject { aggregate: value.to_string().into(), op, threshold: threshold.into() }
    }
}

fn symbol(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Equal => "==",
        CompareOp::NotEqual => "!=",
        CompareOp::Less => "<",
        CompareOp::LessOrEqual => "<=",
        CompareOp::Greater => ">",
        CompareOp::GreaterOrEqual => ">=",
    }
}
