//! `top p% by …`: a ranking, shared by all that rank by the same value, and a cut in it.
//!
//! **Invariant:** `top 5% by X` and `top 5.0% by X` are one cut.

use rust_decimal::Decimal;

use super::Compiler;
use crate::plan::{AggregatePlan, CutPlan, Formula, Leaf, Measure, RankingPlan};
use crate::rule::ast::{Aggregate, CompareOp, Expr, ExprKind, Place};

impl Compiler<'_> {
    /// The value against the cut that is in force.
    pub(super) fn top(&mut self, percent: Decimal, by: &Aggregate) -> Option<Formula> {
        let expr = Expr { kind: ExprKind::Aggregate(Box::new(by.clone())), place: Place::default() };
        let aggregate = self.aggregate(Measure::Function(by.function), &by.over, &expr)?;
        let AggregatePlan { key, text, .. } = &self.aggregates[aggregate];
        let new = RankingPlan { aggregate, key: *key, text: text.clone() };
        let ranking = place_of(&mut self.rankings, new, |a, b| a.key == b.key);
        let text = format!("top {}% by {}", percent.normalize(), self.rankings[ranking].text);
        let cut = place_of(&mut self.cuts, CutPlan { ranking, percent, text: text.into() }, |a, b| a.text == b.text);
        let (left, right) = (Formula::Leaf(Leaf::Ranked(aggregate)), Formula::Leaf(Leaf::Cut(cut)));
        Some(Formula::Compare { op: CompareOp::GreaterOrEqual, left: Box::new(left), right: Box::new(right) })
    }
}

/// Where something stands, put there if it is new.
fn place_of<T>(all: &mut Vec<T>, one: T, same: impl Fn(&T, &T) -> bool) -> usize {
    let known = all.iter().position(|other| same(other, &one));
    known.unwrap_or_else(|| {
        all.push(one);
        all.len() - 1
    })
}
