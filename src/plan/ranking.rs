//! What is ranked: an aggregate's value, and the cuts that rules ask for in it.
//!
//! `top 5% by sum(…)` and `top 20% by sum(…)` are one ranking with two cuts.
//!
//! **Invariant:** a ranking and a cut are found again under another plan by their text.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::Plan;

/// All customers by one value.
#[derive(Clone, Debug)]
pub struct RankingPlan {
    pub aggregate: usize,
    /// The key of the aggregate: stored ranks are found again by it.
    pub key: u64,
    /// Its canonical text.
    pub text: Arc<str>,
}

/// The value from which on customers are among the top of a ranking.
#[derive(Clone, Debug)]
pub struct CutPlan {
    pub ranking: usize,
    pub percent: Decimal,
    /// `top 5% by sum(…)`, with the zone where it matters.
    pub text: Arc<str>,
}

impl Plan {
    /// The cuts' texts, by position.
    pub fn cut_texts(&self) -> impl Iterator<Item = &str> {
        self.cuts.iter().map(|cut| &*cut.text)
    }
}
