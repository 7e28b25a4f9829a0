//! Which of two events of one instant came first, where they stand in different streams.
//!
//! Rows of one stream stand in order of arrival by themselves. Between streams only a sequence asks, and only about rows
//! of the same instant; so a row is numbered when one of that instant is already there, and nearly all rows are 0, which
//! costs nothing to store.
//!
//! **Invariant:** of two rows of one instant in streams that sequences name, the later arrival has the higher number
//! (rows that came before a sequence named their stream are all 0, and stand in the order of the streams).

use super::Facts;
use crate::plan::Plan;
use crate::time::EventTime;

/// The number of a row of that time which comes now.
pub(super) fn next(plan: &Plan, facts: &Facts, time: EventTime) -> u32 {
    let ordered = facts.histories.iter().filter(|(stream, _)| plan.streams[*stream].ordered);
    let newest_of_that_instant = ordered.filter_map(|(_, history)| {
        let before = history.place_for(time).checked_sub(1)?;
        history.rows.get(before).filter(|row| row.time == time)
    });
    newest_of_that_instant.map(|row| row.arrival.saturating_add(1)).max().unwrap_or(0)
}
