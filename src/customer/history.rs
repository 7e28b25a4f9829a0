//! The accepted events of one stream of one customer: sorted rows, the ids that were used, what waits for its order,
//! and what is left of rows too old to be kept.
//!
//! **Invariant:** rows are sorted by (event time, arrival). An id once used stays used. A row that is dropped is taken
//! into the base of every unbounded aggregate first, and no bounded window could hold it any more.

use std::collections::{HashSet, VecDeque};

use smallvec::SmallVec;

use super::blocks::Blocks;
use crate::aggregate::Accumulator;
use crate::event::{Scalar, Value};
use crate::money::Number;
use crate::plan::{AggregatePlan, FieldRef, Formula, Leaf};
use crate::time::EventTime;

#[derive(Clone, Debug, Default)]
pub struct History {
    pub(super) rows: VecDeque<Row>,
    pub(super) blocks: Blocks,
    /// Hashes of all ids that were ever accepted.
    pub(super) ids: HashSet<u64, foldhash::fast::FixedState>,
    /// Those of them that have no row, in order of retirement.
    pub(super) retired: Vec<u64>,
    /// How many of `retired` stand in stored blocks.
    pub(super) retired_stored: usize,
    pub(super) bases: Vec<Base>,
    pub(super) newest_dropped: Option<EventTime>,
    /// Of orders: what came before its order.
    pub(super) pending: Vec<Pending>,
    pub(super) total_cell: Option<usize>,
    /// Some row has, or had, a number below zero: a sum may rise while rows leave. Found again from the rows that are kept.
    pub(super) has_debits: bool,
}

/// One accepted event.
#[derive(Clone, Debug)]
pub struct Row {
    pub time: EventTime,
    /// Hash of the event id.
    pub id: u64,
    /// Hash of the order id, of an order; 0: none.
    pub order: u64,
    /// Place among the rows of the same instant in all streams that a sequence names (`arrival`); 0: the first.
    pub arrival: u32,
    /// In place: rows are walked one after the other, and most streams have few fields that a rule names.
    pub cells: SmallVec<[Value; 2]>,
    /// `redeemed`
    pub redeemed: bool,
    pub refund: Option<Box<Refund>>,
    /// One bit for each condition of the stream.
    pub(super) conditions: Conditions,
}

/// What refunds have taken off an order's total so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refund {
    pub amount: Number,
    /// One of them had no amount: nothing is left.
    pub whole: bool,
}

/// Something that names an order which has not come yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub order: u64,
    pub time: EventTime,
    pub change: OrderChange,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OrderChange {
    Redeemed,
    /// `None`: without an amount.
    Refunded(Option<Number>),
    Cancelled,
}

/// An unbounded aggregate over the rows that are no longer kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// The aggregate's key.
    pub key: u64,
    pub total: Accumulator,
    pub first: Option<(EventTime, Value)>,
    pub latest: Option<(EventTime, Value)>,
}

/// A small bit set: most streams have few conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Conditions {
    #[default]
    None,
    Few(u64),
    Many(Box<[u64]>),
}

impl History {
    pub fn rows(&self) -> &VecDeque<Row> {
        &self.rows
    }

    pub fn total_cell(&self) -> Option<usize> {
        self.total_cell
    }

    /// No row that is kept lowers a sum.
    pub fn is_free_of_debits(&self) -> bool {
        !self.has_debits
    }

    /// The time of the newest event that is no longer kept.
    pub fn newest_dropped(&self) -> Option<EventTime> {
        self.newest_dropped
    }

    pub(super) fn base(&self, aggregate: &AggregatePlan) -> Option<&Base> {
        self.bases.iter().find(|base| base.key == aggregate.key)
    }

    pub(super) fn base_mut(&mut self, aggregate: &AggregatePlan) -> &mut Base {
        let at = self.bases.iter().position(|base| base.key == aggregate.key).unwrap_or_else(|| {
            self.bases.push(aggregate.empty_base());
            self.bases.len() - 1
        });
        &mut self.bases[at]
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.pending.is_empty()
    }

    /// Puts a row where it goes ([`History::place_for`]).
    pub(super) fn insert(&mut self, at: usize, row: Row) {
        if self.rows.len() == self.rows.capacity() {
            // Doubled, a third of the memory that customers take would be room for events that do not come.
            self.rows.reserve_exact((self.rows.len() / 4).max(2));
        }
        self.rows.insert(at, row);
        self.blocks.inserted(at);
    }

    /// Where a row of that time goes: behind those of the same instant, which came before it.
    pub(super) fn place_for(&self, time: EventTime) -> usize {
        match self.rows.back() {
            Some(newest) if newest.time > time => self.rows.partition_point(|row| row.time <= time),
            _ => self.rows.len(),
        }
    }
}

impl Row {
    pub fn meets(&self, condition: usize) -> bool {
        match &self.conditions {
            Conditions::None => false,
            Conditions::Few(bits) => bits >> condition & 1 == 1,
            Conditions::Many(words) => words[condition / 64] >> (condition % 64) & 1 == 1,
        }
    }

    /// Evaluates the stream's conditions over this row.
    pub(super) fn set_conditions(&mut self, conditions: &[Formula], total_cell: Option<usize>) {
        let holds = |formula: &Formula| formula.holds(&|leaf| self.leaf(leaf, total_cell));
        self.conditions = if conditions.len() <= 64 {
            Conditions::Few(conditions.iter().enumerate().fold(0, |bits, (i, f)| bits | u64::from(holds(f)) << i))
        } else {
            let word = |chunk: &[Formula]| chunk.iter().enumerate().fold(0, |bits, (i, f)| bits | u64::from(holds(f)) << i);
            Conditions::Many(conditions.chunks(64).map(word).collect())
        };
    }

    /// A number of it, as rules see them, is below zero.
    pub(super) fn is_debit(&self, total_cell: Option<usize>) -> bool {
        let below_zero = |value: &Value| matches!(value, Value::Number(n) if n.is_sign_negative());
        let in_cell = |cell: &Value| match cell {
            Value::List(items) => items.iter().any(below_zero),
            value => below_zero(value),
        };
        let lowered = || total_cell.map(|cell| self.field(FieldRef::Cell(cell), total_cell));
        self.cells.iter().any(in_cell) || self.refund.is_some() && matches!(lowered(), Some(Scalar::Number(n)) if n < Number::ZERO)
    }

    fn leaf(&self, leaf: Leaf, total_cell: Option<usize>) -> Scalar<'_> {
        match leaf {
            Leaf::Cell(cell) => self.field(FieldRef::Cell(cell), total_cell),
            Leaf::Redeemed => Scalar::Bool(self.redeemed),
            Leaf::Trait(_)
            | Leaf::Aggregate(_)
            | Leaf::Ranked(_)
            | Leaf::Cut(_)
            | Leaf::Segment { .. }
            | Leaf::List(_)
            | Leaf::Sequence(_) => Scalar::Null,
        }
    }

    /// A field's value as it came, where rules see it so: no refund has lowered it.
    #[inline]
    pub fn plain(&self, field: FieldRef) -> Option<&Value> {
        match field {
            FieldRef::Cell(cell) if self.refund.is_none() => Some(&self.cells[cell]),
            _ => None,
        }
    }

    /// A field as rules see it: an order's total less its refunds; an array without elements is null.
    #[inline]
    pub fn field(&self, field: FieldRef, total_cell: Option<usize>) -> Scalar<'_> {
        match (field, &self.refund) {
            (FieldRef::Event, _) => Scalar::Bool(true),
            (FieldRef::Redeemed, _) => Scalar::Bool(self.redeemed),
            (FieldRef::Cell(cell), Some(refund)) if total_cell == Some(cell) => refund.lower(&self.cells[cell]),
            (FieldRef::Cell(cell), _) => match &self.cells[cell] {
                Value::List(items) if items.is_empty() => Scalar::Null,
                value => value.as_scalar(),
            },
        }
    }
}

impl Refund {
    /// Semantics §1, "Retraction": lowered by the refunds' own totals, not clamped at 0, and 0 once one has no amount.
    fn lower(&self, total: &Value) -> Scalar<'_> {
        match total {
            Value::Number(_) if self.whole => Scalar::Number(Number::ZERO),
            Value::Number(n) => Scalar::Number(Number::from(n).minus(&self.amount)),
            _ => Scalar::Null,
        }
    }
}

impl Base {
    pub(super) fn remember_edges(&mut self, time: EventTime, value: &Scalar<'_>) {
        let owned = || match value {
            Scalar::Null | Scalar::List(_) => Value::Null,
            Scalar::Bool(b) => Value::Bool(*b),
            Scalar::Text(text) => Value::Text((*text).into()),
            Scalar::Number(n) => n.to_decimal().map_or(Value::Null, Value::Number),
        };
        if !matches!(self.total, Accumulator::Positional) {
            return;
        }
        if self.first.as_ref().is_none_or(|(first, _)| time < *first) {
            self.first = Some((time, owned()));
        }
        if self.latest.as_ref().is_none_or(|(latest, _)| time >= *latest) {
            self.latest = Some((time, owned()));
        }
    }
}
