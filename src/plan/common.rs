//! What two plans decide alike: by that much a customer of the one goes on under the other until a scan decides the rest.
//!
//! *Why:* when a hundred segments are added, the first event of each customer would be followed by a hundred decisions and their
//! records, for all who come at once. What the change does not touch must not wait for that.
//!
//! **Invariant:** a common segment rests on common segments alone: it is decided as by either plan, whatever becomes of
//! the others.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64;

use super::Plan;

/// The part that a plan has in common with the one before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Common {
    /// Of the plan before.
    before: u64,
    /// Of nobody's plan, written with whoever goes on by the common part: the rest of it waits for the new plan, and what it
    /// would have done by the old one is lost, should that come back. Neither may take it for decided.
    pub mark: u64,
    /// By segment.
    segments: Vec<bool>,
    /// By predicate: those of all segments that the plan before had too, for what is told of memberships that wait.
    predicates: Vec<bool>,
}

impl Common {
    /// Whether a customer that was decided by the plan of this fingerprint goes on by the common part, or goes on so already.
    pub fn continues(&self, fingerprint: u64) -> bool {
        [self.before, self.mark].contains(&fingerprint)
    }

    pub fn decides(&self, segment: usize) -> bool {
        self.segments[segment]
    }

    pub fn evaluates(&self, predicate: usize) -> bool {
        self.predicates[predicate]
    }
}

impl Plan {
    /// `None`: nothing can be told apart. Streams are read otherwise, or customers are ranked, each among all.
    pub fn common_with(&self, before: &Plan) -> Option<Common> {
        if self.catalogue != before.catalogue || !self.rankings.is_empty() || !before.rankings.is_empty() {
            return None;
        }
        let known = (0..self.segments.len()).filter(|segment| before.segments.iter().any(|s| s.hash == self.segments[*segment].hash));
        let looked_at: BTreeSet<usize> = known.flat_map(|segment| self.rests_on(segment)).collect();
        let looked_at: BTreeSet<usize> =
            looked_at.into_iter().flat_map(|segment| self.segments[segment].predicates.iter().copied()).collect();
        let predicates = (0..self.predicates.len()).map(|predicate| looked_at.contains(&predicate));
        let mark = xxh3_64(&[before.fingerprint.to_le_bytes(), self.fingerprint.to_le_bytes()].concat());
        let segments = self.unchanged_since(before);
        Some(Common { before: before.fingerprint, mark, segments, predicates: predicates.collect() })
    }

    /// By segment: it is the same, and so is all that it rests on.
    pub fn unchanged_since(&self, before: &Plan) -> Vec<bool> {
        (0..self.segments.len()).map(|segment| self.rests_on(segment).iter().all(|on| self.is_in(before, *on))).collect()
    }

    /// The segment, all stages of its ladder, and what they name, directly or not.
    fn rests_on(&self, segment: usize) -> BTreeSet<usize> {
        let (mut found, mut open) = (BTreeSet::new(), vec![segment]);
        while let Some(next) = open.pop() {
            if found.insert(next) {
                let predicates = &self.segments[next].predicates;
                open.extend(predicates.iter().flat_map(|p| self.predicates[*p].segments.iter().map(|(named, _)| *named)));
                open.extend(self.segments[next].stage.iter().flat_map(|stage| &self.ladders[stage.ladder].stages));
            }
        }
        found
    }

    /// The other plan has the same segment, at the same place of the same ladder.
    fn is_in(&self, other: &Plan, segment: usize) -> bool {
        let place = |plan: &Plan, at: usize| {
            let stage = plan.segments[at].stage?;
            let ladder = &plan.ladders[stage.ladder];
            Some((ladder.key.clone(), stage.rank, ladder.stages.len()))
        };
        let same = |at: &usize| {
            let (a, b) = (&self.segments[segment], &other.segments[*at]);
            a.hash == b.hash && a.version == b.version && place(self, segment) == place(other, *at)
        };
        (0..other.segments.len()).any(|at| same(&at))
    }
}
