//! A task: one partition's customers over their store. The single writer of both.
//!
//! The open batch is everything since the last commit. It lives in memory, over the store: transitions, and the changed
//! customers' states. Once its transaction is known to be committed it is written to the store; until then, dropping
//! the task is all that it takes to forget it.
//!
//! **Invariant:** the store holds exactly what committed transactions said. A customer whose state is not in memory is
//! in the store as it stands, and its timer is armed.

mod backfill;
mod erasures;
mod load;
mod look;
mod measured;
mod memory;
mod merging;
mod ranks;
mod register;
mod trial;

use std::collections::HashMap;
use std::sync::Arc;

use super::changelog::Decided;
use crate::customer::codec;
use crate::customer::{Applied, CustomerState};
use crate::engine::{Accepted, Partition, SegmentNames, Slot, valid_until};
use crate::event::Event;
use crate::id::{CustomerId, Offset, SegmentKey, SourcePosition};
use crate::kafka::wire::encode::{Membership as MembershipFields, membership_value};
use crate::plan::Plan;
use crate::store::{Batch as StoreBatch, Store, StoreError};
use crate::time::EventTime;
use crate::transition::{Output, Transition};
use backfill::{Backfill, redecide};
pub use backfill::{Seen, decided_by};
use erasures::Erasures;
use load::loader_of;
pub use look::{Looked, erased, incomplete, look, look_at, membership, memberships, names, pass};
pub use measured::{Slice, measured};
pub use memory::CustomerMemory;
use memory::Part;
use register::Register;
pub use trial::{Moves, Trial};

/// Timers that fire in one call, so that a midnight with a million of them goes out in bounded batches.
const TIMERS_PER_SLICE: usize = 2_000;
/// Timers that one read of the store brings.
const SCAN: usize = 10_000;
/// So many customers of a batch go out of memory for one who has been there for longer.
const BATCH_TO_ROUND: usize = 8;
/// Customers that one read of a scan brings.
const SCAN_HEADS: usize = 128;

/// Is given a changelog record: key, and value or tombstone.
pub type EachChange<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// A changelog record: key, and value or tombstone.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

pub struct Task {
    partition: Partition,
    store: Arc<Store>,
    memory: Part,
    /// The open batch as changelog records, once it was asked for.
    encoded: Vec<Change>,
    /// By which definitions and lists customers are decided here.
    decided: Decided,
    /// The scan for those that others have decided.
    backfill: Option<Backfill>,
    register: Register,
    erasures: Erasures,
    /// The customer that was asked last whether it may go out of memory.
    sweep: usize,
    /// The number of the last cuts that were found here for all partitions.
    found: u64,
}

impl Task {
    /// Opens a task over a restored store. `clock` and `then` are the last manifest's; without one, [`EventTime::MIN`]
    /// and the default.
    pub fn new(
        plan: Arc<Plan>,
        memory: &CustomerMemory,
        store: impl Into<Arc<Store>>,
        clock: EventTime,
        then: &Decided,
    ) -> Result<Task, StoreError> {
        let store = store.into();
        let decided = backfill::decided_by(&plan);
        let backfill = Backfill::since(then, &decided);
        let mut register = Register::read(&*store)?;
        register.note(&plan, clock);
        let erasures = Erasures::read_all(&store)?;
        let mut partition = Partition::new(plan, clock);
        partition.set_names(register.names().clone());
        each_timer(&store, |due, customer| partition.arm_stored(customer, due))?;
        ranks::restore(&mut partition, &store, then)?;
        let found = then.cuts.as_ref().map_or(0, |cuts| cuts.found);
        Ok(Task { partition, store, memory: memory.part(), encoded: Vec::new(), decided, backfill, register, erasures, sweep: 0, found })
    }

    /// Puts other definitions in force. Nothing may be open: the batch before was decided by the old ones.
    pub fn redefine(&mut self, plan: Arc<Plan>) {
        let before = self.partition.redefine(plan.clone());
        self.decided = backfill::decided_by(&plan);
        self.backfill = Backfill::between(&before, &plan, self.backfill.take());
        self.register.note(&plan, self.partition.clock());
        self.partition.set_names(self.register.names().clone());
    }

    /// Applies one accepted record. The caller has advanced the clock to its time.
    pub fn accept(&mut self, event: &Event, position: &SourcePosition, wall: EventTime) -> Result<Accepted, StoreError> {
        self.encoded.clear();
        let mut load = loader_of(&self.partition, &self.store, self.backfill.as_ref(), &self.erasures);
        let accepted = self.partition.accept(event, Some(position), Some(wall), &mut load)?;
        drop(load);
        if matches!(accepted.applied, Applied::Accepted { .. }) {
            let role = self.partition.plan().role(usize::from(event.stream.0));
            self.note(role, &event.customer)?;
        }
        if accepted.applied == Applied::Erased {
            self.forget(self.partition.find(&event.customer));
        }
        Ok(accepted)
    }

    /// Keeps no ids in memory of whom nothing is known.
    fn forget(&mut self, slots: impl IntoIterator<Item = Slot>) {
        slots.into_iter().for_each(|slot| _ = self.partition.forget(slot));
    }

    /// A record of this customer's, with this event time, is one of what was erased.
    pub fn is_erased(&self, customer: &CustomerId, time: EventTime) -> Result<bool, StoreError> {
        let state = self.partition.find(customer).and_then(|slot| self.partition.resident(slot).state.as_deref());
        let erased = match state {
            Some(state) => state.erased,
            None => self.erasures.find(&*self.store, customer)?,
        };
        Ok(erased.is_some_and(|erased| time <= erased.at))
    }

    /// Fires a slice of the timers due strictly before `to`. `true`: more are due; commit what there is, call again.
    pub fn advance_clock(&mut self, to: EventTime, wall: EventTime) -> Result<bool, StoreError> {
        if to < self.partition.clock() {
            return Ok(false);
        }
        let mut load = loader_of(&self.partition, &self.store, self.backfill.as_ref(), &self.erasures);
        let mut fired = 0;
        while self.partition.fire_next(to, Some(wall), &mut load)? {
            self.encoded.clear();
            fired += 1;
            if fired == TIMERS_PER_SLICE {
                return Ok(true);
            }
        }
        self.partition.set_clock(to);
        Ok(false)
    }

    /// Looks at up to `most` of the customers that other definitions or lists may have decided, and decides those that
    /// they have, while there is `time`. What it has done; nothing once [`Task::backfill`] is none.
    pub fn decide_slice(&mut self, most: u64, wall: EventTime, time: &dyn Fn() -> bool) -> Result<Seen, StoreError> {
        let mut slice = Seen::default();
        while let Some(backfill) = &self.backfill {
            let heads = self.store.scan_state(codec::HEADS, backfill.cursor(), SCAN_HEADS)?;
            if heads.is_empty() {
                self.backfill = None;
            }
            for (key, head) in &heads {
                slice.looked_at += 1;
                slice.decided += u64::from(self.decide_stored(key, head, wall)?);
                if slice.looked_at >= most || !time() {
                    return Ok(slice);
                }
            }
        }
        Ok(slice)
    }

    /// `true`: the customer had to be decided anew.
    fn decide_stored(&mut self, key: &[u8], head: &[u8], wall: EventTime) -> Result<bool, StoreError> {
        let current = codec::fingerprint_of(head) == Some(self.partition.plan().fingerprint);
        let stale = codec::customer_of(key).filter(|customer| redecide(self.backfill.as_ref(), customer, current).is_some());
        if let Some(customer) = &stale {
            self.encoded.clear();
            let slot = self.partition.slot(customer);
            let mut load = loader_of(&self.partition, &self.store, self.backfill.as_ref(), &self.erasures);
            self.partition.ensure(slot, Some(wall), &mut load)?;
            drop(load);
            self.partition.complete(slot, Some(wall));
        }
        if let Some(backfill) = &mut self.backfill {
            backfill.pass(key, stale.is_some());
        }
        Ok(stale.is_some())
    }

    /// Segments that look at a past which was not kept, and since when they know everything; and whether that is news.
    pub fn incomplete(&self) -> (Vec<(SegmentKey, EventTime)>, bool) {
        (self.register.incomplete(self.partition.plan(), self.partition.clock()), self.register.is_new())
    }

    /// What the scan has done so far; `None`: there is none under way.
    pub fn backfill(&self) -> Option<Seen> {
        self.backfill.as_ref().map(|backfill| backfill.seen)
    }

    /// As the next manifest says it.
    pub fn decided(&self) -> Decided {
        let scanned_to = self.backfill.as_ref().map(Backfill::scanned_to);
        Decided { scanned_to, cuts: self.cuts_in_force(), ..self.decided.clone() }
    }

    pub fn clock(&self) -> EventTime {
        self.partition.clock()
    }

    /// The transitions of the open batch, in order.
    pub fn transitions(&self) -> &[Transition] {
        self.partition.transitions()
    }

    /// The same with the announcements between them.
    pub fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        self.partition.outputs()
    }

    /// The open batch changes some customer.
    pub fn is_changed(&self) -> bool {
        !self.partition.changed().is_empty()
    }

    /// Whom the open batch erases.
    pub fn erased(&self) -> Vec<&CustomerId> {
        let erased = self.partition.gone().iter().filter(|slot| self.partition.became(**slot).is_none());
        erased.map(|slot| &self.partition.resident(*slot).customer).collect()
    }

    /// By how many more customers there are with the open batch than without it.
    pub fn came(&self) -> i64 {
        self.partition.came()
    }

    /// How many customers the open batch has read from the store.
    pub fn reads(&self) -> u64 {
        self.partition.reads()
    }

    pub fn timers_pending(&self) -> usize {
        self.partition.timers_pending()
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The records of the membership topic for every customer that the open batch lets enter or leave.
    pub fn memberships(&mut self, each: &mut dyn FnMut(&CustomerId, Option<&[u8]>)) {
        let mut slots: Vec<Slot> = self.partition.transitions().iter().filter_map(|t| self.partition.find(&t.customer)).collect();
        slots.sort_unstable();
        slots.dedup();
        let plan = self.partition.plan().clone();
        for slot in slots {
            let resident = self.partition.resident(slot);
            if let Some(state) = &resident.state {
                each(&resident.customer, membership_record(&plan, self.register.names(), &resident.customer, state).as_deref());
            }
        }
    }

    /// The changelog records of the open batch: one a key, full values; `None`: a tombstone.
    pub fn changes(&mut self, each: &mut EachChange<'_>) {
        self.encode();
        for (key, value) in &self.encoded {
            each(key, value.as_deref());
        }
    }

    /// Writes the open batch to the store, now that its transaction is known to be committed.
    pub fn commit(&mut self, manifest: &[u8], changelog_next: Offset) -> Result<(), StoreError> {
        self.encode();
        let partition = &self.partition;
        let stored = |customer: &CustomerId| partition.find(customer).map_or(EventTime::MAX, |slot| partition.resident(slot).stored);
        let armed = |key: &[u8]| codec::customer_of(key).as_ref().map_or(EventTime::MAX, stored);
        write(&self.store, &self.encoded, armed, Some(manifest), changelog_next)?;
        self.encoded.clear();
        self.register.saved();
        let changed = self.partition.changed().to_vec();
        for slot in &changed {
            let resident = self.partition.resident_mut(*slot);
            resident.stored = EventTime::MAX;
            if let Some(state) = resident.state.as_deref_mut().filter(|state| state.is_known()) {
                resident.stored = resident.armed;
                codec::written(state);
            }
        }
        self.erasures.saved();
        let gone = self.partition.gone().clone();
        self.partition.settled();
        self.forget(gone);
        self.release(&changed);
        Ok(())
    }

    /// Forgets what is not committed, and gives the store back.
    pub fn into_store(self) -> Arc<Store> {
        self.store
    }

    /// Writes changelog records that were committed, with the timers that they imply.
    pub fn materialise(store: &Store, changes: &[Change], manifest: Option<&[u8]>, changelog_next: Offset) -> Result<(), StoreError> {
        let keys: Vec<&[u8]> = changes.iter().map(|(key, _)| key.as_slice()).filter(|key| codec::is_head(key)).collect();
        let stored = store.multi_get(&keys)?;
        let armed: HashMap<&[u8], EventTime> = keys.iter().zip(&stored).map(|(key, value)| (*key, armed(key, value.as_deref()))).collect();
        write(store, changes, |key| armed.get(key).copied().unwrap_or(EventTime::MAX), manifest, changelog_next)
    }

    fn encode(&mut self) {
        if !self.encoded.is_empty() {
            return;
        }
        self.encoded.extend(self.register.change());
        self.encoded.extend(self.erasures.change());
        let plan = self.partition.plan().clone();
        for slot in self.partition.changed().to_vec() {
            let resident = self.partition.resident_mut(slot);
            let armed = resident.armed;
            if let Some(state) = resident.state.as_deref_mut().filter(|state| state.is_known()) {
                codec::write(&plan, &resident.customer, state, armed, &mut |key, value| self.encoded.push((key, value)));
            }
            // Here, where its newest rows have just been looked at.
            self.partition.measure(slot);
        }
        self.encoded.extend(self.rank_changes());
        for slot in self.partition.gone() {
            let resident = self.partition.resident(*slot);
            let records = resident.state.as_deref().map(|state| self.erasures.records(&resident.customer, state));
            self.encoded.extend(records.into_iter().flatten());
        }
        self.encoded.extend(self.erasures.tombstones(&self.encoded));
    }

    /// Lets go of states beyond the memory that all tasks may use; all of them are in the store. Who came into memory for this
    /// batch alone goes first: where more customers take turns than there is room for, those who have it keep it. One in so
    /// many is another one, who was of no use for a whole round.
    fn release(&mut self, batch: &[Slot]) {
        for (number, slot) in batch.iter().enumerate() {
            if !self.memory.take(self.partition.footprint()) {
                return;
            }
            self.partition.release(*slot);
            if number % BATCH_TO_ROUND == 0 {
                self.release_next();
            }
        }
        // At first, those who were of use lately are only told that they may be next.
        for _ in 0..2 * self.partition.customers() {
            if !self.memory.take(self.partition.footprint()) {
                return;
            }
            self.release_next();
        }
    }

    /// The hand of the clock (Corbató's CLOCK) goes on by one.
    fn release_next(&mut self) {
        self.sweep = (self.sweep + 1) % self.partition.customers().max(1);
        self.partition.release_or_spare(self.sweep);
    }
}

/// Writes a batch with its timers. `armed_before`: when the timer of a head fires that is stored.
fn write(
    store: &Store,
    changes: &[Change],
    armed_before: impl Fn(&[u8]) -> EventTime,
    manifest: Option<&[u8]>,
    changelog_next: Offset,
) -> Result<(), StoreError> {
    let mut batch = StoreBatch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
        if codec::is_head(key) {
            batch.move_timer(&key[1..], armed_before(key), armed(key, value.as_deref()));
        }
    }
    if let Some(manifest) = manifest {
        batch.set_manifest(manifest);
    }
    store.write(batch, changelog_next)
}

/// When the timer of a head fires; [`EventTime::MAX`]: it has none, or there is no head.
fn armed(key: &[u8], head: Option<&[u8]>) -> EventTime {
    head.and_then(|value| codec::armed_of(key, value)).unwrap_or(EventTime::MAX)
}

/// `names`: of segments that are not in the plan; who is in one is told of it until the exit is decided.
fn membership_record(plan: &Plan, names: &SegmentNames, customer: &CustomerId, state: &CustomerState) -> Option<Vec<u8>> {
    let memberships = plan.segments.iter().enumerate().filter_map(|(index, segment)| {
        let membership = state.standing.memberships[index];
        Some(MembershipFields {
            segment: &segment.key,
            since: membership.since()?,
            entry: membership.entry(),
            sequence: state.published(membership.sequence),
            valid_until: valid_until(plan, customer, state, index),
            version: &segment.version,
        })
    });
    let former = state.standing.former.iter().filter_map(|former| {
        let (name, membership) = (names.get(&former.segment)?, &former.membership);
        let (since, entry, sequence) = (membership.since()?, membership.entry(), state.published(membership.sequence));
        Some(MembershipFields { segment: &name.key, since, entry, sequence, valid_until: None, version: &name.version })
    });
    membership_value(customer, memberships.chain(former), state.standing.at)
}

fn each_timer(store: &Store, mut each: impl FnMut(EventTime, &CustomerId)) -> Result<(), StoreError> {
    let (mut due, mut after) = (EventTime::MIN, Vec::new());
    loop {
        let timers = store.timers_from(due, &after, SCAN)?;
        for timer in &timers {
            if let Ok(id) = std::str::from_utf8(&timer.customer) {
                each(timer.due, &CustomerId::from(id));
            }
        }
        let Some(last) = timers.last().filter(|_| timers.len() == SCAN) else { return Ok(()) };
        due = last.due;
        after = [&last.customer[..], &[0]].concat();
    }
}
