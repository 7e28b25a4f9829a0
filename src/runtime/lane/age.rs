//! Since when a lane's batch is open, and since when its oldest record waits: what says when it is to be committed.
//!
//! *Why both:* what comes while a batch is committed has waited for that long when the next one is opened. A lane that has
//! caught up counts from there, or each slow commit would be followed by a full interval. A lane that is behind does not,
//! or it would commit ever smaller batches.
//!
//! **Invariant:** no batch is open for longer than the interval.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Default)]
pub struct Age {
    opened: Option<Instant>,
    oldest: Option<Instant>,
}

impl Age {
    /// Something has changed that must be committed.
    pub fn open(&mut self, now: impl FnOnce() -> Instant) {
        self.opened.get_or_insert_with(now);
    }

    /// A record was taken into the batch that was handed on at `since`; records come in that order.
    pub fn took(&mut self, since: Instant) {
        self.oldest.get_or_insert(since);
    }

    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Since when the oldest record waits; `None`: the batch has none.
    pub fn oldest(&self) -> Option<Instant> {
        self.oldest
    }

    /// When the batch is due; `caught_up`: no record waits to be taken into it.
    pub fn due(&self, interval: Duration, caught_up: bool) -> Option<Instant> {
        let oldest = self.oldest.filter(|_| caught_up);
        Some(self.opened.into_iter().chain(oldest).min()? + interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    const INTERVAL: Duration = Duration::from_millis(100);

    /// Of two records, the older of which waited for 30 ms when the batch was opened.
    fn waited(opened: Instant) -> Age {
        let mut age = Age::default();
        age.took(opened - Duration::from_millis(30));
        age.open(|| opened);
        age.took(opened);
        age
    }

    #[test]
    fn who_has_caught_up_commits_an_interval_after_the_oldest_record_came() {
        let now = clock::now();
        assert_eq!(waited(now).due(INTERVAL, true), Some(now + Duration::from_millis(70)));
    }

    #[test]
    fn who_is_behind_fills_a_whole_interval() {
        let now = clock::now();
        assert_eq!(waited(now).due(INTERVAL, false), Some(now + INTERVAL));
    }

    #[test]
    fn what_is_changed_without_a_record_counts_from_then() {
        let now = clock::now();
        let mut age = Age::default();
        assert_eq!(age.due(INTERVAL, true), None);
        age.open(|| now);
        age.took(now + Duration::from_millis(50));
        assert_eq!(age.due(INTERVAL, true), Some(now + INTERVAL));
    }
}
