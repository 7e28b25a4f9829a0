//! Ends the process when one of its threads has made no progress for too long.
//!
//! Calls into librdkafka are bounded, but a few have been seen to outlive their bounds (140 s in an outage). Recovery is
//! safe by construction, so dying is the cheaper mistake: the group gives the partitions to somebody who moves.
//!
//! **Invariant:** it looks at nothing but beats, and does nothing but end the process.

use std::sync::Arc;
use std::time::Duration;

use super::supervisor::Health;

/// Longer than any bounded call, a rebalance and a slow disk together.
const SILENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(1);

/// Looks for as long as somebody else holds `health`.
pub fn watch(health: &Arc<Health>) {
    loop {
        std::thread::sleep(LOOK);
        if let Some(name) = health.silent_for(SILENCE) {
            tracing::error!(thread = name, "no progress for {SILENCE:?}; ending the process, the state is safe");
            std::process::abort();
        }
    }
}
