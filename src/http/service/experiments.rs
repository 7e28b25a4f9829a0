//! Experiments: what came of both arms, over the partitions of this process.
//!
//! **Invariant:** no customer is told of here; each answer says which partitions it counts, so that those of several
//! processes can be added up.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Covered, Shared};
use crate::experiment::{Document, Report};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json, later, refused, unreadable};
use crate::plan::Plan;
use crate::rule::diagnostic::nearest;
use crate::runtime::committed::Unread;
use crate::runtime::measuring::Counted;

/// Every experiment that the definitions have.
#[derive(Serialize, JsonSchema)]
pub struct Experiments {
    experiments: Vec<Document>,
    partitions: Covered,
}

/// One.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MeasuredExperiment")]
pub struct Measured {
    #[serde(flatten)]
    report: Document,
    partitions: Covered,
}

pub async fn all(State(shared): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    Parameters::read(uri.query().unwrap_or_default(), &[])?;
    let counted = counted(&shared).await?;
    let experiments = (0..counted.plan.experiments.len()).map(|position| document(&counted, position)).collect();
    Ok(json(&Experiments { experiments, partitions: covered(&shared, &counted) }))
}

pub async fn one(State(shared): State<Shared>, key: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    Parameters::read(uri.query().unwrap_or_default(), &[])?;
    let Path(key) = key.map_err(|_| refused("the experiment's key is not percent-encoded UTF-8"))?;
    // Nothing is counted for what is not there.
    named(&shared.service.rules.current().plan, &key)?;
    let counted = counted(&shared).await?;
    let position = named(&counted.plan, &key)?;
    Ok(json(&Measured { report: document(&counted, position), partitions: covered(&shared, &counted) }))
}

/// Where the experiment stands in the plan.
fn named(plan: &Plan, key: &str) -> Result<usize, Problem> {
    let keys = || plan.experiments.iter().map(|experiment| plan.segments[experiment.segment].key.as_str());
    keys().position(|known| known == key).ok_or_else(|| {
        let near = nearest(key, keys()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Problem::new(StatusCode::NOT_FOUND, format!("there is no such experiment{near}"))
    })
}

/// Counts off the threads that serve. It goes on when nobody waits for it any more, for whoever asks again.
async fn counted(shared: &Shared) -> Result<Arc<Counted>, Problem> {
    let (measuring, committed) = (shared.service.measuring.clone(), shared.service.partitions.committed.clone());
    let task = tokio::task::spawn_blocking(move || measuring.count(&committed));
    task.await.map_err(|_| unreadable())?.map_err(|unread| match unread {
        Unread::Store(error) => {
            tracing::error!(%error, "experiments cannot be counted");
            unreadable()
        }
        Unread::NotYet | Unread::Elsewhere(_) => later("experiments are being counted, or no partition is ready; ask again"),
    })
}

fn document(counted: &Counted, position: usize) -> Document {
    let experiment = &counted.plan.experiments[position];
    let segment = counted.plan.segments[experiment.segment].key.clone();
    Document::from(&Report::new(segment, experiment.definition.clone(), counted.as_of, counted.sums[position].clone()))
}

fn covered(shared: &Shared, counted: &Counted) -> Covered {
    let of = shared.service.partitions.committed.partitions();
    Covered { here: counted.partitions.iter().map(|partition| partition.0).collect(), of }
}
