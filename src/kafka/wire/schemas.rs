//! JSON Schemas (draft 2020-12) of the records that go out, for whoever reads them.
//!
//! **Invariant:** what `encode` writes is valid under them; a test holds each to real output.

use serde_json::{Value, json};

/// Every schema by its name, as `segmentd schema NAME` prints it.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("transition", transition()),
        ("transition-record", transition_record()),
        ("move", stage_move()),
        ("move-record", move_record()),
        ("announcement", announcement()),
        ("announcement-record", announcement_record()),
        ("membership-record", membership_record()),
    ]
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

fn transition() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Transition",
        "description": "A membership that began or ended. A member that is absent is not applicable; null means none.",
        "type": "object",
        "properties": transition_properties(),
        "required": transition_required(),
        "additionalProperties": false
    })
}

fn transition_properties() -> Value {
    json!({
        "customer": {"type": "string", "minLength": 1},
        "segment": {"type": "string", "minLength": 1},
        "transition": {"enum": ["entered", "exited"]},
        "at": instant("The effective instant."),
        "sequence": {"type": "integer", "minimum": 1, "description": "Counts the customer's transitions of this segment."},
        "entry": {"type": "integer", "minimum": 1, "description": "Counts the entries; an exit has that of the entry it ends."},
        "decided_at": instant("When it was decided."),
        "cause": {"enum": crate::transition::Cause::ALL.map(crate::transition::Cause::as_str)},
        "trigger": trigger(),
        "evidence": {"type": "array", "items": evidence()},
        "valid_until": instant_or_null("Of an entry: when it ends if nothing more happens; null: never."),
        "version": {"type": "string", "description": "Fingerprint of the segment's definition."},
        "previous": {
            "description": "Of an exit: the membership that it ends.",
            "type": "object",
            "properties": {"since": instant("When it began.")},
            "required": ["since"],
            "additionalProperties": false
        },
        "experiment": experiment(),
        "withheld": {
            "enum": crate::transition::Withheld::ALL.map(crate::transition::Withheld::as_str),
            "description": "Of an entry: the option that keeps it out of the entry topic. Absent: it is there."
        }
    })
}

fn experiment() -> Value {
    json!({
        "description": "Where the segment has an experiment: the customer's arm.",
        "type": "object",
        "properties": {"arm": {"enum": crate::experiment::Arm::ALL.map(crate::experiment::Arm::as_str)}},
        "required": ["arm"],
        "additionalProperties": false
    })
}

fn announcement() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Announcement",
        "description": "A membership that will end by time alone, told some time before. It is no transition.",
        "type": "object",
        "properties": announcement_properties(),
        "required": announcement_required(),
        "additionalProperties": false
    })
}

fn announcement_properties() -> Value {
    json!({
        "customer": {"type": "string", "minLength": 1},
        "segment": {"type": "string", "minLength": 1},
        "announcement": {"const": super::encode::EXPIRING},
        "at": instant("The effective instant."),
        "sequence": {"type": "integer", "minimum": 1, "description": "That of the entry."},
        "entry": {"type": "integer", "minimum": 1},
        "decided_at": instant("When it was decided."),
        "cause": {"enum": crate::transition::Cause::ALL.map(crate::transition::Cause::as_str)},
        "since": instant("When the membership began."),
        "valid_until": instant("When it ends if nothing more happens."),
        "version": {"type": "string", "description": "Fingerprint of the segment's definition."},
        "experiment": experiment()
    })
}

fn announcement_required() -> Value {
    json!(["customer", "segment", "announcement", "at", "sequence", "entry", "decided_at", "cause", "since", "valid_until", "version"])
}

fn transition_required() -> Value {
    json!(["customer", "segment", "transition", "at", "sequence", "entry", "decided_at", "cause", "trigger", "evidence", "version"])
}

fn trigger() -> Value {
    json!({
        "description": "The record that led to it; null when time alone did. Without a position in a replay from files.",
        "type": ["object", "null"],
        "properties": {
            "stream": {"type": "string"},
            "event_id": {"type": "string"},
            "topic": {"type": "string"},
            "partition": {"type": "integer", "minimum": 0},
            "offset": {"type": "integer", "minimum": 0}
        },
        "required": ["stream", "event_id"],
        "additionalProperties": false
    })
}

fn evidence() -> Value {
    json!({
        "description": "One predicate of the rule as it stood. Decimals are strings.",
        "type": "object",
        "properties": {
            "aggregate": {"type": "string"},
            "value": {"type": ["string", "null"]},
            "op": {"type": "string"},
            "threshold": {"type": ["string", "null"]},
            "met": {"type": "boolean"},
            "approximate": {
                "description": "The threshold is a cut among all customers (`top p% by …`), which is known to about 2 %. Absent: it is exact.",
                "const": true
            }
        },
        "required": ["aggregate", "value", "op", "threshold", "met"],
        "additionalProperties": false
    })
}

fn transition_record() -> Value {
    record("Transition record", &["Audience Entered", "Audience Exited"], transition_properties(), transition_required())
}

fn announcement_record() -> Value {
    record("Announcement record", &["Audience Expiring"], announcement_properties(), announcement_required())
}

/// Beside the members of a transition stands one named like the segment, hence the additional boolean.
fn record(title: &str, events: &[&str], mut properties: Value, mut required: Value) -> Value {
    properties["audience_key"] = json!({"type": "string", "minLength": 1});
    if let Value::Array(names) = &mut required {
        names.push("audience_key".into());
    }
    json!({
        "$schema": DIALECT,
        "title": title,
        "description": "The value of a record of the transitions and entry topics: a Segment track call. `event` tells its kind.",
        "type": "object",
        "properties": {
            "type": {"const": "track"},
            "event": {"enum": events},
            "messageId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "userId": {"type": "string", "minLength": 1},
            "timestamp": instant("The effective instant."),
            "properties": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": {"type": "boolean", "description": "Named by audience_key: whether it was entered."}
            }
        },
        "required": ["type", "event", "messageId", "userId", "timestamp", "properties"],
        "additionalProperties": false
    })
}

fn stage_move() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Move",
        "description": "From one stage of a ladder to another; beside the exit and the entry, and after them.",
        "type": "object",
        "properties": {
            "customer": {"type": "string", "minLength": 1},
            "ladder": {"type": "string", "minLength": 1},
            "transition": {"const": "moved"},
            "from": {"type": "string", "minLength": 1, "description": "The stage that was left."},
            "to": {"type": "string", "minLength": 1, "description": "The stage that was entered."},
            "at": instant("The effective instant, that of the exit and the entry."),
            "entry": {"type": "integer", "minimum": 1, "description": "Counts the entries into the stage that was entered."},
            "decided_at": instant("When it was decided."),
            "cause": {"enum": crate::transition::Cause::ALL.map(crate::transition::Cause::as_str)},
            "trigger": trigger(),
            "version": {"type": "string", "description": "Fingerprint of the definition of the stage that was entered."}
        },
        "required": ["customer", "ladder", "transition", "from", "to", "at", "entry", "decided_at", "cause", "trigger", "version"],
        "additionalProperties": false
    })
}

fn move_record() -> Value {
    let mut properties = stage_move();
    properties.as_object_mut().map(|schema| schema.remove("$schema"));
    json!({
        "$schema": DIALECT,
        "title": "Move record",
        "description": "The value of a record of the transitions topic: a Segment track call.",
        "type": "object",
        "properties": {
            "type": {"const": "track"},
            "event": {"const": "Stage Changed"},
            "messageId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "userId": {"type": "string", "minLength": 1},
            "timestamp": instant("The effective instant."),
            "properties": properties
        },
        "required": ["type", "event", "messageId", "userId", "timestamp", "properties"],
        "additionalProperties": false
    })
}

fn membership_record() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Membership record",
        "description": "The value of a customer's record in the membership topic; a tombstone once no membership holds.",
        "type": "object",
        "properties": {
            "customer": {"type": "string", "minLength": 1},
            "segments": {"type": "object", "additionalProperties": membership()},
            "updated_at": instant("The effective instant of the last change.")
        },
        "required": ["customer", "segments", "updated_at"],
        "additionalProperties": false
    })
}

fn membership() -> Value {
    json!({
        "type": "object",
        "properties": {
            "since": instant("When it began."),
            "entry": {"type": "integer", "minimum": 1},
            "sequence": {"type": "integer", "minimum": 1},
            "valid_until": instant_or_null("When it ends if nothing more happens; null: never."),
            "version": {"type": "string"}
        },
        "required": ["since", "entry", "sequence", "valid_until", "version"],
        "additionalProperties": false
    })
}

fn instant(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn instant_or_null(description: &str) -> Value {
    json!({"type": ["string", "null"], "format": "date-time", "description": description})
}
