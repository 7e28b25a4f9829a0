//! What definitions would do to the customers of this process, or of all, before they come into force.
//!
//! A trial goes on when nobody waits for it: who is told that it is at work asks again, and of all processes whoever is first waits for
//! the last one in the same way.
//!
//! **Invariant:** nothing comes into force by it, and no customer is named: only how many would enter and leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::together::{Covered, PROCESSES, Sum, add_counts, others_to, same};
use super::{Rules, Shared};
use crate::http::parameters::Parameters;
use crate::http::peers::{AT_WORK, Question};
use crate::http::problem::Problem;
use crate::http::room::{json, later, refused, unreadable};
use crate::id::{ListKey, SegmentKey};
use crate::plan::{Plan, compile};
use crate::rule::diagnostic::Source;
use crate::rule::{Loaded, Names, load_sources};
use crate::runtime::committed::Unread;
use crate::runtime::trying::Tried;

/// More are files, and for `segmentd plan --over`.
const SEGMENTS: usize = 2_000;

const FORM: &str = r#"{"files": [{"name": "loyal.yaml", "text": "segments: …"}]}"#;

/// How long a trial is waited for: others who ask on behalf of somebody wait for 2 s (`http/peers.rs`).
const WAIT: Duration = Duration::from_millis(1_500);

/// All definitions as they shall be. What is not among them is taken out.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PlanAsked")]
pub struct Asked {
    /// They may name the lists in force beside their own.
    files: Vec<File>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PlanFile")]
struct File {
    /// What messages call it.
    name: String,
    text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// There is no error; there may be warnings.
    valid: bool,
    /// As `segmentd check --format json` tells them.
    diagnostics: Vec<Value>,
    /// Every segment of both sets. Empty, unless it is valid.
    segments: Vec<PlannedSegment>,
    /// Customers who were looked at.
    looked_at: u64,
    /// Everybody was: `false` where that takes longer than two minutes.
    complete: bool,
    /// The earliest task clock of the partitions. Absent: nothing has happened there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_clock: Option<String>,
    partitions: Covered,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct PlannedSegment {
    segment: SegmentKey,
    change: Change,
    /// Of those that are here, as it is in force; null: they are still being counted.
    members: Option<i64>,
    /// By cause.
    enter: BTreeMap<String, u64>,
    leave: BTreeMap<String, u64>,
    /// It looks at what was not kept for it, and would know everything from then on. Absent: it knows all that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    complete_since: Option<String>,
}

/// `changed`: what it means is another; `affected`: its own rules stay, something that they name does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "PlannedChange")]
enum Change {
    Added,
    Removed,
    Changed,
    Affected,
    Unchanged,
}

pub async fn plan(State(shared): State<Shared>, headers: HeaderMap, uri: Uri, request: Request) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &[PROCESSES])?;
    let asked: Asked = shared.room.json(request, FORM).await?;
    let body = serde_json::to_vec(&asked).map_err(|_| unreadable())?;
    let question = Question { path: uri.path(), token: headers.get(header::AUTHORIZATION), body: Some(&body) };
    // At once: each has everybody of its own to look at.
    let (own, others) = tokio::join!(own(&shared, asked), others_to(&shared, &parameters, question));
    let (own, others) = (own?, others?);
    if others.are_at_work() {
        return Err(at_work());
    }
    Ok(json(&others.sum(own, &shared.service)?))
}

/// What this process finds; `None`: it has no partition that it could look at.
async fn own(shared: &Shared, asked: Asked) -> Result<Option<Planned>, Problem> {
    let rules = shared.service.rules.current();
    let (trying, committed) = (shared.trying.clone(), shared.service.partitions.committed.clone());
    if committed.running().is_empty() {
        return Ok(None);
    }
    let task = tokio::task::spawn_blocking(move || {
        let (loaded, plan) = load(&asked, &rules)?;
        let Some(plan) = plan else { return Ok((loaded, None)) };
        let tried = trying.of(&plan, rules.plan.fingerprint, &committed).map_err(untried)?;
        Ok((loaded, Some((rules, plan, tried))))
    });
    let (loaded, found) = tokio::time::timeout(WAIT, task).await.map_err(|_| at_work())?.map_err(|_| unreadable())??;
    Ok(Some(planned(shared, &loaded, found.as_ref().map(|(rules, plan, tried)| (&**rules, &**plan, &**tried)))))
}

fn at_work() -> Problem {
    later("definitions are being tried; ask again").with(AT_WORK, true.into())
}

fn load(asked: &Asked, rules: &Rules) -> Result<(Loaded, Option<Arc<Plan>>), Problem> {
    let lists: Vec<ListKey> = rules.plan.lists.iter().map(|(key, _)| key.clone()).collect();
    let inline = |key: &ListKey| rules.definitions.lists.iter().any(|(own, _)| own == key);
    // A list that stands in the definitions in force stands in the new ones or nowhere.
    let files: Vec<ListKey> = lists.into_iter().filter(|key| !inline(key)).collect();
    let sources: Vec<_> = asked.files.iter().map(|file| Source::new(file.name.as_str(), file.text.as_str())).collect();
    let loaded = load_sources(&sources, Names { catalogue: &rules.plan.catalogue, lists: &files });
    let Some(definitions) = &loaded.definitions else { return Ok((loaded, None)) };
    if definitions.segments.len() > SEGMENTS {
        return Err(refused(format!("at most {SEGMENTS} segments can be tried")));
    }
    let of_files = rules.plan.lists.iter().filter(|(key, _)| files.contains(key)).cloned();
    let own = definitions.lists.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect()));
    let plan = Arc::new(compile(definitions, rules.plan.catalogue.clone(), of_files.chain(own).collect()));
    Ok((loaded, Some(plan)))
}

fn untried(unread: Unread) -> Problem {
    match unread {
        Unread::Store(error) => {
            tracing::error!(%error, "definitions cannot be tried");
            unreadable()
        }
        Unread::NotYet | Unread::Elsewhere(_) => at_work(),
    }
}

fn by_cause(moves: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    moves.into_iter().map(|(cause, count)| (cause.to_owned(), count)).collect()
}

fn planned(shared: &Shared, loaded: &Loaded, found: Option<(&Rules, &Plan, &Tried)>) -> Planned {
    let committed = &shared.service.partitions.committed;
    let here = found.map_or_else(Vec::new, |(_, _, tried)| tried.partitions.iter().map(|partition| partition.0).collect());
    let segment = |(key, change): (SegmentKey, Change), tried: &Tried| {
        let moves = tried.moves.get(&key).cloned().unwrap_or_default();
        PlannedSegment {
            change,
            members: if change == Change::Added { Some(0) } else { committed.members(&key) },
            enter: by_cause(moves.enter),
            leave: by_cause(moves.leave),
            complete_since: tried.incomplete.get(&key).map(ToString::to_string),
            segment: key,
        }
    };
    let segments = found.map_or_else(Vec::new, |(rules, plan, tried)| {
        changes(&rules.plan, plan).into_iter().map(|change| segment(change, tried)).collect()
    });
    Planned {
        valid: found.is_some(),
        diagnostics: loaded.diagnostics.iter().map(|diagnostic| serde_json::to_value(diagnostic).unwrap_or_default()).collect(),
        segments,
        looked_at: found.map_or(0, |(_, _, tried)| tried.looked_at),
        complete: found.is_some_and(|(_, _, tried)| tried.complete),
        task_clock: found.and_then(|(_, _, tried)| tried.as_of).map(|clock| clock.to_string()),
        partitions: Covered::new(here, committed.partitions()),
    }
}

impl Sum for Planned {
    fn covered(&mut self) -> &mut Covered {
        &mut self.partitions
    }

    fn add(&mut self, theirs: Planned) -> Result<(), String> {
        let told = |planned: &Planned| planned.segments.iter().map(|one| (one.segment.clone(), one.change)).collect::<Vec<_>>();
        same(told(self).into_iter(), told(&theirs).into_iter())?;
        let mut counted: BTreeMap<SegmentKey, PlannedSegment> =
            theirs.segments.into_iter().map(|segment| (segment.segment.clone(), segment)).collect();
        self.segments.iter_mut().for_each(|segment| counted.remove(&segment.segment).into_iter().for_each(|theirs| segment.add(theirs)));
        self.looked_at += theirs.looked_at;
        self.complete &= theirs.complete;
        // Of one form and in UTC: the earlier text is the earlier instant.
        self.task_clock = self.task_clock.take().into_iter().chain(theirs.task_clock).min();
        Ok(())
    }
}

impl PlannedSegment {
    fn add(&mut self, theirs: PlannedSegment) {
        self.members = self.members.zip(theirs.members).map(|(one, other)| one + other);
        add_counts(&mut self.enter, &theirs.enter);
        add_counts(&mut self.leave, &theirs.leave);
        self.complete_since = self.complete_since.take().max(theirs.complete_since);
    }
}

/// Every segment of both: those of the new set in order of definition, then those that are taken out.
fn changes(old: &Plan, new: &Plan) -> Vec<(SegmentKey, Change)> {
    let unchanged = new.unchanged_since(old);
    let of_new = new.segments.iter().zip(unchanged).map(|(segment, unchanged)| {
        let change = match old.segments.iter().find(|s| s.key == segment.key) {
            None => Change::Added,
            Some(before) if before.version != segment.version => Change::Changed,
            Some(_) if unchanged => Change::Unchanged,
            Some(_) => Change::Affected,
        };
        (segment.key.clone(), change)
    });
    let gone = old.segments.iter().filter(|segment| new.segments.iter().all(|s| s.key != segment.key));
    of_new.chain(gone.map(|segment| (segment.key.clone(), Change::Removed))).collect()
}
