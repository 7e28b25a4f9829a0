//! What the process says about itself: written by its threads, read by `/livez` and `/readyz`.
//!
//! Two questions that must not be mixed. *Alive*: does every thread still come round its loop? That never depends on
//! Kafka, or an outage there would have every process killed. *Ready*: does it own partitions, are they restored, does
//! it read?
//!
//! **Invariant:** a heartbeat is a count, not an instant: whoever watches it owns the clock, the threads read none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What has to hold before the service does its work, in the order in which it comes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The consumer group has said which partitions are ours; that may be none.
    Assigned,
    /// Every task of ours has replayed its changelog.
    Restored,
    /// Every task of ours consumes its input.
    Reading,
}

/// Whether a check holds, and a sentence on it: "partitions 0, 1", "partition 3: 1,200 records remain".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub met: bool,
    pub detail: String,
}

/// Shared by all threads; cheap to clone.
#[derive(Clone)]
pub struct Status(Arc<Shared>);

struct Shared {
    conditions: Mutex<[Condition; Check::ALL.len()]>,
    beats: Mutex<Vec<Weak<Beat>>>,
}

struct Beat {
    thread: String,
    count: AtomicU64,
}

/// One thread's sign of life; dropped, it is no longer watched.
pub struct Heartbeat(Arc<Beat>);

impl Check {
    pub const ALL: [Check; 3] = [Check::Assigned, Check::Restored, Check::Reading];

    pub fn name(self) -> &'static str {
        match self {
            Check::Assigned => "assigned",
            Check::Restored => "restored",
            Check::Reading => "reading",
        }
    }
}

impl Condition {
    pub fn met(detail: impl Into<String>) -> Condition {
        Condition { met: true, detail: detail.into() }
    }

    pub fn unmet(detail: impl Into<String>) -> Condition {
        Condition { met: false, detail: detail.into() }
    }
}

impl Default for Status {
    fn default() -> Status {
        Status::new()
    }
}

impl Status {
    /// Nothing holds yet.
    pub fn new() -> Status {
        let conditions = Mutex::new(Check::ALL.map(|_| Condition::unmet("starting")));
        Status(Arc::new(Shared { conditions, beats: Mutex::default() }))
    }

    pub fn set(&self, check: Check, condition: Condition) {
        locked(&self.0.conditions)[check as usize] = condition;
    }

    /// Every check with its condition, in order.
    pub fn conditions(&self) -> [(Check, Condition); Check::ALL.len()] {
        let conditions = locked(&self.0.conditions).clone();
        Check::ALL.map(|check| (check, conditions[check as usize].clone()))
    }

    /// Has a thread watched from now on. No two that live at once have one name.
    pub fn heartbeat(&self, thread: impl Into<String>) -> Heartbeat {
        let beat = Arc::new(Beat { thread: thread.into(), count: AtomicU64::new(0) });
        locked(&self.0.beats).push(Arc::downgrade(&beat));
        Heartbeat(beat)
    }

    /// Each watched thread with the number of times it has come round.
    pub fn beats(&self) -> Vec<(String, u64)> {
        let mut beats = locked(&self.0.beats);
        beats.retain(|beat| beat.strong_count() > 0);
        beats.iter().filter_map(Weak::upgrade).map(|beat| (beat.thread.clone(), beat.count.load(Ordering::Relaxed))).collect()
    }
}

impl Heartbeat {
    /// Says that the thread has come round its loop once more; every loop does so at least once a second, also while
    /// it waits for Kafka. Costs an uncontended increment.
    pub fn beat(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread that panicked while it held the lock left a value that is whole: every change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_read_back_under_its_own_check() {
        let status = Status::new();
        status.set(Check::Restored, Condition::met("partition 3"));
        let conditions = status.conditions().map(|(check, condition)| (check.name(), condition.met, condition.detail));
        let starting = |name| (name, false, "starting".to_string());
        assert_eq!(conditions, [starting("assigned"), ("restored", true, "partition 3".into()), starting("reading")]);
    }

    #[test]
    fn a_thread_is_watched_as_long_as_its_heartbeat_lives() {
        let status = Status::new();
        let (poller, lane) = (status.heartbeat("poller"), status.heartbeat("lane-0"));
        lane.beat();
        lane.beat();
        assert_eq!(status.beats(), [("poller".into(), 0), ("lane-0".into(), 2)]);
        drop(poller);
        assert_eq!(status.beats(), [("lane-0".into(), 2)]);
    }
}
