//! What comparisons leave possible: rules that nobody can ever meet, and those that everybody always does.
//!
//! A comparison with numbers is an interval of its value; what an `and` demands of one value is where its intervals meet.
//! A count is a whole number from 0 on.
//!
//! **Invariant:** says only what is certain. Values that differ in their text are taken to be different.

use rust_decimal::Decimal;

use super::super::ast::{CompareOp, Expr, ExprKind, Function, Literal};
use super::super::diagnostic::Finding;
use super::super::walk;

/// An end of an interval: the number, and whether it is within.
type End = (Decimal, bool);

/// The numbers between two ends; `None`: without an end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: Option<End>,
    pub high: Option<End>,
}

impl Interval {
    pub fn meet(self, other: Interval) -> Interval {
        let tighter = |a: Option<End>, b: Option<End>, above: bool| match (a, b) {
            (Some(a), Some(b)) if a.0 == b.0 => Some((a.0, a.1 && b.1)),
            (Some(a), Some(b)) => Some(if (a.0 > b.0) == above { a } else { b }),
            (a, b) => a.or(b),
        };
        Interval { low: tighter(self.low, other.low, true), high: tighter(self.high, other.high, false) }
    }

    pub fn is_empty(self) -> bool {
        matches!((self.low, self.high), (Some((low, low_in)), Some((high, high_in))) if low > high || low == high && !(low_in && high_in))
    }

    pub fn holds(self, number: Decimal) -> bool {
        !self.meet(Interval { low: Some((number, true)), high: Some((number, true)) }).is_empty()
    }

    pub fn is_within(self, other: Interval) -> bool {
        self.meet(other) == self
    }

    /// The same whole numbers, with both ends among them.
    fn of_whole_numbers(self) -> Interval {
        let low = |(n, included): End| (if included || n.floor() != n { n.ceil() } else { n.checked_add(Decimal::ONE).unwrap_or(n) }, true);
        let high =
            |(n, included): End| (if included || n.floor() != n { n.floor() } else { n.checked_sub(Decimal::ONE).unwrap_or(n) }, true);
        // Where a step of one is lost in the digits, the ends are far from every count.
        Interval { low: self.low.map(low), high: self.high.map(high) }
    }
}

/// What a value can be.
fn domain(value: &Expr) -> Interval {
    Interval { low: is_count(value).then_some((Decimal::ZERO, true)), high: None }
}

fn is_count(value: &Expr) -> bool {
    matches!(&value.kind, ExprKind::Aggregate(a) if matches!(a.function, Function::Count | Function::Distinct))
}

/// A comparison of a value with numbers: the value, and where it must lie.
pub fn demand(expr: &Expr) -> Option<(&Expr, Interval)> {
    let (value, interval) = match &expr.kind {
        ExprKind::Compare { op, left, right } => match (number(left), number(right)) {
            (None, Some(n)) => (&**left, compared(*op, n)?),
            (Some(n), None) => (&**right, compared(turned(*op), n)?),
            _ => return None,
        },
        ExprKind::Between { value, low, high } => {
            (&**value, Interval { low: Some((number(low)?, true)), high: Some((number(high)?, true)) })
        }
        ExprKind::InRange { value, low, low_included, high, high_included } => {
            (&**value, Interval { low: Some((number(low)?, *low_included)), high: Some((number(high)?, *high_included)) })
        }
        _ => return None,
    };
    Some((value, if is_count(value) { interval.of_whole_numbers() } else { interval }))
}

fn number(expr: &Expr) -> Option<Decimal> {
    match &expr.kind {
        ExprKind::Literal(Literal::Number(number)) => Some(*number),
        _ => None,
    }
}

fn compared(op: CompareOp, n: Decimal) -> Option<Interval> {
    let at = |included| Some((n, included));
    Some(match op {
        CompareOp::Equal => Interval { low: at(true), high: at(true) },
        CompareOp::Less => Interval { low: None, high: at(false) },
        CompareOp::LessOrEqual => Interval { low: None, high: at(true) },
        CompareOp::Greater => Interval { low: at(false), high: None },
        CompareOp::GreaterOrEqual => Interval { low: at(true), high: None },
        CompareOp::NotEqual => return None,
    })
}

/// `5 < x` is `x > 5`.
fn turned(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Less => CompareOp::Greater,
        CompareOp::LessOrEqual => CompareOp::GreaterOrEqual,
        CompareOp::Greater => CompareOp::Less,
        CompareOp::GreaterOrEqual => CompareOp::LessOrEqual,
        same => same,
    }
}

/// Comparisons, alone and joined by `and`, that never or always hold.
pub fn lint(rule: &Expr, findings: &mut Vec<Finding>) {
    let mut together = Vec::new();
    conjuncts(rule, &mut together);
    contradictions(&together, findings);
    for part in together {
        alone(part, findings);
        walk::children(part, &mut |child| lint(child, findings));
    }
}

fn conjuncts<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::And(all) => all.iter().for_each(|e| conjuncts(e, out)),
        _ => out.push(expr),
    }
}

fn alone(expr: &Expr, findings: &mut Vec<Finding>) {
    let Some((value, demanded)) = demand(expr) else { return };
    let possible = domain(value);
    if demanded.meet(possible).is_empty() && !demanded.is_empty() {
        findings.push(Finding::warning("never-holds", expr.place, format!("`{value}` is never below 0")).help("is another number meant?"));
    } else if is_count(value) && possible.is_within(demanded) {
        let finding = Finding::warning("always-holds", expr.place, format!("this always holds: `{value}` is never below 0"));
        findings.push(finding.help("say `> 0` for at least one"));
    } else if demanded.is_empty() && !matches!(&expr.kind, ExprKind::Between { .. } | ExprKind::InRange { .. }) {
        findings.push(Finding::warning("never-holds", expr.place, format!("`{value}` is always a whole number")));
    }
}

/// Demands on one value that no number meets, each reported at the one that leaves nothing.
fn contradictions(together: &[&Expr], findings: &mut Vec<Finding>) {
    let mut met: Vec<(&Expr, Interval, &Expr)> = Vec::new();
    for part in together {
        let Some((value, demanded)) = demand(part) else { continue };
        let Some((_, so_far, first)) = met.iter_mut().find(|(seen, ..)| *seen == value) else {
            met.push((value, demanded.meet(domain(value)), part));
            continue;
        };
        let both = so_far.meet(demanded);
        if both.is_empty() && !so_far.is_empty() && !demanded.is_empty() {
            let finding = Finding::warning("never-holds", part.place, format!("this never holds together with `{first}`"));
            findings.push(finding.help("nothing is both; is `or` meant, or another number?"));
        }
        *so_far = both;
    }
}
