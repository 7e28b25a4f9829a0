//! Where a window stands over a customer's sorted history: which rows it holds.
//!
//! ```text
//!     rows    o  o  o  o  o  o
//!                ▲        ▲
//!              from       to        members: from..to
//! ```
//!
//! All aggregates over the same window of a stream share one cursor. Time only moves both ends to the right, one row at
//! a time; the cost of a row's whole life is one step of each end.
//!
//! **Invariant:** no row enters or leaves before `quiet_until`. It may be early, never late.

use super::history::{History, Row};
use crate::time::EventTime;
use crate::window::Window;

#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    from: u32,
    to: u32,
    /// Most calls of `advance` end here, without touching a row.
    quiet_until: EventTime,
}

/// What happens to a row that the cursor passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Enters,
    Leaves,
}

/// Where a new row stands to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Behind,
    Inside,
    Ahead { enters: EventTime },
}

impl Cursor {
    /// Before all rows.
    pub const START: Cursor = Cursor { from: 0, to: 0, quiet_until: EventTime::MIN };

    /// The rows that the window holds.
    pub fn members(&self) -> std::ops::Range<usize> {
        self.from as usize..self.to as usize
    }

    /// No row enters or leaves before this instant.
    pub fn quiet_until(&self) -> EventTime {
        self.quiet_until
    }

    /// Nothing has passed yet, not even time.
    pub(super) fn is_at_start(&self) -> bool {
        self.quiet_until == EventTime::MIN
    }

    /// Where a cursor from the start would come to by instant `t`, without a look at the rows on the way.
    pub(super) fn placed(window: &Window, history: &History, t: EventTime) -> Cursor {
        let rows = history.rows();
        let to = rows.partition_point(|row| window.enters_at(row.time) <= t);
        let from = rows.partition_point(|row| window.leaves_at(row.time) <= t).min(to);
        let enters = rows.get(to).map_or(EventTime::MAX, |row| window.enters_at(row.time));
        let leaves = if from < to { window.leaves_at(rows[from].time) } else { EventTime::MAX };
        Cursor { from: from as u32, to: to as u32, quiet_until: leaves.min(enters) }
    }

    /// Lets rows enter and leave up to and including instant `t`, and tells of each.
    pub fn advance(&mut self, window: &Window, history: &History, t: EventTime, mut tell: impl FnMut(Passage, &Row)) {
        let rows = history.rows();
        let mut enters = EventTime::MAX;
        while let Some(row) = rows.get(self.to as usize) {
            enters = window.enters_at(row.time);
            if enters > t {
                break;
            }
            tell(Passage::Enters, row);
            self.to += 1;
            enters = EventTime::MAX;
        }
        let mut leaves = EventTime::MAX;
        while self.from < self.to {
            leaves = window.leaves_at(rows[self.from as usize].time);
            if leaves > t {
                break;
            }
            tell(Passage::Leaves, &rows[self.from as usize]);
            self.from += 1;
            leaves = EventTime::MAX;
        }
        self.quiet_until = leaves.min(enters);
    }

    /// Makes room for a row of that time, the cursor standing at `t`.
    pub(super) fn inserted(&mut self, window: &Window, time: EventTime, t: EventTime) -> Place {
        let (enters, leaves) = (window.enters_at(time), window.leaves_at(time));
        if leaves <= t {
            self.from += 1;
            self.to += 1;
            return Place::Behind;
        }
        if enters <= t {
            self.to += 1;
            self.quiet_until = self.quiet_until.min(leaves);
            return Place::Inside;
        }
        self.quiet_until = self.quiet_until.min(enters);
        Place::Ahead { enters }
    }

    /// The row at `at` is gone.
    pub(super) fn removed(&mut self, at: usize) {
        self.from -= u32::from(at < self.from as usize);
        self.to -= u32::from(at < self.to as usize);
    }
}
