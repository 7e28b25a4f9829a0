//! Rows as bytes: newest fields by name, times as differences, an order's id once.
//!
//! **Invariant:** rows are read in the order in which they were written, whatever fields the plan names by now.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::super::history::{Conditions, Refund, Row};
use super::bytes::{Reader, Writer};
use super::{FormatError, hash};
use crate::event::Value;
use crate::money::Number;
use crate::plan::Plan;
use crate::time::EventTime;

const REDEEMED: u8 = 1;
const REFUNDED: u8 = 2;
const REFUNDED_WHOLE: u8 = 4;
/// The order id is the event id, as the Segment Spec has it.
const ORDER_IS_ID: u8 = 8;
const HAS_ORDER: u8 = 16;
/// Not the first of its instant among the streams that sequences name: its number follows. Since version 2.
const ARRIVED_AFTER: u8 = 32;

/// Hashes of the names of the fields that rows hold, in order.
pub(super) struct Columns(Vec<u64>);

impl Columns {
    pub(super) fn of(plan: &Plan, stream: usize) -> Columns {
        Columns(plan.streams[stream].cells.iter().map(|(name, _)| hash(name)).collect())
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.count(self.0.len());
        self.0.iter().for_each(|name| w.fixed(*name));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Columns, FormatError> {
        let names: Result<Vec<u64>, FormatError> = (0..r.count()?).map(|_| r.fixed()).collect();
        Ok(Columns(names?))
    }

    /// For each field of the plan, which of these columns it is.
    fn sources(&self, plan: &Plan, stream: Option<usize>) -> Vec<Option<usize>> {
        let wanted = stream.map_or(Vec::new(), |stream| Columns::of(plan, stream).0);
        wanted.iter().map(|name| self.0.iter().position(|column| column == name)).collect()
    }
}

pub(super) fn write<'a>(w: &mut Writer, rows: impl ExactSizeIterator<Item = &'a Row>) {
    w.count(rows.len());
    let mut before = 0;
    for row in rows {
        w.zigzag(i128::from(row.time.millis()) - i128::from(before));
        before = row.time.millis();
        write_row(w, row);
    }
}

fn write_row(w: &mut Writer, row: &Row) {
    let refund = row.refund.as_deref();
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let order_is_id = row.order == row.id;
    w.byte(
        flag(row.redeemed, REDEEMED)
            | flag(refund.is_some(), REFUNDED)
            | flag(refund.is_some_and(|r| r.whole), REFUNDED_WHOLE)
            | flag(order_is_id, ORDER_IS_ID)
            | flag(!order_is_id && row.order != 0, HAS_ORDER)
            | flag(row.arrival != 0, ARRIVED_AFTER),
    );
    w.fixed(row.id);
    if !order_is_id && row.order != 0 {
        w.fixed(row.order);
    }
    if row.arrival != 0 {
        w.varint(u64::from(row.arrival));
    }
    if let Some(refund) = refund {
        w.number(&refund.amount);
    }
    row.cells.iter().for_each(|value| w.value(value));
}

pub(super) fn read(
    r: &mut Reader<'_>,
    columns: &Columns,
    plan: &Plan,
    stream: Option<usize>,
    rows: &mut VecDeque<Row>,
) -> Result<(), FormatError> {
    let sources = columns.sources(plan, stream);
    let conditions = stream.map_or(&[][..], |stream| &plan.streams[stream].conditions);
    let total_cell = stream.and_then(|stream| plan.streams[stream].total_cell);
    let mut before = 0i64;
    for _ in 0..r.count()? {
        before = before.wrapping_add(r.zigzag()? as i64);
        let mut row = read_row(r, columns, EventTime::from_millis(before), &sources)?;
        row.set_conditions(conditions, total_cell);
        rows.push_back(row);
    }
    Ok(())
}

fn read_row(r: &mut Reader<'_>, columns: &Columns, time: EventTime, sources: &[Option<usize>]) -> Result<Row, FormatError> {
    let (flags, id) = (r.byte()?, r.fixed()?);
    let order = match flags & (ORDER_IS_ID | HAS_ORDER) {
        ORDER_IS_ID => id,
        HAS_ORDER => r.fixed()?,
        _ => 0,
    };
    let arrival = if flags & ARRIVED_AFTER != 0 { u32::try_from(r.varint()?).map_err(|_| FormatError::Damaged)? } else { 0 };
    let amount = if flags & REFUNDED != 0 { Some(r.number()?) } else { None };
    let refund = |amount: Number| Box::new(Refund { amount, whole: flags & REFUNDED_WHOLE != 0 });
    let mut stored: SmallVec<[Value; 4]> = SmallVec::new();
    for _ in &columns.0 {
        stored.push(r.value()?);
    }
    let cells = sources.iter().map(|source| source.map_or(Value::Null, |at| std::mem::replace(&mut stored[at], Value::Null))).collect();
    let redeemed = flags & REDEEMED != 0;
    Ok(Row { time, id, order, arrival, cells, redeemed, refund: amount.map(refund), conditions: Conditions::None })
}
