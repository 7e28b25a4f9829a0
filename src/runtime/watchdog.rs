//! Ends the process when one of its threads has made no progress for too long.
//!
//! Calls into librdkafka are bounded, but a few have been seen to outlive their bounds (140 s in an outage). Recovery is
//! safe by construction, so dying is the cheaper mistake: the group gives the partitions to somebody who moves.
//!
//! **Invariant:** it looks at nothing but beats, and does nothing but end the process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::clock;
use super::status::Status;

/// Longer than any bounded call, a rebalance and a slow disk together.
const SILENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(1);

/// What was last seen of each thread, and since when it has been so.
type Seen = BTreeMap<String, (u64, Instant)>;

/// Watches until there is no thread left.
pub fn watch(status: &Status) {
    let mut seen = Seen::new();
    loop {
        std::thread::sleep(LOOK);
        let beats = status.beats();
        if beats.is_empty() {
            return;
        }
        if let Some(thread) = silent(&mut seen, beats, clock::now()) {
            tracing::error!(thread, "no progress for {SILENCE:?}; ending the process, the state is safe");
            std::process::abort();
        }
    }
}

/// A thread whose count has not changed for too long.
fn silent(seen: &mut Seen, beats: Vec<(String, u64)>, now: Instant) -> Option<String> {
    seen.retain(|thread, _| beats.iter().any(|(watched, _)| watched == thread));
    for (thread, count) in beats {
        let last = seen.entry(thread.clone()).or_insert((count, now));
        if last.0 != count {
            *last = (count, now);
        } else if now.duration_since(last.1) > SILENCE {
            return Some(thread);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_silent_once_its_count_has_stood_still_for_too_long() {
        let (mut seen, start) = (Seen::new(), clock::now());
        let beats = |count| vec![("lane-0".to_string(), count)];
        assert_eq!(silent(&mut seen, beats(1), start), None);
        assert_eq!(silent(&mut seen, beats(2), start + SILENCE * 2), None, "it moved");
        assert_eq!(silent(&mut seen, beats(2), start + SILENCE * 3), None);
        assert_eq!(silent(&mut seen, beats(2), start + SILENCE * 4), Some("lane-0".into()));
        assert_eq!(silent(&mut seen, Vec::new(), start + SILENCE * 9), None, "a thread that ended is not watched");
    }
}
