//! What systemd is told (`Type=notify`, `WatchdogSec=`). Without it nobody listens, and nothing happens.
//!
//! **Invariant:** `WATCHDOG=1` is sent only when every thread has come round its loop since it was sent last. A process that
//! hangs as a whole, the thread that watches the others included, is ended by systemd.

use std::collections::BTreeMap;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::runtime::status::Status;

/// `READY=1` once every check holds, and from then on signs of life, as often as they are asked for.
pub async fn tell(status: Status) {
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    while !status.conditions().iter().all(|(_, condition)| condition.met) {
        tick.tick().await;
    }
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    // Three looks within its patience: one that finds a thread in a long call ends nothing yet.
    let mut look = tokio::time::interval((patience / 3).max(Duration::from_millis(1)));
    let mut seen = Seen::new();
    loop {
        look.tick().await;
        if went_on(&mut seen, status.beats()) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}

/// It was asked to stop, and does.
pub fn tell_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

type Seen = BTreeMap<String, u64>;

/// Has every thread come round since the last look?
fn went_on(seen: &mut Seen, beats: Vec<(String, u64)>) -> bool {
    let now = Seen::from_iter(beats);
    let all = now.iter().all(|(thread, count)| seen.get(thread) != Some(count));
    *seen = now;
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_still_is_no_sign_of_life() {
        let mut seen = Seen::new();
        let beats = |poller, lane| vec![("poller".to_owned(), poller), ("lane-0".to_owned(), lane)];
        let looks = [beats(1, 1), beats(2, 2), beats(3, 2), beats(4, 2), beats(5, 3), vec![("lane-0".to_owned(), 4)]];
        assert_eq!(looks.map(|beats| went_on(&mut seen, beats)), [true, true, false, false, true, true]);
    }
}
