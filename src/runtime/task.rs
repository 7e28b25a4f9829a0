//! STAND-IN until the engine lands: one partition's state, with the interface that lane and restore use.
//!
//! Counts each customer's events: every odd one enters the segment `odd`, every even one leaves it, so that `sequence`
//! is the number of events: a lost or doubled input shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Event;
use crate::id::{CustomerId, Offset, SourcePosition};
use crate::store::{Batch as StoreBatch, Store, StoreError};
use crate::time::EventTime;
use crate::transition::{Cause, Direction, Transition, Trigger};

/// What became of an accepted event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    Duplicate,
    Unmatched,
}

pub struct Plan;

#[derive(Clone, Debug, Default)]
pub struct TaskOptions;

/// What the open batch publishes.
#[derive(Default)]
pub struct Batch {
    pub transitions: Vec<Transition>,
}

/// A changelog record, on its way into a store.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

pub struct Task {
    store: Store,
    clock: EventTime,
    changed: BTreeMap<CustomerId, (u64, EventTime)>,
    batch: Batch,
}

impl Task {
    /// `clock`: of the last manifest, `EventTime::MIN` if there is none.
    pub fn new(_plan: Arc<Plan>, _options: TaskOptions, store: Store, clock: EventTime) -> Result<Task, StoreError> {
        Ok(Task { store, clock, changed: BTreeMap::new(), batch: Batch::default() })
    }

    pub fn accept(&mut self, event: Event, position: SourcePosition, wall: EventTime) -> Result<Outcome, StoreError> {
        self.clock = self.clock.max(event.time);
        let known = match self.changed.get(&event.customer) {
            Some((count, _)) => *count,
            None => self.store.get(event.customer.as_str().as_bytes())?.map_or(0, |v| <[u8; 16]>::try_from(&v[..]).map_or(0, |b| u128::from_be_bytes(b) as u64)),
        };
        let sequence = known + 1;
        self.changed.insert(event.customer.clone(), (sequence, event.time));
        self.batch.transitions.push(Transition {
            customer: event.customer,
            segment: "odd".into(),
            direction: if sequence % 2 == 1 { Direction::Entered } else { Direction::Exited },
            at: event.time,
            decided_at: wall,
            sequence,
            entry: sequence.div_ceil(2),
            cause: Cause::Event,
            trigger: Some(Trigger { stream: "orders".into(), event_id: event.id, position: Some(position) }),
            evidence: Vec::new(),
            valid_until: None,
            version: "0".into(),
            since: None,
        });
        Ok(Outcome::Applied)
    }

    /// Fires a slice of the timers due strictly before `to`. `true`: more are due; commit what there is, call again.
    pub fn advance_clock(&mut self, to: EventTime, _wall: EventTime) -> Result<bool, StoreError> {
        self.clock = self.clock.max(to);
        Ok(false)
    }

    pub fn clock(&self) -> EventTime {
        self.clock
    }

    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The open batch holds something.
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The values of the membership topic that the open batch changes.
    pub fn memberships(&self, each: &mut dyn FnMut(&CustomerId, Option<&[u8]>)) {
        for (customer, (count, _)) in &self.changed {
            let value = format!("{{\"customer\":\"{customer}\",\"sequence\":{count}}}");
            each(customer, (count % 2 == 1).then_some(value.as_bytes()));
        }
    }

    /// The changelog records of the open batch: one a key, full values; `None`: a tombstone.
    pub fn changes(&self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for (customer, (count, _)) in &self.changed {
            each(customer.as_str().as_bytes(), Some(&u128::from(*count).to_be_bytes()));
        }
    }

    /// Writes the open batch to the store, now that its transaction is known to be committed.
    pub fn commit(&mut self, manifest: &[u8], changelog_next: Offset) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        self.changes(&mut |key, value| changes.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        Task::materialise(&self.store, &changes, Some(manifest), changelog_next)?;
        self.changed.clear();
        self.batch.transitions.clear();
        Ok(())
    }

    /// Drops what is not committed, and gives the store back.
    pub fn into_store(self) -> Store {
        self.store
    }

    /// Writes changelog records that were read during a restore, timers included.
    pub fn materialise(store: &Store, changes: &[Change], manifest: Option<&[u8]>, changelog_next: Offset) -> Result<(), StoreError> {
        let mut batch = StoreBatch::new();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        if let Some(manifest) = manifest {
            batch.set_manifest(manifest);
        }
        store.write(batch, changelog_next)
    }
}
