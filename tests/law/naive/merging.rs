//! Two ids that are one customer, the slow way: the accepted inputs of both, and every rule over them.
//!
//! **Invariant:** what goes on is found by deciding as if the customer had been a member; nothing else is carried but lists
//! of entries and of instants.

use std::collections::BTreeSet;

use segmentd::event::Value;
use segmentd::event::streams::StreamRole;
use segmentd::id::CustomerId;
use segmentd::scenario::{Happening, Outcome, PageEvent};
use segmentd::time::EventTime;
use segmentd::transition::Cause;

use super::{Customer, Ends, Partition, World};

impl Partition {
    /// Who has the record, by way of all that its customer became; nobody, if it is one of what was erased.
    pub(super) fn whose(&self, event: &PageEvent, role: StreamRole) -> Option<CustomerId> {
        let mut id = &event.customer;
        loop {
            let erased = self.erased.get(id).is_some_and(|(at, _)| event.at.millis() <= *at);
            if erased && role != StreamRole::Erasures {
                return None;
            }
            match self.redirects.get(id) {
                Some(next) => id = next,
                None => return Some(id.clone()),
            }
        }
    }

    fn end_of(&self, id: &CustomerId) -> CustomerId {
        self.redirects.get(id).map_or_else(|| id.clone(), |next| self.end_of(next))
    }

    pub(super) fn erase_redirects(&mut self, id: &CustomerId, at: i64) {
        let ids: Vec<CustomerId> = self.redirects.keys().filter(|other| self.end_of(other) == *id).cloned().collect();
        for id in ids {
            self.redirects.remove(&id);
            let erased = self.erased.entry(id).or_insert((i64::MIN, 0));
            erased.0 = erased.0.max(at);
        }
    }

    pub(super) fn merge(&mut self, alias: &PageEvent, world: &World, out: &mut Vec<Outcome>) {
        // The smallest failing case may have lost it on the way.
        let Some(Value::Text(into)) = alias.field("into") else { return };
        let (id, into) = (&alias.customer, CustomerId::new(into.clone()));
        let to = self.end_of(&into);
        if to == *id {
            return;
        }
        let gone = self.customers.remove(id).unwrap_or_else(|| Customer::new(id, world, self.clock));
        let mut leaving = gone.clone();
        for rule in &world.rules {
            if leaving.memberships.get(&rule.key).is_some_and(|m| m.member) {
                leaving.turn(rule, self.clock, Cause::Merge, None, out);
            }
        }
        self.erased.entry(id.clone()).or_insert((i64::MIN, 0)).1 += u64::from(gone.history.exists());
        self.redirects.insert(id.clone(), into);
        let (after, lives) = self.erased.get(&to).copied().unwrap_or((i64::MIN, 0));
        if self.clock <= after {
            return self.erase_redirects(&to, after);
        }
        let begin = || Customer { lives, recuts: self.recuts, ..Customer::new(&to, world, self.clock) };
        self.customers.entry(to.clone()).or_insert_with(begin).absorb(&gone, after, self.clock, world, out);
    }
}

impl Customer {
    fn absorb(&mut self, other: &Customer, after: i64, now: i64, world: &World, out: &mut Vec<Outcome>) {
        let known = self.history.exists();
        self.history.absorb(&other.history, after, world.catalogue, now, world.survey.order_retention);
        let mut carried = BTreeSet::new();
        for rule in &world.rules {
            let theirs = other.memberships.get(&rule.key).cloned().unwrap_or_default();
            let last = if theirs.member { theirs.entered_at } else { theirs.left.iter().copied().max().unwrap_or(i64::MIN) };
            if theirs.sequence > 0 && last <= after {
                continue;
            }
            let entries = other.entries.get(&rule.key).into_iter().flatten();
            self.entries.entry(rule.key.clone()).or_default().extend(entries.map(|(at, through)| (*at, *through && *at > after)));
            let own = self.memberships.entry(rule.key.clone()).or_default();
            own.left.extend(&theirs.left);
            if theirs.member && !own.member {
                if known && rule.ladder.is_some() {
                    own.left.push(now);
                } else {
                    (own.member, own.entered_at) = (true, theirs.entered_at);
                    (own.sequence, own.entry) = (own.sequence + 1, own.entry + 1);
                    carried.insert(rule.key.clone());
                }
            }
        }
        self.decide_carried(&carried, now, world, out);
    }

    fn decide_carried(&mut self, carried: &BTreeSet<String>, now: i64, world: &World, out: &mut Vec<Outcome>) {
        let first = out.len();
        self.decide(now, Cause::Merge, world, out);
        let mut entries = Vec::new();
        for rule in world.rules.iter().filter(|rule| carried.contains(&rule.key)) {
            let exit = out[first..].iter().position(|outcome| outcome.segment.as_str() == rule.key);
            let own = self.memberships.get_mut(&rule.key).unwrap();
            if let Some(exit) = exit {
                out.remove(first + exit);
                (own.sequence, own.entry) = (own.sequence - 2, own.entry - 1);
                continue;
            }
            let (sequence, entry) = (own.sequence, own.entry);
            entries.push(Outcome {
                customer: self.id.clone(),
                segment: rule.key.as_str().into(),
                happening: Happening::Entered,
                at: EventTime::from_millis(now),
                sequence: self.numbered(sequence),
                entry,
                cause: Cause::Merge,
                valid_until: if world.ends == Ends::Found { self.end_of(&rule.key, world) } else { None },
                from: None,
                published: false,
                arm: rule.publication.arm(&self.id),
            });
        }
        out.splice(first..first, entries);
    }
}
