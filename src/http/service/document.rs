//! The interface of a running service, for programs: lookups as a replica has them, and the routes here.
//!
//! Paths stand in `openapi.json`; the forms of bodies are made from the types that are written and read.
//!
//! **Invariant:** a member that a type has is in the document, and no other.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{customer, definitions, experiments, explain, flows, segments, timeline};
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

fn schemas() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    generator.subschema_for::<segments::Segments>();
    generator.subschema_for::<segments::Members>();
    generator.subschema_for::<customer::Customer>();
    generator.subschema_for::<timeline::Timeline>();
    generator.subschema_for::<flows::SegmentHistory>();
    generator.subschema_for::<flows::Flows>();
    generator.subschema_for::<experiments::Experiments>();
    generator.subschema_for::<experiments::Measured>();
    generator.subschema_for::<explain::Explained>();
    generator.subschema_for::<definitions::Asked>();
    generator.subschema_for::<definitions::Checked>();
    generator.subschema_for::<definitions::Tried>();
    generator.take_definitions(true)
}
