//! A task's part in ranking: ranks that survive a restart, and cuts that change between two batches.
//!
//! A customer's buckets stand in a record of their own, so that a start reads them without reading states. Whom a cut that
//! moved concerns is decided in slices, as customers are after a change of definitions.
//!
//! **Invariant:** the cuts in force, and those before while somebody waits to be decided by the new ones, are in the
//! manifest of the transaction that first went by them. Wherever the task goes on, nobody is decided by others.

use super::{Change, SCAN, Task, backfill::decided_by, load::loader_of};
use crate::engine::Partition;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::rank::{Bucket, Cuts, Sketch, Written};
use crate::runtime::changelog::{Decided, InForce};
use crate::store::{Store, StoreError, Values};
use crate::time::EventTime;

/// First byte of the keys (docs/stored-format.md).
const KIND: &[u8] = b"r";
const VERSION: u8 = 1;
/// Key of an aggregate, and bucket.
const ENTRY: usize = 12;

impl Task {
    /// The cuts by which this task decides.
    pub fn cuts(&self) -> &Cuts {
        self.partition.cuts()
    }

    pub fn sketches(&self) -> Vec<&Sketch> {
        self.partition.sketches().collect()
    }

    /// Whether anybody's rank moved since the last call.
    pub fn ranks_moved(&mut self) -> bool {
        self.partition.ranks_moved()
    }

    /// The number of the last cuts that this task found for all partitions.
    pub fn found(&self) -> u64 {
        self.found
    }

    pub fn set_found(&mut self, number: u64) {
        self.found = number;
    }

    /// Customers wait to be decided by the cuts in force.
    pub fn is_recutting(&self) -> bool {
        self.partition.cuts_before().is_some()
    }

    /// Puts other cuts in force. Nothing may be open, and nobody may wait.
    pub fn recut(&mut self, number: u64, cuts: &Written) {
        let cuts = Cuts::read(number, cuts, self.partition.plan().cut_texts());
        self.partition.recut(cuts);
    }

    /// Decides up to `most` of those who wait, while there is `time`; how many.
    pub fn recut_slice(&mut self, most: u64, wall: EventTime, time: &dyn Fn() -> bool) -> Result<u64, StoreError> {
        let mut load = loader_of(&self.partition, &self.store, self.backfill.as_ref(), &self.erasures);
        self.encoded.clear();
        let mut decided = 0;
        while decided < most && time() && self.partition.recut_next(Some(wall), &mut load)? {
            decided += 1;
        }
        Ok(decided)
    }

    /// As the next manifest says it.
    pub(super) fn cuts_in_force(&self) -> Option<InForce> {
        let (plan, cuts) = (self.partition.plan(), self.partition.cuts());
        let written = |cuts: &Cuts| cuts.write(plan.cut_texts());
        let before = self.partition.cuts_before().map(written);
        let ranks = !plan.cuts.is_empty() || self.found > 0;
        ranks.then(|| InForce { number: cuts.version(), cuts: written(cuts), before, found: self.found })
    }

    /// The records of customers whose rank moved.
    pub(super) fn rank_changes(&self) -> Vec<Change> {
        self.partition.moved_ranks().map(|(customer, ranks)| (key(customer), value(&ranks))).collect()
    }
}

/// Where all customers stood, and by which cuts they are decided.
pub fn restore(partition: &mut Partition, store: &Store, then: &Decided) -> Result<(), StoreError> {
    if !partition.plan().rankings.is_empty() {
        each_rank(store, |customer, key, bucket| partition.rank_stored(customer, key, bucket))?;
        restore_cuts(partition, then);
    }
    Ok(())
}

/// The same of one customer, to look at.
pub fn restore_one(partition: &mut Partition, store: &impl Values, customer: &CustomerId, then: &Decided) -> Result<(), StoreError> {
    if !partition.plan().rankings.is_empty() {
        let ranks = store.get(&key(customer))?.map_or(Some(Vec::new()), |value| ranks(&value)).ok_or_else(|| damaged(store))?;
        ranks.into_iter().for_each(|(key, bucket)| partition.rank_stored(customer, key, bucket));
        restore_cuts(partition, then);
    }
    Ok(())
}

fn restore_cuts(partition: &mut Partition, then: &Decided) {
    let plan = partition.plan().clone();
    // By other definitions everybody is decided anew.
    let same = then.definitions == decided_by(&plan).definitions;
    let before = then.cuts.as_ref().filter(|_| same).and_then(|cuts| Some((cuts.number, cuts.before.as_ref()?)));
    let before = before.map(|(number, before)| Cuts::read(number, before, plan.cut_texts()));
    partition.restore_cuts(in_force(&plan, then), before);
}

/// The cuts that a manifest names, as a plan has them.
pub fn in_force(plan: &Plan, then: &Decided) -> Cuts {
    then.cuts.as_ref().map_or_else(Cuts::default, |cuts| Cuts::read(cuts.number, &cuts.cuts, plan.cut_texts()))
}

fn each_rank(store: &Store, mut each: impl FnMut(&CustomerId, u64, Bucket)) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let records = store.scan_state(KIND, after.as_deref(), SCAN)?;
        for (key, value) in &records {
            let Some(id) = key.get(KIND.len()..).and_then(|id| std::str::from_utf8(id).ok()) else { continue };
            let ranks = ranks(value).ok_or_else(|| damaged(store))?;
            ranks.into_iter().for_each(|(key, bucket)| each(&CustomerId::from(id), key, bucket));
        }
        let Some((last, _)) = records.last() else { return Ok(()) };
        after = Some(last.to_vec());
    }
}

fn key(customer: &CustomerId) -> Vec<u8> {
    [KIND, customer.as_str().as_bytes()].concat()
}

/// Who ranks nowhere has no record.
fn value(ranks: &[(u64, Bucket)]) -> Option<Vec<u8>> {
    let mut value = vec![VERSION];
    for (key, bucket) in ranks {
        value.extend(key.to_le_bytes());
        value.extend(bucket.index().to_le_bytes());
    }
    (!ranks.is_empty()).then_some(value)
}

fn ranks(value: &[u8]) -> Option<Vec<(u64, Bucket)>> {
    let (version, entries) = value.split_first()?;
    let entry = |entry: &[u8]| {
        let (key, bucket) = entry.split_at_checked(8)?;
        Some((u64::from_le_bytes(key.try_into().ok()?), Bucket::at(i32::from_le_bytes(bucket.try_into().ok()?))))
    };
    (*version == VERSION).then(|| entries.chunks(ENTRY).map(entry).collect()).flatten()
}

fn damaged(store: &impl Values) -> StoreError {
    StoreError::Corrupt { path: store.path().to_owned(), reason: "the rank of a customer cannot be read".into() }
}

#[cfg(test)]
mod tests;
