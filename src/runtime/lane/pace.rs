//! How long a commit usually takes, and which one took so long that something may have happened underneath.
//!
//! The mean and the mean deviation are kept as TCP keeps those of its round trips (RFC 6298 §2), so that a busy broker,
//! whose commits vary, is not taken for a broken one: each suspicion costs a new producer.
//!
//! **Invariant:** whatever the past was, a commit within [`MARGIN`] of the mean is not suspicious, and a single slow one
//! does not make the next slow one usual.

use std::time::Duration;

/// The least that a commit must take longer than usual: a request that was sent again after a lost connection took
/// this much longer in every trial.
const MARGIN: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug)]
pub struct Pace {
    mean: Duration,
    deviation: Duration,
}

impl Pace {
    /// Before anything was measured.
    pub const UNKNOWN: Pace = Pace { mean: Duration::from_millis(20), deviation: Duration::ZERO };

    /// Takes one more commit into account; `true`: it took suspiciously long.
    pub fn took(&mut self, took: Duration) -> bool {
        let suspicious = took > self.mean + MARGIN.max(self.deviation * 4);
        // What is suspicious counts no more than the longest that is not.
        let took = took.min(self.mean + MARGIN.max(self.deviation * 4));
        self.deviation = (self.deviation * 3 + took.abs_diff(self.mean)) / 4;
        self.mean = (self.mean * 7 + took) / 8;
        suspicious
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_steady_broker_that_once_takes_long_is_suspicious() {
        let mut pace = Pace::UNKNOWN;
        assert!((0..100).all(|i| !pace.took(millis(15 + i % 5))));
        assert!(pace.took(millis(80)));
        assert!(pace.took(millis(120)), "the last one did not make it usual");
    }

    #[test]
    fn a_broker_whose_commits_vary_is_not() {
        let mut pace = Pace::UNKNOWN;
        let suspected = (0..400).filter(|i| pace.took(millis([10, 60, 25, 110, 40][i % 5]))).count();
        assert!(suspected < 10, "{suspected} of 400");
        assert!(pace.took(millis(1_000)));
    }
}
