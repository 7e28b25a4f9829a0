//! Integers, numbers and values as bytes.
//!
//! Variable-length integers are LEB128, signed ones zigzag first (both as in Protocol Buffers, "Encoding").
//!
//! **Invariant:** a reader never reads past its bytes and never believes a length that they cannot hold.

use std::collections::HashMap;
use std::sync::Arc;

use num_bigint::BigInt;
use rust_decimal::Decimal;

use super::{FormatError, VERSION};
use crate::aggregate::{Accumulator, Distinct};
use crate::event::Value;
use crate::money::Number;
use crate::time::EventTime;

pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(version: u8) -> Writer {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(version);
        Writer(bytes)
    }

    /// Bytes that stand in another value: no version.
    pub(super) fn part() -> Writer {
        Writer(Vec::new())
    }

    /// A part with its length before it.
    pub(super) fn sized(&mut self, part: Writer) {
        self.count(part.0.len());
        self.0.extend(part.0);
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn fixed(&mut self, bits: u64) {
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    pub(super) fn varint(&mut self, n: u64) {
        self.wide_varint(u128::from(n));
    }

    pub(super) fn count(&mut self, n: usize) {
        self.wide_varint(n as u128);
    }

    pub(super) fn zigzag(&mut self, n: i128) {
        self.wide_varint((n << 1 ^ n >> 127) as u128);
    }

    pub(super) fn time(&mut self, time: EventTime) {
        self.zigzag(i128::from(time.millis()));
    }

    pub(super) fn optional_time(&mut self, time: Option<EventTime>) {
        self.byte(u8::from(time.is_some()));
        time.into_iter().for_each(|time| self.time(time));
    }

    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(0),
            Value::Bool(b) => self.byte(1 + u8::from(*b)),
            Value::Number(n) => {
                self.byte(3);
                self.byte(n.scale() as u8);
                self.zigzag(n.mantissa());
            }
            Value::Text(text) => {
                self.byte(4);
                self.text(text);
            }
            Value::List(items) => {
                self.byte(5);
                self.count(items.len());
                items.iter().for_each(|item| self.value(item));
            }
        }
    }

    pub(super) fn number(&mut self, number: &Number) {
        match number.small() {
            Some((units, over)) => {
                self.byte(0);
                self.zigzag(i128::from(units));
                self.wide_varint(over.unsigned_abs().into());
            }
            None => {
                self.byte(1);
                let (units, over) = number.to_parts();
                self.text(&units.to_string());
                self.text(&over.to_string());
            }
        }
    }

    pub(super) fn accumulator(&mut self, accumulator: &Accumulator) {
        match accumulator {
            Accumulator::Count(n) => {
                self.byte(0);
                self.zigzag(i128::from(*n));
            }
            Accumulator::Total { count, sum } => {
                self.byte(1);
                self.zigzag(i128::from(*count));
                self.number(sum);
            }
            Accumulator::Min(extreme) => self.extreme(2, extreme.as_ref()),
            Accumulator::Max(extreme) => self.extreme(4, extreme.as_ref()),
            Accumulator::Distinct(values) => {
                self.byte(6);
                self.count(values.len());
                for (value, count) in values.iter() {
                    self.distinct(value);
                    self.varint(u64::from(*count));
                }
            }
            Accumulator::Positional => self.byte(7),
        }
    }

    fn extreme(&mut self, tag: u8, extreme: Option<&Number>) {
        self.byte(tag + u8::from(extreme.is_some()));
        extreme.into_iter().for_each(|number| self.number(number));
    }

    fn distinct(&mut self, value: &Distinct) {
        match value {
            Distinct::Bool(b) => self.byte(u8::from(*b)),
            Distinct::Number(n) => {
                self.byte(2);
                self.number(n);
            }
            Distinct::Text(text) => {
                self.byte(3);
                self.text(text);
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// With their length before them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn wide_varint(&mut self, mut n: u128) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }
}

pub(super) struct Reader<'a> {
    version: u8,
    rest: &'a [u8],
}

type Read<T> = Result<T, FormatError>;

impl<'a> Reader<'a> {
    /// Of a value whose version is known; older ones are read as they were written.
    pub(super) fn new(value: &'a [u8]) -> Read<Reader<'a>> {
        match value.split_first() {
            Some((0, _)) | None => Err(FormatError::Damaged),
            Some((&version, rest)) if version <= VERSION => Ok(Reader { version, rest }),
            Some((&version, _)) => Err(FormatError::Newer(version)),
        }
    }

    /// The format in which the value was written.
    pub(super) fn version(&self) -> u8 {
        self.version
    }

    /// What [`Writer::sized`] wrote.
    pub(super) fn sized(&mut self) -> Read<Reader<'a>> {
        let length = self.count()?;
        Ok(Reader { version: self.version, rest: self.take(length)? })
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(FormatError::Damaged)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn fixed(&mut self) -> Read<u64> {
        let bytes = self.take(8)?.try_into().map_err(|_| FormatError::Damaged)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn varint(&mut self) -> Read<u64> {
        u64::try_from(self.wide_varint()?).map_err(|_| FormatError::Damaged)
    }

    /// A number of things that follow; each takes a byte at least, except where blocks stand for many.
    pub(super) fn count(&mut self) -> Read<usize> {
        let n = self.varint()?;
        usize::try_from(n).ok().filter(|n| *n <= 1 << 32).ok_or(FormatError::Damaged)
    }

    pub(super) fn zigzag(&mut self) -> Read<i128> {
        let n = self.wide_varint()?;
        Ok((n >> 1) as i128 ^ -((n & 1) as i128))
    }

    pub(super) fn time(&mut self) -> Read<EventTime> {
        i64::try_from(self.zigzag()?).map(EventTime::from_millis).map_err(|_| FormatError::Damaged)
    }

    pub(super) fn optional_time(&mut self) -> Read<Option<EventTime>> {
        if self.byte()? == 0 { Ok(None) } else { self.time().map(Some) }
    }

    pub(super) fn value(&mut self) -> Read<Value> {
        Ok(match self.byte()? {
            0 => Value::Null,
            tag @ (1 | 2) => Value::Bool(tag == 2),
            3 => {
                let scale = u32::from(self.byte()?);
                Value::Number(Decimal::try_from_i128_with_scale(self.zigzag()?, scale).map_err(|_| FormatError::Damaged)?)
            }
            4 => Value::Text(self.text()?.into()),
            5 => {
                let items: Read<Vec<Value>> = (0..self.count()?).map(|_| self.value()).collect();
                Value::List(Arc::from(items?))
            }
            _ => return Err(FormatError::Damaged),
        })
    }

    pub(super) fn number(&mut self) -> Read<Number> {
        let parts = match self.byte()? {
            0 => (BigInt::from(self.zigzag()?), BigInt::from(self.wide_varint()?)),
            1 => (self.digits()?, self.digits()?),
            _ => return Err(FormatError::Damaged),
        };
        Number::from_parts(parts.0, parts.1).ok_or(FormatError::Damaged)
    }

    pub(super) fn accumulator(&mut self) -> Read<Accumulator> {
        Ok(match self.byte()? {
            0 => Accumulator::Count(i64::try_from(self.zigzag()?).map_err(|_| FormatError::Damaged)?),
            1 => {
                let count = i64::try_from(self.zigzag()?).map_err(|_| FormatError::Damaged)?;
                Accumulator::Total { count, sum: self.number()? }
            }
            2 => Accumulator::Min(None),
            3 => Accumulator::Min(Some(self.number()?)),
            4 => Accumulator::Max(None),
            5 => Accumulator::Max(Some(self.number()?)),
            6 => {
                let mut values = HashMap::default();
                for _ in 0..self.count()? {
                    let value = self.distinct()?;
                    values.insert(value, u32::try_from(self.varint()?).map_err(|_| FormatError::Damaged)?);
                }
                Accumulator::Distinct(Box::new(values))
            }
            7 => Accumulator::Positional,
            _ => return Err(FormatError::Damaged),
        })
    }

    fn distinct(&mut self) -> Read<Distinct> {
        Ok(match self.byte()? {
            bit @ (0 | 1) => Distinct::Bool(bit == 1),
            2 => Distinct::Number(self.number()?),
            3 => Distinct::Text(self.text()?.into()),
            _ => return Err(FormatError::Damaged),
        })
    }

    fn digits(&mut self) -> Read<BigInt> {
        self.text()?.parse().map_err(|_| FormatError::Damaged)
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| FormatError::Damaged)
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.count()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(FormatError::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn wide_varint(&mut self) -> Read<u128> {
        let mut n = 0u128;
        for shift in (0..133).step_by(7) {
            let byte = self.byte()?;
            n |= u128::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(FormatError::Damaged)
    }
}
