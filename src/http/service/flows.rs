//! Segments over time: how many were in one, who came and who went by cause; and of a ladder, who moved from where to where.
//!
//! **Invariant:** members at an instant that has passed are worked back from those of now: whoever came since is taken away, whoever
//! went is added. What is counted is of the partitions that the answer names, and of no others.

mod joined;

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::segments::defined;
use super::steps::{self, HOUR, Step};
use super::timeline::{Reached, kept, problem};
use super::together::{Covered, PROCESSES, Sum, others};
use super::{Rules, Shared};
use crate::history::{History, Hour, HourNumber, Moves, add_moves};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, position, refused};
use crate::id::{LadderKey, Partition, SegmentKey};
use crate::runtime::committed::Committed;
use crate::time::{EventTime, Span};

/// A segment over time.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct SegmentHistory {
    segment: SegmentKey,
    step: String,
    /// From the earliest on.
    points: Vec<Point>,
    partitions: Covered,
    #[serde(flatten)]
    reach: Reached,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Point {
    /// The end of the step, which is not in it; of the last one the present, where it has not ended.
    at: String,
    /// Who was in it just before; null while those of now are still being counted.
    members: Option<i64>,
    /// Entries in this step, by cause.
    entered: BTreeMap<String, u64>,
    exited: BTreeMap<String, u64>,
}

/// Who moved from one stage of a ladder to another.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Flows {
    ladder: LadderKey,
    /// In whole hours; `to` is not in it.
    from: Option<String>,
    to: Option<String>,
    moves: Vec<Flow>,
    partitions: Covered,
    #[serde(flatten)]
    reach: Reached,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Flow {
    from: String,
    to: String,
    count: u64,
}

/// What an answer is made from.
struct Scope {
    history: History,
    committed: Committed,
    here: Vec<Partition>,
    of: u32,
    /// The latest of the partitions' task clocks: their present.
    now: EventTime,
}

pub async fn segment(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["from", "to", "step", PROCESSES])?;
    let step = steps::length(parameters.one("step")?.as_deref())?;
    let (from, to) = (parameters.instant("from")?, parameters.instant("to")?);
    let key = defined(&shared.service.rules.current(), key)?.key.clone();
    let asked = shared.clone();
    let own = move || Scope::of(&asked)?.map(|scope| over_time(&scope, key, from, to, step)).transpose();
    let own = shared.looks.look(own).await?;
    let others = others(&shared, &parameters, &uri, &headers).await?;
    Ok(json(&others.sum(own, &shared.service)?))
}

pub async fn ladder(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["from", "to", PROCESSES])?;
    let (from, to) = (parameters.instant("from")?, parameters.instant("to")?);
    let key = named_ladder(&shared.service.rules.current(), key)?;
    let asked = shared.clone();
    let own = move || Scope::of(&asked)?.map(|scope| moved(&scope, key, from, to)).transpose();
    let own = shared.looks.look(own).await?;
    let others = others(&shared, &parameters, &uri, &headers).await?;
    Ok(json(&others.sum(own, &shared.service)?))
}

impl Sum for SegmentHistory {
    fn covered(&mut self) -> &mut Covered {
        &mut self.partitions
    }

    fn add(&mut self, theirs: SegmentHistory) -> Result<(), String> {
        let step = steps::length(Some(&self.step)).map_err(|_| "its steps are others")?;
        self.points = joined::points(std::mem::take(&mut self.points), theirs.points, step);
        self.reach.join(theirs.reach);
        Ok(())
    }
}

impl Sum for Flows {
    fn covered(&mut self) -> &mut Covered {
        &mut self.partitions
    }

    fn add(&mut self, theirs: Flows) -> Result<(), String> {
        self.moves = joined::moves(std::mem::take(&mut self.moves), theirs.moves);
        // What is told of all is told of the time that all know.
        self.from = self.from.take().max(theirs.from);
        self.to = self.to.take().max(theirs.to);
        self.reach.join(theirs.reach);
        Ok(())
    }
}

fn over_time(
    scope: &Scope,
    key: SegmentKey,
    from: Option<EventTime>,
    to: Option<EventTime>,
    step: Span,
) -> Result<SegmentHistory, Problem> {
    let since = scope.now.minus(scope.history.keep());
    let mut steps = steps::between(from, to, step, since, scope.now)?;
    let first = steps.first().map_or(HourNumber::of(scope.now), |step| HourNumber::of(step.begins));
    // First: the history is a moment behind them.
    let members = scope.committed.members_of(&key, &scope.here);
    let (hours, reach) = scope.history.hours(&scope.here, scope.of, key.as_str(), first).map_err(problem)?;
    // Of what the topic does not say nothing is told, not that nothing happened.
    steps.retain(|step| step.ends > reach.since);
    let reach = Reached::new(&reach, scope.now, &scope.history);
    Ok(SegmentHistory { segment: key, step: step.to_string(), points: points(&steps, &hours, members), partitions: scope.covered(), reach })
}

/// From the last step back to the first: before each, those who came in it were not there yet.
fn points(steps: &[Step], hours: &BTreeMap<HourNumber, Hour>, members: Option<i64>) -> Vec<Point> {
    let last = steps.last().map_or(HourNumber(i64::MAX), |step| HourNumber::of(step.ends));
    let since_then: i64 = hours.range(last..).map(|(_, hour)| hour.net()).sum();
    let mut members = members.map(|members| members - since_then);
    let mut points: Vec<Point> = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let mut sum = Hour::default();
        hours.range(HourNumber::of(step.begins)..HourNumber::of(step.ends)).for_each(|(_, hour)| sum.add(hour));
        let net = sum.net();
        points.push(Point { at: step.told.to_string(), members, entered: sum.entered, exited: sum.exited });
        members = members.map(|members| members - net);
    }
    points.reverse();
    points
}

fn moved(scope: &Scope, ladder: LadderKey, from: Option<EventTime>, to: Option<EventTime>) -> Result<Flows, Problem> {
    let since = scope.now.minus(scope.history.keep());
    let period = steps::period(from, to, HOUR, since, scope.now)?;
    let first = period.map_or(HourNumber::of(scope.now), |(begins, _)| HourNumber::of(begins));
    let (hours, reach) = scope.history.moves(&scope.here, scope.of, ladder.as_str(), first).map_err(problem)?;
    let known = HourNumber::of(reach.since).begins();
    let period = period.map(|(begins, ends)| (begins.max(known), ends)).filter(|(begins, ends)| begins < ends);
    let mut sums = Moves::new();
    if let Some((begins, ends)) = period {
        hours.range(HourNumber::of(begins)..HourNumber::of(ends)).for_each(|(_, moves)| add_moves(&mut sums, moves));
    }
    let flow = |(from, to): (String, BTreeMap<String, u64>)| to.into_iter().map(move |(to, count)| Flow { from: from.clone(), to, count });
    let told = |instant: EventTime| instant.to_string();
    Ok(Flows {
        ladder,
        from: period.map(|(begins, _)| told(begins)),
        to: period.map(|(_, ends)| told(ends)),
        moves: sums.into_iter().flat_map(flow).collect(),
        partitions: scope.covered(),
        reach: Reached::new(&reach, scope.now, &scope.history),
    })
}

impl Scope {
    /// The partitions that both their tasks and their history can tell of; `None`: there is none at this moment.
    fn of(shared: &Shared) -> Result<Option<Scope>, Problem> {
        let (history, committed) = (kept(shared)?, shared.service.partitions.committed.clone());
        let of = committed.partitions();
        let here = history.told_of(committed.running(), of);
        if here.is_empty() {
            return Ok(None);
        }
        let clock =
            |partition: &Partition| committed.read(*partition, |reading| Ok(reading.clock)).map_or(EventTime::MIN, |(clock, _)| clock);
        let now = here.iter().map(clock).max().unwrap_or(EventTime::MIN);
        Ok(Some(Scope { history, committed, here, of, now }))
    }

    fn covered(&self) -> Covered {
        Covered::new(self.here.iter().map(|partition| partition.0), self.of)
    }
}

/// The ladder of a path.
fn named_ladder(rules: &Rules, key: Result<Path<String>, PathRejection>) -> Result<LadderKey, Problem> {
    let Path(key) = key.map_err(|_| refused("the ladder's key is not percent-encoded UTF-8"))?;
    let ladders = &rules.definitions.ladders;
    let at = position("ladder", &key, ladders.iter().map(|ladder| ladder.key.as_str()))?;
    Ok(ladders[at].key.clone())
}
