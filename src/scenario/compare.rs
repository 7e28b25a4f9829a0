//! What a page expects against what came, as lines that a person reads.
//!
//! Customers are compared one by one: between customers no order is promised (partitions run on their own), within
//! one the order of transitions is part of the contract, also at the same instant.
//!
//! **Invariant:** no lines, exactly if the page holds.

use std::collections::BTreeSet;
use std::fmt;

use super::{Expectation, ExpectedTransition, Happening, Page};
use crate::experiment::Arm;
use crate::id::{CustomerId, SegmentKey};
use crate::time::EventTime;
use crate::transition::{Announcement, Cause, Output, Transition};

/// A transition or an announcement reduced to what a page may say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub customer: CustomerId,
    pub segment: SegmentKey,
    pub happening: Happening,
    pub at: EventTime,
    pub sequence: u64,
    pub entry: u64,
    pub cause: Cause,
    /// When it ends if nothing more happens; `None`: never, or an exit.
    pub valid_until: Option<EventTime>,
    /// Of an entry into a ladder's stage: the stage that was left for it.
    pub from: Option<SegmentKey>,
    /// Whether it goes to the entry topic too.
    pub published: bool,
    pub arm: Option<Arm>,
}

impl From<Output<'_>> for Outcome {
    fn from(output: Output<'_>) -> Outcome {
        match output {
            Output::Transition(transition) => transition.into(),
            Output::Announcement(announcement) => announcement.into(),
        }
    }
}

impl From<&Announcement> for Outcome {
    fn from(announcement: &Announcement) -> Outcome {
        Outcome {
            customer: announcement.customer.clone(),
            segment: announcement.segment.clone(),
            happening: Happening::Expiring,
            at: announcement.at,
            sequence: announcement.sequence,
            entry: announcement.entry,
            cause: announcement.cause,
            valid_until: Some(announcement.valid_until),
            from: None,
            published: announcement.is_for_campaigns(),
            arm: announcement.arm,
        }
    }
}

impl From<&Transition> for Outcome {
    fn from(transition: &Transition) -> Outcome {
        Outcome {
            customer: transition.customer.clone(),
            segment: transition.segment.clone(),
            happening: transition.direction.into(),
            at: transition.at,
            sequence: transition.sequence,
            entry: transition.entry,
            cause: transition.cause,
            valid_until: transition.valid_until,
            from: transition.moved.as_ref().map(|moved| moved.from.clone()),
            published: transition.is_published_entry(),
            arm: transition.arm,
        }
    }
}

impl Outcome {
    /// All that a page can say, but for what is so by default.
    pub fn as_expectation(&self) -> ExpectedTransition {
        let exited = self.happening == Happening::Exited;
        ExpectedTransition {
            at: self.at,
            customer: self.customer.clone(),
            segment: self.segment.clone(),
            happening: self.happening,
            cause: Some(self.cause),
            sequence: Some(self.sequence),
            entry: Some(self.entry),
            valid_until: (!exited).then_some(self.valid_until),
            from: self.from.clone().map(Some),
            published: (!exited && !self.published).then_some(false),
            arm: self.arm,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_expectation().fmt(f)
    }
}

/// A line of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    Agrees(&'a ExpectedTransition),
    /// Expected, and it did not come. With its position in the page's `expect`.
    Missing(usize, &'a ExpectedTransition),
    /// It came unexpected.
    Unexpected(&'a Outcome),
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Agrees(expected) => write!(f, "  {expected}"),
            Line::Missing(_, expected) => write!(f, "- {expected}"),
            Line::Unexpected(outcome) => write!(f, "+ {outcome}"),
        }
    }
}

/// [`compare`] as text: `- ` before what was expected and did not come, `+ ` before what came unexpected, two blanks
/// before what agrees.
pub fn differences(page: &Page, outcomes: &[Outcome]) -> Vec<String> {
    compare(page, outcomes).iter().map(Line::to_string).collect()
}

/// What a page expects beside what came, customer by customer; empty if all agrees.
pub fn compare<'a>(page: &'a Page, outcomes: &'a [Outcome]) -> Vec<Line<'a>> {
    let named = page.named_segments();
    let expected: Vec<(usize, &ExpectedTransition)> = page.expect.iter().enumerate().filter_map(as_transition).collect();
    let came: Vec<&Outcome> = outcomes.iter().filter(|o| named.contains(&o.segment)).collect();
    let customers: BTreeSet<&CustomerId> = expected.iter().map(|(_, e)| &e.customer).chain(came.iter().map(|o| &o.customer)).collect();
    let of_customer = |customer: &CustomerId| {
        let expected: Vec<_> = expected.iter().copied().filter(|(_, e)| e.customer == *customer).collect();
        let came: Vec<_> = came.iter().copied().filter(|o| o.customer == *customer).collect();
        aligned(&expected, &came)
    };
    customers.into_iter().flat_map(of_customer).collect()
}

fn as_transition((index, expectation): (usize, &Expectation)) -> Option<(usize, &ExpectedTransition)> {
    match expectation {
        Expectation::Transition(expected) => Some((index, expected)),
        Expectation::Never(_) => None,
    }
}

/// Both lists side by side: what agrees at the beginning and at the end, and between them what does not, as it is,
/// without guessing what belongs together.
fn aligned<'a>(expected: &[(usize, &'a ExpectedTransition)], came: &[&'a Outcome]) -> Vec<Line<'a>> {
    let agrees = |((_, expected), came): &(&(usize, &ExpectedTransition), &&Outcome)| matches(expected, came);
    let first = expected.iter().zip(came).take_while(agrees).count();
    if first == expected.len() && first == came.len() {
        return Vec::new();
    }
    let last = expected[first..].iter().rev().zip(came[first..].iter().rev()).take_while(agrees).count();
    let (missing, after) = expected[first..].split_at(expected.len() - first - last);
    let agreed = |(_, expected): &(usize, &'a ExpectedTransition)| Line::Agrees(expected);
    let mut lines: Vec<Line<'a>> = expected[..first].iter().map(agreed).collect();
    lines.extend(missing.iter().map(|(index, expected)| Line::Missing(*index, expected)));
    lines.extend(came[first..came.len() - last].iter().map(|outcome| Line::Unexpected(outcome)));
    lines.extend(after.iter().map(agreed));
    lines
}

fn matches(expected: &ExpectedTransition, came: &Outcome) -> bool {
    (expected.at, &expected.segment, expected.happening) == (came.at, &came.segment, came.happening)
        && expected.cause.is_none_or(|cause| cause == came.cause)
        && expected.sequence.is_none_or(|sequence| sequence == came.sequence)
        && expected.entry.is_none_or(|entry| entry == came.entry)
        && expected.valid_until.is_none_or(|until| until == came.valid_until)
        && expected.from.as_ref().is_none_or(|from| *from == came.from)
        && expected.published.is_none_or(|published| published == came.published)
        && expected.arm.is_none_or(|arm| Some(arm) == came.arm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(expect: &str) -> Page {
        let catalogue = crate::event::Catalogue::segment_spec();
        super::super::parse("x", &format!("name: x\nexpect: [{expect}]"), &catalogue).unwrap().remove(0)
    }

    fn entry(segment: &str) -> Outcome {
        Outcome {
            customer: "c".into(),
            segment: segment.into(),
            happening: Happening::Entered,
            at: EventTime::from_millis(0),
            sequence: 1,
            entry: 1,
            cause: Cause::Event,
            valid_until: None,
            from: None,
            published: true,
            arm: None,
        }
    }

    #[test]
    fn what_a_page_does_not_say_may_be_anything() {
        assert!(differences(&page("{at: 1970-01-01T00:00:00Z, entered: a}"), &[entry("a"), entry("b")]).is_empty());
    }

    #[test]
    fn a_segment_that_is_named_is_compared_whole() {
        assert_eq!(differences(&page("{never: a}"), &[entry("a")]).len(), 1);
    }

    #[test]
    fn what_agrees_after_a_difference_is_shown_as_agreeing() {
        let page = page("{at: 1970-01-01T00:00:00Z, entered: a}, {at: 1970-01-01T00:00:00Z, entered: b}, {never: c}");
        let lines = differences(&page, &[entry("a"), entry("c"), entry("b")]);
        let marks: Vec<_> = lines.iter().map(|line| &line[..1]).collect();
        assert_eq!(marks, [" ", "+", " "]);
    }

    #[test]
    fn a_wrong_cause_shows_both_lines() {
        let lines = differences(&page("{at: 1970-01-01T00:00:00Z, entered: a, cause: time}"), &[entry("a")]);
        assert_eq!(lines[0], "- {at: 1970-01-01T00:00:00.000Z, entered: a, cause: time}");
        assert_eq!(lines[1], "+ {at: 1970-01-01T00:00:00.000Z, entered: a, cause: event, sequence: 1, entry: 1, valid_until: null}");
    }
}
