//! A task: one partition's customers over their store. The single writer of both.
//!
//! The open batch is everything since the last commit. It lives in memory, over the store: transitions, and the changed
//! customers' states. Once its transaction is known to be committed it is written to the store; until then, dropping
//! the task is all that it takes to forget it.
//!
//! **Invariant:** the store holds exactly what committed transactions said. A customer whose state is not in memory is
//! in the store as it stands, and its timer is armed.

use std::sync::Arc;

use crate::customer::CustomerState;
use crate::customer::codec::{self, FormatError};
use crate::engine::{Accepted, Loaded, Partition, Slot, rebuild, valid_until};
use crate::event::Event;
use crate::id::{CustomerId, Offset, SourcePosition};
use crate::kafka::wire::encode::{Membership as MembershipFields, membership_value};
use crate::plan::Plan;
use crate::store::{Batch as StoreBatch, Store, StoreError};
use crate::time::EventTime;
use crate::transition::{Output, Transition};

/// Timers that fire in one call, so that a midnight with a million of them goes out in bounded batches.
const TIMERS_PER_SLICE: usize = 2_000;
/// Timers, or customers, that one read of the store brings.
const SCAN: usize = 10_000;

/// How a task uses memory.
#[derive(Clone, Debug)]
pub struct TaskOptions {
    /// Customers whose decoded state may stay in memory between batches.
    pub resident_customers: usize,
}

impl TaskOptions {
    /// For a process that may use so many bytes for state (`state.memory`). A decoded customer takes about 8 KiB (with
    /// 25 orders and a dozen aggregates), and a process drives several tasks.
    pub fn within(memory_bytes: u64) -> TaskOptions {
        TaskOptions { resident_customers: usize::try_from(memory_bytes / (64 << 10)).unwrap_or(usize::MAX).max(1_000) }
    }
}

impl Default for TaskOptions {
    fn default() -> TaskOptions {
        TaskOptions::within(512 << 20)
    }
}

/// Is given a changelog record: key, and value or tombstone.
pub type EachChange<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// A changelog record: key, and value or tombstone.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

pub struct Task {
    partition: Partition,
    store: Store,
    options: TaskOptions,
    /// The open batch as changelog records, once it was asked for.
    encoded: Vec<Change>,
    /// Customers that another set of definitions decided, still to be looked at.
    stale: Vec<CustomerId>,
    resident: usize,
    sweep: usize,
}

impl Task {
    /// Opens a task over a restored store. `clock`: of the last manifest, [`EventTime::MIN`] if there is none.
    pub fn new(plan: Arc<Plan>, options: TaskOptions, store: Store, clock: EventTime) -> Result<Task, StoreError> {
        let stale = stale_customers(&store, plan.fingerprint)?;
        let mut partition = Partition::new(plan, clock);
        each_timer(&store, |due, customer| partition.arm_stored(customer, due))?;
        Ok(Task { partition, store, options, encoded: Vec::new(), stale, resident: 0, sweep: 0 })
    }

    /// Applies one accepted record. The caller has advanced the clock to its time.
    pub fn accept(&mut self, event: &Event, position: &SourcePosition, wall: EventTime) -> Result<Accepted, StoreError> {
        self.encoded.clear();
        let plan = self.partition.plan().clone();
        let mut load = loader(&plan, &self.store, &mut self.resident);
        self.partition.accept(event, Some(position), Some(wall), &mut load)
    }

    /// Fires a slice of the timers due strictly before `to`. `true`: more are due; commit what there is, call again.
    pub fn advance_clock(&mut self, to: EventTime, wall: EventTime) -> Result<bool, StoreError> {
        if to < self.partition.clock() && self.stale.is_empty() {
            return Ok(false);
        }
        let plan = self.partition.plan().clone();
        let mut load = loader(&plan, &self.store, &mut self.resident);
        let mut fired = 0;
        while let Some(customer) = self.stale.pop() {
            let slot = self.partition.slot(&customer);
            self.partition.ensure(slot, Some(wall), &mut load)?;
            self.encoded.clear();
            fired += 1;
            if fired == TIMERS_PER_SLICE {
                return Ok(true);
            }
        }
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

    pub fn timers_pending(&self) -> usize {
        self.partition.timers_pending()
    }

    pub fn store(&self) -> &Store {
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
                each(&resident.customer, membership_record(&plan, &resident.customer, state).as_deref());
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
        Task::materialise(&self.store, &self.encoded, Some(manifest), changelog_next)?;
        self.encoded.clear();
        for slot in self.partition.changed().to_vec() {
            if let Some(state) = self.partition.resident_mut(slot).state.as_deref_mut() {
                codec::written(state);
            }
        }
        self.partition.settled();
        self.release();
        Ok(())
    }

    /// Forgets what is not committed, and gives the store back.
    pub fn into_store(self) -> Store {
        self.store
    }

    /// Writes changelog records that were committed, with the timers that they imply.
    pub fn materialise(store: &Store, changes: &[Change], manifest: Option<&[u8]>, changelog_next: Offset) -> Result<(), StoreError> {
        let keys: Vec<&[u8]> = changes.iter().map(|(key, _)| key.as_slice()).filter(|key| codec::is_head(key)).collect();
        let stored = store.multi_get(&keys)?;
        let mut batch = StoreBatch::new();
        for (key, before) in keys.iter().zip(&stored) {
            if let Some(due) = before.as_ref().and_then(|value| codec::armed_of(key, value)) {
                batch.remove_timer(due, &key[1..]);
            }
        }
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
            if let Some(due) = value.as_ref().and_then(|value| codec::armed_of(key, value)) {
                batch.set_timer(due, &key[1..]);
            }
        }
        if let Some(manifest) = manifest {
            batch.set_manifest(manifest);
        }
        store.write(batch, changelog_next)
    }

    fn encode(&mut self) {
        if !self.encoded.is_empty() {
            return;
        }
        let plan = self.partition.plan().clone();
        for slot in self.partition.changed().to_vec() {
            let resident = self.partition.resident_mut(slot);
            let armed = resident.armed;
            if let Some(state) = resident.state.as_deref_mut() {
                codec::write(&plan, &resident.customer, state, armed, &mut |key, value| self.encoded.push((key, value)));
            }
        }
    }

    /// Lets go of states beyond the memory that the task may use; all of them are in the store.
    fn release(&mut self) {
        let slots = self.partition.customers();
        let mut looked_at = 0;
        while self.resident > self.options.resident_customers && looked_at < slots {
            self.sweep = (self.sweep + 1) % slots;
            looked_at += 1;
            if self.partition.release(self.sweep) {
                self.resident -= 1;
            }
        }
    }
}

/// Reads customers from the store, decides nothing.
fn loader<'a>(
    plan: &'a Plan,
    store: &'a Store,
    resident: &'a mut usize,
) -> impl FnMut(&CustomerId) -> Result<Option<Loaded>, StoreError> + 'a {
    move |customer| {
        *resident += 1;
        let Some(head) = store.get(&codec::head_key(customer))? else { return Ok(None) };
        let part = |key: &[u8]| store.get(key).map(|value| value.map(|v| v.to_vec())).map_err(ReadError::Store);
        let stored = codec::read(plan, customer, &head, part).map_err(|error| error.at(store))?;
        let mut state = stored.state;
        rebuild(plan, customer, &state.facts, &mut state.standing);
        Ok(Some(Loaded { state, current: stored.current }))
    }
}

enum ReadError {
    Store(StoreError),
    Format(FormatError),
}

impl From<FormatError> for ReadError {
    fn from(error: FormatError) -> ReadError {
        ReadError::Format(error)
    }
}

impl ReadError {
    fn at(self, store: &Store) -> StoreError {
        let path = store.path().to_owned();
        match self {
            ReadError::Store(error) => error,
            ReadError::Format(FormatError::Newer(found)) => StoreError::Newer { path, found, known: codec::VERSION },
            ReadError::Format(error @ FormatError::Damaged) => StoreError::Corrupt { path, reason: error.to_string() },
        }
    }
}

fn membership_record(plan: &Plan, customer: &CustomerId, state: &CustomerState) -> Option<Vec<u8>> {
    let memberships = plan.segments.iter().enumerate().filter_map(|(index, segment)| {
        let membership = state.standing.memberships[index];
        Some(MembershipFields {
            segment: &segment.key,
            since: membership.since()?,
            entry: membership.entry(),
            sequence: membership.sequence,
            valid_until: valid_until(plan, customer, state, index),
            version: &segment.version,
        })
    });
    membership_value(customer, memberships, state.standing.at)
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

/// Customers whose state was decided by other definitions than these.
fn stale_customers(store: &Store, fingerprint: u64) -> Result<Vec<CustomerId>, StoreError> {
    let (mut stale, mut after) = (Vec::new(), None);
    loop {
        let heads = store.scan_state(codec::HEADS, after.as_deref(), SCAN)?;
        let decided_otherwise = heads.iter().filter(|(_, head)| codec::fingerprint_of(head) != Some(fingerprint));
        stale.extend(decided_otherwise.filter_map(|(key, _)| codec::customer_of(key)));
        let Some((last, _)) = heads.last().filter(|_| heads.len() == SCAN) else { return Ok(stale) };
        after = Some(last.to_vec());
    }
}
