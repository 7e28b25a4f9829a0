//! Pages from YAML, every problem with its place.
//!
//! A file of pages holds one a document, separated by `---`; the `tests:` of a definition are a list of them.
//!
//! **Invariant:** what is parsed is acceptable input: fields exist in the catalogue and have its types, instants have
//! an offset. A misspelt field or key is an error and never a silent null.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{
    DEFAULT_CUSTOMER, Expectation, ExpectedTransition, Happening, Page, PageEvent, PageLadder, PageSegment, PageStage, Written, value,
};
use crate::event::streams::{StreamDefinition, StreamRole};
use crate::event::{Catalogue, StreamIndex, Value};
use crate::experiment::Arm;
use crate::id::{CustomerId, EventId, LadderKey, ListKey, Partition, SegmentKey};
use crate::rule::definition::entry::{self, Entries, error, location};
use crate::rule::diagnostic::{Diagnostic, Source};
use crate::rule::yaml::{self, Content, Node};
use crate::rule::{Definitions, Severity};
use crate::time::{EventTime, Span};
use crate::transition::Cause;

const PAGE_KEYS: [&str; 8] = ["name", "lists", "segments", "ladders", "events", "epoch", "until", "expect"];
/// Of a segment or a stage; what stands beside them is judged where definitions are.
const RULE_KEYS: [&str; 4] = ["key", "timezone", "when", "exit_when"];
const LADDER_KEYS: [&str; 3] = ["key", "timezone", "stages"];
const EVENT_KEYS: [&str; 4] = ["at", "customer", "id", "partition"];
const EXPECTATION_KEYS: [&str; 13] =
    ["never", "entered", "exited", "expiring", "at", "customer", "cause", "sequence", "entry", "valid_until", "from", "published", "arm"];

/// Reads every page of a text; `name` is what messages call it.
pub fn parse(name: &str, text: &str, catalogue: &Catalogue) -> Result<Vec<Page>, Vec<Diagnostic>> {
    let (pages, diagnostics) = read(&Source::new(name, text), catalogue);
    if diagnostics.is_empty() { Ok(pages.into_iter().map(|written| written.page).collect()) } else { Err(diagnostics) }
}

/// Reads every page of a file; those that are broken are reported and left out.
pub fn read(source: &Arc<Source>, catalogue: &Catalogue) -> (Vec<Written>, Vec<Diagnostic>) {
    let (documents, diagnostics) = yaml::read_documents(source);
    let mut reader = Reader { source, catalogue, diagnostics };
    let pages = documents.iter().filter(|node| !node.is_null()).filter_map(|node| reader.written(node, true)).collect();
    (pages, reader.diagnostics)
}

/// Reads the `tests:` of all segments and ladders.
pub fn read_tests(definitions: &Definitions, catalogue: &Catalogue) -> (Vec<Written>, Vec<Diagnostic>) {
    let of_segments = definitions.segments.iter().map(|segment| (&segment.location.source, &segment.tests));
    let of_ladders = definitions.ladders.iter().map(|ladder| (&ladder.location.source, &ladder.tests));
    let (mut pages, mut diagnostics) = (Vec::new(), Vec::new());
    for (source, tests) in of_segments.chain(of_ladders) {
        let Some(tests) = tests else { continue };
        let mut reader = Reader { source, catalogue, diagnostics: Vec::new() };
        pages.extend(reader.tests(tests));
        diagnostics.extend(reader.diagnostics);
    }
    (pages, diagnostics)
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    catalogue: &'a Catalogue,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn error(&mut self, code: &'static str, node: &Node, message: impl Into<String>) {
        self.diagnostics.push(error(code, self.source, node, message));
    }

    fn entries<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<Entries<'n>> {
        Entries::of(self.source, node, what, &mut self.diagnostics)
    }

    fn tests(&mut self, tests: &Node) -> Vec<Written> {
        match &tests.content {
            Content::Sequence(items) => items.iter().filter_map(|node| self.written(node, false)).collect(),
            _ => {
                self.diagnostics.push(entry::wrong_type(self.source, "tests", "a list", tests));
                Vec::new()
            }
        }
    }

    /// `alone`: a page of a file, which may have segments of its own.
    fn written(&mut self, node: &Node, alone: bool) -> Option<Written> {
        let before = self.diagnostics.len();
        let page = self.page(node, if alone { "a page" } else { "a test of a definition" }, alone);
        let broken = self.diagnostics[before..].iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        page.filter(|_| !broken).map(|page| Written { page, source: self.source.clone(), node: node.clone() })
    }

    fn page(&mut self, node: &Node, what: &'static str, alone: bool) -> Option<Page> {
        let entries = self.entries(node, what)?;
        let known: Vec<&str> = PAGE_KEYS.into_iter().filter(|key| alone || !matches!(*key, "segments" | "ladders")).collect();
        entries.only(&known, &mut self.diagnostics);
        let name = entries.required("name", node, &mut self.diagnostics);
        let events = entries.sequence("events", &mut self.diagnostics).iter().enumerate();
        let expect = entries.sequence("expect", &mut self.diagnostics);
        Some(Page {
            name: name.map_or_else(String::new, |(_, name)| name.to_owned()),
            lists: entries.get("lists").map_or_else(Vec::new, |node| self.lists(node)),
            segments: entries.sequence("segments", &mut self.diagnostics).iter().filter_map(|node| self.segment(node)).collect(),
            ladders: entries.sequence("ladders", &mut self.diagnostics).iter().filter_map(|node| self.ladder(node)).collect(),
            events: events.filter_map(|(i, node)| self.event(node, i + 1)).collect(),
            epoch: self.span(&entries, "epoch"),
            until: self.instant(&entries, "until"),
            expect: expect.iter().filter_map(|node| self.expectation(node)).collect(),
        })
    }

    fn lists(&mut self, node: &Node) -> Vec<(ListKey, Vec<CustomerId>)> {
        let Some(entries) = self.entries(node, "`lists`") else { return Vec::new() };
        let list = |(key, ids): &(Node, Node)| {
            let name = key.text().unwrap_or_default();
            let ids = entry::texts(self.source, name, ids, &mut self.diagnostics);
            (ListKey::new(name), ids.into_iter().map(CustomerId::new).collect())
        };
        entries.all().iter().map(list).collect()
    }

    fn segment(&mut self, node: &Node) -> Option<PageSegment> {
        let entries = self.entries(node, "a segment")?;
        let (_, key) = entries.required("key", node, &mut self.diagnostics)?;
        let (_, when) = entries.required("when", node, &mut self.diagnostics)?;
        let mut text = |name| self.text(&entries, name);
        let (timezone, exit_when) = (text("timezone"), text("exit_when"));
        Some(PageSegment { key: SegmentKey::new(key), timezone, when: when.to_owned(), exit_when, options: options(&entries) })
    }

    fn ladder(&mut self, node: &Node) -> Option<PageLadder> {
        let entries = self.entries(node, "a ladder")?;
        entries.only(&LADDER_KEYS, &mut self.diagnostics);
        let (_, key) = entries.required("key", node, &mut self.diagnostics)?;
        let timezone = self.text(&entries, "timezone");
        let stages = entries.sequence("stages", &mut self.diagnostics).iter().filter_map(|node| self.stage(node)).collect();
        Some(PageLadder { key: LadderKey::new(key), timezone, stages })
    }

    fn stage(&mut self, node: &Node) -> Option<PageStage> {
        let entries = self.entries(node, "a stage")?;
        let (_, key) = entries.required("key", node, &mut self.diagnostics)?;
        let mut text = |name| self.text(&entries, name);
        Some(PageStage { key: SegmentKey::new(key), when: text("when"), exit_when: text("exit_when"), options: options(&entries) })
    }

    fn text(&mut self, entries: &Entries<'_>, name: &str) -> Option<String> {
        entries.text(name, &mut self.diagnostics).map(|(_, text)| text.to_owned())
    }

    /// `place`: the event's number on the page, for its id.
    fn event(&mut self, node: &Node, place: usize) -> Option<PageEvent> {
        let entries = self.entries(node, "an event")?;
        let at = self.required_instant(&entries, node);
        let customer = self.customer(&entries);
        let partition = Partition(self.number(&entries, "partition").unwrap_or(0));
        let id = entries.text("id", &mut self.diagnostics).map(|(_, id)| id.to_owned());
        let streams: Vec<_> = entries.all().iter().filter(|(key, _)| key.text().is_none_or(|key| !EVENT_KEYS.contains(&key))).collect();
        let [(stream_node, fields)] = streams[..] else {
            self.error("bad-event", node, "an event has `at`, perhaps `customer`, `id`, `partition`, and one stream with its fields");
            return None;
        };
        let stream_name = stream_node.text().unwrap_or_default();
        let stream = self.stream(stream_node, stream_name)?;
        let fields = self.fields(fields, self.catalogue.stream(stream));
        let is_order = self.catalogue.stream(stream).role == StreamRole::Orders;
        let order_id = fields.iter().find(|(name, _)| is_order && name == "order_id").and_then(|(_, value)| as_text(value));
        let id = id.or(order_id).unwrap_or_else(|| format!("{stream_name}-{place}"));
        Some(PageEvent { at: at?, customer, partition, id: EventId::new(id), stream, fields })
    }

    fn stream(&mut self, node: &Node, name: &str) -> Option<StreamIndex> {
        let traits = self.catalogue.with_role(StreamRole::Traits);
        let found = if name == "identify" { traits } else { self.catalogue.find(name) };
        if found.is_none() {
            let known = self.catalogue.streams.iter().filter(|stream| stream.role != StreamRole::Traits).map(|s| s.name.as_str());
            let diagnostic = error("unknown-stream", self.source, node, format!("there is no stream `{}`", name.escape_debug()));
            let known = known.chain(EVENT_KEYS).chain(["identify"]);
            self.diagnostics.push(diagnostic.suggest(name, known).help("streams are listed by `segmentd schema streams`"));
        }
        found
    }

    fn fields(&mut self, node: &Node, stream: &StreamDefinition) -> Vec<(SmolStr, Value)> {
        match &node.content {
            Content::Mapping(fields) => fields.iter().filter_map(|(name, value)| self.field(name, value, stream)).collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                self.error("wrong-type", node, format!("the fields of `{}` are a mapping, and this is {}", stream.name, node.describe()));
                Vec::new()
            }
        }
    }

    fn field(&mut self, key: &Node, node: &Node, stream: &StreamDefinition) -> Option<(SmolStr, Value)> {
        let name = key.text().unwrap_or_default();
        let field = stream.fields.iter().find(|field| field.name == name);
        if stream.role != StreamRole::Traits && field.is_none() {
            let diagnostic = error("unknown-field", self.source, key, format!("the stream `{}` has no field `{name}`", stream.name));
            let help = format!("fields of `{}` are listed by `segmentd schema streams`", stream.name);
            self.diagnostics.push(diagnostic.suggest(name, stream.fields.iter().map(|field| field.name.as_str())).help(help));
            return None;
        }
        let read = field.map_or_else(|| value::untyped(node), |field| value::typed(node, field));
        if read.is_none() {
            let written = node.text().unwrap_or(node.describe());
            let wanted = field.map_or("a value or a list of values".into(), |field| format!("{:?}", field.field_type).to_lowercase());
            let diagnostic = error("wrong-type", self.source, node, format!("`{name}` cannot be {}", written.escape_debug()));
            let array = if field.is_some_and(|field| field.array) { "a list, each " } else { "" };
            self.diagnostics
                .push(diagnostic.help(format!("its type is {array}{wanted}; a text that looks like a number stands in quotes")));
        }
        Some((SmolStr::new(name), read?))
    }

    fn expectation(&mut self, node: &Node) -> Option<Expectation> {
        let entries = self.entries(node, "an expectation")?;
        if let Some((_, segment)) = entries.text("never", &mut self.diagnostics) {
            entries.only(&["never"], &mut self.diagnostics);
            return Some(Expectation::Never(SegmentKey::new(segment)));
        }
        entries.only(&EXPECTATION_KEYS, &mut self.diagnostics);
        let named = |happening: Happening| Some((happening, entries.text(happening.as_str(), &mut self.diagnostics)?.1));
        let named: Vec<_> = Happening::ALL.into_iter().filter_map(named).collect();
        let [(happening, segment)] = named[..] else {
            self.error("bad-expectation", node, "one of `entered`, `exited`, `expiring`, `never` names the segment");
            return None;
        };
        Some(Expectation::Transition(ExpectedTransition {
            at: self.required_instant(&entries, node)?,
            customer: self.customer(&entries),
            segment: SegmentKey::new(segment),
            happening,
            cause: self.choice(&entries, "cause", &Cause::ALL.map(|cause| (cause.as_str(), cause))),
            sequence: self.number(&entries, "sequence"),
            entry: self.number(&entries, "entry"),
            valid_until: match entries.get("valid_until") {
                Some(node) if node.is_null() => Some(None),
                _ => self.instant(&entries, "valid_until").map(Some),
            },
            from: match entries.get("from") {
                Some(node) if node.is_null() => Some(None),
                _ => self.text(&entries, "from").map(|from| Some(SegmentKey::new(from))),
            },
            published: self.choice(&entries, "published", &[("true", true), ("false", false)]),
            arm: self.choice(&entries, "arm", &Arm::ALL.map(|arm| (arm.as_str(), arm))),
        }))
    }

    fn customer(&mut self, entries: &Entries<'_>) -> CustomerId {
        entries.text("customer", &mut self.diagnostics).map_or_else(|| DEFAULT_CUSTOMER.into(), |(_, id)| CustomerId::new(id))
    }

    /// One of some words; `None`: absent, or reported.
    fn choice<T: Copy>(&mut self, entries: &Entries<'_>, name: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let (node, text) = entries.text(name, &mut self.diagnostics)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let diagnostic = error("bad-value", self.source, node, format!("`{name}` cannot be `{}`", text.escape_debug()));
            let help = format!("it is one of {}", words.join(", "));
            self.diagnostics.push(diagnostic.suggest(text, words).help(help));
        }
        found.map(|(_, value)| *value)
    }

    fn required_instant(&mut self, entries: &Entries<'_>, whole: &Node) -> Option<EventTime> {
        entries.required("at", whole, &mut self.diagnostics)?;
        self.instant(entries, "at")
    }

    /// `None`: absent, or reported.
    fn instant(&mut self, entries: &Entries<'_>, name: &str) -> Option<EventTime> {
        let (node, text) = entries.text(name, &mut self.diagnostics)?;
        let instant = EventTime::parse(text);
        if instant.is_none() {
            let message = format!("`{}` is no instant with an offset", text.escape_debug());
            let diagnostic = error("bad-instant", self.source, node, message);
            self.diagnostics.push(diagnostic.help("instants are written as RFC 3339: `2026-03-01T00:00:00Z`"));
        }
        instant
    }

    fn span(&mut self, entries: &Entries<'_>, name: &str) -> Option<Span> {
        let (node, text) = entries.text(name, &mut self.diagnostics)?;
        let span = Span::parse(text);
        if span.is_none() {
            let diagnostic = error("bad-duration", self.source, node, format!("`{}` is no duration", text.escape_debug()));
            self.diagnostics.push(diagnostic.help("write `30s`, `1m`, `1h` or `1d`"));
        }
        span
    }

    fn number<N: std::str::FromStr>(&mut self, entries: &Entries<'_>, name: &str) -> Option<N> {
        let (node, text) = entries.text(name, &mut self.diagnostics)?;
        let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        if number.is_none() {
            self.error("wrong-type", node, format!("`{name}` must be a whole number, and this is `{}`", text.escape_debug()));
        }
        number
    }
}

/// What a segment says beside its rules.
fn options(entries: &Entries<'_>) -> BTreeMap<String, Json> {
    let others = entries.all().iter().filter_map(|(key, value)| Some((key.text()?, value)));
    others.filter(|(name, _)| !RULE_KEYS.contains(name)).map(|(name, value)| (name.to_owned(), json(value))).collect()
}

/// Scalars as texts: what they mean is judged where definitions are.
fn json(node: &Node) -> Json {
    match &node.content {
        Content::Scalar(..) => node.text().map_or(Json::Null, Json::from),
        Content::Sequence(items) => items.iter().map(json).collect(),
        Content::Mapping(entries) => entries.iter().filter_map(|(key, value)| Some((key.text()?.to_owned(), json(value)))).collect(),
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

impl Written {
    /// Where the page begins.
    pub fn location(&self) -> crate::rule::diagnostic::Location {
        location(&self.source, self.child("name").unwrap_or(&self.node))
    }

    /// Where a line of `expect` stands.
    pub fn expectation(&self, index: usize) -> Option<crate::rule::diagnostic::Location> {
        let Content::Sequence(items) = &self.child("expect")?.content else { return None };
        items.get(index).map(|item| location(&self.source, item))
    }

    /// Whether the page brings the segments or ladders that it tests.
    pub fn has_segments(&self) -> bool {
        self.child("segments").or(self.child("ladders")).is_some()
    }

    fn child(&self, name: &str) -> Option<&Node> {
        let Content::Mapping(entries) = &self.node.content else { return None };
        entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests;
