//! One customer as the store has it: alone in a partition of its own, or only with its memberships.
//!
//! **Invariant:** the store is only read. Where definitions or lists are others than those that decided the customer, [`look`]
//! decides it anew, as the service would when it starts with them; [`membership`] tells what was committed, and nothing
//! that is still to be decided.

use std::sync::Arc;

use super::backfill::{Backfill, decided_by};
use super::erasures::Erasures;
use super::load::loader;
use super::register::Register;
use super::{membership_record, ranks};
use crate::customer::codec;
use crate::engine::{Partition, SegmentNames};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::rank::Cuts;
use crate::runtime::changelog::{Manifest, Unreadable};
use crate::store::{StoreError, Values};
use crate::time::EventTime;

/// The customer under `plan`, at the clock of the last transaction; `None`: the store does not know it.
///
/// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
pub fn look(plan: &Arc<Plan>, store: &impl Values, customer: &CustomerId) -> Result<Option<Partition>, StoreError> {
    let key = codec::head_key(customer);
    let (Some(head), Some(manifest)) = (store.get(&key)?, store.manifest()?) else { return Ok(None) };
    let manifest = Manifest::decode(&manifest).map_err(|error| unreadable(store, &error))?;
    let mut partition = Partition::new(plan.clone(), EventTime::from_millis(manifest.clock));
    partition.set_names(Register::read(store)?.names().clone());
    if let Some(due) = codec::armed_of(&key, &head) {
        partition.arm_stored(customer, due);
    }
    ranks::restore_one(&mut partition, store, customer, &manifest.decided)?;
    let cuts = partition.cuts().clone();
    let (backfill, mut resident) = (Backfill::since(&manifest.decided, &decided_by(plan)), 0);
    let (slot, erasures) = (partition.slot(customer), Erasures::read(store)?);
    partition.ensure(slot, None, &mut loader(plan, &cuts, store, backfill.as_ref(), &erasures, &mut resident))?;
    partition.settled();
    Ok(Some(partition))
}

/// The customer's record of the membership topic, as the last transaction left it; `None`: it holds no membership. `valid_until`
/// and `version` are of `plan`, also where the customer is still to be decided by it.
///
/// Errors: as of [`look`].
pub fn membership(plan: &Plan, store: &impl Values, customer: &CustomerId) -> Result<Option<Vec<u8>>, StoreError> {
    let key = codec::head_key(customer);
    let Some(head) = store.get(&key)? else { return Ok(None) };
    // Most customers that are asked for hold nothing, and need not be decoded for it.
    if codec::memberships_of(&head).is_ok_and(|mut known| known.all(|(_, membership)| !membership.is_member())) {
        return Ok(None);
    }
    let (cuts, mut resident) = (stored_cuts(plan, store)?, 0);
    let Some(loaded) = loader(plan, &cuts, store, None, &Erasures::default(), &mut resident)(customer)? else { return Ok(None) };
    // Names are read only where one is needed: it is a record of all segments that ever were.
    let is_former = loaded.state.standing.former.iter().any(|former| former.membership.is_member());
    let names = if is_former { Register::read(store)?.names().clone() } else { SegmentNames::default() };
    Ok(membership_record(plan, &names, customer, &loaded.state))
}

/// Those of the last transaction, where a rule needs them.
fn stored_cuts(plan: &Plan, store: &impl Values) -> Result<Cuts, StoreError> {
    let manifest = if plan.cuts.is_empty() { None } else { store.manifest()? };
    let Some(manifest) = manifest else { return Ok(Cuts::default()) };
    Manifest::decode(&manifest).map(|manifest| ranks::in_force(plan, &manifest.decided)).map_err(|error| unreadable(store, &error))
}

pub(super) fn unreadable(store: &impl Values, error: &Unreadable) -> StoreError {
    StoreError::Corrupt { path: store.path().to_owned(), reason: format!("its manifest cannot be read: {error}") }
}
