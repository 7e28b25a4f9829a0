//! The only reader of clocks. Everything else takes time as an argument, so that it can be replayed and tested.
//!
//! **Invariant:** `SystemTime::now` and `Instant::now` stand here and nowhere else (a lint holds everybody to it).

#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::EventTime;

/// The wall clock, to the millisecond. May jump; never used to measure a duration.
pub fn wall() -> EventTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A clock that only goes forward, for waits and measurements.
pub fn now() -> Instant {
    Instant::now()
}

/// A point in time until which something may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(patience: Duration) -> Deadline {
        Deadline(now() + patience)
    }

    pub fn is_past(self) -> bool {
        now() >= self.0
    }

    /// What is left of it; zero once it is past.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}
