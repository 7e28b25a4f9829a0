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

/// `- ` before what was expected and did not come, `+ ` before what came unexpected, two blanks before what agrees;
/// empty if all does.
pub fn differences(page: &Page, outcomes: &[Outcome]) -> Vec<String> {
    let named = page.named_segments();
    let expected: Vec<&ExpectedTransition> = page.expect.iter().filter_map(as_transition).collect();
    let came: Vec<&Outcome> = outcomes.iter().filter(|o| named.contains(&o.segment)).collect();
    let customers: BTreeSet<&CustomerId> = expected.iter().map(|e| &e.customer).chain(came.iter().map(|o| &o.customer)).collect();
    let of_customer = |customer: &CustomerId| {
        let expected: Vec<_> = expected.iter().copied().filter(|e| e.customer == *customer).collect();
        let came: Vec<_> = came.iter().copied().filter(|o| o.customer == *customer).collect();
        aligned(&expected, &came)
    };
    customers.into_iter().flat_map(of_customer).collect()
}

fn as_transition(expectation: &Expectation) -> Option<&ExpectedTransition> {
    match expectation {
        Expectation::Transition(expected) => Some(expected),
        Expectation::Never(_) => None,
    }
}

/// Both lists side by side; after the first difference the rest is shown as it is, without guessing what belongs together.
fn aligned(expected: &[&ExpectedTransition], came: &[&Outcome]) -> Vec<String> {
    let same = expected.iter().zip(came).take_while(|(expected, came)| matches(expected, came)).count();
    if same == expected.len() && same == came.len() {
        return Vec::new();
    }
    let agreed = expected[..same].iter().map(|e| format!("  {e}"));
    let missing = expected[same..].iter().map(|e| format!("- {e}"));
    agreed.chain(missing).chain(came[same..].iter().map(|o| format!("+ {o}"))).collect()
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
        super::super::parse(&format!("name: x\nexpect: [{expect}]"), &catalogue).unwrap().remove(0)
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
    fn a_wrong_cause_shows_both_lines() {
        let lines = differences(&page("{at: 1970-01-01T00:00:00Z, entered: a, cause: time}"), &[entry("a")]);
        assert_eq!(lines[0], "- {at: 1970-01-01T00:00:00.000Z, entered: a, cause: time}");
        assert_eq!(lines[1], "+ {at: 1970-01-01T00:00:00.000Z, entered: a, cause: event, sequence: 1, entry: 1, valid_until: null}");
    }
}
