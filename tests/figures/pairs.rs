//! What lookups cost the events: the same service with and without them, in turns.
//!
//! A machine that others use too is slower now than it was a minute ago. Two windows that follow each other are not: so each pair
//! gives a ratio of its own, the order within a pair turns round from one to the next, and the median of the ratios is told.

use std::time::{Duration, Instant};

use super::asking::{Asked, ask};
use super::metrics::{Metrics, quantile};
use crate::{COMMIT, Service, median};

/// Long enough for some tens of transactions.
const WINDOW: Duration = Duration::from_secs(4);
/// Lookups a second.
const RATE: u32 = 2000;

/// Windows of one kind beside those of the other.
#[derive(Default)]
pub struct Pairs {
    /// Events a second with lookups, for each without.
    events: Vec<f64>,
    /// The same of the 99th percentile of a commit.
    commits: Vec<f64>,
    lookups: Vec<Asked>,
}

/// What a window showed.
struct Seen {
    events: f64,
    commit_ms: f64,
}

impl Pairs {
    /// One pair after another while there is work.
    pub fn measure(&mut self, service: &Service, id: &(dyn Fn(u32) -> String + Sync), go_on: impl Fn() -> bool) {
        while go_on() {
            let first = self.lookups.len().is_multiple_of(2);
            let before = if first { Some(self.beside(service, id)) } else { None };
            let alone = seen(service, || std::thread::sleep(WINDOW));
            let beside = before.unwrap_or_else(|| self.beside(service, id));
            self.events.push(beside.events / alone.events);
            self.commits.push(beside.commit_ms / alone.commit_ms);
        }
    }

    fn beside(&mut self, service: &Service, id: &(dyn Fn(u32) -> String + Sync)) -> Seen {
        seen(service, || self.lookups.push(ask(service.http, id, Some(RATE), WINDOW)))
    }

    pub fn print(mut self, what: &str) {
        let pairs = self.events.len();
        println!(
            "with / without      {:>9.2} of the events, {:.2} of the p99 of a commit, {pairs} pairs, {what}",
            median(&mut self.events),
            median(&mut self.commits)
        );
        Asked::all(self.lookups).print(&format!("the service itself, {what}"));
    }
}

fn seen(service: &Service, work: impl FnOnce()) -> Seen {
    let (begun, before) = (Instant::now(), service.metrics());
    work();
    let (took, after) = (begun.elapsed().as_secs_f64(), service.metrics());
    let consumed = |metrics: &Metrics| metrics.sum("segmentd_events_consumed_total");
    Seen { events: (consumed(&after) - consumed(&before)) / took, commit_ms: quantile(&after.since(&before, COMMIT), 0.99) }
}
