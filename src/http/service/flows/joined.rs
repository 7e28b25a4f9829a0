//! Pasts of several processes as one.
//!
//! Steps are the same everywhere but for the first, where a past may begin later, and the last: each process's present is that of its
//! own partitions. Who has not come to a step yet has as many members in it as at its present, and nothing has happened there.
//!
//! **Law:** at each step that is told, members and flows are the sums of what each process tells of it, and no step is told that
//! one of them knows nothing of.

use std::collections::BTreeMap;

use super::{Flow, Point};
use crate::http::service::steps::end_of;
use crate::http::service::together::add_counts;
use crate::time::{EventTime, Span};

/// By the end of its step.
type Past = BTreeMap<EventTime, Point>;

pub fn points(one: Vec<Point>, other: Vec<Point>, step: Span) -> Vec<Point> {
    // Where nothing has happened nobody is a member.
    if one.is_empty() || other.is_empty() {
        return if one.is_empty() { other } else { one };
    }
    let [one, other] = [one, other].map(|points| by_end(points, step));
    let begins = [&one, &other].into_iter().filter_map(|past| past.keys().next()).max().copied().unwrap_or(EventTime::MAX);
    let ends: std::collections::BTreeSet<EventTime> = one.keys().chain(other.keys()).copied().filter(|end| *end >= begins).collect();
    ends.into_iter().filter_map(|end| Some(sum(at(&one, end)?, at(&other, end)?))).collect()
}

/// Steps follow each other without a gap. (The instant of the last does not say which it is: at the very beginning of a step the
/// present is also the end of the one before.)
fn by_end(points: Vec<Point>, step: Span) -> Past {
    let first = points.first().and_then(|point| EventTime::parse(&point.at)).map_or(EventTime::MIN, |at| end_of(at, step));
    let ends = (0..).map(|number: i64| EventTime::from_millis(first.millis() + number * step.millis()));
    ends.zip(points).collect()
}

/// What a past tells of a step; after its present nothing has happened.
fn at(past: &Past, end: EventTime) -> Option<Point> {
    let (found, point) = past.range(..=end).next_back()?;
    let point = point.clone();
    Some(if *found == end { point } else { Point { entered: BTreeMap::new(), exited: BTreeMap::new(), ..point } })
}

fn sum(one: Point, other: Point) -> Point {
    let Point { at, members, mut entered, mut exited } = one;
    add_counts(&mut entered, &other.entered);
    add_counts(&mut exited, &other.exited);
    let members = members.zip(other.members).map(|(one, other)| one + other);
    // Of one form and in UTC: the later text is the later instant.
    Point { at: at.max(other.at), members, entered, exited }
}

pub fn moves(one: Vec<Flow>, other: Vec<Flow>) -> Vec<Flow> {
    let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
    for Flow { from, to, count } in one.into_iter().chain(other) {
        *sums.entry((from, to)).or_default() += count;
    }
    sums.into_iter().map(|((from, to), count)| Flow { from, to, count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(points: &[(&str, Option<i64>, u64)]) -> Vec<Point> {
        let point = |(at, members, entered): &(&str, Option<i64>, u64)| Point {
            at: format!("2026-01-{at}:00.000Z"),
            members: *members,
            entered: Some(("event".to_owned(), *entered)).filter(|(_, entered)| *entered > 0).into_iter().collect(),
            exited: BTreeMap::new(),
        };
        points.iter().map(point).collect()
    }

    fn check(one: &[(&str, Option<i64>, u64)], other: &[(&str, Option<i64>, u64)], expected: &[(&str, Option<i64>, u64)]) {
        for (one, other) in [(one, other), (other, one)] {
            let found = points(past(one), past(other), Span::DAY);
            let told = |points: &[Point]| points.iter().map(|p| (p.at.clone(), p.members, p.entered.clone())).collect::<Vec<_>>();
            assert_eq!(told(&found), told(&past(expected)));
        }
    }

    #[test]
    fn steps_are_added_up() {
        let (a, b) = ([("02T00:00", Some(1), 1), ("03T00:00", Some(3), 2)], [("02T00:00", Some(10), 4), ("03T00:00", Some(11), 1)]);
        check(&a, &b, &[("02T00:00", Some(11), 5), ("03T00:00", Some(14), 3)]);
    }

    #[test]
    fn who_is_behind_stands_still_and_who_knows_less_of_the_past_ends_it() {
        let behind = [("03T00:00", Some(1), 1), ("03T07:00", Some(2), 1)];
        let ahead = [("02T00:00", Some(5), 5), ("03T00:00", Some(6), 1), ("04T00:00", Some(7), 1), ("04T09:00", Some(9), 2)];
        check(&behind, &ahead, &[("03T00:00", Some(7), 2), ("04T00:00", Some(9), 2), ("04T09:00", Some(11), 2)]);
    }

    #[test]
    fn a_present_that_is_the_beginning_of_a_step_is_of_that_step() {
        let begun = [("02T00:00", Some(1), 1), ("03T00:00", Some(2), 1), ("03T00:00", Some(4), 2)];
        check(&begun, &begun, &[("02T00:00", Some(2), 2), ("03T00:00", Some(4), 2), ("03T00:00", Some(8), 4)]);
    }

    #[test]
    fn what_is_being_counted_is_not_known_and_where_nothing_happened_nobody_is() {
        check(&[("02T00:00", None, 1)], &[("02T00:00", Some(2), 0)], &[("02T00:00", None, 1)]);
        check(&[], &[("02T00:00", Some(2), 0)], &[("02T00:00", Some(2), 0)]);
    }
}
