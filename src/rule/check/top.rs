//! `top p% by …`: what can be ranked, and shares that mean nothing.

use rust_decimal::Decimal;

use super::super::ast::{Aggregate, Expr, ExprKind, Function, Place};
use super::super::diagnostic::Finding;
use super::super::walk;
use super::{Checker, Type};

/// Below it a share is smaller than what is known of the values, unless there are millions of customers.
const LEAST: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
const ALL: Decimal = Decimal::ONE_HUNDRED;

impl Checker<'_> {
    pub(super) fn top(&mut self, percent: Decimal, by: &Aggregate, place: Place) {
        let ranked = self.aggregate(by, place);
        if !ranked.fits(Type::Number) {
            self.error("not-a-number", place, format!("customers are ranked by a number, and `{by}` is {}", ranked.describe()));
        }
        if percent < LEAST || percent > ALL {
            let finding =
                Finding::error("percent-range", place, format!("a share lies between {LEAST}% and {ALL}%, and this is {percent}%"));
            self.findings.push(finding.help("`top 5%` is one customer in twenty"));
        }
    }
}

/// Everybody who ranks at all, and ranks that change for everybody every day.
pub fn lint(rule: &Expr, findings: &mut Vec<Finding>) {
    walk::every(rule, &mut |expr| {
        let ExprKind::Top { percent, by } = &expr.kind else { return };
        if *percent == ALL {
            let message = format!("this holds for everybody of whom `{by}` has seen an event");
            findings.push(Finding::warning("top-of-all", expr.place, message).help("is a smaller share meant?"));
        }
        if matches!(by.function, Function::DaysSince | Function::DaysSinceFirst) {
            let message = "everybody's days grow every day: customers near the cut enter and leave until it follows";
            let finding = Finding::warning("top-of-days", expr.place, message);
            findings.push(finding.help(format!("compare the days: `{by} > 90`, or count what is in a window")));
        }
    });
}
