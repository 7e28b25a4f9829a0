//! Who goes first where cores are short: whoever is waited for; then the lanes; then whoever only tells of the past.
//!
//! A lane works through as many events as there are. On a machine that is full a lookup would wait for the end of its time
//! slice, at each hand-over from thread to thread, and so would a scrape or a heartbeat.
//!
//! **Invariant:** lanes still get all that nobody else wants; with cores to spare nothing changes.

/// Steps of niceness: each weighs about a fifth less against other threads (Linux, `sched(7)`). With 5 of them the slowest lookups in
/// a hundred took half as long beside 20,000 events/s: 4.2 ms instead of 9.6 ms (`make bench`, `lookups_in_the_service`).
const LANE: i32 = 5;
/// A third of a lane's weight.
const HISTORY: i32 = 10;

/// Lets this thread, and those that it will start, stand behind whoever is waited for.
pub(super) fn stand_back_as_lane() {
    stand_back(LANE);
}

/// The same, and behind the lanes: what it does not get to now it reads later.
pub fn stand_back_as_history() {
    stand_back(HISTORY);
}

/// Where that is not allowed all stand in one row, which is no failure.
fn stand_back(steps: i32) {
    if let Err(error) = rustix::process::nice(steps) {
        tracing::debug!(%error, "the priority of this thread stays as it is");
    }
}
