//! Segments: what defines them, how many are in them, and how many come and go.
//!
//! **Invariant:** figures are of this process: its own partitions, and since it started; or those of all that answer, added up. Each
//! answer says which partitions.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::together::{Covered, PROCESSES, add_counts, others, same};
use super::{Rules, Service, Shared};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, position, refused};
use crate::id::SegmentKey;
use crate::rule::{LadderDefinition, SegmentDefinition};
use crate::transition::{Cause, Direction};

/// Segments of one page.
const SEGMENTS: usize = 500;

#[derive(Serialize, JsonSchema)]
pub struct Segments {
    segments: Vec<Segment>,
    ladders: Vec<Ladder>,
    partitions: Covered,
    /// Give it back as `cursor` for the segments that follow; null: these were the last.
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Segment {
    key: SegmentKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    tags: Vec<String>,
    /// Fingerprint of what it means.
    version: String,
    /// The rule in canonical text; of a ladder's last stage `true`.
    when: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_stay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ban: Option<String>,
    /// Of its calendar windows.
    timezone: String,
    /// Its place, if it is a stage of a ladder.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Figures {
    /// Who is in it among the customers of these partitions; null while they are still being counted.
    members: Option<i64>,
    /// Entries by cause, since the process started.
    entered: BTreeMap<String, u64>,
    exited: BTreeMap<String, u64>,
    /// The effective instant of the last entry or exit that was committed since then; null: there was none.
    last_change: Option<String>,
    /// It knows nothing of what happened before; null: it knows all that it asks for.
    complete_since: Option<String>,
}

/// One segment, and which partitions its figures are of.
#[derive(Serialize, JsonSchema)]
pub struct OneSegment {
    #[serde(flatten)]
    segment: Segment,
    partitions: Covered,
}

/// What is added up of another process's answer.
#[derive(Deserialize)]
struct Theirs {
    key: SegmentKey,
    version: String,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Deserialize)]
struct AllTheirs {
    segments: Vec<Theirs>,
}

#[derive(Serialize, JsonSchema)]
struct Stage {
    ladder: String,
    /// From 0; a smaller one goes before.
    rank: usize,
}

#[derive(Serialize, JsonSchema)]
pub struct Ladder {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    tags: Vec<String>,
    /// Keys, the first one first.
    stages: Vec<SegmentKey>,
}

pub async fn all(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["cursor", PROCESSES])?;
    let cursor = parameters.one("cursor")?.unwrap_or_else(|| "0".into());
    let from: usize = cursor.parse().map_err(|_| refused("`cursor` is not one of ours"))?;
    let rules = shared.service.rules.current();
    let page = rules.definitions.segments.iter().skip(from).take(SEGMENTS);
    let mut answer = Segments {
        segments: page.map(|definition| segment(&shared.service, &rules, definition)).collect(),
        ladders: rules.definitions.ladders.iter().map(|definition| ladder(&rules, definition)).collect(),
        partitions: shared.service.partitions.covered(),
        next: (from.saturating_add(SEGMENTS) < rules.definitions.segments.len()).then(|| (from + SEGMENTS).to_string()),
    };
    let others = others(&shared, &parameters, &uri, &headers).await?;
    others.add(&mut answer.partitions, |_, theirs: AllTheirs| add(&mut answer.segments, theirs.segments));
    Ok(json(&answer))
}

pub async fn one(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &[PROCESSES])?;
    let rules = shared.service.rules.current();
    let definition = defined(&rules, key)?;
    let partitions = shared.service.partitions.covered();
    let mut answer = OneSegment { segment: segment(&shared.service, &rules, definition), partitions };
    let others = others(&shared, &parameters, &uri, &headers).await?;
    others.add(&mut answer.partitions, |_, theirs: Theirs| add(std::slice::from_mut(&mut answer.segment), vec![theirs]));
    Ok(json(&answer))
}

/// Adds another process's figures, segment by segment.
///
/// Errors: its segments mean something else.
fn add(ours: &mut [Segment], theirs: Vec<Theirs>) -> Result<(), String> {
    let meant = |theirs: &Theirs| (theirs.key.clone(), theirs.version.clone());
    same(ours.iter().map(|segment| (segment.key.clone(), segment.version.clone())), theirs.iter().map(meant))?;
    let mut figures: BTreeMap<SegmentKey, Figures> = theirs.into_iter().map(|theirs| (theirs.key, theirs.figures)).collect();
    ours.iter_mut().for_each(|segment| segment.figures.add(figures.remove(&segment.key).unwrap_or_default()));
    Ok(())
}

impl Figures {
    fn add(&mut self, other: Figures) {
        self.members = self.members.zip(other.members).map(|(one, other)| one + other);
        add_counts(&mut self.entered, &other.entered);
        add_counts(&mut self.exited, &other.exited);
        // Of one form and in UTC: the later text is the later instant; none is before any.
        self.last_change = self.last_change.take().max(other.last_change);
        self.complete_since = self.complete_since.take().max(other.complete_since);
    }
}

/// The segment of a path.
pub fn defined(rules: &Rules, key: Result<Path<String>, PathRejection>) -> Result<&SegmentDefinition, Problem> {
    let Path(key) = key.map_err(|_| refused("the segment's key is not percent-encoded UTF-8"))?;
    named(rules, &key).map(|index| &rules.definitions.segments[index])
}

/// Where a segment stands among the definitions, and in the plan.
pub fn named(rules: &Rules, key: &str) -> Result<usize, Problem> {
    position("segment", key, rules.definitions.segments.iter().map(|segment| segment.key.as_str()))
}

fn segment(service: &Service, rules: &Rules, definition: &SegmentDefinition) -> Segment {
    let figures = service.metrics.transitions.segment(&definition.key);
    let by_cause = |direction| {
        let count =
            |cause: Cause| (cause.as_str().to_owned(), figures.as_ref().map_or(0, |figures| figures.transitions(direction, cause).get()));
        Cause::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
    };
    let stage = definition.stage.map(|stage| Stage { ladder: rules.definitions.ladders[stage.ladder].key.to_string(), rank: stage.rank });
    let text = |rule: &Option<crate::rule::ast::Expr>| rule.as_ref().map(ToString::to_string);
    Segment {
        key: definition.key.clone(),
        name: definition.name.clone(),
        description: definition.description.clone(),
        owner: definition.owner.clone(),
        tags: definition.tags.clone(),
        version: definition.version.to_string(),
        when: definition.when.to_string(),
        exit_when: text(&definition.exit_when),
        min_stay: definition.min_stay.map(|span| span.to_string()),
        pin: text(&definition.pin),
        ban: text(&definition.ban),
        timezone: definition.timezone.name().to_owned(),
        stage,
        figures: Figures {
            members: service.partitions.committed.members(&definition.key),
            entered: by_cause(Direction::Entered),
            exited: by_cause(Direction::Exited),
            last_change: figures.as_ref().and_then(|figures| figures.last_change()).map(|at| at.to_string()),
            complete_since: service.metrics.transitions.known_since(&definition.key).map(|since| since.to_string()),
        },
    }
}

fn ladder(rules: &Rules, definition: &LadderDefinition) -> Ladder {
    let index = rules.definitions.ladders.iter().position(|ladder| ladder.key == definition.key);
    let stages = rules.definitions.segments.iter().filter(|segment| segment.stage.map(|stage| stage.ladder) == index);
    Ladder {
        key: definition.key.to_string(),
        name: definition.name.clone(),
        description: definition.description.clone(),
        owner: definition.owner.clone(),
        tags: definition.tags.clone(),
        stages: stages.map(|segment| segment.key.clone()).collect(),
    }
}
