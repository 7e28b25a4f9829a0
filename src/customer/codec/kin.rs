//! Who became whom, as bytes: the record that stands in place of a customer who became another one, the sections of one
//! whom others became, and all that is known of a customer in one piece, to be sent after it.
//!
//! **Invariant:** a piece holds the very values that a changelog would, so that whoever reads the one reads the other.

use std::collections::HashMap;

use super::super::blocks::Blocks;
use super::bytes::{Reader, Writer};
use super::{FormatError, REDIRECT, VERSION, head_key, read, write};
use crate::customer::{CustomerState, Inherited, Kin, Standing};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::time::EventTime;

/// The prefix of the keys of all redirects.
pub const REDIRECTS: &[u8] = &[REDIRECT];

/// The key of the redirect of a customer who became another one.
pub fn redirect_key(customer: &CustomerId) -> Vec<u8> {
    [REDIRECTS, customer.as_str().as_bytes()].concat()
}

/// Whom the customer became, and how many of its lives have ended.
pub fn write_redirect(into: &CustomerId, lives: u32) -> Vec<u8> {
    let mut w = Writer::new(VERSION);
    w.text(into.as_str());
    w.varint(u64::from(lives));
    w.done()
}

pub fn read_redirect(value: &[u8]) -> Result<(CustomerId, u32), FormatError> {
    let mut r = Reader::new(value)?;
    Ok((CustomerId::from(r.text()?), u32::try_from(r.varint()?).map_err(|_| FormatError::Damaged)?))
}

pub(super) fn section(kin: &Kin) -> Writer {
    let mut w = Writer::part();
    w.count(kin.from.len());
    kin.from.iter().for_each(|id| w.text(id.as_str()));
    w
}

pub(super) fn read_section(r: &mut Reader<'_>) -> Result<Kin, FormatError> {
    let from: Result<Vec<CustomerId>, FormatError> = (0..r.count()?).map(|_| r.text().map(CustomerId::from)).collect();
    Ok(Kin { into: None, from: from? })
}

pub(super) fn inherited_section(plan: &Plan, inherited: &[Inherited]) -> Writer {
    let mut w = Writer::part();
    w.count(inherited.len());
    for inherited in inherited {
        w.fixed(plan.segments[inherited.segment].hash);
        w.varint(inherited.entries);
        w.optional_time(inherited.left_at);
    }
    w
}

pub(super) fn read_inherited(r: &mut Reader<'_>, plan: &Plan, standing: &mut Standing) -> Result<(), FormatError> {
    for _ in 0..r.count()? {
        let (segment, entries, left_at) = (r.fixed()?, r.varint()?, r.optional_time()?);
        if let Some(segment) = plan.segments.iter().position(|s| s.hash == segment) {
            *standing.inherited_mut(segment) = Inherited { segment, entries, left_at };
        }
    }
    Ok(())
}

/// All that is known of a customer.
pub fn pack(plan: &Plan, customer: &CustomerId, state: &CustomerState) -> Vec<u8> {
    let mut whole = state.clone();
    for (_, history) in whole.facts.histories.iter_mut() {
        (history.blocks, history.retired_stored) = (Blocks::default(), 0);
    }
    let mut w = Writer::new(VERSION);
    write(plan, customer, &mut whole, EventTime::MAX, &mut |key, value| {
        w.bytes(&key);
        w.bytes(&value.unwrap_or_default());
    });
    w.done()
}

/// What was packed, read under another plan maybe. Nothing is evaluated.
pub fn unpack(plan: &Plan, customer: &CustomerId, piece: &[u8]) -> Result<CustomerState, FormatError> {
    let (mut r, mut values) = (Reader::new(piece)?, HashMap::new());
    while !r.is_at_end() {
        values.insert(r.bytes()?, r.bytes()?);
    }
    let head = values.get(head_key(customer).as_slice()).ok_or(FormatError::Damaged)?;
    read(plan, customer, head, |key| Ok(values.get(key).map(|value| value.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_read_back() {
        let into = CustomerId::new("anna");
        assert_eq!(read_redirect(&write_redirect(&into, 2)), Ok((into, 2)));
        assert_eq!(read_redirect(&[VERSION, 9]), Err(FormatError::Damaged));
    }
}
