//! A customer's past: its transitions, from the newest on.
//!
//! **Invariant:** whoever was erased has none, from the instant at which the erasure is committed on. While a part of the past is
//! missing there is no answer.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::customer::checked;
use super::{Partitions, Shared};
use crate::history::{History, Line, MOST, Reach, Unread, Wanted};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, later, refused, unreadable};
use crate::id::{CustomerId, Offset};
use crate::runtime::task::erased;
use crate::time::EventTime;

/// Transitions of one page, unless it is asked for otherwise.
const LINES: usize = 50;

/// What has happened to a customer, from the newest on.
#[derive(Serialize, JsonSchema)]
pub struct Timeline {
    customer: CustomerId,
    #[schemars(schema_with = "transitions")]
    transitions: Vec<Box<RawValue>>,
    /// Give it back as `cursor` for those before; null: these were the oldest.
    next: Option<String>,
    #[serde(flatten)]
    reach: Reached,
}

/// How far an answer about the past reaches.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    /// What happened before is not kept; null: nothing has happened yet.
    pub since: Option<String>,
    /// Everything that was committed by then is in the answer.
    pub as_of: String,
    /// Records of the transitions topic that are not in the answer, when last looked at.
    pub lag_records: u64,
}

/// As the records have them: this is their own schema.
fn transitions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"$ref": "#/components/schemas/Transition"}})
}

pub async fn timeline(State(shared): State<Shared>, id: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["limit", "cursor"])?;
    let limit = parameters.count("limit", LINES, MOST)?;
    let cursor = parameters.one("cursor")?.map(|text| text.parse().map(Offset).map_err(|_| refused("`cursor` is not one of ours")));
    let (history, before, customer) = (kept(&shared)?, cursor.transpose()?, checked(&shared, id)?);
    let partitions = shared.service.partitions.clone();
    let looked = tokio::task::spawn_blocking(move || look(&partitions, &history, customer, before, limit));
    Ok(json(&looked.await.map_err(|_| unreadable())??))
}

fn look(
    partitions: &Partitions,
    history: &History,
    customer: CustomerId,
    before: Option<Offset>,
    limit: usize,
) -> Result<Timeline, Problem> {
    let read = partitions.committed.read_of(&customer, |reading| Ok((erased(&reading.view, &customer)?, reading.clock)));
    let ((erased, clock), _) = read.map_err(|unread| partitions.problem(unread))?;
    let erased_up_to = erased.map_or(0, |erased| erased.numbered_from());
    let wanted = Wanted { since: clock.minus(history.keep()), erased_up_to, before, limit };
    let (lines, is_more, reach) = history.timeline(&customer, wanted).map_err(problem)?;
    let next = lines.last().filter(|_| is_more).map(|line| line.offset.0.to_string());
    Ok(Timeline { customer, transitions: lines.into_iter().filter_map(raw).collect(), next, reach: Reached::new(&reach, clock, history) })
}

fn raw(line: Line) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(line.line).ok()?).ok()
}

/// The history, where one is kept.
pub fn kept(shared: &Shared) -> Result<History, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "no history is kept here (history.enabled)");
    shared.service.history.clone().ok_or_else(none)
}

pub fn problem(unread: Unread) -> Problem {
    match unread {
        Unread::NotYet { .. } => later(unread.to_string()),
        Unread::Store(error) => {
            tracing::error!(%error, "the history cannot be read");
            unreadable()
        }
    }
}

impl Reached {
    pub fn new(reach: &Reach, clock: EventTime, history: &History) -> Reached {
        let since = (clock != EventTime::MIN).then(|| reach.since.max(clock.minus(history.keep())).to_string());
        Reached { since, as_of: reach.as_of.to_string(), lag_records: reach.lag }
    }

    /// What is told of all is told of the time that all know.
    pub fn join(&mut self, other: Reached) {
        // Of one form and in UTC: the later text is the later instant; none is before any.
        self.since = self.since.take().max(other.since);
        self.as_of = std::mem::take(&mut self.as_of).min(other.as_of);
        self.lag_records += other.lag_records;
    }
}
