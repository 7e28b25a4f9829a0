//! Asking the service to erase customers, and the receipt: where something of them is left, and until when.
//!
//! A request is a record among the customer's others, so it takes its place in their order and is handled like them.
//!
//! **Invariant:** a receipt says nothing of whom it is about, and promises nothing that the topics' settings do not.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Settings, clock};
use crate::event::Catalogue;
use crate::event::streams::StreamRole;
use crate::id::{CustomerId, TopicName};
use crate::kafka::sender::{SendError, Sender};
use crate::kafka::topics::{Keeping, TopicError, Topics};
use crate::store::{StoreError, secret};
use crate::time::EventTime;

/// Why nobody could be asked to erase.
#[derive(thiserror::Error, Debug)]
pub enum RequestError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    NoRandomness(#[from] StoreError),
    #[error("there is no input topic to put the request into; set input.topics")]
    NoInput,
}

/// A topic in which something may be left, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Left {
    pub topic: String,
    /// What of the customer stands there.
    pub what: &'static str,
    /// It is the user's own: the service writes nothing there but requests, and cannot take anything back.
    pub yours: bool,
    /// At the latest; `None`: the topic's settings set no bound.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "Option<String>")]
    pub gone_by: Option<EventTime>,
    pub because: String,
}

/// Asks for customers to be erased, as of now. The requests are with Kafka when this returns; a service that runs has done
/// them some moments later, one that does not will when it does.
pub fn request(settings: &Settings, catalogue: &Catalogue, customers: &[CustomerId]) -> Result<(), RequestError> {
    let topic = settings.topics.inputs.first().ok_or(RequestError::NoInput)?;
    let sender = Sender::connect(&settings.kafka, topic)?;
    for customer in customers {
        let id = u128::from_be_bytes(secret()?);
        sender.send(customer.as_str().as_bytes(), Some(&record(catalogue, customer, clock::wall(), id)))?;
    }
    Ok(sender.finish()?)
}

/// In the words of the Segment Spec, and by the first name that the streams give it.
fn record(catalogue: &Catalogue, customer: &CustomerId, at: EventTime, id: u128) -> Vec<u8> {
    let erasures = catalogue.with_role(StreamRole::Erasures).map(|stream| catalogue.stream(stream));
    let event = erasures.and_then(|stream| stream.events.first()).map_or("", |event| event.as_str());
    let record = serde_json::json!({
        "type": "track", "event": event, "userId": customer.as_str(), "timestamp": at.to_string(), "messageId": format!("erase-{id:032x}"),
    });
    record.to_string().into_bytes()
}

/// Where something is left of customers who are erased now.
pub fn receipt(settings: &Settings) -> Result<Vec<Left>, TopicError> {
    let places = places(settings);
    let topics: Vec<TopicName> = places.iter().map(|(topic, ..)| topic.clone()).collect();
    let keeping = Topics::connect(&settings.kafka)?.keeping(&topics)?;
    let now = clock::wall();
    let left = places.into_iter().zip(keeping).filter_map(|((topic, what, yours), keeping)| Some(left(topic, what, yours, &keeping?, now)));
    Ok(left.collect())
}

fn left(topic: TopicName, what: &'static str, yours: bool, keeping: &Keeping, now: EventTime) -> Left {
    let after = |longest: std::time::Duration| EventTime::from_millis(now.millis() + longest.as_millis() as i64);
    Left { topic: topic.to_string(), what, yours, gone_by: keeping.longest().map(after), because: keeping.because() }
}

fn places(settings: &Settings) -> Vec<(TopicName, &'static str, bool)> {
    let topics = &settings.topics;
    let own = topics.own_entries.names().into_iter().map(|topic| (topic, "published entries", false));
    let ours = [
        (&topics.changelog, "state"),
        (&topics.membership.name, "memberships"),
        (&topics.transitions.name, "published transitions"),
        (&topics.entries.name, "published entries"),
        (&topics.dead_letters.name, "refused records, with their bytes"),
        (&topics.repartition, "records on their way to another partition; of ids that were merged, their whole history"),
    ];
    let ours = ours.into_iter().map(|(topic, what)| (topic.clone(), what, false));
    ours.chain(own).chain(topics.inputs.iter().map(|topic| (topic.clone(), "the events themselves, and the request", true))).collect()
}

fn as_text<S: serde::Serializer>(at: &Option<EventTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};

    #[test]
    fn a_request_is_what_the_service_takes_for_one_whatever_the_event_is_called() {
        let renamed = "streams: [{name: erasures, events: [Account Closed]}]";
        for catalogue in [Catalogue::segment_spec(), Catalogue::segment_spec().extended(renamed).unwrap()] {
            let at = EventTime::parse("2026-01-01T00:00:00Z").unwrap();
            let bytes = record(&catalogue, &"say \"c\"\n".into(), at, 1);
            let mut decoder = Decoder::new(&catalogue, &Default::default(), DecodeLimits::default());
            let Decoded::Event(event) = decoder.decode(&RawRecord { payload: Some(&bytes), ..RawRecord::default() }) else {
                panic!("{}", String::from_utf8_lossy(&bytes))
            };
            assert_eq!(catalogue.stream(event.stream).role, StreamRole::Erasures);
            assert_eq!((event.customer.as_str(), event.time), ("say \"c\"\n", at));
        }
    }
}
