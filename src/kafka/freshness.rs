//! How fresh one copy is: how far it has been read, and until when nothing is missing.
//!
//! Two threads meet here. One asks the broker where a partition ends, and notes *when it asked*; the other says how far
//! the copy reaches. Once the copy reaches an end that was asked for at t, everything committed by t is in it.
//!
//! **Invariant:** `as_of` only grows, until the copy starts over; it is an instant at which somebody asked, never one at
//! which an answer came.

use crate::id::Offset;
use crate::time::EventTime;

/// Of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The next offset to read; everything below it is in the copy.
    pub next: Offset,
    /// Everything that was committed by then is in the copy. `None`: it has never been read to its end.
    pub as_of: Option<EventTime>,
    /// The end that was last told, and when it was asked for.
    end: Option<(Offset, EventTime)>,
    /// This process has seen the copy at its end.
    confirmed: bool,
}

impl Freshness {
    /// As found on disk.
    pub fn stored(next: Offset, as_of: Option<EventTime>) -> Freshness {
        Freshness { next, as_of, end: None, confirmed: false }
    }

    /// The copy reaches up to `next`.
    pub fn advance(&mut self, next: Offset) {
        self.next = next;
        self.confirm();
    }

    /// The partition ended at `end`, by an answer to a question that was asked at `asked_at`.
    pub fn note_end(&mut self, end: Offset, asked_at: EventTime) {
        self.end = Some((end, asked_at));
        self.confirm();
    }

    /// Offsets between the copy and the end that was last told; `None`: no end was told yet.
    pub fn remaining(&self) -> Option<u64> {
        self.end.map(|(end, _)| u64::try_from(end.0 - self.next.0).unwrap_or(0))
    }

    /// The same; 0 where no end was told.
    pub fn lag(&self) -> u64 {
        self.remaining().unwrap_or(0)
    }

    /// Has this process seen the copy at its end?
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    fn confirm(&mut self) {
        if let Some((end, asked_at)) = self.end
            && self.next >= end
        {
            // A wall clock that was set back must not make an answer look staler than the one before it.
            self.as_of = self.as_of.max(Some(asked_at));
            self.confirmed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> EventTime {
        EventTime::from_millis(millis)
    }

    #[test]
    fn a_copy_is_as_of_the_instant_at_which_the_end_that_it_reaches_was_asked_for() {
        let mut freshness = Freshness::stored(Offset(0), None);
        freshness.note_end(Offset(10), at(1000));
        assert_eq!((freshness.as_of, freshness.lag(), freshness.is_confirmed()), (None, 10, false));
        freshness.advance(Offset(9));
        assert_eq!((freshness.as_of, freshness.lag()), (None, 1));
        freshness.advance(Offset(10));
        assert_eq!((freshness.as_of, freshness.lag(), freshness.is_confirmed()), (Some(at(1000)), 0, true));
        freshness.note_end(Offset(12), at(2000));
        assert_eq!((freshness.as_of, freshness.lag()), (Some(at(1000)), 2), "what came since is not in it");
        freshness.advance(Offset(12));
        assert_eq!(freshness.as_of, Some(at(2000)));
    }

    #[test]
    fn what_an_earlier_process_knew_is_told_and_not_confirmed() {
        let freshness = Freshness::stored(Offset(5), Some(at(7)));
        assert_eq!((freshness.as_of, freshness.is_confirmed()), (Some(at(7)), false));
    }
}
