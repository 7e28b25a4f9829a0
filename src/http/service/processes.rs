//! Processes of the deployment: which there are, what each owns, whether it is ready, and its figures.
//!
//! **Invariant:** a process speaks for itself. One that does not answer is named, with what it was last known to own.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::together::{Covered, PROCESSES, others};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::json;

/// What tells how a process is; the rest stands on `/metrics`.
const FIGURES: [&str; 21] = [
    "segmentd_events_consumed_total",
    "segmentd_events_applied_total",
    "segmentd_events_duplicate_total",
    "segmentd_events_skipped_total",
    "segmentd_events_rejected_total",
    "segmentd_events_late_total",
    "segmentd_events_unmatched_total",
    "segmentd_transitions_total",
    "segmentd_transition_latency_seconds",
    "segmentd_timer_lag_seconds",
    "segmentd_timers_pending",
    "segmentd_consumer_lag_records",
    "segmentd_task_clock_timestamp_seconds",
    "segmentd_commits_total",
    "segmentd_commit_duration_seconds",
    "segmentd_tasks",
    "segmentd_restore_remaining_records",
    "segmentd_backfill_remaining_customers",
    "segmentd_state_customers",
    "segmentd_state_bytes",
    "process_resident_memory_bytes",
];

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Processes {
    /// This one first.
    processes: Vec<Process>,
    partitions: Covered,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Process {
    /// As it tells the others (`http.advertise`); null: it tells nobody.
    address: Option<String>,
    /// Partitions that it owns and can read.
    partitions: Vec<i32>,
    ready: bool,
    checks: Vec<Check>,
    /// Figures in Prometheus's text format, without their help: throughput, lag, state.
    figures: String,
}

/// One of those that `/readyz` lists.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ReadyCheck")]
struct Check {
    check: String,
    met: bool,
    detail: String,
}

pub async fn processes(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &[PROCESSES])?;
    let mut answer = Processes { processes: vec![this(&shared)?], partitions: shared.service.partitions.covered() };
    let others = others(&shared, &parameters, &uri, &headers).await?;
    others.add(&mut answer.partitions, |address, theirs: Processes| {
        let named = |process: Process| Process { address: Some(address.to_owned()), ..process };
        answer.processes.extend(theirs.processes.into_iter().take(1).map(named));
        Ok(())
    });
    Ok(json(&answer))
}

fn this(shared: &Shared) -> Result<Process, Problem> {
    let service = &shared.service;
    let checks = service.status.conditions().map(|(check, condition)| Check {
        check: check.name().to_owned(),
        met: condition.met,
        detail: condition.detail,
    });
    let figures = service.metrics.encode_some(&FIGURES);
    Ok(Process {
        address: service.peers.own.as_ref().map(|address| address.to_string()),
        partitions: service.partitions.committed.running().iter().map(|partition| partition.0).collect(),
        ready: checks.iter().all(|check| check.met),
        checks: checks.into(),
        figures: figures.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?,
    })
}
