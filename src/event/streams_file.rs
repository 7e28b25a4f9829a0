//! `config/streams.yaml`: what a user adds to the built-in catalogue.
//!
//! ```yaml
//! streams:
//!   - name: orders                      # a built-in stream: what is named here is added or replaced
//!     events: [Order Completed, Purchase Made]        # replaces the event names
//!     currency: EUR                     # events in another currency are rejected
//!     retention: forever                # or a duration: 400d
//!     fields:
//!       - {name: pincode, type: string, path: /context/location/postal_code}
//!       - {name: total, type: decimal, paths: [/properties/total, /properties/amount]}
//!   - name: reviews                     # any other name: a stream of your own
//!     events: [Review Written]
//!     event_id: /properties/review_id   # else /messageId
//!     fields:
//!       - {name: stars, type: integer, path: /properties/stars}
//!       - {name: tags, type: string, path: /properties/tags/*}
//! ```
//!
//! Paths are JSON Pointers (RFC 6901) from the root of the record, with one `*` segment for every element of an array;
//! with several, the first at which something stands that is not null wins.
//!
//! **Invariant:** a catalogue comes out only if there is no problem at all, and then every built-in stream is still in
//! its place; all problems are reported together.

use serde::Deserialize;
use serde_saphyr::Spanned;
use smol_str::SmolStr;

use super::segment_spec::context_fields;
use super::streams::{Catalogue, FieldDefinition, FieldType, Retention, StreamDefinition, StreamRole, is_identifier};
use crate::time::Span;

/// What is wrong in a streams file, and where (line and column from 1; 0 where the place is unknown).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamProblem {
    pub message: String,
    pub line: u64,
    pub column: u64,
    pub help: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamsFile {
    #[serde(default)]
    streams: Vec<StreamEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamEntry {
    name: Spanned<String>,
    events: Option<Vec<Spanned<String>>>,
    event_id: Option<Spanned<String>>,
    currency: Option<Spanned<String>>,
    currency_path: Option<Spanned<String>>,
    retention: Option<Spanned<String>>,
    #[serde(default)]
    fields: Vec<FieldEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    name: Spanned<String>,
    #[serde(rename = "type")]
    field_type: FieldType,
    path: Option<Spanned<String>>,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
}

/// Event names and segments of paths a catalogue may hold: positions in a record's path tree are 16 bits wide.
const MOST_PLACES: usize = 50_000;

impl Catalogue {
    /// This catalogue with the streams of a file added, or every problem of the file.
    pub fn extended(&self, yaml: &str) -> Result<Catalogue, Vec<StreamProblem>> {
        let file: Option<StreamsFile> = serde_saphyr::from_str(yaml).map_err(|error| vec![unreadable(&error)])?;
        let mut extension = Extension { catalogue: self.clone(), problems: Vec::new(), seen: Vec::new() };
        for entry in file.map(|file| file.streams).unwrap_or_default() {
            extension.stream(entry);
        }
        extension.check_size();
        if extension.problems.is_empty() { Ok(extension.catalogue) } else { Err(extension.problems) }
    }
}

/// A file that is not of the form at all.
fn unreadable(error: &serde_saphyr::Error) -> StreamProblem {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
    let help = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => closest(field, expected.iter().copied()),
        _ => None,
    };
    StreamProblem { message: error.to_string(), line, column, help }
}

/// `did you mean …`, if some name is near enough to be meant.
fn closest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = names.map(|name| (strsim::jaro_winkler(written, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    near.filter(|(likeness, _)| *likeness > 0.75).map(|(_, name)| format!("did you mean `{name}`?"))
}

/// A catalogue while a file is applied to it.
struct Extension {
    catalogue: Catalogue,
    problems: Vec<StreamProblem>,
    /// Names of the streams that the file has named so far.
    seen: Vec<String>,
}

impl Extension {
    fn problem<T>(&mut self, at: &Spanned<T>, message: String, help: Option<&str>) {
        let (line, column) = (at.referenced.line(), at.referenced.column());
        self.problems.push(StreamProblem { message, line, column, help: help.map(str::to_owned) });
    }

    fn stream(&mut self, entry: StreamEntry) {
        let name = &entry.name.value;
        if self.seen.contains(name) {
            return self.problem(&entry.name, format!("the stream `{name}` is defined twice"), Some("put all of a stream into one entry"));
        }
        self.seen.push(name.clone());
        let known = self.catalogue.find(name).map(|index| usize::from(index.0));
        if known.is_some_and(|position| self.catalogue.streams[position].role == StreamRole::Traits) {
            return self.problem(&entry.name, "the stream `traits` takes any trait and cannot be changed".into(), None);
        }
        if known.is_none() {
            self.new_name(&entry);
        }
        let mut stream = match known {
            Some(position) => self.catalogue.streams[position].clone(),
            None => StreamDefinition { fields: context_fields().into(), ..StreamDefinition::empty(name, StreamRole::Plain) },
        };
        self.apply(entry, &mut stream);
        match known {
            Some(position) => self.catalogue.streams[position] = stream,
            None => self.catalogue.streams.push(stream),
        }
    }

    fn check_size(&mut self) {
        let segments = |path: &SmolStr| path.split('/').count();
        let places = |s: &StreamDefinition| s.events.len() + s.fields.iter().flat_map(|f| &f.paths).map(segments).sum::<usize>();
        let places: usize = self.catalogue.streams.iter().map(places).sum();
        if places > MOST_PLACES {
            let message = format!("{places} event names and path segments in all streams, more than {MOST_PLACES}");
            self.problems.push(StreamProblem { message, line: 0, column: 0, help: None });
        }
    }

    fn new_name(&mut self, entry: &StreamEntry) {
        let name = &entry.name.value;
        if !is_identifier(name) || name == "trait" {
            self.problem(&entry.name, format!("`{name}` cannot be the name of a stream"), Some(IDENTIFIER));
        }
        if entry.events.is_none() {
            let names: Vec<SmolStr> = self.catalogue.streams.iter().map(|stream| stream.name.clone()).collect();
            let help = closest(name, names.iter().map(SmolStr::as_str));
            let message = format!("the stream `{name}` is not built in and takes no events");
            self.problem(&entry.name, message, Some(help.as_deref().unwrap_or("name them: `events: [Some Event]`")));
        }
    }

    fn apply(&mut self, entry: StreamEntry, stream: &mut StreamDefinition) {
        if let Some(events) = entry.events {
            stream.events = self.events(&entry.name, events);
        }
        for (written, pointer) in [(entry.event_id, &mut stream.event_id), (entry.currency_path, &mut stream.currency_path)] {
            if let Some(written) = written.filter(|written| self.is_pointer(written, false)) {
                *pointer = written.value.into();
            }
        }
        if let Some(currency) = entry.currency {
            if currency.value.is_empty() {
                self.problem(&currency, "the currency is empty".into(), Some("leave it out to accept every currency"));
            }
            stream.currency = Some(currency.value.into());
        }
        if let Some(retention) = entry.retention {
            stream.retention = self.retention(&retention).unwrap_or(stream.retention);
        }
        let mut named: Vec<String> = Vec::new();
        for field in entry.fields {
            if named.contains(&field.name.value) {
                self.problem(&field.name, format!("the field `{}` is defined twice", field.name.value), None);
            } else if let Some(definition) = self.field(&field, stream.role) {
                named.push(field.name.value);
                put_field(stream, definition);
            }
        }
    }

    /// Event names, each of one stream only.
    fn events(&mut self, stream: &Spanned<String>, events: Vec<Spanned<String>>) -> Vec<SmolStr> {
        if events.is_empty() {
            self.problem(stream, format!("the stream `{}` takes no events", stream.value), None);
        }
        for event in &events {
            let others = self.catalogue.streams.iter().filter(|other| other.name != stream.value);
            let taken = others.into_iter().find(|other| other.events.contains(&SmolStr::new(&event.value))).map(|other| other.name.clone());
            if let Some(other) = taken {
                let help = format!("give `{other}` its `events` without it, above this entry");
                self.problem(event, format!("`{}` already belongs to the stream `{other}`", event.value), Some(&help));
            }
        }
        events.into_iter().map(|event| event.value.into()).collect()
    }

    fn retention(&mut self, written: &Spanned<String>) -> Option<Retention> {
        let retention = match written.value.as_str() {
            "forever" => Some(Retention::Forever),
            text => Span::parse(text).map(Retention::Of),
        };
        if retention.is_none() {
            self.problem(written, format!("`{}` is no retention", written.value), Some("write `forever` or a duration such as `400d`"));
        }
        retention
    }

    fn field(&mut self, entry: &FieldEntry, role: StreamRole) -> Option<FieldDefinition> {
        let before = self.problems.len();
        let name = &entry.name.value;
        if !name.split('.').all(is_identifier) {
            self.problem(&entry.name, format!("`{name}` cannot be the name of a field"), Some(IDENTIFIER));
        }
        if role == StreamRole::Orders && name == StreamDefinition::REDEEMED {
            self.problem(&entry.name, format!("`{name}` of orders is computed and cannot be mapped"), None);
        }
        let paths: Vec<&Spanned<String>> = entry.path.iter().chain(&entry.paths).collect();
        if paths.is_empty() {
            self.problem(&entry.name, format!("the field `{name}` has no path"), Some("add `path: /properties/…`"));
        }
        for path in &paths {
            self.is_pointer(path, true);
        }
        let array = paths.first().is_some_and(|path| has_each(&path.value));
        if let Some(mixed) = paths.iter().find(|path| has_each(&path.value) != array) {
            self.problem(mixed, "either all paths of a field have a `*` or none".into(), None);
        }
        let paths = paths.iter().map(|path| SmolStr::new(&path.value)).collect();
        (self.problems.len() == before).then(|| FieldDefinition { name: name.as_str().into(), field_type: entry.field_type, array, paths })
    }

    /// Whether a path is a JSON Pointer with at most `*` once, and that only of a field; a problem otherwise.
    fn is_pointer(&mut self, path: &Spanned<String>, of_field: bool) -> bool {
        let text = &path.value;
        let help = if !text.starts_with('/') {
            "a path is a JSON Pointer and begins with `/`: `/properties/total`"
        } else if !of_field && has_each(text) {
            "an id or a currency is one value, not one of every element"
        } else if text.split('/').filter(|segment| *segment == "*").count() > 1 {
            "a path goes through one array at most"
        } else if text.replace("~0", "").replace("~1", "").contains('~') {
            "`~` is written `~0`, and `/` within a name `~1`"
        } else {
            return true;
        };
        self.problem(path, format!("`{text}` is not a path that can be read here"), Some(help));
        false
    }
}

const IDENTIFIER: &str = "a name is letters, digits and `_`, and begins with no digit";

fn has_each(pointer: &str) -> bool {
    pointer.split('/').any(|segment| segment == "*")
}

/// A field of the same name is replaced in its place, any other goes to the end.
fn put_field(stream: &mut StreamDefinition, definition: FieldDefinition) {
    match stream.fields.iter_mut().find(|field| field.name == definition.name) {
        Some(field) => *field = definition,
        None => stream.fields.push(definition),
    }
}

#[cfg(test)]
#[path = "streams_file_tests.rs"]
mod tests;
