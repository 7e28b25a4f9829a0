//! Where customers stand at an instant, the slow way: what an explanation says is held against it.
//!
//! **Invariant:** knows what was accepted before the first record that is later than the instant, and nothing else.

use std::collections::BTreeMap;

use segmentd::event::Catalogue;
use segmentd::id::CustomerId;
use segmentd::scenario::Page;
use segmentd::time::EventTime;
use segmentd::transition::Cause;

use super::{Customer, Cuts, Ends, Partition, Rule, Survey, World, in_order};

/// Where a customer stands in a segment at an instant.
pub struct Place {
    pub partition: i32,
    pub customer: CustomerId,
    pub segment: String,
    pub member: bool,
    /// The truth of each part of the rules that is not `and`, `or` or `not`, each once, in the order of the text.
    pub met: Vec<bool>,
    /// When the membership changes if nothing more happens.
    pub changes_at: Option<EventTime>,
}

/// Every customer in every segment at `t`, as it was known then: from the events before the first that is later.
pub fn places(rules: &[Rule], page: &Page, catalogue: &Catalogue, t: EventTime) -> Vec<Place> {
    let (cuts, survey) = (&Cuts::default(), Survey::of(rules));
    let world = World { catalogue, survey, rules: in_order(rules), page, cuts, ends: Ends::Ignored, announces: false };
    let mut partitions: BTreeMap<i32, (Partition, bool)> = BTreeMap::new();
    for event in &page.events {
        let (partition, over) = partitions.entry(event.partition.0).or_insert((Partition::NEW, false));
        *over |= event.at > t;
        if !*over {
            partition.take(event, &world, &mut Vec::new());
        }
    }
    let mut found = Vec::new();
    for (number, (mut partition, _)) in partitions {
        partition.advance(t.millis() + 1, &world, &mut Vec::new());
        for customer in partition.customers.values() {
            found.extend(world.rules.iter().map(|rule| customer.place(number, rule, t.millis(), &world)));
        }
    }
    found
}

impl Customer {
    fn place(&self, partition: i32, rule: &Rule, now: i64, world: &World) -> Place {
        let member = self.memberships.get(&rule.key).is_some_and(|m| m.member);
        let parts = super::super::survey::predicates(rule);
        Place {
            partition,
            customer: self.id.clone(),
            segment: rule.key.clone(),
            member,
            met: parts.iter().map(|part| self.view(rule, now, world).holds(part)).collect(),
            changes_at: self.change_of(&rule.key, member, world),
        }
    }

    fn change_of(&self, segment: &str, member: bool, world: &World) -> Option<EventTime> {
        let (mut future, mut ignored) = (self.clone(), Vec::new());
        while let Some(due) = future.next_due(world).filter(|due| *due < self.decided_to + world.survey.horizon) {
            future.decide(due, Cause::Time, world, &mut ignored);
            if future.memberships.get(segment).is_some_and(|m| m.member) != member {
                return Some(EventTime::from_millis(due));
            }
        }
        None
    }
}
