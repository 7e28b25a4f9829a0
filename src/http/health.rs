//! `/livez` and `/readyz`.
//!
//! **Invariant:** a thread is called stuck only if two looks, at least the limit apart, found the same count. So the
//! first probe after a long silence never condemns, and no clock is compared across threads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Shown;
use super::problem::Problem;
use crate::runtime::clock;

/// When each thread was first seen at the count that it has.
pub struct Progress {
    limit: Duration,
    seen: Mutex<HashMap<String, (u64, Instant)>>,
}

impl Progress {
    pub fn new(limit: Duration) -> Progress {
        Progress { limit, seen: Mutex::default() }
    }

    /// The threads that have stood still for the limit or longer, with how long they are known to.
    fn stuck(&self, beats: Vec<(String, u64)>, now: Instant) -> Vec<(String, Duration)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |(thread, count): (String, u64)| match seen.get(&thread) {
            Some((before, since)) if *before == count => (thread, (count, *since)),
            _ => (thread, (count, now)),
        };
        // Built anew, so that threads that ended are forgotten.
        let current: HashMap<_, _> = beats.into_iter().map(since).collect();
        *seen = current;
        let mut stuck: Vec<_> = seen.iter().map(|(thread, (_, since))| (thread.clone(), now - *since)).collect();
        stuck.retain(|(_, still)| *still >= self.limit);
        stuck.sort();
        stuck
    }
}

pub async fn livez(State(shown): State<Shown>) -> Response {
    let stuck = shown.progress.stuck(shown.status.beats(), clock::now());
    if stuck.is_empty() {
        return Json(json!({"status": "alive"})).into_response();
    }
    let described: Vec<String> = stuck.iter().map(|(thread, still)| format!("{thread} for {} s", still.as_secs())).collect();
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("no progress: {}", described.join(", "))).into_response()
}

pub async fn readyz(State(shown): State<Shown>) -> Response {
    let conditions = shown.status.conditions();
    let checks: Vec<Value> = conditions
        .iter()
        .map(|(check, condition)| json!({"check": check.name(), "met": condition.met, "detail": condition.detail}))
        .collect();
    match conditions.iter().find(|(_, condition)| !condition.met) {
        None => Json(json!({"status": "ready", "checks": checks})).into_response(),
        Some((check, condition)) => {
            let detail = format!("not yet {}: {}", check.name(), condition.detail);
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with("checks", checks.into()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at given seconds find given counts of the thread `lane`; says at which seconds it is called stuck.
    fn check(looks: &[(u64, Option<u64>)], expected: &[u64]) {
        let progress = Progress::new(Duration::from_secs(30));
        let start = clock::now();
        let stuck_at = looks.iter().filter(|(second, count)| {
            let beats = count.map(|count| ("lane".to_string(), count)).into_iter().collect();
            !progress.stuck(beats, start + Duration::from_secs(*second)).is_empty()
        });
        assert_eq!(stuck_at.map(|(second, _)| *second).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_thread_that_comes_round_is_never_stuck() {
        check(&[(0, Some(1)), (29, Some(2)), (1000, Some(3))], &[]);
    }

    #[test]
    fn a_thread_is_stuck_from_the_limit_on_until_it_moves() {
        check(&[(0, Some(5)), (10, Some(5)), (29, Some(5)), (30, Some(5)), (40, Some(5)), (41, Some(6))], &[30, 40]);
    }

    #[test]
    fn the_first_look_never_condemns() {
        check(&[(500, Some(5))], &[]);
    }

    #[test]
    fn a_thread_that_ended_is_forgotten() {
        check(&[(0, Some(5)), (10, None), (100, Some(5))], &[]);
    }
}
