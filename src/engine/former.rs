//! Segments that were taken out of the definitions: who was in one leaves it, once.
//!
//! Their memberships stay in the state. A segment that comes back, or that only another process knows for a while, goes
//! on with the numbers that it had: no (customer, segment, sequence) ever means two things.
//!
//! **Invariant:** nobody leaves a segment whose name is not known: an exit that cannot be told must not be made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::customer::{Membership, Standing};
use crate::id::SegmentKey;
use crate::time::EventTime;

/// How a segment was called, and which definition of it was in force last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentName {
    pub key: SegmentKey,
    pub version: Arc<str>,
}

/// By the hash of the key.
pub type SegmentNames = BTreeMap<u64, SegmentName>;

/// A membership that ended with its segment.
pub(super) struct Departure {
    pub name: SegmentName,
    /// As it is now.
    pub membership: Membership,
    pub since: Option<EventTime>,
}

/// Ends every membership in a segment that the plan does not have.
pub(super) fn retire(standing: &mut Standing, names: &SegmentNames, now: EventTime) -> Vec<Departure> {
    let members = standing.former.iter_mut().filter(|former| former.membership.is_member());
    let departures = members.filter_map(|former| {
        let name = names.get(&former.segment)?.clone();
        let since = former.membership.since();
        former.membership = Membership { sequence: former.membership.sequence + 1, changed_at: now };
        Some(Departure { name, membership: former.membership, since })
    });
    departures.collect()
}
