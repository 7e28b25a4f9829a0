//! What goes out of the history: what is too old, what is too much of one customer, and whatever is left of somebody who was
//! erased.
//!
//! The exits with cause `delete` take a timeline with them as they are read. Whoever was in no segment when it was erased has no such
//! exit: the record that the erasure left in the partition's state is asked for each customer that is passed.
//!
//! **Invariant:** a sweep removes, and changes nothing else: at any instant what it leaves is what the topic said. One stretch is
//! bounded, whatever there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chronicle::Chronicle;
use super::follow::Following;
use super::rows::{self, HourNumber, Row};
use super::{HistoryError, MOST};
use crate::id::{CustomerId, Partition};
use crate::runtime::clock::Deadline;
use crate::runtime::committed::Committed;
use crate::runtime::task::erased;
use crate::time::{EventTime, Span};

/// Rows of one stretch.
const ROWS: usize = 1_000;
/// Between the end of a pass over everything and the next.
const PAUSE: Duration = Duration::from_mins(10);

/// Where a pass has come to.
#[derive(Default)]
pub struct Sweep {
    /// `None`: at the beginning of the next partition after `done`.
    place: Option<Place>,
    done: Option<Partition>,
    pause: Option<Deadline>,
}

struct Place {
    partition: Partition,
    after: Vec<u8>,
    passing: Option<Passing>,
}

/// The customer whose transitions are being passed.
struct Passing {
    customer: String,
    seen: usize,
    /// `None`: its partition cannot be read now; nothing of it is judged but its number.
    bounds: Option<Bounds>,
}

#[derive(Clone, Copy)]
struct Bounds {
    oldest: EventTime,
    erased_up_to: u64,
}

impl Sweep {
    /// Passes some rows of one chronicle. Errors: which, and why.
    pub fn stretch(
        &mut self,
        chronicles: &BTreeMap<Partition, Arc<Chronicle>>,
        around: &Following,
    ) -> Result<(), (Partition, HistoryError)> {
        if self.pause.is_some_and(|pause| !pause.is_past()) {
            return Ok(());
        }
        self.pause = None;
        let place = self.place.take().filter(|place| chronicles.contains_key(&place.partition));
        let Some(mut place) = place.or_else(|| self.next(chronicles)) else {
            (self.done, self.pause) = (None, Some(Deadline::after(PAUSE)));
            return Ok(());
        };
        let Some(chronicle) = chronicles.get(&place.partition) else { return Ok(()) };
        let partition = place.partition;
        if place.pass(chronicle, &around.committed, around.settings.keep).map_err(|error| (partition, error))? {
            self.place = Some(place);
        } else {
            self.done = Some(place.partition);
        }
        Ok(())
    }

    fn next(&self, chronicles: &BTreeMap<Partition, Arc<Chronicle>>) -> Option<Place> {
        let partition = chronicles.keys().copied().find(|partition| self.done.is_none_or(|done| *partition > done))?;
        Some(Place::beginning(partition))
    }
}

/// Passes a whole chronicle.
#[cfg(test)]
pub fn pass(chronicle: &Chronicle, committed: &Committed, keep: Span) -> Result<(), HistoryError> {
    let mut place = Place::beginning(Partition(0));
    while place.pass(chronicle, committed, keep)? {}
    Ok(())
}

impl Place {
    fn beginning(partition: Partition) -> Place {
        Place { partition, after: Vec::new(), passing: None }
    }

    /// `false`: that was the last stretch of the chronicle.
    fn pass(&mut self, chronicle: &Chronicle, committed: &Committed, keep: Span) -> Result<bool, HistoryError> {
        let found = chronicle.stretch(Some(&self.after).filter(|after| !after.is_empty()).map(Vec::as_slice), ROWS)?;
        let mut going = Vec::new();
        for (key, value) in &found {
            let goes = match rows::read_key(key) {
                Some(Row::Timeline { customer }) => self.goes(customer, value, committed, keep),
                Some(Row::Hour { partition, hour }) => is_old(partition, hour, committed, keep),
                // Of no version that we know: the topic can say it again.
                None => true,
            };
            if goes {
                going.push(key.to_vec());
            }
        }
        if !going.is_empty() {
            chronicle.remove(going)?;
        }
        if let Some((last, _)) = found.last() {
            self.after = last.to_vec();
        }
        Ok(found.len() == ROWS)
    }

    fn goes(&mut self, customer: &str, value: &[u8], committed: &Committed, keep: Span) -> bool {
        if self.passing.as_ref().is_none_or(|passing| passing.customer != customer) {
            self.passing = Some(Passing { customer: customer.to_owned(), seen: 0, bounds: bounds(customer, committed, keep) });
        }
        let Some(passing) = &mut self.passing else { return false };
        passing.seen += 1;
        if passing.seen > MOST {
            return true;
        }
        let Some(bounds) = passing.bounds else { return false };
        let kept = |(at, sequence, _): (EventTime, u64, &[u8])| at >= bounds.oldest && sequence > bounds.erased_up_to;
        !rows::read_timeline(value).is_some_and(kept)
    }
}

fn bounds(customer: &str, committed: &Committed, keep: Span) -> Option<Bounds> {
    let customer = CustomerId::new(customer);
    let read = |reading: &crate::runtime::committed::Reading<'_>| {
        let erased = erased(&reading.view, &customer)?;
        Ok(Bounds { oldest: reading.clock.minus(keep), erased_up_to: erased.map_or(0, |erased| erased.numbered_from()) })
    };
    // Of another process, or being restored: this process cannot judge it now.
    committed.read_of(&customer, read).ok().map(|(bounds, _)| bounds)
}

fn is_old(partition: Partition, hour: HourNumber, committed: &Committed, keep: Span) -> bool {
    let clock = committed.read(partition, |reading| Ok(reading.clock));
    // An hour goes once it is too old as a whole.
    clock.is_ok_and(|(clock, _)| HourNumber(hour.0.saturating_add(1)).begins() <= clock.minus(keep))
}
