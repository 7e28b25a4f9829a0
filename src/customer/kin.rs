//! Ids that were found to be one customer's (`alias`): whose everything is this one's, or whose everything this one's is.
//!
//! **Invariant:** an id that became another one's has no facts and no memberships; a customer has no more other ids than
//! [`Kin::MOST`]. Most customers have none, and nothing of this.

use super::Standing;
use crate::id::CustomerId;
use crate::time::EventTime;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// What is this id's belongs to that one.
    pub into: Option<CustomerId>,
    /// Ids that became this one, also by way of others.
    pub from: Vec<CustomerId>,
}

/// What other ids of the customer did in a segment, as far as rules and policies ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    pub segment: usize,
    /// Memberships that began, but for one that goes on as the customer's own.
    pub entries: u64,
    /// When the last one ended that does not go on.
    pub left_at: Option<EventTime>,
}

impl Kin {
    /// Bounds what is written with each event of the customer; nobody has so many devices.
    pub const MOST: usize = 1_000;

    /// Notes ids that became this one.
    pub fn add(&mut self, ids: impl IntoIterator<Item = CustomerId>) {
        for id in ids {
            if !self.from.contains(&id) {
                self.from.push(id);
            }
        }
    }
}

impl Standing {
    pub fn inherited(&self, segment: usize) -> Option<&Inherited> {
        self.inherited.binary_search_by_key(&segment, |inherited| inherited.segment).ok().map(|at| &self.inherited[at])
    }

    /// The same, to be added to.
    pub fn inherited_mut(&mut self, segment: usize) -> &mut Inherited {
        let at = self.inherited.binary_search_by_key(&segment, |inherited| inherited.segment).unwrap_or_else(|at| {
            self.inherited.insert(at, Inherited { segment, entries: 0, left_at: None });
            at
        });
        &mut self.inherited[at]
    }

    /// How many memberships of the customer have begun in a segment, those of its other ids included.
    pub fn entries(&self, segment: usize) -> u64 {
        self.memberships[segment].entry() + self.inherited(segment).map_or(0, |inherited| inherited.entries)
    }
}
