//! How much memory a customer takes, so that those in memory can be bounded together.
//!
//! **Invariant:** an estimate by capacities: it follows what is allocated, and is at most a few allocator's roundings off,
//! where the rows of a history are alike. It costs no more for who has a long history.

use super::history::{Conditions, History, Refund, Row};
use super::{CustomerState, Standing};
use crate::aggregate::{Accumulator, Distinct};
use crate::event::Value;

/// How many rows of a history are looked at: the newest, which whoever asks has just looked at.
const SAMPLE: usize = 8;

/// One byte of control beside each entry, and seven of eight places filled at most (hashbrown).
fn table<T>(capacity: usize) -> usize {
    capacity * 8 / 7 * (size_of::<T>() + 1)
}

fn room<T>(of: &Vec<T>) -> usize {
    of.capacity() * size_of::<T>()
}

impl CustomerState {
    /// Bytes in memory, about.
    pub fn footprint(&self) -> usize {
        let facts = &self.facts;
        let histories: usize = facts.histories.iter().map(|(_, history)| footprint_of(history)).sum();
        size_of::<CustomerState>() + facts.histories.footprint() + histories + room(&facts.traits) + self.standing.footprint()
    }
}

impl Standing {
    fn footprint(&self) -> usize {
        let distinct: usize = self.totals.iter().map(seen).sum();
        let by_plan = room(&self.cursors) + room(&self.totals) + room(&self.predicates) + room(&self.memberships);
        by_plan + distinct + room(&self.former) + room(&self.told) + room(&self.exposures) + room(&self.inherited)
    }
}

fn seen(total: &Accumulator) -> usize {
    match total {
        Accumulator::Distinct(values) => table::<(Distinct, u32)>(values.capacity()),
        _ => 0,
    }
}

fn footprint_of(history: &History) -> usize {
    let newest = history.rows.iter().rev().take(SAMPLE);
    let beside_rows = newest.map(beside).sum::<usize>() * history.rows.len() / SAMPLE.min(history.rows.len()).max(1);
    history.rows.capacity() * size_of::<Row>()
        + beside_rows
        + history.blocks.footprint()
        + table::<u64>(history.ids.capacity())
        + room(&history.retired)
        + room(&history.bases)
        + room(&history.pending)
}

/// What a row has elsewhere.
fn beside(row: &Row) -> usize {
    let spilled = if row.cells.spilled() { row.cells.capacity() * size_of::<Value>() } else { 0 };
    let conditions = if let Conditions::Many(words) = &row.conditions { words.len() * size_of::<u64>() } else { 0 };
    let refund = if row.refund.is_some() { size_of::<Refund>() } else { 0 };
    spilled + conditions + refund + row.cells.iter().map(in_cell).sum::<usize>()
}

fn in_cell(value: &Value) -> usize {
    match value {
        Value::Text(text) if text.is_heap_allocated() => text.len(),
        Value::List(items) => items.len() * size_of::<Value>() + items.iter().map(in_cell).sum::<usize>(),
        _ => 0,
    }
}
