//! Experiments: what came of both arms, over the partitions of this process, or of all that answer.
//!
//! **Invariant:** no customer is told of here; each answer says which partitions it counts, so that those of several
//! processes can be added up.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::together::{Covered, PROCESSES, Sum, others, same};
use crate::experiment::{Document, Report};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, later, position, refused, unreadable};
use crate::plan::Plan;
use crate::runtime::committed::Unread;
use crate::runtime::measuring::Counted;

/// Every experiment that the definitions have.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Experiments {
    experiments: Vec<Document>,
    partitions: Covered,
}

/// One.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MeasuredExperiment")]
pub struct Measured {
    #[serde(flatten)]
    report: Document,
    partitions: Covered,
}

pub async fn all(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &[PROCESSES])?;
    let own = counted(&shared).await?.map(|counted| Experiments {
        experiments: (0..counted.plan.experiments.len()).map(|position| document(&counted, position)).collect(),
        partitions: covered(&shared, &counted),
    });
    let others = others(&shared, &parameters, &uri, &headers).await?;
    Ok(json(&others.sum(own, &shared.service)?))
}

pub async fn one(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &[PROCESSES])?;
    let Path(key) = key.map_err(|_| refused("the experiment's key is not percent-encoded UTF-8"))?;
    // Nothing is counted for what is not there.
    named(&shared.service.rules.current().plan, &key)?;
    let measured = |counted: Arc<Counted>| {
        let position = named(&counted.plan, &key)?;
        Ok(Measured { report: document(&counted, position), partitions: covered(&shared, &counted) })
    };
    let own = counted(&shared).await?.map(measured).transpose()?;
    let others = others(&shared, &parameters, &uri, &headers).await?;
    Ok(json(&others.sum(own, &shared.service)?))
}

impl Sum for Experiments {
    fn covered(&mut self) -> &mut Covered {
        &mut self.partitions
    }

    fn add(&mut self, theirs: Experiments) -> Result<(), String> {
        self.experiments = added_up(&self.experiments, &theirs.experiments)?;
        Ok(())
    }
}

impl Sum for Measured {
    fn covered(&mut self) -> &mut Covered {
        &mut self.partitions
    }

    fn add(&mut self, theirs: Measured) -> Result<(), String> {
        self.report = sum(&self.report, &theirs.report)?;
        Ok(())
    }
}

/// Each experiment of two processes, from the sums of both.
///
/// Errors: why they cannot be added up.
fn added_up(ours: &[Document], theirs: &[Document]) -> Result<Vec<Document>, String> {
    same(ours.iter().map(|one| &one.experiment), theirs.iter().map(|one| &one.experiment))?;
    let both = ours.iter().filter_map(|one| Some((one, theirs.iter().find(|other| other.experiment == one.experiment)?)));
    both.map(|(one, other)| sum(one, other)).collect()
}

fn sum(one: &Document, other: &Document) -> Result<Document, String> {
    let reports = one.to_report().zip(other.to_report());
    let both = reports.and_then(|(one, other)| one.with(other));
    both.map(|report| Document::from(&report)).ok_or_else(|| "it measures another experiment under this name".into())
}

/// Where the experiment stands in the plan.
fn named(plan: &Plan, key: &str) -> Result<usize, Problem> {
    position("experiment", key, plan.experiments.iter().map(|experiment| plan.segments[experiment.segment].key.as_str()))
}

/// Counts off the threads that serve. It goes on when nobody waits for it any more, for whoever asks again. `None`: no partition is
/// ready here.
async fn counted(shared: &Shared) -> Result<Option<Arc<Counted>>, Problem> {
    let (measuring, committed) = (shared.service.measuring.clone(), shared.service.partitions.committed.clone());
    if committed.running().is_empty() {
        return Ok(None);
    }
    let task = tokio::task::spawn_blocking(move || measuring.count(&committed));
    task.await.map_err(|_| unreadable())?.map(Some).map_err(|unread| match unread {
        Unread::Store(error) => {
            tracing::error!(%error, "experiments cannot be counted");
            unreadable()
        }
        Unread::NotYet | Unread::Elsewhere(_) => later("experiments are being counted; ask again"),
    })
}

fn document(counted: &Counted, position: usize) -> Document {
    let experiment = &counted.plan.experiments[position];
    let segment = counted.plan.segments[experiment.segment].key.clone();
    Document::from(&Report::new(segment, experiment.definition.clone(), counted.as_of, counted.sums[position].clone()))
}

fn covered(shared: &Shared, counted: &Counted) -> Covered {
    let of = shared.service.partitions.committed.partitions();
    Covered::new(counted.partitions.iter().map(|partition| partition.0), of)
}
