//! A record's bytes to an [`Event`], in one pass.
//!
//! ```text
//! bytes ─prefix, UTF-8→ text ─walk→ notes ─envelope→ record ─route→ stream ─check→ Event
//! ```
//!
//! Understood: the Segment Spec's `track`, `identify` and `alias`, bare or as the data of a CloudEvent 1.0 (structured: an
//! object with `specversion`, `type` and `data`, or `data_base64`; binary: `ce_*` headers), with or without the five bytes that
//! Confluent's serialisers put before JSON. Where the Segment record itself does not say who, when or under which
//! message id, the envelope's `subject`, `time` and `id` do.
//!
//! **Invariant:** the outcome is a function of the record and the catalogue. The projection decides what is kept,
//! never what is accepted; and no byte sequence makes this panic, loop or use more memory than a few times its length.

use std::borrow::Cow;
use std::sync::Arc;

use smol_str::SmolStr;

use super::reject::{Inner, Refusal, Reject, RejectCode, SkipReason};
use super::routes::{Container, FieldRoute, Routes, StreamRoute};
use super::scanner::{Kind, Scanner, Token};
use super::values::{Fault, check_field, field_value, trait_value};
use super::walk::{Notes, Walk};
use super::{DecodeLimits, Decoded, RawRecord};
use crate::event::{Body, Catalogue, Event, FieldType, Projection, StreamIndex, Value};
use crate::id::{CustomerId, EventId};
use crate::time::EventTime;

/// Decodes records of one catalogue. Holds scratch space: one for each thread.
pub struct Decoder {
    routes: Arc<Routes>,
    notes: Notes,
    limits: DecodeLimits,
}

impl Clone for Decoder {
    /// Shares what is compiled; the scratch space is the clone's own.
    fn clone(&self) -> Decoder {
        Decoder { routes: self.routes.clone(), notes: Notes::default(), limits: self.limits }
    }
}

/// What an envelope says, for where its data does not.
#[derive(Default)]
struct Envelope<'a> {
    id: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
}

/// A walked record: its text, its notes, and what stands around it.
struct Reading<'a> {
    routes: &'a Routes,
    notes: &'a Notes,
    text: &'a str,
    /// Bytes of the payload before `text`.
    base: usize,
    envelope: Envelope<'a>,
    id_bytes: usize,
}

type Outcome<T> = Result<T, Refusal>;

impl Decoder {
    pub fn new(catalogue: &Catalogue, projection: &Projection, limits: DecodeLimits) -> Decoder {
        Decoder { routes: Arc::new(Routes::new(catalogue, projection)), notes: Notes::default(), limits }
    }

    pub fn decode(&mut self, record: &RawRecord<'_>) -> Decoded {
        match self.read(record).and_then(|reading| reading.event(record.timestamp_ms)) {
            Ok(event) => Decoded::Event(event),
            Err(Refusal::Skip(reason)) => Decoded::Skipped(reason),
            Err(Refusal::Reject(reject)) => Decoded::Rejected(reject),
            Err(Refusal::Around(inner)) => self.decode_inner(&inner, record.timestamp_ms),
        }
    }

    /// Ends, since each record is shorter than the one around it.
    #[cold]
    fn decode_inner(&mut self, inner: &Inner, timestamp_ms: Option<i64>) -> Decoded {
        let headers: Vec<(&str, &[u8])> = inner.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        self.decode(&RawRecord { payload: Some(&inner.payload), headers: &headers, timestamp_ms })
    }

    /// Walks the record, out of its envelope.
    fn read<'a>(&'a mut self, record: &RawRecord<'a>) -> Outcome<Reading<'a>> {
        let (mut text, mut base) = payload_text(record.payload, self.limits.record_bytes)?;
        let routes: &'a Routes = &self.routes;
        walk(routes, &mut self.notes, text, base)?;
        let mut envelope = Envelope::from_headers(record.headers);
        if let Some((around, data)) = Envelope::around(routes, &self.notes, text, base)? {
            envelope = around;
            base += data.start as usize;
            text = data.raw_in(text);
            walk(routes, &mut self.notes, text, base)?;
        }
        Ok(Reading { routes, notes: &self.notes, text, base, envelope, id_bytes: self.limits.id_bytes })
    }
}

fn walk<'a>(routes: &'a Routes, notes: &'a mut Notes, text: &'a str, base: usize) -> Result<(), Reject> {
    let root = Walk::new(&routes.tree, notes, text).record().map_err(|error| Reject::from_json(error, base))?;
    if root.kind == Kind::Object { Ok(()) } else { Err(Reject::new(RejectCode::NotAnObject, "the record is JSON, but not an object")) }
}

/// The JSON text of a payload and how many bytes stand before it.
fn payload_text(payload: Option<&[u8]>, record_bytes: usize) -> Result<(&str, usize), Reject> {
    let payload = payload.ok_or_else(|| Reject::new(RejectCode::Tombstone, "the record has no value"))?;
    // A token's range is 32 bits wide.
    let most = record_bytes.min(u32::MAX as usize);
    if payload.len() > most {
        return Err(Reject::new(RejectCode::TooLarge, format!("{} bytes, more than limits.record_bytes = {most}", payload.len())));
    }
    let base = confluent_prefix(payload);
    match std::str::from_utf8(&payload[base..]) {
        Ok(text) => Ok((text, base)),
        Err(error) => Err(Reject::new(RejectCode::BadUtf8, format!("not UTF-8 at byte {}", base + error.valid_up_to()))),
    }
}

/// Length of the prefix that Confluent's serialisers write: a zero byte and a schema's id of four.
///
/// Source: Confluent Platform, "Schema Registry: Wire format".
fn confluent_prefix(payload: &[u8]) -> usize {
    if payload.first() == Some(&0) && payload.get(5) == Some(&b'{') { 5 } else { 0 }
}

impl<'a> Envelope<'a> {
    /// Of binary mode. Source: CloudEvents 1.0, Kafka protocol binding §3.2.
    fn from_headers(headers: &[(&str, &'a [u8])]) -> Envelope<'a> {
        let mut envelope = Envelope::default();
        for (name, value) in headers {
            let part = match *name {
                "ce_id" => &mut envelope.id,
                "ce_time" => &mut envelope.time,
                "ce_subject" => &mut envelope.subject,
                _ => continue,
            };
            *part = std::str::from_utf8(value).ok().map(Cow::Borrowed);
        }
        envelope
    }

    /// Of structured mode, with its data; `None`: the record stands bare. Source: CloudEvents 1.0, JSON format §3.
    fn around(routes: &Routes, notes: &Notes, text: &'a str, base: usize) -> Outcome<Option<(Envelope<'a>, Token)>> {
        let spec = &routes.spec;
        let string = |node| notes.at(node).filter(|token| token.is_text()).map(|token| token.text_in(text));
        if string(spec.version).is_none() || string(spec.call).is_none() {
            return Ok(None);
        }
        let envelope = || Envelope { id: string(spec.id), time: string(spec.time), subject: string(spec.subject) };
        if let Some(data) = notes.at(spec.data).filter(|token| token.kind == Kind::Object) {
            return Ok(Some((envelope(), data)));
        }
        match notes.at(spec.bytes).filter(|token| token.kind != Kind::Null) {
            Some(data) => Err(envelope().around_bytes(data, text, base)),
            None => Ok(None),
        }
    }

    /// Of data that are bytes. Source: CloudEvents 1.0, JSON format §3.1.
    #[cold]
    fn around_bytes(self, data: Token, text: &str, base: usize) -> Refusal {
        let bytes = Some(data).filter(|data| data.is_text()).and_then(|data| openssl::base64::decode_block(&data.text_in(text)).ok());
        let Some(payload) = bytes else {
            let at = base + data.start as usize;
            return Reject::new(RejectCode::WrongType, format!("`data_base64` must be bytes in base64 (byte {at})")).into();
        };
        let said = [("ce_id", self.id), ("ce_time", self.time), ("ce_subject", self.subject)];
        let headers = said.into_iter().filter_map(|(name, value)| Some((name, value?.into_owned().into_bytes()))).collect();
        Refusal::Around(Box::new(Inner { payload, headers }))
    }
}

impl Reading<'_> {
    fn event(&self, record_time: Option<i64>) -> Outcome<Event> {
        let stream = self.stream()?;
        let route = &self.routes.streams[usize::from(stream.0)];
        let customer = if self.routes.aliases_stream == Some(stream) { self.previous_customer()? } else { self.customer()? };
        let time = self.time(record_time)?;
        match self.content(stream, route) {
            Ok((id, body)) => Ok(Event { customer, stream, time, id, body }),
            Err(refusal) => Err(refusal.of(customer, time)),
        }
    }

    fn content(&self, stream: StreamIndex, route: &StreamRoute) -> Outcome<(EventId, Body)> {
        if self.routes.erasures_stream == Some(stream) {
            // To erase somebody twice is to erase them, so nothing hangs on the id.
            return Ok((self.id(route).unwrap_or_else(|_| EventId::new("")), Body::Fields(Vec::new())));
        }
        if self.routes.aliases_stream == Some(stream) {
            let into = self.string(self.notes.at(self.routes.spec.user_id), "userId")?;
            let into = self.customer_id(into.as_deref(), "no `userId`")?;
            return Ok((self.id(route).unwrap_or_else(|_| EventId::new("")), Body::Fields(vec![Value::Text(into)])));
        }
        let traits = self.routes.traits_stream == Some(stream);
        // Before the id: where `properties` are no object, that is the fault, not the id that cannot be found in them.
        let body = if traits { Body::Traits(self.traits()?) } else { Body::Fields(self.fields(route)?) };
        let id = self.id(route)?;
        self.check_currency(route)?;
        Ok((id, body))
    }

    fn stream(&self) -> Outcome<StreamIndex> {
        let spec = &self.routes.spec;
        let call = self.string(self.notes.at(spec.call), "type")?.ok_or(SkipReason::UnknownType)?;
        let stream = match call.as_ref() {
            "track" => {
                let event = self.string(self.notes.at(spec.event), "event")?.ok_or(SkipReason::UnknownEvent)?;
                self.routes.by_event.find(event.as_bytes())
            }
            "identify" => self.routes.traits_stream,
            // What Segment sends where a regulation asks to delete. Source: Twilio Segment, "Destination Functions", `onDelete`.
            "delete" => self.routes.erasures_stream,
            "alias" => self.routes.aliases_stream,
            "page" | "screen" | "group" => return Err(SkipReason::OtherCall.into()),
            _ => return Err(SkipReason::UnknownType.into()),
        };
        Ok(stream.ok_or(SkipReason::UnknownEvent)?)
    }

    fn customer(&self) -> Outcome<CustomerId> {
        let spec = &self.routes.spec;
        let said = match self.string(self.notes.at(spec.user_id), "userId")? {
            // As Segment's own libraries have it, which send an empty one for nobody's.
            Some(user_id) if !user_id.is_empty() => Some(user_id),
            nobody => self.string(self.notes.at(spec.anonymous_id), "anonymousId")?.or(nobody),
        };
        let id = said.as_deref().or(self.envelope.subject.as_deref());
        Ok(CustomerId::new(self.customer_id(id, "neither `userId` nor `anonymousId`")?))
    }

    /// Whose id an alias gives up.
    fn previous_customer(&self) -> Outcome<CustomerId> {
        let spec = &self.routes.spec;
        let said = match self.string(self.notes.at(spec.previous_id), "previousId")? {
            None => self.string(self.notes.at(spec.anonymous_id), "anonymousId")?,
            previous_id => previous_id,
        };
        Ok(CustomerId::new(self.customer_id(said.as_deref(), "neither `previousId` nor `anonymousId`")?))
    }

    fn customer_id(&self, id: Option<&str>, missing: &str) -> Outcome<SmolStr> {
        let id = id.ok_or_else(|| Reject::new(RejectCode::MissingCustomer, missing))?;
        if id.is_empty() {
            return Err(Reject::new(RejectCode::BadCustomer, "the customer id is empty").into());
        }
        if id.len() > self.id_bytes {
            return Err(Reject::new(
                RejectCode::BadCustomer,
                format!("the customer id has {} bytes, more than {}", id.len(), self.id_bytes),
            )
            .into());
        }
        Ok(SmolStr::new(id))
    }

    fn time(&self, record_time: Option<i64>) -> Outcome<EventTime> {
        let spec = &self.routes.spec;
        for (node, name) in [(spec.timestamp, "timestamp"), (spec.received_at, "receivedAt")] {
            let Some(token) = self.notes.at(node).filter(|token| token.kind != Kind::Null) else { continue };
            let time = if token.is_text() { EventTime::parse(&token.text_in(self.text)) } else { None };
            return time.ok_or_else(|| bad_time(name).into());
        }
        if let Some(text) = &self.envelope.time {
            return EventTime::parse(text).ok_or_else(|| bad_time("time").into());
        }
        let missing =
            || Reject::new(RejectCode::MissingTime, "neither `timestamp` nor `receivedAt`, and the record itself has no time").into();
        record_time.map(EventTime::from_millis).ok_or_else(missing)
    }

    fn id(&self, route: &StreamRoute) -> Outcome<EventId> {
        let said = self.string(self.notes.at(route.id), &route.id_pointer)?;
        let stand_in = self.envelope.id.as_deref().filter(|_| route.id_of_message);
        let id = said.as_deref().or(stand_in).unwrap_or("");
        if id.is_empty() {
            return Err(Reject::new(RejectCode::MissingId, format!("no event id at `{}`", route.id_pointer)).into());
        }
        if id.len() > self.id_bytes {
            let message = format!("the event id has {} bytes, more than {}", id.len(), self.id_bytes);
            return Err(Reject::new(RejectCode::BadId, message).into());
        }
        Ok(EventId::new(SmolStr::new(id)))
    }

    fn fields(&self, route: &StreamRoute) -> Outcome<Vec<Value>> {
        for container in &route.containers {
            self.check_container(container)?;
        }
        let mut kept = Vec::with_capacity(route.kept);
        for field in &route.fields {
            if field.array {
                self.list(field, &mut kept)?;
            } else {
                self.scalar(field, &mut kept)?;
            }
        }
        Ok(kept)
    }

    /// The first of a field's places at which something stands that is not null.
    #[inline(always)]
    fn scalar(&self, field: &FieldRoute, kept: &mut Vec<Value>) -> Outcome<()> {
        let token = field.nodes.iter().find_map(|node| self.notes.at(*node).filter(|token| token.kind != Kind::Null));
        match token {
            Some(token) if field.keep => kept.push(self.value(field, token)?),
            Some(token) => self.check(field, token)?,
            None if field.keep => kept.push(Value::Null),
            None => {}
        }
        Ok(())
    }

    /// Elements without the field contribute nothing.
    fn list(&self, field: &FieldRoute, kept: &mut Vec<Value>) -> Outcome<()> {
        let present = |token: &Token| token.kind != Kind::Null;
        let node = field.nodes.iter().find(|node| self.notes.each(**node).any(|token| present(&token)));
        let mut tokens = node.into_iter().flat_map(|node| self.notes.each(*node)).filter(present);
        if !field.keep {
            return tokens.try_for_each(|token| self.check(field, token));
        }
        let values: Outcome<Vec<Value>> = tokens.map(|token| self.value(field, token)).collect();
        kept.push(Value::List(values?.into()));
        Ok(())
    }

    #[inline(always)]
    fn value(&self, field: &FieldRoute, token: Token) -> Outcome<Value> {
        field_value(field.field_type, token, self.text).map_err(|fault| self.wrong_field(fault, token, field))
    }

    #[inline(always)]
    fn check(&self, field: &FieldRoute, token: Token) -> Outcome<()> {
        check_field(field.field_type, token, self.text).map_err(|fault| self.wrong_field(fault, token, field))
    }

    fn check_container(&self, container: &Container) -> Outcome<()> {
        let kind = if container.array { Kind::Array } else { Kind::Object };
        let stray = |token: &Token| token.kind != kind && token.kind != Kind::Null;
        let found =
            if container.repeated { self.notes.each(container.node).find(stray) } else { self.notes.at(container.node).filter(stray) };
        let expected = if container.array { "an array" } else { "an object" };
        found.map_or(Ok(()), |token| Err(self.wrong(Fault::WrongType, Some(token), &container.pointer, expected)))
    }

    /// The traits that some rule names; all are checked. Of a repeated name the last counts.
    fn traits(&self) -> Outcome<Vec<(usize, Value)>> {
        let mut traits = Vec::new();
        let Some(token) = self.notes.at(self.routes.spec.traits).filter(|token| token.kind != Kind::Null) else { return Ok(traits) };
        if token.kind != Kind::Object {
            return Err(self.wrong(Fault::WrongType, Some(token), "traits", "an object"));
        }
        let json = token.raw_in(self.text);
        for (key, value) in members(json) {
            let value = trait_value(value, json).map_err(|fault| self.wrong(fault, Some(token), "traits", "scalars"))?;
            if let Some(position) = self.routes.trait_names.find(key.text_in(json).as_bytes()) {
                traits.retain(|(earlier, _)| *earlier != position);
                traits.extend(value.map(|value| (position, value)));
            }
        }
        Ok(traits)
    }

    fn check_currency(&self, route: &StreamRoute) -> Outcome<()> {
        let Some((accepted, node)) = &route.currency else { return Ok(()) };
        let said = self.string(self.notes.at(*node), "currency")?;
        if said.is_some_and(|said| said != accepted.as_str()) {
            return Err(Reject::new(RejectCode::CurrencyMismatch, format!("the stream takes {accepted} only")).into());
        }
        Ok(())
    }

    /// A string; missing and null are `None`, anything else is of the wrong type.
    #[inline(always)]
    fn string(&self, token: Option<Token>, name: &str) -> Outcome<Option<Cow<'_, str>>> {
        match token {
            None => Ok(None),
            Some(token) if token.kind == Kind::Null => Ok(None),
            Some(token) if token.is_text() => Ok(Some(token.text_in(self.text))),
            other => Err(self.wrong(Fault::WrongType, other, name, "a string")),
        }
    }

    #[cold]
    fn wrong_field(&self, fault: Fault, token: Token, field: &FieldRoute) -> Refusal {
        self.wrong(fault, Some(token), &field.name, expected(field.field_type))
    }

    #[cold]
    fn wrong(&self, fault: Fault, token: Option<Token>, name: &str, expected: &str) -> Refusal {
        let at = self.base + token.map_or(0, |token| token.start as usize);
        Refusal::Reject(match fault {
            Fault::WrongType => Reject::new(RejectCode::WrongType, format!("`{name}` must be {expected} (byte {at})")),
            Fault::Overflow => Reject::new(RejectCode::Overflow, format!("a number of `{name}` cannot be held exactly (byte {at})")),
        })
    }
}

fn bad_time(name: &str) -> Reject {
    Reject::new(RejectCode::BadTime, format!("`{name}` is not RFC 3339 with an offset"))
}

fn expected(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::String => "a string",
        FieldType::Decimal => "a number, or one as text",
        FieldType::Integer => "a whole number, or one as text",
        FieldType::Boolean => "true or false",
    }
}

/// Keys and values of a well-formed object.
fn members(json: &str) -> impl Iterator<Item = (Token, Token)> {
    let mut scanner = Scanner::new(json);
    let entered = scanner.peek() == b'{' && scanner.enter(b'{').is_ok();
    let mut first = true;
    std::iter::from_fn(move || {
        let key = if entered { scanner.next_key(&mut first).ok()?? } else { return None };
        Some((key, scanner.value().ok()?))
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
