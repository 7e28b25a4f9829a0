//! Who goes first where cores are short: whoever is waited for.
//!
//! A lane works through as many events as there are. On a machine that is full a lookup would wait for the end of its time
//! slice, at each hand-over from thread to thread, and so would a scrape or a heartbeat.
//!
//! **Invariant:** lanes still get all that nobody else wants; with cores to spare nothing changes.

/// Steps of niceness: each weighs about a fifth less against other threads (Linux, `sched(7)`). With 5 of them the slowest lookups in
/// a hundred took half as long beside 20,000 events/s: 4.2 ms instead of 9.6 ms (`make bench`, `lookups_in_the_service`).
const STEPS_BACK: i32 = 5;

/// Lets this thread, and those that it will start, stand behind the others. Where that is not allowed all stand in one row,
/// which is no failure.
pub(super) fn stand_back() {
    if let Err(error) = rustix::process::nice(STEPS_BACK) {
        tracing::debug!(%error, "the priority of a lane stays as it is");
    }
}
