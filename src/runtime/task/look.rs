//! One customer as the store has it: alone in a partition of its own, or only with its memberships.
//!
//! **Invariant:** the store is only read. Where definitions or lists are others than those that decided the customer, [`look`]
//! decides it anew, as the service would when it starts with them; [`membership`] and [`memberships`] tell what was committed,
//! and nothing that is still to be decided.

use std::convert::Infallible;
use std::sync::Arc;

use super::backfill::{Backfill, decided_by, redecide};
use super::erasures::Erasures;
use super::load::loader;
use super::register::Register;
use super::{membership_record, ranks};
use crate::customer::{CustomerState, Erased, Membership, codec};
use crate::engine::{Carried, Loaded, Partition, SegmentNames, nobody, rebuild};
use crate::id::{CustomerId, SegmentKey};
use crate::plan::Plan;
use crate::rank::Cuts;
use crate::runtime::changelog::{Manifest, Unreadable};
use crate::store::{StoreError, Values};
use crate::time::EventTime;

/// A customer alone in a partition.
pub struct Looked {
    pub partition: Partition,
    /// The store knows the customer.
    pub seen: bool,
    /// It was decided by the plan, and by the contents of its lists.
    pub decided: bool,
}

/// The customer under `plan`, at the clock of the last transaction; `None`: the store does not know it.
///
/// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
pub fn look(plan: &Arc<Plan>, store: &impl Values, customer: &CustomerId) -> Result<Option<Looked>, StoreError> {
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
    let backfill = Backfill::since(&manifest.decided, &decided_by(plan));
    let current = codec::fingerprint_of(&head) == Some(plan.fingerprint);
    let decided = redecide(backfill.as_ref(), customer, current).is_none();
    let (slot, erasures) = (partition.slot(customer), Erasures::read(store)?);
    partition.ensure(slot, None, &mut loader(plan, &cuts, store, backfill.as_ref(), &erasures))?;
    partition.settled();
    Ok(Some(Looked { partition, seen: true, decided }))
}

/// The same at `clock`, or at the last transaction's if that is later; whoever was never seen has done nothing.
pub fn look_at(plan: &Arc<Plan>, store: &impl Values, customer: &CustomerId, clock: EventTime) -> Result<Looked, StoreError> {
    let mut looked = match look(plan, store, customer)? {
        Some(looked) => looked,
        None => Looked { partition: unseen(plan, customer, clock), seen: false, decided: true },
    };
    let to = clock.max(looked.partition.clock());
    pass(&mut looked.partition, to, false);
    Ok(looked)
}

fn unseen(plan: &Arc<Plan>, customer: &CustomerId, clock: EventTime) -> Partition {
    let mut partition = Partition::new(plan.clone(), clock);
    let slot = partition.slot(customer);
    let mut state = CustomerState::new(plan);
    state.standing.at = clock;
    rebuild(plan, customer, &state.facts, &mut state.standing);
    let mut state = Some(state);
    let mut load = |_: &CustomerId, _: Option<Carried>| Ok::<_, Infallible>(state.take().map(|state| Loaded { state, redecide: None }));
    let Ok(()) = partition.ensure(slot, None, &mut load);
    partition
}

/// Lets the clock of a partition go on to `to` while nothing happens; `and_due`: with what is due at that very instant.
pub fn pass(partition: &mut Partition, to: EventTime, and_due: bool) {
    let before = EventTime::from_millis(to.millis().saturating_add(i64::from(and_due)));
    while let Ok(true) = partition.fire_next(before, None, &mut nobody) {}
    partition.settled();
    partition.set_clock(to);
}

/// Since when each segment of `plan` knows all that it asks for, as far as the store tells; only those that do not.
pub fn incomplete(plan: &Plan, store: &impl Values, clock: EventTime) -> Result<Vec<(SegmentKey, EventTime)>, StoreError> {
    let mut register = Register::read(store)?;
    register.note(plan, clock);
    Ok(register.incomplete(plan, clock))
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
    let cuts = stored_cuts(plan, store)?;
    let Some(loaded) = loader(plan, &cuts, store, None, &Erasures::default())(customer, None)? else { return Ok(None) };
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

/// Every segment that the customer was ever in, as the last transaction left it; those whose name is not known are left out.
///
/// Errors: as of [`look`].
pub fn memberships(plan: &Plan, store: &impl Values, customer: &CustomerId) -> Result<Vec<(SegmentKey, Membership)>, StoreError> {
    let Some(head) = store.get(&codec::head_key(customer))? else { return Ok(Vec::new()) };
    let known: Vec<_> = codec::memberships_of(&head).map_err(|error| corrupt(store, &error.to_string()))?.collect();
    let names = names(plan, store)?;
    Ok(known.into_iter().filter_map(|(hash, membership)| Some((names.get(&hash)?.key.clone(), membership))).collect())
}

/// What is left of a customer that was erased; `None`: no such id was.
pub fn erased(store: &impl Values, customer: &CustomerId) -> Result<Option<Erased>, StoreError> {
    Erasures::read(store)?.find(store, customer)
}

/// Every segment that the partition knows by name, and those of `plan`.
pub fn names(plan: &Plan, store: &impl Values) -> Result<SegmentNames, StoreError> {
    let mut register = Register::read(store)?;
    register.note(plan, EventTime::MIN);
    Ok(register.names().clone())
}

pub(super) fn unreadable(store: &impl Values, error: &Unreadable) -> StoreError {
    corrupt(store, &format!("its manifest cannot be read: {error}"))
}

fn corrupt(store: &impl Values, reason: &str) -> StoreError {
    StoreError::Corrupt { path: store.path().to_owned(), reason: reason.to_owned() }
}
