//! The topics as an AsyncAPI 3.0 document, for whoever reads them and for what generates clients.
//!
//! **Invariant:** the payloads are [`schemas`](super::schemas), each once; what they allow is said there alone.

use serde_json::{Map, Value, json};

use super::reject::RejectCode;
use super::schemas::schemas;

/// The topics by their purpose, as they are named in a deployment.
pub struct Addresses<'a> {
    pub input: &'a str,
    pub transitions: &'a str,
    pub entries: &'a str,
    pub membership: &'a str,
    pub dead_letters: &'a str,
}

/// A topic that segmentd writes.
struct Channel<'a> {
    name: &'a str,
    address: &'a str,
    description: &'a str,
    cleanup: &'a str,
    messages: &'a [&'a str],
}

/// The messages, with the schema of the value and the header that tells its kind.
const MESSAGES: [(&str, &str, &str, &str); 4] = [
    ("transition", "transition-record", "transition", "A membership began or ended."),
    ("move", "move-record", "transition", "A customer moved from one stage of a ladder to another; after the entry into the stage."),
    ("announcement", "announcement-record", "announcement", "A membership will end by time alone."),
    ("membership", "membership-record", "", "All memberships of a customer; a tombstone once none holds."),
];

pub fn document(addresses: &Addresses<'_>) -> Value {
    let channels = channels(addresses);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "segmentd: topics",
            "version": "1",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "description": "Who enters and leaves which customer segment. Read with isolation.level=read_committed: then each \
                            record is there once. Every record's key is the customer's id, placed as Java's default partitioner does."
        },
        "defaultContentType": "application/json",
        "channels": channels.iter().map(described).chain([input(addresses), dead_letters(addresses)]).collect::<Map<_, _>>(),
        "operations": operations(&channels),
        "components": {"messages": messages(), "schemas": payloads()}
    })
}

fn channels<'a>(addresses: &Addresses<'a>) -> [Channel<'a>; 3] {
    let channel = |name, address, description, cleanup, messages| Channel { name, address, description, cleanup, messages };
    [
        channel("transitions", addresses.transitions, "Every transition.", "delete", &["transition", "move", "announcement"]),
        channel(
            "entries",
            addresses.entries,
            "Entries, and announcements, for campaign tools; a segment may have a topic of its own.",
            "delete",
            &["transition", "announcement"],
        ),
        channel("membership", addresses.membership, "What holds now, a record a customer.", "compact", &["membership"]),
    ]
}

fn described(channel: &Channel<'_>) -> (String, Value) {
    let messages = channel.messages.iter().map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/messages/{name}")})));
    let described = json!({
        "address": channel.address,
        "description": channel.description,
        "messages": messages.collect::<Map<_, _>>(),
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": [channel.cleanup]}, "bindingVersion": "0.5.0"}}
    });
    (channel.name.to_owned(), described)
}

fn input(addresses: &Addresses<'_>) -> (String, Value) {
    let event = json!({
        "summary": "A call of the Segment Spec, as JSON or in a CloudEvent, keyed by customer id.",
        "payload": {"type": "object"}
    });
    let described = json!({"address": addresses.input, "description": "Events.", "messages": {"event": event}});
    ("input".to_owned(), described)
}

fn dead_letters(addresses: &Addresses<'_>) -> (String, Value) {
    let text = json!({"type": "string"});
    let number = json!({"type": "string", "pattern": "^[0-9]+$"});
    let headers = json!({
        "type": "object",
        "properties": {
            "error_code": {"enum": RejectCode::ALL.map(RejectCode::as_str)},
            "error_message": text,
            "source_topic": text,
            "source_partition": number,
            "source_offset": number
        },
        "required": ["error_code", "error_message", "source_topic", "source_partition", "source_offset"],
        "additionalProperties": false
    });
    let letter =
        json!({"summary": "The bytes of a record that is no event.", "contentType": "application/octet-stream", "headers": headers});
    let described =
        json!({"address": addresses.dead_letters, "description": "Records that could not be read.", "messages": {"letter": letter}});
    ("dead-letters".to_owned(), described)
}

/// As the application sees it: it sends what others read.
fn operations(channels: &[Channel<'_>]) -> Map<String, Value> {
    let operation = |action: &str, name: &str| {
        let channel = json!({"$ref": format!("#/channels/{name}")});
        (format!("{action}-{name}"), json!({"action": action, "channel": channel}))
    };
    let sent = channels.iter().map(|channel| operation("send", channel.name));
    sent.chain([operation("send", "dead-letters"), operation("receive", "input")]).collect()
}

fn messages() -> Map<String, Value> {
    let key = json!({"kafka": {"key": {"type": "string", "description": "The customer's id."}, "bindingVersion": "0.5.0"}});
    let message = |(name, schema, kind, summary): (&str, &str, &str, &str)| {
        let payload = json!({"$ref": format!("#/components/schemas/{schema}")});
        let mut message = json!({"name": name, "summary": summary, "payload": payload, "bindings": key});
        if !kind.is_empty() {
            message["headers"] = headers(name, kind);
        }
        (name.to_owned(), message)
    };
    MESSAGES.into_iter().map(message).collect()
}

/// CloudEvents in binary mode, and two for filters that read no value.
fn headers(message: &str, kind: &str) -> Value {
    let subject = if message == "move" { "ladder" } else { "segment" };
    let named = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", subject, kind, "content-type"];
    let properties: Map<String, Value> = named.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "object", "properties": properties, "required": named, "additionalProperties": false})
}

/// Without `$schema`: AsyncAPI's own dialect has all the keywords that are used.
fn payloads() -> Map<String, Value> {
    let used = schemas().into_iter().filter(|(name, _)| MESSAGES.iter().any(|(_, schema, _, _)| schema == name));
    let plain = used.map(|(name, mut schema)| {
        schema.as_object_mut().map(|schema| schema.remove("$schema"));
        (name.to_owned(), schema)
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_record_has_a_message() {
        let addresses = Addresses { input: "i", transitions: "t", entries: "e", membership: "m", dead_letters: "d" };
        let document = document(&addresses);
        let text = document.to_string();
        let references: Vec<&str> = text.split(r##""$ref":"#"##).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 10, "{references:?}");
        assert!(references.iter().all(|reference| document.pointer(reference).is_some()), "{references:?}");
        for (name, _) in schemas().into_iter().filter(|(name, _)| name.ends_with("-record")) {
            assert!(references.contains(&format!("/components/schemas/{name}").as_str()), "{name}");
        }
    }
}
