//! How long a scan may take of each batch while events come: slowly more as long as batches go out in time, and the least again
//! as soon as one does not.
//!
//! *Why:* what a slice costs shows only at the commit (each customer that it decided brings records of its own), and a machine
//! that is full has nothing to give: then events wait, and nobody waits for a scan.
//!
//! **Invariant:** it is never nothing, so that every scan ends, and never more than half of a batch.

use std::time::Duration;

/// At a hundred microseconds a customer the scan of a million ends within hours on a machine that is full.
const LEAST: Duration = Duration::from_millis(1);
/// How much more it may take with each batch that was in time. Faster, and every few batches one is late.
const STEP: Duration = Duration::from_micros(250);
/// How much later than its interval a batch may be committed before it is late.
const LATE: Duration = Duration::from_millis(40);

/// Of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    interval: Duration,
    each: Duration,
    taken: Duration,
}

/// A batch that was committed.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// From when its oldest record came to the end of its commit.
    pub took: Duration,
    /// Records wait that it could not take up.
    pub left_records: bool,
}

impl Allowance {
    /// `interval`: how long a batch is open.
    pub fn new(interval: Duration) -> Allowance {
        Allowance { interval, each: LEAST, taken: Duration::ZERO }
    }

    /// What is left of this batch's.
    pub fn left(&self) -> Duration {
        self.each.saturating_sub(self.taken)
    }

    pub fn take(&mut self, taken: Duration) {
        self.taken += taken;
    }

    /// The next batch begins; its allowance follows from how the last one with events went.
    pub fn committed(&mut self, batch: Option<Committed>) {
        if let Some(Committed { took, left_records }) = batch {
            let late = left_records || took > self.interval + LATE;
            self.each = if late { LEAST } else { (self.each + STEP).min(self.interval / 2).max(LEAST) };
        }
        self.taken = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn after(batches: usize, took: u64, left_records: bool, from: Allowance) -> Allowance {
        let mut allowance = from;
        (0..batches).for_each(|_| allowance.committed(Some(Committed { took: millis(took), left_records })));
        allowance
    }

    #[test]
    fn batches_that_are_in_time_give_a_scan_up_to_half_of_each() {
        let idle = after(200, 120, false, Allowance::new(millis(100)));
        assert_eq!(idle.left(), millis(50));
    }

    #[test]
    fn a_batch_that_is_late_or_leaves_records_behind_takes_it_back_but_never_all() {
        let idle = after(200, 120, false, Allowance::new(millis(100)));
        assert_eq!(after(1, 200, false, idle).left(), LEAST);
        assert_eq!(after(1, 120, true, idle).left(), LEAST);
        assert_eq!(after(10, 500, true, idle).left(), LEAST);
    }

    #[test]
    fn what_a_batch_took_is_gone_until_the_next_one() {
        let mut allowance = after(12, 120, false, Allowance::new(millis(100)));
        allowance.take(millis(3));
        assert_eq!(allowance.left(), millis(1));
        allowance.take(millis(3));
        assert_eq!(allowance.left(), Duration::ZERO);
        allowance.committed(None);
        assert_eq!(allowance.left(), millis(4));
    }
}
