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
//! **Invariant:** `enters` and `leaves` are those of the rows at `to` and `from`, so that a row is looked at once on its way
//! in and once on its way out, and not to see that it stays.

use super::history::{History, Row};
use crate::time::EventTime;
use crate::window::Window;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    from: u32,
    to: u32,
    /// When the next row enters; [`EventTime::MAX`]: there is none.
    enters: EventTime,
    /// When the oldest member leaves; [`EventTime::MAX`]: there is none, or never.
    leaves: EventTime,
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
    pub const START: Cursor = Cursor { from: 0, to: 0, enters: EventTime::MIN, leaves: EventTime::MAX };

    /// The rows that the window holds.
    pub fn members(&self) -> std::ops::Range<usize> {
        self.from as usize..self.to as usize
    }

    /// No row enters or leaves before this instant.
    #[inline]
    pub fn quiet_until(&self) -> EventTime {
        self.enters.min(self.leaves)
    }

    /// Nothing has passed yet, not even time.
    pub(super) fn is_at_start(&self) -> bool {
        self.enters == EventTime::MIN
    }

    /// Where a cursor from the start would come to by instant `t`, without a look at the rows on the way.
    pub(super) fn placed(window: &Window, history: &History, t: EventTime) -> Cursor {
        let rows = history.rows();
        let to = rows.partition_point(|row| window.enters_at(row.time) <= t);
        let from = rows.partition_point(|row| window.leaves_at(row.time) <= t).min(to);
        let mut cursor = Cursor { from: from as u32, to: to as u32, ..Cursor::START };
        cursor.look(window, history);
        cursor
    }

    /// Finds when the rows at both ends pass.
    fn look(&mut self, window: &Window, history: &History) {
        self.enters = self.next_to_enter(window, history);
        self.leaves = self.next_to_leave(window, history);
    }

    #[inline]
    fn next_to_enter(&self, window: &Window, history: &History) -> EventTime {
        history.rows().get(self.to as usize).map_or(EventTime::MAX, |row| window.enters_at(row.time))
    }

    #[inline]
    fn next_to_leave(&self, window: &Window, history: &History) -> EventTime {
        if self.from < self.to { window.leaves_at(history.rows()[self.from as usize].time) } else { EventTime::MAX }
    }

    /// Lets rows enter and leave up to and including instant `t`, and tells of each.
    #[inline]
    pub fn advance(&mut self, window: &Window, history: &History, t: EventTime, mut tell: impl FnMut(Passage, &Row)) {
        let rows = history.rows();
        while self.enters <= t
            && let Some(row) = rows.get(self.to as usize)
        {
            tell(Passage::Enters, row);
            if self.from == self.to {
                self.leaves = window.leaves_at(row.time);
            }
            self.to += 1;
            self.enters = self.next_to_enter(window, history);
        }
        while self.leaves <= t {
            tell(Passage::Leaves, &rows[self.from as usize]);
            self.from += 1;
            self.leaves = self.next_to_leave(window, history);
        }
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
            self.leaves = self.leaves.min(leaves);
            return Place::Inside;
        }
        self.enters = self.enters.min(enters);
        Place::Ahead { enters }
    }

    /// The row at `at` is gone.
    pub(super) fn removed(&mut self, window: &Window, history: &History, at: usize) {
        let (from, to) = (self.from as usize, self.to as usize);
        self.from -= u32::from(at < from);
        self.to -= u32::from(at < to);
        // At the start nothing is known of the rows, and they are found when it leaves there.
        if !self.is_at_start() && (at == from || at == to) {
            self.look(window, history);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        /// A row of so long before now comes.
        Insert(i64),
        Remove(prop::sample::Index),
        Pass(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..60i64).prop_map(Step::Insert),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
            2 => (0..15i64).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..40)
    }

    fn row(time: EventTime) -> Row {
        let cells = smallvec::SmallVec::new();
        Row { time, id: 0, order: 0, arrival: 0, cells, redeemed: false, refund: None, conditions: Default::default() }
    }

    fn windows() -> Vec<Window> {
        let [ten, thirty] = [10, 30].map(|millis| Span::from_millis(millis).unwrap());
        vec![
            Window::Last(ten),
            Window::OlderThan(ten),
            Window::FromTo { from: thirty, to: ten },
            Window::Since(EventTime::from_millis(20)),
            Window::Lifetime,
        ]
    }

    #[test]
    fn where_no_row_has_passed_none_is_looked_at_when_one_goes() {
        let mut history = History::default();
        history.insert(0, row(EventTime::from_millis(1)));
        let mut cursor = Cursor::START;
        cursor.removed(&Window::Lifetime, &history, 0);
        assert!(cursor.is_at_start());
    }

    proptest! {
        #[test]
        fn a_cursor_stands_where_it_would_if_it_were_placed_anew(window in prop::sample::select(windows()), steps in steps()) {
            let mut history = History::default();
            let mut t = EventTime::from_millis(0);
            let mut cursor = Cursor::placed(&window, &history, t);
            for step in steps {
                match step {
                    Step::Insert(before) => {
                        let time = EventTime::from_millis(t.millis() - before);
                        cursor.inserted(&window, time, t);
                        history.insert(history.place_for(time), row(time));
                    }
                    Step::Remove(at) if !history.rows.is_empty() => {
                        let at = at.index(history.rows.len());
                        history.rows.remove(at);
                        cursor.removed(&window, &history, at);
                    }
                    Step::Remove(_) => {}
                    Step::Pass(millis) => {
                        t = EventTime::from_millis(t.millis() + millis);
                        let mut members = cursor.members().len();
                        cursor.advance(&window, &history, t, |passage, _| match passage {
                            Passage::Enters => members += 1,
                            Passage::Leaves => members -= 1,
                        });
                        prop_assert_eq!(members, cursor.members().len());
                    }
                }
                prop_assert_eq!(cursor, Cursor::placed(&window, &history, t));
            }
        }
    }
}
