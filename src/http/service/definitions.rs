//! Definitions that are not in force: is this text right, and what would it say of a customer? For a page where rules are
//! written.
//!
//! **Invariant:** nothing here comes into force. Definitions change by their files alone.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::explain::{Explained, SEGMENTS, told, unsaid};
use super::{Rules, Shared};
use crate::http::access::naming;
use crate::http::problem::Problem;
use crate::http::room::{json, refused, unreadable};
use crate::id::{CustomerId, ListKey, SegmentKey};
use crate::plan::{Plan, compile};
use crate::rule::diagnostic::{Diagnostic, Location, Source};
use crate::rule::{Definitions, Names, check, load_text, parse};
use crate::runtime::task::{incomplete, look_at};
use crate::time::EventTime;

/// A longer text is a file, and for `segmentd check`.
const TEXT_BYTES: usize = 64 << 10;
/// The segment that a single rule becomes.
const RULE: &str = "rule";

/// One of `text` and `when`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DefinitionsAsked")]
pub struct Asked {
    /// A file of definitions: `segments:`, `ladders:`, `lists:`. It stands alone: it may name the lists in force, and no
    /// segment but its own.
    text: Option<String>,
    /// A single rule: `count(orders last 30d) > 2`.
    when: Option<String>,
    /// Of `/explain`: who.
    customer: Option<String>,
    /// Of `/explain`: as it will be at this instant if nothing more happens.
    at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DefinitionsChecked")]
pub struct Checked {
    /// There is no error; there may be warnings.
    valid: bool,
    /// As `segmentd check --format json` tells them: severity, code, message, line, column, bytes, label, help.
    diagnostics: Vec<Value>,
    /// Empty, unless it is valid.
    segments: Vec<CheckedSegment>,
}

#[derive(Serialize, JsonSchema)]
struct CheckedSegment {
    key: SegmentKey,
    version: String,
    /// The rule in canonical text.
    when: String,
    /// The same as a tree, for tools that build rules.
    tree: Value,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DefinitionsTried")]
pub struct Tried {
    #[serde(flatten)]
    checked: Checked,
    /// Absent where the text has errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<Explained>,
    /// Segments that look at what was not kept for them, with the instant from which on they know everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    incomplete: Vec<Incomplete>,
}

#[derive(Serialize, JsonSchema)]
struct Incomplete {
    segment: SegmentKey,
    complete_since: String,
}

const CHECK_FORM: &str = r#"{"text": "segments: …"} or {"when": "count(orders last 30d) > 2"}"#;
const EXPLAIN_FORM: &str = r#"{"customer": "…", "text": "segments: …"} or {"customer": "…", "when": "…"}, and "at", an instant, if wanted"#;

pub async fn check(State(shared): State<Shared>, request: Request) -> Result<Response, Problem> {
    let asked: Asked = shared.room.json(request, CHECK_FORM).await?;
    if asked.customer.is_some() || asked.at.is_some() {
        return Err(refused(format!("the body is not {CHECK_FORM}")));
    }
    let rules = shared.service.rules.current();
    let loaded = tokio::task::spawn_blocking(move || load(&rules, &asked)).await.map_err(|_| unreadable())??;
    Ok(json(&loaded.checked()))
}

pub async fn explain(State(shared): State<Shared>, request: Request) -> Result<Response, Problem> {
    let asked: Asked = shared.room.json(request, EXPLAIN_FORM).await?;
    let id = asked.customer.clone().ok_or_else(|| refused(format!("the body is not {EXPLAIN_FORM}")))?;
    shared.room.check_id(&id)?;
    let parse = |text: &String| EventTime::parse(text).ok_or_else(|| refused("`at` is no instant, as 2026-02-01T00:00:00Z"));
    let at = asked.at.as_ref().map(parse).transpose()?;
    let rules = shared.service.rules.current();
    let compiled = tokio::task::spawn_blocking(move || load(&rules, &asked).map(|loaded| (loaded.plan(&rules), loaded)));
    let (plan, loaded) = compiled.await.map_err(|_| unreadable())??;
    let checked = loaded.checked();
    let Some(plan) = plan else { return Ok(json(&Tried { checked, explained: None, incomplete: Vec::new() })) };
    if plan.segments.len() > SEGMENTS {
        return Err(refused(format!("a text of at most {SEGMENTS} segments can be tried")));
    }
    let (plan, customer) = (Arc::new(plan), CustomerId::new(id));
    let (who, named) = (customer.clone(), customer.as_str().to_owned());
    let read = shared.service.partitions.read_of(customer, move |reading| {
        let looked = look_at(&plan, &reading.view, &who, reading.clock)?;
        let incomplete = incomplete(&plan, &reading.view, looked.partition.clock())?;
        let keys: Vec<_> = plan.segments.iter().map(|segment| segment.key.clone()).collect();
        Ok((told(&plan, looked, &who, &keys, at), incomplete))
    });
    let ((told, incomplete), fresh) = read.await?;
    let explained = Some(Explained { fresh: fresh.into(), ..told.map_err(unsaid)? });
    let incomplete = incomplete.into_iter().map(|(segment, since)| Incomplete { segment, complete_since: since.to_string() }).collect();
    Ok(naming(json(&Tried { checked, explained, incomplete }), [named]))
}

/// What came of a text.
struct Loaded {
    definitions: Option<Definitions>,
    diagnostics: Vec<Diagnostic>,
}

fn load(rules: &Rules, asked: &Asked) -> Result<Loaded, Problem> {
    let lists: Vec<ListKey> = rules.plan.lists.iter().map(|(key, _)| key.clone()).collect();
    let names = Names { catalogue: &rules.plan.catalogue, lists: &lists };
    match (&asked.text, &asked.when) {
        (Some(text), None) if text.len() <= TEXT_BYTES => {
            let loaded = load_text("text", text, names, &[]);
            Ok(Loaded { definitions: loaded.definitions, diagnostics: loaded.diagnostics })
        }
        (None, Some(rule)) if rule.len() <= TEXT_BYTES => Ok(load_rule(rule, names)),
        (Some(_), None) | (None, Some(_)) => Err(refused(format!("a text has at most {TEXT_BYTES} bytes"))),
        _ => Err(refused("the body has one of `text` and `when`")),
    }
}

/// A single rule: its problems stand in its own text.
fn load_rule(rule: &str, names: Names<'_>) -> Loaded {
    let parsed = parse(rule);
    let findings = match &parsed {
        Ok(expr) => check::check(expr, names.catalogue).into_iter().chain(check::check_entry(expr)).collect(),
        Err(findings) => findings.clone(),
    };
    let source = Source::new("when", rule);
    let place = |place: crate::rule::ast::Place| Location { source: source.clone(), bytes: Some(place.start as usize..place.end as usize) };
    let mut diagnostics: Vec<Diagnostic> = findings
        .into_iter()
        .map(|finding| {
            let at = place(finding.place);
            finding.at(at)
        })
        .collect();
    let sound = !diagnostics.iter().any(Diagnostic::is_error);
    let Some(expr) = parsed.ok().filter(|_| sound) else { return Loaded { definitions: None, diagnostics } };
    // Names of segments and lists are the loader's to find; what it says has no place in the rule's own text.
    let text = Value::from(expr.to_string());
    let loaded = load_text("when", &format!("segments: [{{key: {RULE}, when: {text}}}]"), names, &[]);
    if loaded.definitions.is_none() {
        let whole = Location { source, bytes: None };
        diagnostics.extend(loaded.diagnostics.into_iter().map(|diagnostic| Diagnostic { location: Some(whole.clone()), ..diagnostic }));
    }
    Loaded { definitions: loaded.definitions, diagnostics }
}

impl Loaded {
    fn checked(&self) -> Checked {
        let segments = self.definitions.iter().flat_map(|definitions| &definitions.segments);
        let segments = segments.map(|segment| CheckedSegment {
            key: segment.key.clone(),
            version: segment.version.to_string(),
            when: segment.when.to_string(),
            tree: crate::rule::json::to_json(&segment.when),
        });
        Checked {
            valid: self.definitions.is_some(),
            diagnostics: self.diagnostics.iter().map(|diagnostic| serde_json::to_value(diagnostic).unwrap_or_default()).collect(),
            segments: segments.collect(),
        }
    }

    /// Compiled with the lists in force beside their own.
    fn plan(&self, rules: &Rules) -> Option<Plan> {
        let definitions = self.definitions.as_ref()?;
        let inline = definitions.lists.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect()));
        let lists = inline.chain(rules.plan.lists.iter().cloned()).collect();
        Some(compile(definitions, rules.plan.catalogue.clone(), lists))
    }
}
