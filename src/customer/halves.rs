//! A customer's state in several parts, where one would be too large to be sent, and the whole again.
//!
//! **Invariant:** each row and id is in one of the parts, and all that is no row or id is in the last: put together they are what
//! was taken apart.

use super::blocks::Blocks;
use super::{CustomerState, History};
use crate::plan::Plan;

impl CustomerState {
    /// Parts, oldest first, each of which `fits`, or has no two rows or ids that could be parted.
    pub fn parts(self, plan: &Plan, fits: &impl Fn(&CustomerState) -> bool) -> Vec<CustomerState> {
        if fits(&self) {
            return vec![self];
        }
        let Some((older, newer)) = self.halves(plan) else { return vec![self] };
        [older.parts(plan, fits), newer.parts(plan, fits)].concat()
    }

    /// What was taken apart, from all parts in their order; nothing is evaluated.
    pub fn of_parts(parts: Vec<CustomerState>) -> Option<CustomerState> {
        parts.into_iter().rev().reduce(|mut newer, older| {
            older.facts.histories.into_iter().for_each(|(stream, older)| newer.facts.histories[stream].take_back(older));
            newer
        })
    }

    fn halves(&self, plan: &Plan) -> Option<(CustomerState, CustomerState)> {
        if self.facts.histories.iter().all(|(_, history)| history.rows.len() < 2 && history.retired.len() < 2) {
            return None;
        }
        let (mut older, mut newer) = (CustomerState::new(plan), self.clone());
        older.standing.at = self.standing.at;
        for (stream, newer) in newer.facts.histories.iter_mut() {
            older.facts.histories[stream].take_half(newer);
        }
        Some((older, newer))
    }
}

impl History {
    fn take_half(&mut self, whole: &mut History) {
        self.total_cell = whole.total_cell;
        self.rows = whole.rows.drain(..whole.rows.len() / 2).collect();
        self.retired = whole.retired.drain(..whole.retired.len() / 2).collect();
        self.ids = self.retired.iter().copied().chain(self.rows.iter().map(|row| row.id)).collect();
        whole.ids.retain(|id| !self.ids.contains(id));
        (whole.blocks, whole.retired_stored) = (Blocks::default(), 0);
    }

    fn take_back(&mut self, mut older: History) {
        self.total_cell = older.total_cell;
        self.has_debits |= older.has_debits;
        older.rows.append(&mut self.rows);
        older.retired.append(&mut self.retired);
        self.ids.extend(older.ids);
        (self.rows, self.retired) = (older.rows, older.retired);
        (self.blocks, self.retired_stored) = (Blocks::default(), 0);
    }
}
