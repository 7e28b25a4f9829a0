//! `sequence(…)` with its names resolved: which events follow each other, and what must not come in between.
//!
//! ```text
//!     sequence(a then no b then c within 1d then no d within 1h last 2d)
//!              └ link 0 ┘     └───────────── link 1 ───────────┘
//!                       forbidden  event         wait
//! ```
//!
//! A link is an event and the waits that time alone completes after it. A `no` without `within` is completed by nothing:
//! it is forbidden until the next link or wait, or until now if none follows.
//!
//! **Invariant:** a row older than a pattern's `reach` can take no part in any match that still counts. Retention stands
//! on this: rows are dropped once they are out of reach of every pattern and window.

use super::FieldRef;
use crate::time::Span;

/// One `sequence(…)` of a rule.
#[derive(Clone, Debug)]
pub struct SequencePlan {
    /// Fields of the first step's event that some step must equal.
    pub same: Vec<FieldRef>,
    /// One or more.
    pub links: Vec<Link>,
    /// What must not have come since the last link was completed.
    pub forbidden_since: Vec<Pattern>,
    /// A match counts for this long after its completion; `None`: for ever.
    pub last: Option<Span>,
}

/// An event that must come, and the silence that must follow it.
#[derive(Clone, Debug)]
pub struct Link {
    pub event: Pattern,
    /// It comes before the instant that is so long after the completion of what stands before.
    pub within: Option<Span>,
    /// Must not come between that completion and the event.
    pub forbidden: Vec<Pattern>,
    pub waits: Vec<Wait>,
}

/// `no X within D`: completed at exactly D after what stands before.
#[derive(Clone, Debug)]
pub struct Wait {
    pub span: Span,
    pub forbidden: Vec<Pattern>,
}

/// Which events serve a step.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub stream: usize,
    /// The step's `where`, as a condition of the stream.
    pub condition: Option<usize>,
    /// A field of the event, and the position in [`SequencePlan::same`] of what it must equal.
    pub same: Option<(FieldRef, usize)>,
    /// How long after its time such an event can still take part in a match that counts; `None`: for ever.
    pub reach: Option<Span>,
}

/// A predicate that an event of some stream may change, if the event meets the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    pub condition: Option<usize>,
    pub predicate: usize,
}

impl SequencePlan {
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.links.iter().flat_map(Link::patterns).chain(&self.forbidden_since)
    }
}

impl Link {
    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let waits = self.waits.iter().flat_map(|wait| &wait.forbidden);
        std::iter::once(&self.event).chain(&self.forbidden).chain(waits)
    }
}
