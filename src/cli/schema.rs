//! `segmentd schema`: JSON Schemas of the records that go out and of the configuration, the streams with their fields,
//! and the interfaces as AsyncAPI and OpenAPI documents.

use std::io::Write;

use clap::Parser;
use serde_json::{Value, json};

use super::Outcome;
use crate::config::{self, ConfigFile};
use crate::event::Catalogue;
use crate::http::{lookup, service};
use crate::kafka::wire::asyncapi::{self, Addresses};
use crate::kafka::wire::schemas::schemas;

/// Print a JSON Schema, or the names of all
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  segmentd schema\n  segmentd schema transition\n  segmentd schema streams   every stream and its fields"
)]
pub struct Args {
    /// Which one; without it, their names
    name: Option<String>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let all = all();
    let mut out = std::io::stdout().lock();
    let Some(name) = &args.name else {
        for (name, _) in &all {
            writeln!(out, "{name}")?;
        }
        return Ok(Outcome::Done);
    };
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (_, schema) =
        all.iter().find(|(known, _)| known == name).ok_or_else(|| anyhow::anyhow!("there is no schema `{name}`; there are {}", names()))?;
    // Written as text: serde_json would wrap a closed pipe in an error of its own.
    writeln!(out, "{}", serde_json::to_string_pretty(schema)?)?;
    Ok(Outcome::Done)
}

fn all() -> Vec<(&'static str, Value)> {
    let mut all = schemas();
    all.push(("config", config::schema()));
    all.push(("streams", streams(&Catalogue::segment_spec())));
    all.push(("asyncapi", topics(&ConfigFile::default())));
    all.push(("openapi", serde_json::from_str(lookup::OPENAPI_DOCUMENT).unwrap_or_default()));
    all.push(("openapi-service", serde_json::from_str(&service::document(lookup::OPENAPI_DOCUMENT)).unwrap_or_default()));
    all
}

/// With the names that topics have unless the configuration says otherwise.
fn topics(file: &ConfigFile) -> Value {
    let output = &file.output;
    asyncapi::document(&Addresses {
        input: file.input.topics.first().map_or("", String::as_str),
        transitions: &output.transitions,
        entries: &output.entries,
        membership: &output.membership,
        dead_letters: &output.dead_letters,
    })
}

/// Not a schema but its subject: what rules may name.
fn streams(catalogue: &Catalogue) -> Value {
    let stream = |stream: &crate::event::streams::StreamDefinition| {
        let fields = stream
            .fields
            .iter()
            .map(|field| json!({"name": field.name, "type": field.field_type, "array": field.array, "paths": field.paths}));
        json!({"name": stream.name, "events": stream.events, "event_id": stream.event_id, "fields": fields.collect::<Vec<_>>()})
    };
    catalogue.streams.iter().map(stream).collect()
}
