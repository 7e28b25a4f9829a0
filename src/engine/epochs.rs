//! Epochs: where cuts are sought again, a whole number of times a day, an hour or a minute, by event time.
//!
//! ```text
//!     ──events──▶ end of an epoch: all that was due before has happened in every partition
//!                 sketches of all partitions ─merge─▶ cuts, in force from here on ──events──▶
//! ```
//!
//! Here all partitions are in one process, with a common clock, as in a replay and a test; a service does the same over
//! Kafka, partition by partition.
//!
//! **Invariant:** where events come in the order of their times, cuts do not depend on how customers are divided over
//! partitions. A partition that ranks nobody has no epochs.

use std::convert::Infallible;

use super::{Carried, Loaded, Partition};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::rank::{Bucket, Cuts, Sketch};
use crate::time::{EventTime, Span};

/// When the next epoch ends.
#[derive(Clone, Copy, Debug)]
pub struct Epochs {
    length: Span,
    /// `None`: no event has come.
    next: Option<EventTime>,
}

impl Epochs {
    /// How long an epoch is where nobody says so.
    pub const DEFAULT: Span = Span::MINUTE;

    pub fn new(length: Span) -> Epochs {
        Epochs { length, next: None }
    }

    /// The last end of an epoch that is not after `t`.
    pub fn begun_at(self, t: EventTime) -> EventTime {
        EventTime::from_millis(t.millis().saturating_sub(t.millis().rem_euclid(self.length.millis())))
    }

    /// Ends one epoch that ends at or before `to`, in all partitions of a deployment. `false`: there is none left, and what
    /// comes at `to` may happen. The transitions of several calls stand in the partitions.
    pub fn end_one(&mut self, partitions: &mut [Partition], to: EventTime) -> bool {
        if partitions.first().is_none_or(|first| first.plan().rankings.is_empty()) {
            return false;
        }
        let next = *self.next.get_or_insert(self.begun_at(to).plus(self.length));
        if to < next {
            return false;
        }
        let end = self.next_that_matters(partitions, next, self.begun_at(to));
        for partition in &mut *partitions {
            while let Ok(true) = partition.fire_next(end, None, &mut nobody) {}
            partition.set_clock(end);
        }
        redraw(partitions);
        self.next = Some(end.plus(self.length));
        true
    }

    /// Nothing moves in an epoch in which nothing is due.
    fn next_that_matters(self, partitions: &mut [Partition], next: EventTime, last: EventTime) -> EventTime {
        let mut due = EventTime::MAX;
        for partition in partitions {
            if partition.ranks_moved() {
                return next;
            }
            due = due.min(partition.next_due());
        }
        if due >= last { last } else { self.begun_at(due).plus(self.length).max(next) }
    }
}

fn redraw(partitions: &mut [Partition]) {
    let Some(first) = partitions.first() else { return };
    let sketches: Vec<Vec<&Sketch>> = partitions.iter().map(|partition| partition.sketches().collect()).collect();
    let Some(cuts) = redrawn(first.plan(), first.cuts(), &sketches) else { return };
    for partition in partitions {
        partition.recut(cuts.clone());
        while let Ok(true) = partition.recut_next(None, &mut nobody) {}
    }
}

/// The cuts that take the place of `cuts`, by the sketches of all partitions; `None`: they stay.
pub fn redrawn(plan: &Plan, cuts: &Cuts, partitions: &[Vec<&Sketch>]) -> Option<Cuts> {
    let mut found: Vec<Option<Bucket>> = vec![None; plan.cuts.len()];
    for ranking in 0..plan.rankings.len() {
        let sketches: Vec<&Sketch> = partitions.iter().filter_map(|sketches| sketches.get(ranking)).copied().collect();
        let own = || plan.cuts.iter().enumerate().filter(move |(_, cut)| cut.ranking == ranking);
        let buckets = Sketch::cuts(&sketches, own().map(|(_, cut)| cut.percent));
        own().zip(buckets).for_each(|((place, _), bucket)| found[place] = bucket);
    }
    cuts.redrawn(&found)
}

/// Where every customer is in memory from its first event on, there is nothing to load.
pub fn nobody(_: &CustomerId, _: Option<Carried>) -> Result<Option<Loaded>, Infallible> {
    Ok(None)
}
