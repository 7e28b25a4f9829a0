//! What became of the lines of a replay, and the figures at its end.
//!
//! **Invariant:** a line that was not understood is never silent: it is counted by reason, and the first one is named.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{count, per_second};
use crate::customer::Applied;
use crate::engine::Accepted;
use crate::kafka::wire::{Reject, SkipReason};

#[derive(Default)]
pub struct Tally {
    events: u64,
    duplicates: u64,
    unmatched: u64,
    circular: u64,
    erased: u64,
    late: u64,
    pub transitions: u64,
    /// By reason.
    skipped: BTreeMap<&'static str, u64>,
    rejected: BTreeMap<&'static str, Rejected>,
}

struct Rejected {
    count: u64,
    /// `FILE:LINE: message` of the first.
    first: String,
}

impl Tally {
    pub fn accepted(&mut self, accepted: &Accepted) {
        self.events += 1;
        self.late += u64::from(accepted.late);
        match accepted.applied {
            Applied::Duplicate => self.duplicates += 1,
            Applied::Erased => self.erased += 1,
            Applied::Circular => self.circular += 1,
            // Whom it became has accepted it.
            Applied::Redirected => {}
            Applied::Accepted { matched } => self.unmatched += u64::from(!matched),
        }
    }

    pub fn skipped(&mut self, reason: SkipReason) {
        *self.skipped.entry(reason.as_str()).or_default() += 1;
    }

    pub fn rejected(&mut self, reject: &Reject, path: &Path, line: u64) {
        let first = || Rejected { count: 0, first: format!("{}:{line}: {}", path.display(), reject.message) };
        self.rejected.entry(reject.code.as_str()).or_insert_with(first).count += 1;
    }

    /// On stderr: figures, and what was left out.
    pub fn show(&self, took: Duration) {
        let rate = per_second(self.events, took);
        eprintln!("{} events, {} transitions, {:.2} s ({rate} events/s)", count(self.events), count(self.transitions), took.as_secs_f64());
        let kinds = [
            (self.duplicates, "duplicates"),
            (self.late, "late"),
            (self.unmatched, "that refer to nothing known"),
            (self.circular, "aliases that go round"),
            (self.erased, "of erased customers, from before"),
        ];
        for (n, words) in kinds {
            if n > 0 {
                eprintln!("  of them {} {words}", count(n));
            }
        }
        for (reason, n) in &self.skipped {
            eprintln!("skipped {}: {reason}", count(*n));
        }
        for (code, Rejected { count: n, first }) in &self.rejected {
            eprintln!("rejected {}: {code}, first at {first}", count(*n));
        }
    }
}
