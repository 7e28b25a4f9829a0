//! Who is a member of what: the sum of all transitions so far.
//!
//! **Invariant:** a customer without a membership is not in it (semantics §5: summed, transitions equal memberships).

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::id::{CustomerId, SegmentKey};
use crate::kafka::wire::encode::{Membership, membership_value};
use crate::time::EventTime;
use crate::transition::{Direction, Transition};

#[derive(Default)]
pub struct Audience {
    /// The entries that still hold, and when the customer last changed.
    members: BTreeMap<CustomerId, (EventTime, BTreeMap<SegmentKey, Transition>)>,
}

impl Audience {
    pub fn apply(&mut self, transition: &Transition) {
        let (updated_at, segments) = self.members.entry(transition.customer.clone()).or_insert((transition.at, BTreeMap::new()));
        *updated_at = transition.at;
        match transition.direction {
            Direction::Entered => segments.insert(transition.segment.clone(), transition.clone()),
            Direction::Exited => segments.remove(&transition.segment),
        };
        if segments.is_empty() {
            self.members.remove(&transition.customer);
        }
    }

    /// One line a customer, by customer id, in the form of the membership topic's values.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (customer, (updated_at, segments)) in &self.members {
            let memberships = segments.values().map(|entered| Membership {
                segment: &entered.segment,
                since: entered.at,
                entry: entered.entry,
                sequence: entered.sequence,
                valid_until: entered.valid_until,
                version: &entered.version,
            });
            if let Some(mut line) = membership_value(customer, memberships, *updated_at) {
                line.push(b'\n');
                out.write_all(&line)?;
            }
        }
        Ok(())
    }
}
