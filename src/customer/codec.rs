//! A customer's state as bytes: one head, and the blocks of long histories (docs/stored-format.md, "Value formats").
//!
//! ```text
//!     head      everything that is small or changes with each event: memberships, traits, bases, ids, newest rows
//!     block     up to 64 older rows of one stream
//!     ids       up to 64 retired ids of one stream
//! ```
//!
//! Names stand as hashes, so that a state can be read under another plan: rows keep the fields that are still named,
//! memberships and bases are found by segment and aggregate. What is not stored follows from it (`engine::rebuild`).
//!
//! **Invariant:** a value begins with its format's version. Writing touches the head and what changed, never all rows.

mod bytes;
mod erased;
mod kin;
mod rows;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::blocks::{Blocks, TAIL_ROWS};
use super::history::{Base, History, OrderChange, Pending};
use super::{CustomerState, Facts, Former, Membership, Standing, Told};
use crate::event::Value;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::time::EventTime;
use bytes::{Reader, Writer};
pub use erased::{SECRET, Secret, read_erased, write_erased};
pub use kin::{REDIRECTS, pack, read_redirect, redirect_key, unpack, write_redirect};
use rows::Columns;

/// The format that is written; those from 1 on are read. Since 2 a head says what was told of memberships, and rows may
/// have a number of arrival. Since 3 a head may end with sections ([`sections`]), and the last block of ids need not be full.
/// Since 4 there are redirects, which an older version would pass by, and the sections of who was merged.
pub const VERSION: u8 = 4;

/// Retired ids that stand together.
const IDS_PER_BLOCK: usize = 64;
/// As many retired ids are moved from the head to a block at once: the head is rewritten with each event, and hashes do
/// not compress.
const IDS_PER_MOVE: usize = 8;

/// Rows for which room is made before they are read.
const MOST_AT_ONCE: usize = 1 << 16;

/// First byte of a key: what its value is.
const HEAD: u8 = b'h';
const BLOCK: u8 = b'b';
const IDS: u8 = b'i';
const ERASED: u8 = b'e';
const REDIRECT: u8 = b'a';

/// A stored value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("a customer's state has format {0}, this version reads up to {VERSION}")]
    Newer(u8),
    #[error("a customer's state is cut short or damaged")]
    Damaged,
}

/// The key of a customer's head.
pub fn head_key(customer: &CustomerId) -> Vec<u8> {
    let mut key = vec![HEAD];
    key.extend_from_slice(customer.as_str().as_bytes());
    key
}

/// The customer whose head stands under this key; `None`: another kind of key.
pub fn customer_of(key: &[u8]) -> Option<CustomerId> {
    let (kind, id) = key.split_first()?;
    (*kind == HEAD).then(|| std::str::from_utf8(id).ok().map(CustomerId::from)).flatten()
}

/// The prefix of every head's key.
pub const HEADS: &[u8] = &[HEAD];

pub fn is_head(key: &[u8]) -> bool {
    key.first() == Some(&HEAD)
}

/// The fingerprint of the plan that decided the customer whose head this is.
pub fn fingerprint_of(head: &[u8]) -> Option<u64> {
    head.get(9..17)?.try_into().ok().map(u64::from_le_bytes)
}

/// Every membership of the customer whose head this is, by the hash of its segment's key, without reading the rest.
pub fn memberships_of(head: &[u8]) -> Result<impl Iterator<Item = (u64, Membership)> + use<>, FormatError> {
    let mut r = Reader::new(head)?;
    let (_armed, _plan, _at) = (r.fixed()?, r.fixed()?, r.time()?);
    let known: Vec<_> = (0..r.count()?).map(|_| read_membership(&mut r)).collect::<Result<_, _>>()?;
    Ok(known.into_iter())
}

/// When the timer of the customer whose head this is fires; `None`: it has none, or this is no head.
pub fn armed_of(key: &[u8], value: &[u8]) -> Option<EventTime> {
    let millis = value.get(1..9)?.try_into().ok().map(i64::from_le_bytes)?;
    (is_head(key) && millis != i64::MAX).then(|| EventTime::from_millis(millis))
}

/// Key of a block of rows or ids: kind, length of the customer id, customer id, hash of the stream's name, number.
fn part_key(kind: u8, customer: &CustomerId, stream: u64, number: u32) -> Vec<u8> {
    let id = customer.as_str().as_bytes();
    let mut key = Vec::with_capacity(id.len() + 15);
    key.push(kind);
    key.extend_from_slice(&(id.len() as u16).to_be_bytes());
    key.extend_from_slice(id);
    key.extend_from_slice(&stream.to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What the keys of a customer's blocks begin with, whatever stream they are of; nobody else's do.
pub fn parts_of(customer: &CustomerId) -> [Vec<u8>; 2] {
    [BLOCK, IDS].map(|kind| {
        let mut prefix = part_key(kind, customer, 0, 0);
        prefix.truncate(prefix.len() - 12);
        prefix
    })
}

/// Writes what changed since the state was last written, and the head. `put(key, None)` deletes.
pub fn write(
    plan: &Plan,
    customer: &CustomerId,
    state: &mut CustomerState,
    armed: EventTime,
    put: &mut impl FnMut(Vec<u8>, Option<Vec<u8>>),
) {
    for (stream, history) in state.facts.histories.iter_mut() {
        history.blocks.seal(history.rows.len());
        write_parts(plan, customer, stream, history, put);
    }
    put(head_key(customer), Some(head(plan, state, armed)));
}

/// What was written is stored: from here on only further changes are.
pub fn written(state: &mut CustomerState) {
    for (_, history) in state.facts.histories.iter_mut() {
        history.blocks.written();
        history.retired_stored = ids_in_blocks(history);
    }
}

/// How many of the retired ids stand in blocks; the others stand in the head.
fn ids_in_blocks(history: &History) -> usize {
    history.retired.len() / IDS_PER_MOVE * IDS_PER_MOVE
}

fn write_parts(plan: &Plan, customer: &CustomerId, stream: usize, history: &History, put: &mut impl FnMut(Vec<u8>, Option<Vec<u8>>)) {
    let name = stream_hash(plan, stream);
    for number in &history.blocks.dropped {
        put(part_key(BLOCK, customer, name, *number), None);
    }
    let mut at = 0;
    for block in history.blocks.iter() {
        if block.dirty {
            let mut w = Writer::new(VERSION);
            Columns::of(plan, stream).write(&mut w);
            rows::write(&mut w, history.rows.range(at..at + block.rows));
            put(part_key(BLOCK, customer, name, block.number), Some(w.done()));
        }
        at += block.rows;
    }
    let (before, now) = (history.retired_stored, &history.retired[..ids_in_blocks(history)]);
    for (number, block) in now.chunks(IDS_PER_BLOCK).enumerate().skip(before / IDS_PER_BLOCK).filter(|_| now.len() > before) {
        let mut w = Writer::new(VERSION);
        block.iter().for_each(|id| w.fixed(*id));
        put(part_key(IDS, customer, name, number as u32), Some(w.done()));
    }
}

fn stream_hash(plan: &Plan, stream: usize) -> u64 {
    hash(&plan.streams[stream].name)
}

fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

fn head(plan: &Plan, state: &CustomerState, armed: EventTime) -> Vec<u8> {
    let mut w = Writer::new(VERSION);
    w.fixed(armed.millis() as u64);
    w.fixed(state.standing.common.as_ref().map_or(plan.fingerprint, |common| common.mark));
    w.time(state.standing.at);
    let defined = || plan.segments.iter().map(|segment| segment.hash).zip(&state.standing.memberships);
    let former = || state.standing.former.iter().map(|former| (former.segment, &former.membership));
    let known = || defined().filter(|(_, m)| m.sequence > 0).chain(former());
    w.count(known().count());
    for (segment, membership) in known() {
        w.fixed(segment);
        w.varint(membership.sequence);
        w.time(membership.changed_at);
    }
    write_told(&mut w, plan, &state.standing.told);
    let traits = || plan.projection.traits.iter().zip(&state.facts.traits).filter_map(|(name, value)| Some((name, value.as_ref()?)));
    w.count(traits().count());
    for (name, (time, value)) in traits() {
        w.fixed(hash(name));
        w.time(*time);
        w.value(value);
    }
    let histories = || state.facts.histories.iter().filter(|(_, h)| !h.is_empty());
    w.count(histories().count());
    histories().for_each(|(stream, history)| write_history(&mut w, plan, stream, history));
    sections::write(&mut w, plan, state);
    w.done()
}

/// Only what a policy has to remember: most customers have nothing here.
fn write_told(w: &mut Writer, plan: &Plan, told: &[Told]) {
    let remembered = || told.iter().filter(|told| told.entered_at.is_some() || told.announced.is_some());
    w.count(remembered().count());
    for told in remembered() {
        w.fixed(plan.segments[told.segment].hash);
        w.optional_time(told.entered_at);
        w.optional_time(told.announced);
    }
}

fn write_history(w: &mut Writer, plan: &Plan, stream: usize, history: &History) {
    w.fixed(stream_hash(plan, stream));
    w.optional_time(history.newest_dropped);
    w.count(history.bases.len());
    history.bases.iter().for_each(|base| write_base(w, base));
    w.count(history.pending.len());
    history.pending.iter().for_each(|pending| write_pending(w, pending));
    let (in_blocks, others) = history.retired.split_at(ids_in_blocks(history));
    w.count(in_blocks.len());
    w.count(others.len());
    others.iter().for_each(|id| w.fixed(*id));
    write_blocks(w, &history.blocks);
    Columns::of(plan, stream).write(w);
    rows::write(w, history.rows.range(history.blocks.rows()..));
}

/// Blocks in runs of neighbours with consecutive numbers and equal lengths: a long history has few of them.
fn write_blocks(w: &mut Writer, blocks: &Blocks) {
    let mut runs: Vec<(u32, usize, u32)> = Vec::new();
    for block in blocks.iter() {
        match runs.last_mut() {
            Some((first, rows, count)) if *first + *count == block.number && *rows == block.rows => *count += 1,
            _ => runs.push((block.number, block.rows, 1)),
        }
    }
    w.count(blocks.next_number() as usize);
    w.count(runs.len());
    for (first, rows, count) in runs {
        w.count(first as usize);
        w.count(rows);
        w.count(count as usize);
    }
}

fn write_base(w: &mut Writer, base: &Base) {
    w.fixed(base.key);
    w.accumulator(&base.total);
    for edge in [&base.first, &base.latest] {
        w.optional_time(edge.as_ref().map(|(time, _)| *time));
        if let Some((_, value)) = edge {
            w.value(value);
        }
    }
}

fn write_pending(w: &mut Writer, pending: &Pending) {
    w.fixed(pending.order);
    w.time(pending.time);
    match &pending.change {
        OrderChange::Redeemed => w.byte(0),
        OrderChange::Cancelled => w.byte(1),
        OrderChange::Refunded(None) => w.byte(2),
        OrderChange::Refunded(Some(amount)) => {
            w.byte(3);
            w.number(amount);
        }
    }
}

/// Reads a customer back under a plan, without cursors, truths and flips; `part` fetches a block by its key.
pub fn read<E: From<FormatError>>(
    plan: &Plan,
    customer: &CustomerId,
    head: &[u8],
    mut part: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>,
) -> Result<CustomerState, E> {
    let mut r = Reader::new(head)?;
    let (_armed, _decided_by) = (r.fixed()?, r.fixed()?);
    let mut state = CustomerState::new(plan);
    state.standing.at = r.time()?;
    read_memberships(&mut r, plan, &mut state.standing)?;
    if r.version() >= 2 {
        read_told(&mut r, plan, &mut state.standing)?;
    }
    read_traits(&mut r, plan, &mut state.facts)?;
    for _ in 0..r.count()? {
        let name = r.fixed()?;
        let stream = (0..plan.streams.len()).find(|stream| stream_hash(plan, *stream) == name);
        let history = read_history(&mut r, plan, stream, |kind, number| part(&part_key(kind, customer, name, number)))?;
        if let Some(stream) = stream {
            state.facts.histories[stream] = history;
        }
    }
    sections::read(&mut r, plan, &mut state)?;
    state.standing.begin_totals(plan, &state.facts);
    Ok(state)
}

fn read_memberships(r: &mut Reader<'_>, plan: &Plan, standing: &mut Standing) -> Result<(), FormatError> {
    let mut next = 0;
    for _ in 0..r.count()? {
        let (segment, membership) = read_membership(r)?;
        // Written in the plan's order: the search ends at once, or soon.
        let index = (next..plan.segments.len()).chain(0..next).find(|at| plan.segments[*at].hash == segment);
        match index {
            Some(index) => {
                standing.memberships[index] = membership;
                next = index + 1;
            }
            None => standing.former.push(Former { segment, membership }),
        }
    }
    Ok(())
}

fn read_membership(r: &mut Reader<'_>) -> Result<(u64, Membership), FormatError> {
    let (segment, sequence, changed_at) = (r.fixed()?, r.varint()?, r.time()?);
    Ok((segment, Membership { sequence, changed_at }))
}

fn read_told(r: &mut Reader<'_>, plan: &Plan, standing: &mut Standing) -> Result<(), FormatError> {
    for _ in 0..r.count()? {
        let (segment, entered_at, announced) = (r.fixed()?, r.optional_time()?, r.optional_time()?);
        if let Some(index) = plan.segments.iter().position(|s| s.hash == segment) {
            *standing.told_mut(index) = Told { segment: index, entered_at, announced, end: None };
        }
    }
    Ok(())
}

fn read_traits(r: &mut Reader<'_>, plan: &Plan, facts: &mut Facts) -> Result<(), FormatError> {
    for _ in 0..r.count()? {
        let (name, time, value) = (r.fixed()?, r.time()?, r.value()?);
        if let Some(index) = plan.projection.traits.iter().position(|t| hash(t) == name) {
            facts.traits[index] = Some((time, value));
        }
    }
    Ok(())
}

fn read_history<E: From<FormatError>>(
    r: &mut Reader<'_>,
    plan: &Plan,
    stream: Option<usize>,
    mut part: impl FnMut(u8, u32) -> Result<Option<Vec<u8>>, E>,
) -> Result<History, E> {
    let mut history =
        History { total_cell: stream.and_then(|s| plan.streams[s].total_cell), newest_dropped: r.optional_time()?, ..History::default() };
    for _ in 0..r.count()? {
        history.bases.push(read_base(r)?);
    }
    for _ in 0..r.count()? {
        history.pending.push(read_pending(r)?);
    }
    let in_blocks = if r.version() < 3 { r.count()? * IDS_PER_BLOCK } else { r.count()? };
    for number in 0..in_blocks.div_ceil(IDS_PER_BLOCK) {
        let value = part(IDS, number as u32)?.ok_or(FormatError::Damaged)?;
        let mut ids = Reader::new(&value)?;
        for _ in history.retired.len()..in_blocks.min((number + 1) * IDS_PER_BLOCK) {
            history.retired.push(ids.fixed()?);
        }
    }
    history.retired_stored = history.retired.len();
    for _ in 0..r.count()? {
        history.retired.push(r.fixed()?);
    }
    history.blocks = read_blocks(r)?;
    // What was read is damaged if there are that many; a customer in memory takes no more than it needs.
    let rows = history.blocks.rows().min(MOST_AT_ONCE);
    history.rows.reserve_exact(if rows == 0 { 0 } else { rows + TAIL_ROWS });
    for block in history.blocks.iter() {
        let value = part(BLOCK, block.number)?.ok_or(FormatError::Damaged)?;
        let mut b = Reader::new(&value)?;
        let columns = Columns::read(&mut b)?;
        rows::read(&mut b, &columns, plan, stream, &mut history.rows)?;
    }
    let columns = Columns::read(r)?;
    rows::read(r, &columns, plan, stream, &mut history.rows)?;
    history.has_debits = history.rows.iter().any(|row| row.is_debit(history.total_cell));
    history.ids = history.retired.iter().copied().chain(history.rows.iter().map(|row| row.id)).collect::<HashSet<_, _>>();
    Ok(history)
}

fn read_blocks(r: &mut Reader<'_>) -> Result<Blocks, FormatError> {
    let next_number = r.count()? as u32;
    let mut blocks = Vec::new();
    for _ in 0..r.count()? {
        let (first, rows, count) = (r.count()? as u32, r.count()?, r.count()? as u32);
        blocks.extend((0..count).map(|i| (first + i, rows)));
    }
    Ok(Blocks::stored(blocks.into_iter(), next_number))
}

fn read_base(r: &mut Reader<'_>) -> Result<Base, FormatError> {
    let (key, total) = (r.fixed()?, r.accumulator()?);
    let mut edge =
        || -> Result<Option<(EventTime, Value)>, FormatError> { r.optional_time()?.map(|time| Ok((time, r.value()?))).transpose() };
    Ok(Base { key, total, first: edge()?, latest: edge()? })
}

fn read_pending(r: &mut Reader<'_>) -> Result<Pending, FormatError> {
    let (order, time) = (r.fixed()?, r.time()?);
    let change = match r.byte()? {
        0 => OrderChange::Redeemed,
        1 => OrderChange::Cancelled,
        2 => OrderChange::Refunded(None),
        3 => OrderChange::Refunded(Some(r.number()?)),
        _ => return Err(FormatError::Damaged),
    };
    Ok(Pending { order, time, change })
}
