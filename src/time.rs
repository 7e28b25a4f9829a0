//! Instants, spans and the calendar. The only place that knows about time zones.
//!
//! **Invariant:** nothing here reads a clock. An instant is when something happened, never when we noticed.

use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

/// A positive length of time in milliseconds. A day is exactly 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// A day of the proleptic Gregorian calendar, in no particular time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarDate(pub Date);

/// The units of `this …` and `previous …`. Weeks begin on Monday (ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl EventTime {
    /// Before every event; the clock of a task that has seen nothing.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// Never.
    pub const MAX: EventTime = EventTime(i64::MAX);
    /// The first instant that RFC 3339 cannot say.
    pub const YEAR_10000: EventTime = EventTime(253_402_300_800_000);

    pub const fn from_millis(millis: i64) -> EventTime {
        EventTime(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This instant plus a span; [`EventTime::MAX`] absorbs.
    pub fn plus(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }

    /// This instant less a span; [`EventTime::MIN`] absorbs.
    pub fn minus(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_sub(span.0))
    }

    /// RFC 3339 with an offset; digits beyond the millisecond are cut off. `None`: not such a text.
    ///
    /// Source: RFC 3339 §5.6. A leap second (`:60`) is read as `:59`, as jiff does.
    pub fn parse(text: &str) -> Option<EventTime> {
        parse_utc(text.as_bytes()).or_else(|| parse_any(text))
    }
}

impl fmt::Display for EventTime {
    /// RFC 3339, UTC, milliseconds: `2017-01-27T21:30:07.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rfc3339() {
            Some(text) => f.write_str(std::str::from_utf8(&text).unwrap_or_default()),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl EventTime {
    /// As ASCII text: RFC 3339, UTC, milliseconds. `None`: outside of the years 0 to 9999, which that cannot say.
    pub fn rfc3339(self) -> Option<[u8; 24]> {
        let (days, millis) = (self.0.div_euclid(Span::DAY.0), self.0.rem_euclid(Span::DAY.0));
        let (year, month, day) = civil_from_days(days);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut pair = |at: usize, number: u32| (text[at], text[at + 1]) = (b'0' + (number / 10) as u8, b'0' + (number % 10) as u8);
        let (year, millis) = (year as u32, millis as u32);
        let [seconds, thousandths] = [millis / 1000, millis % 1000];
        pair(0, year / 100);
        pair(2, year % 100);
        pair(5, month as u32);
        pair(8, day as u32);
        pair(11, seconds / 3600);
        pair(14, seconds / 60 % 60);
        pair(17, seconds % 60);
        pair(20, thousandths / 10);
        text[22] = b'0' + (thousandths % 10) as u8;
        Some(text)
    }
}

/// The proleptic Gregorian date of a day, counted from 1970-01-01: year, month, day.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The common form `yyyy-MM-ddTHH:mm:ss[.fff…]Z`, without a date library: it is parsed once an event.
fn parse_utc(text: &[u8]) -> Option<EventTime> {
    let (&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2], rest) = text.split_first_chunk::<19>()?
    else {
        return None;
    };
    let fraction = rest.strip_suffix(b"Z")?;
    if ![y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, n1, n2, s1, s2].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, month, day) = (pair(y1, y2) * 100 + pair(y3, y4), pair(m1, m2), pair(d1, d2));
    let (hour, minute, second) = (pair(h1, h2), pair(n1, n2), pair(s1, s2));
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let millis = fraction_millis(fraction)?;
    Some(EventTime((((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis))
}

/// The number of two digits; masked, they are seen to be small, and nothing is checked for overflow.
fn pair(tens: u8, ones: u8) -> i64 {
    i64::from(tens & 0xF) * 10 + i64::from(ones & 0xF)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// `""` or `.` and digits, cut off after the third.
fn fraction_millis(text: &[u8]) -> Option<i64> {
    let Some((b'.', digits_after)) = text.split_first().map(|(b, rest)| (*b, rest)) else {
        return text.is_empty().then_some(0);
    };
    if digits_after.is_empty() || !digits_after.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |i: usize| digits_after.get(i).map_or(0, |b| i64::from(b - b'0'));
    Some(digit(0) * 100 + digit(1) * 10 + digit(2))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Every other RFC 3339 form. The fraction is cut off before jiff sees it: jiff would round nanoseconds it cannot hold.
fn parse_any(text: &str) -> Option<EventTime> {
    let date_and_time = text.get(..19)?;
    let separators = date_and_time.as_bytes();
    if separators[4] != b'-' || !matches!(separators[10], b'T' | b't' | b' ') || separators[13] != b':' {
        return None;
    }
    let rest = text.get(19..)?;
    let offset_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let millis = fraction_millis(&rest.as_bytes()[..offset_at])?;
    let offset = offset_seconds(&rest.as_bytes()[offset_at..])?;
    let civil: DateTime = date_and_time.replace(['t', ' '], "T").parse().ok()?;
    let utc = TimeZone::UTC.to_timestamp(civil).ok()?.as_second();
    Some(EventTime((utc - offset) * 1000 + millis))
}

/// `Z`, `z` or `±HH:MM`, in seconds east of UTC.
fn offset_seconds(text: &[u8]) -> Option<i64> {
    match text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', m1, m2] if hours.len() == 2 => {
            let (hours, minutes) = (digits(hours)?, digits(&[*m1, *m2])?);
            let seconds = (hours <= 23 && minutes <= 59).then_some((hours * 60 + minutes) * 60)?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

impl Span {
    pub const SECOND: Span = Span(1000);
    pub const MINUTE: Span = Span(60_000);
    pub const DAY: Span = Span(86_400_000);

    /// `None` unless positive.
    pub const fn from_millis(millis: i64) -> Option<Span> {
        if millis > 0 { Some(Span(millis)) } else { None }
    }

    pub const fn from_days(days: u32) -> Span {
        assert!(days > 0);
        Span(days as i64 * 86_400_000)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    pub fn sum(a: Span, b: Span) -> Span {
        Span(a.0.saturating_add(b.0))
    }

    /// `digits ("s"|"m"|"h"|"d"|"w")`, greater than 0 and at most [`Span::LONGEST`].
    pub fn parse(text: &str) -> Option<Span> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let millis = digits.parse::<i64>().ok()?.checked_mul(unit_millis(unit)?)?;
        Span::from_millis(millis).filter(|span| *span <= Span::LONGEST)
    }

    /// A thousand years: nobody means more, and sums with an instant stay far from overflow.
    pub const LONGEST: Span = Span(365_250 * 86_400_000);
}

fn unit_millis(unit: &str) -> Option<i64> {
    Some(match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    })
}

impl fmt::Display for Span {
    /// The largest unit among `d h m s` that divides it; weeks are written as days, since `last 7d` and `last 1w` are one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for unit in ["d", "h", "m", "s"] {
            let millis = unit_millis(unit).unwrap_or(1);
            if self.0 % millis == 0 {
                return write!(f, "{}{unit}", self.0 / millis);
            }
        }
        write!(f, "{}ms", self.0)
    }
}

impl CalendarDate {
    /// `YYYY-MM-DD`, a day that exists.
    pub fn parse(text: &str) -> Option<CalendarDate> {
        let well_formed =
            text.len() == 10 && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        well_formed.then(|| text.parse().ok().map(CalendarDate)).flatten()
    }
}

impl fmt::Display for CalendarDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time zone of the IANA database that is compiled in: two processes never disagree about a boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// By its IANA name, `Europe/Berlin`; `None` if there is no such zone.
    pub fn parse(name: &str) -> Option<Zone> {
        if name == "UTC" {
            return Some(Zone::UTC);
        }
        jiff::tz::db().get(name).ok().map(Zone)
    }

    /// All that [`Zone::parse`] knows.
    pub fn names() -> Vec<String> {
        jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The first instant of a local day, also where midnight is missing or comes twice.
    pub fn start_of_day(&self, date: CalendarDate) -> EventTime {
        let zoned = date.0.to_zoned(self.0.clone()).and_then(|z| z.start_of_day());
        zoned.map_or(EventTime::MAX, |z| EventTime(z.timestamp().as_millisecond()))
    }

    /// The first instant of the unit that holds `at`.
    pub fn start_of(&self, unit: CalendarUnit, at: EventTime) -> EventTime {
        self.unit_start(unit, at).map_or(EventTime::MIN, |date| self.start_of_day(CalendarDate(date)))
    }

    /// The first instant of the unit after the one that holds `at`; [`EventTime::MAX`] at the end of the calendar.
    pub fn start_of_next(&self, unit: CalendarUnit, at: EventTime) -> EventTime {
        let next = self.unit_start(unit, at).and_then(|date| next_unit(date, unit));
        next.map_or(EventTime::MAX, |date| self.start_of_day(CalendarDate(date)))
    }

    /// The local day that holds `at`. Where clocks went back over midnight an instant may read as the day before
    /// although the new day has begun: days never come back, so it belongs to the new one.
    fn day_of(&self, at: EventTime) -> Option<Date> {
        let date = Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.0.clone()).date();
        let tomorrow = date.tomorrow().ok()?;
        Some(if self.start_of_day(CalendarDate(tomorrow)) <= at { tomorrow } else { date })
    }

    /// The local date on which the unit that holds `at` begins.
    fn unit_start(&self, unit: CalendarUnit, at: EventTime) -> Option<Date> {
        let date = self.day_of(at)?;
        Some(match unit {
            CalendarUnit::Day => date,
            CalendarUnit::Week => date.checked_sub(i64::from(date.weekday().since(Weekday::Monday)).days()).ok()?,
            CalendarUnit::Month => date.first_of_month(),
            CalendarUnit::Quarter => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok()?,
            CalendarUnit::Year => date.first_of_year(),
        })
    }
}

/// The first date of the unit after the one that begins on `date`.
fn next_unit(date: Date, unit: CalendarUnit) -> Option<Date> {
    let span = match unit {
        CalendarUnit::Day => 1.day(),
        CalendarUnit::Week => 1.week(),
        CalendarUnit::Month => 1.month(),
        CalendarUnit::Quarter => 3.months(),
        CalendarUnit::Year => 1.year(),
    };
    date.checked_add(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(text: &str) -> Option<i64> {
        EventTime::parse(text).map(EventTime::millis)
    }

    #[test]
    fn an_instant_needs_an_offset_and_digits_beyond_the_millisecond_are_cut_off() {
        assert_eq!(millis("2026-01-01T00:00:00Z"), Some(1_767_225_600_000));
        assert_eq!(millis("2026-01-01T00:00:00.9999999Z"), Some(1_767_225_600_999));
        assert_eq!(millis("2026-01-01T02:00:00.5+02:00"), Some(1_767_225_600_500));
        assert_eq!(millis("2026-01-01T00:00:00"), None);
        assert_eq!(millis("2026-02-30T00:00:00Z"), None);
        assert_eq!(millis("2026-01-01T24:00:00Z"), None);
        assert_eq!(millis("2026-01-01T00:00:00.Z"), None);
    }

    #[test]
    fn a_span_is_positive_and_has_one_unit() {
        assert_eq!(Span::parse("2w").map(|span| span.to_string()), Some("14d".to_owned()));
        assert_eq!(Span::parse("90m").map(|span| span.to_string()), Some("90m".to_owned()));
        for bad in ["0d", "d", "", "1y", "1.5h", "99999999999999999999d"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_day_that_has_begun_does_not_go_back_with_the_clocks() {
        // Newfoundland, 1990-10-28: at 00:01 the clocks went back to 23:01 of the 27th.
        let zone = Zone::parse("America/St_Johns").unwrap();
        let day = |text| zone.start_of(CalendarUnit::Day, EventTime::parse(text).unwrap()).to_string();
        assert_eq!(day("1990-10-28T02:30:30Z"), "1990-10-28T02:30:00.000Z");
        assert_eq!(day("1990-10-28T02:45:00Z"), "1990-10-28T02:30:00.000Z");
    }

    proptest! {
        #[test]
        fn an_instant_is_shown_as_jiff_shows_it_and_read_back(millis in -62_167_219_200_000i64..253_402_300_800_000) {
            let shown = EventTime::from_millis(millis).to_string();
            prop_assert_eq!(&shown, &format!("{:.3}", Timestamp::from_millisecond(millis).unwrap()));
            prop_assert_eq!(EventTime::parse(&shown), Some(EventTime::from_millis(millis)));
        }
    }
}
