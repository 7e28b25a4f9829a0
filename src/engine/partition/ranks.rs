//! Where the customers of a partition rank: their bucket in each ranking, how many are in each bucket, and who.
//!
//! ```text
//!     a customer's value moves ─▶ its bucket: old − 1, new + 1
//!     other cuts in force      ─▶ customers in the buckets between ─▶ decided anew, each once
//! ```
//!
//! About 40 bytes a customer and ranking, in memory, for all customers who rank: beside the index of customers that a
//! partition has in any case. Where no rule says `top` there is nothing.
//!
//! **Invariant:** a customer stands in a ranking where its value was at its last evaluation, which comes no later than the
//! value's next change. Whom a change of cuts concerns is among those who wait to be decided, until it is.

use std::collections::BTreeSet;

use super::{Carried, Loaded, Occasion, Partition, Resident, Slot, just_before};
use crate::engine::Input;
use crate::eval::At;
use crate::id::CustomerId;
use crate::plan::{CutPlan, Plan};
use crate::rank::{Bucket, Cuts, Sketch};
use crate::time::EventTime;
use crate::transition::Cause;

#[derive(Default)]
pub(super) struct Ranks {
    pub(super) cuts: Cuts,
    /// In force before, while somebody waits.
    before: Option<Cuts>,
    waiting: Vec<Slot>,
    rankings: Vec<Ranking>,
    /// Whose bucket moved since the last [`Partition::settled`]; some stand there more than once.
    pub(super) moved: Vec<Slot>,
    /// Some bucket moved since the cuts were last sought.
    unsought: bool,
}

/// One ranking of the plan.
#[derive(Default)]
struct Ranking {
    /// Of the ranked aggregate.
    key: u64,
    sketch: Sketch,
    by_bucket: BTreeSet<(Bucket, Slot)>,
    /// By slot.
    buckets: Vec<Option<Bucket>>,
}

impl Ranking {
    fn of(&self, slot: Slot) -> Option<Bucket> {
        self.buckets.get(slot.at()).copied().flatten()
    }

    /// Moves a customer; `false`: it stood there.
    fn put(&mut self, slot: Slot, bucket: Option<Bucket>) -> bool {
        let before = self.of(slot);
        if before == bucket {
            return false;
        }
        if let Some(before) = before {
            self.sketch.remove(before);
            self.by_bucket.remove(&(before, slot));
        }
        if let Some(bucket) = bucket {
            self.sketch.add(bucket);
            self.by_bucket.insert((bucket, slot));
        }
        let needed = self.buckets.len().max(slot.at() + 1);
        self.buckets.resize(needed, None);
        self.buckets[slot.at()] = bucket;
        true
    }

    /// Customers on other sides of two cuts.
    fn between(&self, one: Option<Bucket>, other: Option<Bucket>) -> impl Iterator<Item = Slot> {
        // Without a cut nobody is in, as with one above everybody.
        let end = |cut: Option<Bucket>| cut.map_or((Bucket::ABOVE_ALL, Slot(0)), |cut| (cut, Slot(0)));
        let (one, other) = (end(one), end(other));
        self.by_bucket.range(one.min(other)..one.max(other)).map(|(_, slot)| *slot)
    }
}

impl Ranks {
    pub(super) fn new(plan: &Plan) -> Ranks {
        let rankings = plan.rankings.iter().map(|ranking| Ranking { key: ranking.key, ..Ranking::default() }).collect();
        Ranks { rankings, ..Ranks::default() }
    }

    /// Under another plan: who is ranked by a value of which both know stays where it is; the cuts of one text stay in force.
    pub(super) fn under(mut self, before: &Plan, plan: &Plan) -> Ranks {
        let mut known = std::mem::take(&mut self.rankings);
        let ranking = |key: u64| {
            let at = known.iter().position(|ranking| ranking.key == key);
            at.map_or_else(|| Ranking { key, ..Ranking::default() }, |at| known.swap_remove(at))
        };
        self.rankings = plan.rankings.iter().map(|plan| plan.key).map(ranking).collect();
        self.unsought = true;
        self.cuts = carried(&self.cuts, before, plan);
        if before.fingerprint == plan.fingerprint {
            self.before = self.before.map(|cuts| carried(&cuts, before, plan));
        } else {
            // Everybody is decided anew by the other definitions.
            (self.before, self.waiting) = (None, Vec::new());
        }
        self
    }

    /// The place is given up: who gets it next does not wait.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.waiting.retain(|waiting| *waiting != slot);
        if self.waiting.is_empty() {
            self.before = None;
        }
    }

    fn wait_for(&mut self, cuts: &[CutPlan], before: Cuts) {
        let concerned = cuts.iter().enumerate().flat_map(|(index, cut)| {
            let (was, is) = (before.bucket(index), self.cuts.bucket(index));
            self.rankings[cut.ranking].between(was, is)
        });
        let mut waiting: Vec<Slot> = concerned.collect();
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        waiting.dedup();
        self.before = (!waiting.is_empty()).then_some(before);
        self.waiting = waiting;
    }
}

/// The same cuts by the positions of another plan.
fn carried(cuts: &Cuts, before: &Plan, plan: &Plan) -> Cuts {
    let written = cuts.write(before.cut_texts());
    if plan.cuts.is_empty() { Cuts::default() } else { Cuts::read(cuts.version(), &written, plan.cut_texts()) }
}

impl Partition {
    /// The cuts by which this partition decides.
    pub fn cuts(&self) -> &Cuts {
        &self.ranks.cuts
    }

    /// The cuts that were in force before, while customers wait to be decided by those that are.
    pub fn cuts_before(&self) -> Option<&Cuts> {
        self.ranks.before.as_ref()
    }

    /// How many customers are in each bucket, by position in the plan's rankings.
    pub fn sketches(&self) -> impl Iterator<Item = &Sketch> {
        self.ranks.rankings.iter().map(|ranking| &ranking.sketch)
    }

    /// Whether anybody's rank moved since the last call.
    pub fn ranks_moved(&mut self) -> bool {
        std::mem::take(&mut self.ranks.unsought)
    }

    /// Puts other cuts in force. Whom they concern waits for [`Partition::recut_next`]; nobody may wait for earlier ones.
    pub fn recut(&mut self, cuts: Cuts) {
        let cuts = cuts.after(&self.ranks.cuts);
        let before = std::mem::replace(&mut self.ranks.cuts, cuts);
        self.ranks.wait_for(&self.plan.cuts, before);
    }

    /// The cuts as they were stored, and those before them if customers were still waiting. All ranks are there.
    pub fn restore_cuts(&mut self, cuts: Cuts, before: Option<Cuts>) {
        self.ranks.cuts = before.as_ref().map_or_else(|| cuts.clone(), |before| cuts.after(before));
        if let Some(before) = before {
            self.ranks.wait_for(&self.plan.cuts, before);
        }
    }

    /// Decides one of those who wait; `false`: nobody does.
    pub fn recut_next<E>(
        &mut self,
        decided_at: Option<EventTime>,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<bool, E> {
        let Some(slot) = self.ranks.waiting.last().copied() else { return Ok(false) };
        self.ensure(slot, decided_at, load)?;
        self.ranks.waiting.pop();
        if self.ranks.waiting.is_empty() {
            self.ranks.before = None;
        }
        Ok(true)
    }

    /// Ranks of customers that moved since the last [`Partition::settled`], as they are stored: by key of the aggregate.
    pub fn moved_ranks(&self) -> impl Iterator<Item = (&CustomerId, Vec<(u64, Bucket)>)> {
        let slots: BTreeSet<Slot> = self.ranks.moved.iter().copied().collect();
        slots.into_iter().map(|slot| {
            let buckets = self.ranks.rankings.iter().filter_map(|ranking| Some((ranking.key, ranking.of(slot)?)));
            (&self.residents[slot.at()].customer, buckets.collect())
        })
    }

    /// Puts a customer where it stood; its state stays where it is until it is of use.
    pub fn rank_stored(&mut self, customer: &CustomerId, key: u64, bucket: Bucket) {
        let slot = self.slot(customer);
        if let Some(ranking) = self.ranks.rankings.iter_mut().find(|ranking| ranking.key == key) {
            ranking.put(slot, Some(bucket));
            self.ranks.unsought = true;
        }
    }

    /// Notes where a customer ranks after its evaluation; `true`: elsewhere than before.
    pub(super) fn rank(&mut self, slot: Slot) -> bool {
        let Resident { customer, state: Some(state), .. } = &self.residents[slot.at()] else { return false };
        let at = At { plan: &self.plan, facts: &state.facts, customer, t: state.standing.at };
        let mut moved = false;
        for (plan, ranking) in self.plan.rankings.iter().zip(&mut self.ranks.rankings) {
            let value = if state.is_known() { at.rank(&state.standing, plan.aggregate) } else { None };
            moved |= ranking.put(slot, value.as_ref().map(Bucket::of));
        }
        if moved {
            self.ranks.moved.push(slot);
            self.ranks.unsought = true;
        }
        moved
    }

    /// Lets a customer in memory go by the cuts in force; `read`: its truths were found by them just now. While others wait
    /// it may be one of them, and is decided.
    pub(super) fn recut_resident(&mut self, slot: Slot, read: bool, decided_at: Option<EventTime>) {
        let Some(state) = self.residents[slot.at()].state.as_deref_mut() else { return };
        let stale = !state.standing.cuts.is(&self.ranks.cuts);
        if stale {
            state.standing.cuts = self.ranks.cuts.clone();
        }
        // Nobody, or nobody any more: to be decided with the first event.
        if self.ranks.waiting.is_empty() || !(stale || read) || !state.is_known() {
            return;
        }
        let now = just_before(self.clock).max(state.standing.at);
        let occasion = Occasion { cause: Cause::Time, event: None, position: None, decided_at: decided_at.unwrap_or(self.clock) };
        self.step(slot, Input::Cuts, now, &occasion);
    }
}
