//! The local calendar by definition: an instant's day is the latest local date that any clock has shown so far, and a
//! unit begins at the first instant that belongs to it, found by bisection. Slow and without special cases: a missing
//! midnight, one that comes twice and a day that never was (Apia, 2011-12-30) all follow from these two sentences.
//!
//! **Invariant:** independent of `segmentd::time`: nothing here asks jiff where a day starts.

use std::cell::Cell;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use segmentd::time::CalendarUnit;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// One unit in one zone, with the bounds of the unit that was asked for last.
pub struct Calendar {
    zone: TimeZone,
    unit: CalendarUnit,
    last: Cell<Option<(i64, i64)>>,
}

impl Calendar {
    pub fn new(zone: TimeZone, unit: CalendarUnit) -> Calendar {
        Calendar { zone, unit, last: Cell::new(None) }
    }

    pub fn is(&self, zone: &TimeZone, unit: CalendarUnit) -> bool {
        self.unit == unit && self.zone == *zone
    }

    /// First instant of the unit that holds `at`, and first instant after it.
    pub fn bounds(&self, at: i64) -> (i64, i64) {
        if let Some(bounds) = self.last.get().filter(|(start, end)| (*start..*end).contains(&at)) {
            return bounds;
        }
        let ordinal = self.ordinal(at);
        let bounds = (first(at - 368 * DAY, at, |t| self.ordinal(t) >= ordinal), first(at, at + 368 * DAY, |t| self.ordinal(t) > ordinal));
        self.last.set(Some(bounds));
        bounds
    }

    /// First instant of the unit before the one that holds `at`.
    pub fn start_of_previous(&self, at: i64) -> i64 {
        let start = self.bounds(at).0;
        let ordinal = self.ordinal(start - 1);
        first(start - 369 * DAY, start - 1, |t| self.ordinal(t) >= ordinal)
    }

    /// A number that grows by steps as time passes: it tells this unit from those before and after.
    fn ordinal(&self, at: i64) -> i64 {
        let date = day_at(&self.zone, at);
        let (year, month) = (i64::from(date.year()), i64::from(date.month()));
        match self.unit {
            CalendarUnit::Day => days(date),
            CalendarUnit::Week => (days(date) + 3).div_euclid(7), // 1970-01-01 was a Thursday
            CalendarUnit::Month => year * 12 + month - 1,
            CalendarUnit::Quarter => year * 4 + (month - 1) / 3,
            CalendarUnit::Year => year,
        }
    }
}

/// First instant of a date in a zone.
pub fn start_of_date(zone: &TimeZone, date: Date) -> i64 {
    let midnight_utc = days(date) * DAY;
    first(midnight_utc - 30 * HOUR, midnight_utc + 54 * HOUR, |t| day_at(zone, t) >= date)
}

/// The latest local date that has been shown up to `at`: clocks that go back do not bring a day back.
fn day_at(zone: &TimeZone, at: i64) -> Date {
    let now = timestamp(at);
    let shown = |t: Timestamp| zone.to_datetime(t).date();
    let recent =
        zone.preceding(now + SignedDuration::from_millis(1)).map(|t| t.timestamp()).take_while(|t| timestamp(at - 48 * HOUR) <= *t);
    recent.map(|change| shown(change - SignedDuration::from_nanos(1))).chain([shown(now)]).max().unwrap()
}

fn days(date: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    i64::from(date.since((jiff::Unit::Day, epoch)).unwrap().get_days())
}

fn timestamp(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap()
}

/// The first instant in `low..=high` at which a condition that never becomes false again is true.
fn first(mut low: i64, mut high: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

mod tests {
    use super::*;
    use proptest::prelude::*;
    use segmentd::time::{CalendarDate, EventTime, Zone};

    const UNITS: [CalendarUnit; 5] =
        [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Quarter, CalendarUnit::Year];

    /// Missing midnights (São Paulo, Cairo, Santiago, Havana), midnights that come twice (Havana, Azores), a day that
    /// never was (Apia), half hours (Kolkata, Lord Howe), changes of the zone itself (Pyongyang, Casablanca).
    const ZONES: [&str; 11] = [
        "America/Sao_Paulo",
        "Africa/Cairo",
        "America/Santiago",
        "America/Havana",
        "Atlantic/Azores",
        "Pacific/Apia",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Asia/Pyongyang",
        "Africa/Casablanca",
        "Europe/Berlin",
    ];

    /// An instant at most three days from a change of clocks, or anywhere.
    fn instant(zone: &'static str) -> impl Strategy<Value = i64> {
        let year = |y: i16| jiff::civil::date(y, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let changes: Vec<i64> = TimeZone::get(zone)
            .unwrap()
            .following(year(1995))
            .map(|t| t.timestamp().as_millisecond())
            .take_while(|t| *t < 1_900_000_000_000)
            .collect();
        let quarter_hours = (-288..288i64).prop_map(|n| n * HOUR / 4);
        prop_oneof![
            1 => 800_000_000_000..1_900_000_000_000i64,
            4 => (prop::sample::select(if changes.is_empty() { vec![1_500_000_000_000] } else { changes }), quarter_hours, -1..=1i64).prop_map(|(t, off, ms)| t + off + ms),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_calendar_of_the_engine_is_the_one_by_definition(
            (zone, at) in prop::sample::select(&ZONES[..]).prop_flat_map(|zone| (Just(zone), instant(zone))),
            unit in prop::sample::select(&UNITS[..]),
        ) {
            let calendar = Calendar::new(TimeZone::get(zone).unwrap(), unit);
            let (engine, t) = (Zone::parse(zone).unwrap(), EventTime::from_millis(at));
            prop_assert_eq!(engine.start_of(unit, t).millis(), calendar.bounds(at).0);
            prop_assert_eq!(engine.start_of_next(unit, t).millis(), calendar.bounds(at).1);
            let date = day_at(&TimeZone::get(zone).unwrap(), at);
            prop_assert_eq!(engine.start_of_day(CalendarDate(date)).millis(), start_of_date(&TimeZone::get(zone).unwrap(), date));
        }
    }
}
