//! The interface of a running service, for programs: lookups as a replica has them, and the routes here.
//!
//! Paths stand in `openapi.json`; the forms of bodies are made from the types that are written and read.
//!
//! **Invariant:** a member that a type has is in the document, and no other.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{customer, definitions, experiments, explain, flows, members, plan, processes, requests, segments, timeline};
use crate::kafka::wire::schemas::schemas as of_records;

const PATHS: &str = include_str!("openapi.json");

/// The whole document; `lookups`: that of a replica.
pub fn document(lookups: &str) -> String {
    let mut document: Value = serde_json::from_str(lookups).unwrap_or_default();
    let own: Map<String, Value> = serde_json::from_str(PATHS).unwrap_or_default();
    document["info"]["title"] = json!("segmentd: a running service");
    document["servers"] = json!([{"url": "http://127.0.0.1:8080"}]);
    merge(&mut document["paths"], own);
    merge(&mut document["components"]["schemas"], schemas());
    document["components"]["schemas"]["Transition"] = transition();
    document.to_string()
}

fn merge(into: &mut Value, more: Map<String, Value>) {
    if let Value::Object(members) = into {
        members.extend(more);
    }
}

/// As its record has it.
fn transition() -> Value {
    let named = of_records().into_iter().find(|(name, _)| *name == "transition");
    let mut schema = named.map(|(_, schema)| schema).unwrap_or_default();
    schema.as_object_mut().map(|schema| schema.shift_remove("$schema"));
    schema
}

/// What is written has every member that it never leaves out; what is read may lack those that have a default.
fn schemas() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let (mut read, mut written) = (settings.clone().into_generator(), settings.for_serialize().into_generator());
    read.subschema_for::<definitions::Asked>();
    read.subschema_for::<plan::Asked>();
    written.subschema_for::<segments::Segments>();
    written.subschema_for::<segments::OneSegment>();
    written.subschema_for::<members::Members>();
    written.subschema_for::<processes::Processes>();
    written.subschema_for::<requests::Erasing>();
    written.subschema_for::<requests::Lists>();
    written.subschema_for::<requests::Listed>();
    written.subschema_for::<customer::Customer>();
    written.subschema_for::<timeline::Timeline>();
    written.subschema_for::<flows::SegmentHistory>();
    written.subschema_for::<flows::Flows>();
    written.subschema_for::<experiments::Experiments>();
    written.subschema_for::<experiments::Measured>();
    written.subschema_for::<explain::Explained>();
    written.subschema_for::<definitions::Checked>();
    written.subschema_for::<definitions::Tried>();
    written.subschema_for::<plan::Planned>();
    let mut schemas = read.take_definitions(true);
    schemas.extend(written.take_definitions(true));
    schemas
}
