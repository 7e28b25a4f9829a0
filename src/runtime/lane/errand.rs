//! What customers who became others send after themselves, as records of the repartition topic.
//!
//! ```text
//! header                    value
//! segmentd-customer: b      an input record, as it came: its customer is b by now
//! segmentd-parcel: {…}      what was known of a customer that became the one whose key this is, or a part of it ([`super::parts`])
//! segmentd-erasure: {…}     none: whom the customer became whose key this is was erased
//! ```
//!
//! **Invariant:** these headers count in that topic alone, which nobody else writes; what an input record calls so does not get
//! there ([`plain`]). A parcel that cannot be read stops the service: it is somebody's history.

use serde::{Deserialize, Serialize};

use crate::customer::{CustomerState, codec};
use crate::engine::{Parcel, Posted};
use crate::event::streams::StreamRole;
use crate::event::{Body, Event, StreamIndex};
use crate::id::{CustomerId, EventId, Offset, Partition, SourcePosition, TopicName};
use crate::kafka::Message;
use crate::plan::Plan;
use crate::runtime::{RunError, Settings};
use crate::time::EventTime;

const CUSTOMER: &str = "segmentd-customer";
const PARCEL: &str = "segmentd-parcel";
const ERASURE: &str = "segmentd-erasure";

/// The format of the labels.
const FORMAT: u8 = 1;

/// Brokers take 1 MiB unless they are told otherwise.
const MOST_BYTES: usize = 512 << 10;

pub enum Errand {
    Record { customer: CustomerId },
    Parcel { to: CustomerId, label: Box<ParcelLabel> },
    Erasure { to: CustomerId, at: EventTime },
}

/// A header of a record that is to be sent.
pub struct Label {
    pub name: &'static str,
    pub value: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct ParcelLabel {
    pub format: u8,
    pub origin: String,
    pub at: i64,
    /// Of the alias.
    pub event_id: String,
    pub time: i64,
    /// Topic, partition and offset of the alias.
    pub position: Option<(String, i32, i64)>,
    /// Its number, from 1, and how many there are; `None`: it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<(u32, u32)>,
}

#[derive(Serialize, Deserialize)]
struct ErasureLabel {
    format: u8,
    at: i64,
}

/// What a record of the repartition topic is beyond an input record; `None`: nothing, as all records of other topics.
pub(super) fn of(message: &Message, headers: &[(&str, &[u8])], settings: &Settings) -> Result<Option<Errand>, RunError> {
    if headers.is_empty() || *message.topic() != *settings.topics.repartition.0 {
        return Ok(None);
    }
    let value = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).map(CustomerId::from);
    let errand = match (value(CUSTOMER), value(PARCEL), value(ERASURE), key) {
        (Some(customer), ..) => std::str::from_utf8(customer).ok().map(|customer| Errand::Record { customer: customer.into() }),
        (_, Some(label), _, Some(to)) => parcel_label(label, to),
        (_, _, Some(label), Some(to)) => erasure(label, to),
        (_, None, None, _) => return Ok(None),
        (_, _, _, None) => None,
    };
    Ok(Some(errand.ok_or_else(|| unreadable(message))?))
}

/// Why the service stops.
pub(super) fn unreadable(message: &Message) -> RunError {
    let place = format!("{} partition {} offset {}", message.topic(), message.partition(), message.offset());
    let why = "it was written by a newer version, is damaged, or lacks a part";
    RunError::Halted(format!("what was known of a merged customer cannot be read ({place}): {why}"))
}

fn parcel_label(label: &[u8], to: CustomerId) -> Option<Errand> {
    let label: ParcelLabel = serde_json::from_slice(label).ok().filter(|label: &ParcelLabel| label.format == FORMAT)?;
    Some(Errand::Parcel { to, label: Box::new(label) })
}

/// What was sent under this label, in so many parts.
pub(super) fn parcel(label: &ParcelLabel, values: &[&[u8]], plan: &Plan) -> Option<Parcel> {
    let origin = CustomerId::new(label.origin.as_str());
    let position = label.position.as_ref().map(|(topic, partition, offset)| SourcePosition {
        topic: TopicName(topic.as_str().into()),
        partition: Partition(*partition),
        offset: Offset(*offset),
    });
    let alias = Event {
        customer: origin.clone(),
        stream: plan.catalogue.with_role(StreamRole::Aliases).unwrap_or(StreamIndex(0)),
        time: EventTime::from_millis(label.time),
        id: EventId::new(label.event_id.as_str()),
        body: Body::Fields(Vec::new()),
    };
    let parts: Result<Vec<CustomerState>, _> = values.iter().map(|value| codec::unpack(plan, &origin, value)).collect();
    let state = CustomerState::of_parts(parts.ok()?)?;
    Some(Parcel { origin, at: EventTime::from_millis(label.at), alias, position, state })
}

fn erasure(label: &[u8], to: CustomerId) -> Option<Errand> {
    let label: ErasureLabel = serde_json::from_slice(label).ok().filter(|label: &ErasureLabel| label.format == FORMAT)?;
    Some(Errand::Erasure { to, at: EventTime::from_millis(label.at) })
}

/// The headers of an input record without those that would make an errand of it: whoever writes inputs must not be able to write
/// somebody's history, or to stop the service with one that cannot be read.
pub(super) fn plain<'a>(mut headers: Vec<(&'a str, &'a [u8])>) -> Vec<(&'a str, &'a [u8])> {
    headers.retain(|(name, _)| ![CUSTOMER, PARCEL, ERASURE].contains(name));
    headers
}

/// The headers of an input record, for the customer that its own is by now.
pub(super) fn readdressed<'a>(headers: Vec<(&'a str, &'a [u8])>, to: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    let mut headers = plain(headers);
    headers.push((CUSTOMER, to));
    headers
}

/// The records of what one customer sends to another.
pub(super) fn records(plan: &Plan, posted: &Posted) -> Vec<(Label, Option<Vec<u8>>)> {
    match posted {
        Posted::Parcel { parcel, .. } => {
            let fits = |state: &_| codec::pack(plan, &parcel.origin, state).len() <= MOST_BYTES;
            let parts = parcel.state.clone().parts(plan, &fits);
            let number = |at: usize| Some((at as u32 + 1, parts.len() as u32)).filter(|_| parts.len() > 1);
            let record = |(at, part)| (label_of(parcel, number(at)), Some(codec::pack(plan, &parcel.origin, part)));
            parts.iter().enumerate().map(record).collect()
        }
        Posted::Erasure { at, .. } => vec![(label(ERASURE, &ErasureLabel { format: FORMAT, at: at.millis() }), None)],
    }
}

fn label_of(parcel: &Parcel, part: Option<(u32, u32)>) -> Label {
    let position = parcel.position.as_ref();
    let content = ParcelLabel {
        format: FORMAT,
        origin: parcel.origin.to_string(),
        at: parcel.at.millis(),
        event_id: parcel.alias.id.as_str().to_owned(),
        time: parcel.alias.time.millis(),
        position: position.map(|position| (position.topic.to_string(), position.partition.0, position.offset.0)),
        part,
    };
    label(PARCEL, &content)
}

fn label(name: &'static str, content: &impl Serialize) -> Label {
    Label { name, value: serde_json::to_string(content).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_record_takes_no_errand_along() {
        let forged = || vec![(PARCEL, &b"x"[..]), ("trace", &b"1"[..]), (ERASURE, &b"y"[..]), (CUSTOMER, &b"eve"[..])];
        assert_eq!(plain(forged()), [("trace", &b"1"[..])]);
        assert_eq!(readdressed(forged(), b"bob"), [("trace", &b"1"[..]), (CUSTOMER, &b"bob"[..])]);
    }
}
