//! Windows: which events of a stream a rule looks at, and when that changes by itself.
//!
//! A rolling window of length W, at instant t, holds the events with `t − W < time ≤ t`:
//!
//! ```text
//!     time ──o────────(────o────o──────]──▶
//!            left     t−W              t
//! ```
//!
//! Every window is said by two instants of each event: the one at which it enters and the one at which it leaves.
//! It is a member at t iff `enters_at ≤ t < leaves_at`.
//!
//! **Invariant:** both grow with the event's time. A window therefore is always a run of neighbours in a sorted
//! history, and its next change is that of the oldest member or of the oldest event that has not entered yet. The
//! engine sleeps on this: a wrong `leaves_at` is a missed exit.

use std::sync::Arc;

use crate::time::{CalendarDate, CalendarUnit, EventTime, Span, Zone};

/// A window with its time zone applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// `last W`
    Last(Span),
    /// `older than W`
    OlderThan(Span),
    /// `from A to B ago`
    FromTo {
        from: Span,
        to: Span,
    },
    /// `since DATE`: from the first instant of that local day.
    Since(EventTime),
    This(Arc<Calendar>),
    Previous(Arc<Calendar>),
    Lifetime,
}

impl Window {
    /// The first instant at which an event of that time is inside (if it has not left by then).
    #[inline]
    pub fn enters_at(&self, time: EventTime) -> EventTime {
        // The commonest, without a call: rows are asked by the dozen at each event.
        if let Window::Last(_) = self { time } else { self.others_enter_at(time) }
    }

    fn others_enter_at(&self, time: EventTime) -> EventTime {
        match self {
            Window::OlderThan(span) => time.plus(*span),
            Window::FromTo { to, .. } => time.plus(*to),
            Window::Previous(calendar) => calendar.next_start(time),
            Window::Last(_) | Window::Since(_) | Window::This(_) | Window::Lifetime => time,
        }
    }

    /// The first instant at which it is no longer inside; [`EventTime::MAX`]: never, [`EventTime::MIN`]: it never was.
    #[inline]
    pub fn leaves_at(&self, time: EventTime) -> EventTime {
        if let Window::Last(span) = self { time.plus(*span) } else { self.others_leave_at(time) }
    }

    fn others_leave_at(&self, time: EventTime) -> EventTime {
        match self {
            Window::Last(span) => time.plus(*span),
            Window::FromTo { from, .. } => time.plus(*from),
            Window::Since(start) if time < *start => EventTime::MIN,
            Window::This(calendar) => calendar.next_start(time),
            Window::Previous(calendar) => calendar.next_start(calendar.next_start(time)),
            Window::OlderThan(_) | Window::Since(_) | Window::Lifetime => EventTime::MAX,
        }
    }

    /// Whether events ever leave.
    pub fn is_left(&self) -> bool {
        matches!(self, Window::Last(_) | Window::FromTo { .. } | Window::This(_) | Window::Previous(_))
    }

    /// Whether events are inside from their own time on, and leave: while no new one comes, it only empties.
    pub fn only_empties(&self) -> bool {
        matches!(self, Window::Last(_) | Window::This(_))
    }

    /// How long after its time an event can still be of use, or enter; `None`: for ever.
    pub fn reach(&self) -> Reach {
        match self {
            Window::Last(span) => Reach::Bounded(*span),
            Window::FromTo { from, .. } => Reach::Bounded(*from),
            Window::This(calendar) => Reach::Bounded(calendar.longest_unit()),
            Window::Previous(calendar) => Reach::Bounded(Span::sum(calendar.longest_unit(), calendar.longest_unit())),
            Window::OlderThan(span) => Reach::Unbounded { enters_within: Some(*span) },
            Window::Since(_) | Window::Lifetime => Reach::Unbounded { enters_within: None },
        }
    }
}

/// How much history a window needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Events older than this have left.
    Bounded(Span),
    /// Events never leave; they have entered once they are this old.
    Unbounded { enters_within: Option<Span> },
}

/// The boundaries of one unit in one zone, computed once: a rule asks for them at every event.
#[derive(Debug)]
pub struct Calendar {
    unit: CalendarUnit,
    zone: Zone,
    /// Every start of the unit from [`FIRST_YEAR`] on, ascending.
    starts: Vec<EventTime>,
    /// Milliseconds between two of them, on average.
    spacing: i64,
}

const FIRST_YEAR: &str = "1990-01-01";
const LAST_YEAR: &str = "2060-01-01";

impl PartialEq for Calendar {
    fn eq(&self, other: &Calendar) -> bool {
        self.unit == other.unit && self.zone == other.zone
    }
}

impl Calendar {
    pub fn new(unit: CalendarUnit, zone: Zone) -> Calendar {
        let instant = |date| CalendarDate::parse(date).map_or(EventTime::MIN, |date| zone.start_of_day(date));
        let (mut start, end) = (zone.start_of(unit, instant(FIRST_YEAR)), instant(LAST_YEAR));
        let mut starts = Vec::new();
        while start <= end {
            starts.push(start);
            start = zone.start_of_next(unit, start);
        }
        let whole = starts.first().zip(starts.last()).map_or(0, |(first, last)| last.millis() - first.millis());
        let spacing = (whole / starts.len().max(1) as i64).max(1);
        Calendar { unit, zone, starts, spacing }
    }

    /// The first instant of the unit after the one that holds `time`.
    pub fn next_start(&self, time: EventTime) -> EventTime {
        self.next_known(time).unwrap_or_else(|| self.zone.start_of_next(self.unit, time))
    }

    /// Units are so alike that each starts near where it would if all were equal: it is found from there, without a search.
    fn next_known(&self, time: EventTime) -> Option<EventTime> {
        let since = time.millis().checked_sub(self.starts.first()?.millis())?;
        let mut next = usize::try_from(since / self.spacing).ok()?.min(self.starts.len());
        while self.starts.get(next).is_some_and(|start| *start <= time) {
            next += 1;
        }
        while self.starts[..next].last().is_some_and(|start| *start > time) {
            next -= 1;
        }
        self.starts.get(next).copied()
    }

    /// An upper bound of the unit's length: no zone ever moved its clock by more than a day.
    fn longest_unit(&self) -> Span {
        Span::from_days(match self.unit {
            CalendarUnit::Day => 2,
            CalendarUnit::Week => 8,
            CalendarUnit::Month => 32,
            CalendarUnit::Quarter => 93,
            CalendarUnit::Year => 367,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> EventTime {
        EventTime::parse(text).unwrap()
    }

    fn calendar(unit: CalendarUnit, zone: &str) -> Arc<Calendar> {
        Arc::new(Calendar::new(unit, Zone::parse(zone).unwrap()))
    }

    fn check(window: Window, event: &str, enters: &str, leaves: &str) {
        assert_eq!(window.enters_at(at(event)).to_string(), enters);
        assert_eq!(window.leaves_at(at(event)).to_string(), leaves);
    }

    #[test]
    fn a_rolling_window_is_left_at_exactly_time_plus_w() {
        check(Window::Last(Span::from_days(30)), "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "2026-01-31T00:00:00.000Z");
    }

    #[test]
    fn from_to_is_entered_and_left() {
        let window = Window::FromTo { from: Span::from_days(60), to: Span::from_days(30) };
        check(window, "2026-01-01T00:00:00.000Z", "2026-01-31T00:00:00.000Z", "2026-03-02T00:00:00.000Z");
    }

    #[test]
    fn this_month_ends_at_local_midnight_across_a_change_of_clocks() {
        let window = Window::This(calendar(CalendarUnit::Month, "Europe/Berlin"));
        check(window, "2026-03-28T12:00:00.000Z", "2026-03-28T12:00:00.000Z", "2026-03-31T22:00:00.000Z");
    }

    #[test]
    fn a_day_whose_midnight_is_missing_begins_at_its_first_instant() {
        // São Paulo, 15 October 2017: 00:00 does not exist, the day begins at 01:00 local, 03:00 UTC.
        let window = Window::This(calendar(CalendarUnit::Day, "America/Sao_Paulo"));
        check(window, "2017-10-14T12:00:00.000Z", "2017-10-14T12:00:00.000Z", "2017-10-15T03:00:00.000Z");
    }

    #[test]
    fn previous_week_holds_an_event_from_monday_to_monday() {
        let window = Window::Previous(calendar(CalendarUnit::Week, "UTC"));
        check(window, "2026-01-07T12:00:00.000Z", "2026-01-12T00:00:00.000Z", "2026-01-19T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn calendar_boundaries_equal_those_of_the_zone(millis in 600_000_000_000i64..3_000_000_000_000, unit in 0..5usize, zone in 0..4usize) {
            let unit = [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Quarter, CalendarUnit::Year][unit];
            let zone = ["UTC", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia"][zone];
            let instant = EventTime::from_millis(millis);
            let next = calendar(unit, zone).next_start(instant);
            prop_assert_eq!(next, Zone::parse(zone).unwrap().start_of_next(unit, instant));
            prop_assert!(next > instant);
        }
    }
}
