//! Segments: what defines them, how many are in them, how many come and go, and who they are.
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
use crate::customer::{Membership, codec};
use crate::http::access::naming;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, position, refused};
use crate::id::{CustomerId, Partition, SegmentKey};
use crate::rule::{LadderDefinition, SegmentDefinition};
use crate::runtime::clock::Deadline;
use crate::runtime::committed::{Reading, Unread};
use crate::store::StoreError;
use crate::transition::{Cause, Direction};

/// Segments of one page.
const SEGMENTS: usize = 500;
/// Customers of one page, unless it is asked for otherwise; and at most.
const CUSTOMERS: (usize, usize) = (100, 1000);
/// How long a page of customers is looked for. Only reading everybody finds who is in a segment.
const LOOKING: std::time::Duration = std::time::Duration::from_millis(200);
/// Customers that are read at once.
const HEADS: usize = 500;

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

/// Who is in a segment, by partition and then by id.
#[derive(Serialize, JsonSchema)]
pub struct Members {
    segment: String,
    /// There may be fewer than `limit`, or none, although more follow.
    customers: Vec<Member>,
    /// Give it back as `cursor` for those that follow; null: these were the last.
    next: Option<String>,
    partitions: Covered,
}

#[derive(Serialize, JsonSchema)]
struct Member {
    customer: CustomerId,
    since: String,
    entry: u64,
    sequence: u64,
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

pub async fn customers(State(shared): State<Shared>, key: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["cursor", "limit"])?;
    let limit = parameters.count("limit", CUSTOMERS.0, CUSTOMERS.1)?;
    let from =
        parameters.one("cursor")?.map(|text| Cursor::parse(&text).ok_or_else(|| refused("`cursor` is not one of ours"))).transpose()?;
    let rules = shared.service.rules.current();
    let key = defined(&rules, key)?.key.clone();
    let partitions = shared.service.partitions.clone();
    let look = move || page(&partitions, &key, from, limit).map_err(|unread| partitions.problem(unread));
    let members = shared.looks.look(look).await?;
    let answer = json(&members);
    Ok(naming(answer, members.customers.iter().map(|member| member.customer.as_str())))
}

/// Who was looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    partition: Partition,
    /// The key of its head; empty: nobody of this partition yet.
    after: Vec<u8>,
}

impl Cursor {
    fn parse(text: &str) -> Option<Cursor> {
        let (partition, after) = text.split_once('-')?;
        let byte = |at: usize| u8::from_str_radix(after.get(at..at + 2)?, 16).ok();
        let after = (0..after.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some(Cursor { partition: Partition(partition.parse().ok()?), after })
    }

    fn text(&self) -> String {
        let after: String = self.after.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{after}", self.partition.0)
    }
}

fn page(partitions: &super::Partitions, key: &SegmentKey, from: Option<Cursor>, limit: usize) -> Result<Members, Unread> {
    let deadline = Deadline::after(LOOKING);
    let covered = partitions.covered();
    let mut members = Members { segment: key.to_string(), customers: Vec::new(), next: None, partitions: covered };
    let begin = from.as_ref().map_or(Partition(0), |cursor| cursor.partition);
    for partition in members.partitions.here.iter().copied().map(Partition).filter(|partition| *partition >= begin).collect::<Vec<_>>() {
        let mut after = from.as_ref().filter(|cursor| cursor.partition == partition).map_or_else(Vec::new, |cursor| cursor.after.clone());
        loop {
            if members.customers.len() == limit || deadline.is_past() {
                members.next = Some(Cursor { partition, after }.text());
                return Ok(members);
            }
            let room = limit - members.customers.len();
            let ((found, last), _) = partitions.committed.read(partition, |reading| stretch(reading, key, &after, room))?;
            members.customers.extend(found);
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(members)
}

/// A stretch of a partition: up to `room` members, and whoever was looked at last; `None`: there is nobody after them.
fn stretch(reading: &Reading<'_>, key: &SegmentKey, after: &[u8], room: usize) -> Result<(Vec<Member>, Option<Vec<u8>>), StoreError> {
    let Some(hash) = reading.plan.segments.iter().find(|segment| segment.key == *key).map(|segment| segment.hash) else {
        return Ok((Vec::new(), None));
    };
    let heads = reading.view.scan_state(codec::HEADS, Some(after).filter(|after| !after.is_empty()), HEADS)?;
    let mut found = Vec::new();
    for (key, head) in &heads {
        let membership = codec::memberships_of(head).ok().and_then(|mut known| known.find(|(segment, _)| *segment == hash));
        if let Some((customer, (_, membership))) = codec::customer_of(key).zip(membership) {
            found.extend(member(customer, membership));
        }
        if found.len() == room {
            return Ok((found, Some(key.to_vec())));
        }
    }
    Ok((found, heads.last().filter(|_| heads.len() == HEADS).map(|(key, _)| key.to_vec())))
}

fn member(customer: CustomerId, membership: Membership) -> Option<Member> {
    let since = membership.since()?.to_string();
    Some(Member { customer, since, entry: membership.entry(), sequence: membership.sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_none() {
        for cursor in [Cursor { partition: Partition(3), after: b"hann\xff/".to_vec() }, Cursor { partition: Partition(0), after: vec![] }]
        {
            assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
        for text in ["", "3", "x-00", "3-0", "3-zz", "3-é0"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
