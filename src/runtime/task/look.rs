//! One customer as a stopped service left it, alone in a partition of its own.
//!
//! **Invariant:** the store is only read. Where definitions or lists are others than those that decided the customer, it
//! is decided anew, as the service would when it starts with them.

use std::sync::Arc;

use super::backfill::{Backfill, decided_by};
use super::erasures::Erasures;
use super::load::loader;
use super::register::Register;
use crate::customer::codec;
use crate::engine::Partition;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::runtime::changelog::{Manifest, Unreadable};
use crate::store::{Store, StoreError};
use crate::time::EventTime;

/// The customer under `plan`, at the clock of the last transaction; `None`: the store does not know it.
///
/// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
pub fn look(plan: &Arc<Plan>, store: &Store, customer: &CustomerId) -> Result<Option<Partition>, StoreError> {
    let key = codec::head_key(customer);
    let (Some(head), Some(manifest)) = (store.get(&key)?, store.manifest()?) else { return Ok(None) };
    let manifest = Manifest::decode(&manifest).map_err(|error| unreadable(store, &error))?;
    let mut partition = Partition::new(plan.clone(), EventTime::from_millis(manifest.clock));
    partition.set_names(Register::read(store)?.names().clone());
    if let Some(due) = codec::armed_of(&key, &head) {
        partition.arm_stored(customer, due);
    }
    let (backfill, mut resident) = (Backfill::since(&manifest.decided, &decided_by(plan)), 0);
    let (slot, erasures) = (partition.slot(customer), Erasures::read(store)?);
    partition.ensure(slot, None, &mut loader(plan, store, backfill.as_ref(), &erasures, &mut resident))?;
    partition.settled();
    Ok(Some(partition))
}

fn unreadable(store: &Store, error: &Unreadable) -> StoreError {
    StoreError::Corrupt { path: store.path().to_owned(), reason: format!("its manifest cannot be read: {error}") }
}
