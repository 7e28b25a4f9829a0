//! Reading a customer from the store, under the plan that is in force.
//!
//! **Invariant:** what is read is never changed here; whether it has to be decided anew is only said.

use super::backfill::{Backfill, redecide};
use super::erasures::Erasures;
use crate::customer::CustomerState;
use crate::customer::codec::{self, FormatError};
use crate::engine::{Carried, Loaded, Partition, rebuild};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::rank::Cuts;
use crate::store::{Store, StoreError, Values};

/// Reads customers one by one, or takes those who are carried over; decided by `cuts`.
pub fn loader<'a>(
    plan: &'a Plan,
    cuts: &'a Cuts,
    store: &'a impl Values,
    backfill: Option<&'a Backfill>,
    erasures: &'a Erasures,
) -> impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, StoreError> + 'a {
    move |customer, carried| {
        let (mut state, decided_by) = match carried {
            Some(carried) => (carried.state, Some(carried.decided_by)),
            None => {
                let Some(head) = store.get(&codec::head_key(customer))? else {
                    return Ok(erasures.left(plan, store, customer)?.map(|state| Loaded { state, redecide: None }));
                };
                (read(plan, store, customer, &head)?, codec::fingerprint_of(&head))
            }
        };
        state.standing.cuts = cuts.clone();
        state.standing.common = decided_by.and_then(|by| backfill?.common(by)).cloned();
        rebuild(plan, customer, &state.facts, &mut state.standing);
        let waits = state.standing.common.is_some();
        let current = decided_by == Some(plan.fingerprint);
        Ok(Some(Loaded { state, redecide: redecide(backfill, customer, current).filter(|_| !waits) }))
    }
}

/// The same for customers of this partition, by what is in force there now: it holds on to that and not to the partition, which is
/// worked on meanwhile.
pub fn loader_of<'a>(
    partition: &Partition,
    store: &'a Store,
    backfill: Option<&'a Backfill>,
    erasures: &'a Erasures,
) -> impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, StoreError> + use<'a> {
    let (plan, cuts) = (partition.plan().clone(), partition.cuts().clone());
    move |customer, carried| loader(&plan, &cuts, store, backfill, erasures)(customer, carried)
}

/// The customer whose head this is, with the blocks that belong to it.
pub fn read(plan: &Plan, store: &impl Values, customer: &CustomerId, head: &[u8]) -> Result<CustomerState, StoreError> {
    let part = |key: &[u8]| store.get(key).map(|value| value.map(|v| v.to_vec())).map_err(ReadError::Store);
    codec::read(plan, customer, head, part).map_err(|error| error.at(store))
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
    fn at(self, store: &impl Values) -> StoreError {
        match self {
            ReadError::Store(error) => error,
            ReadError::Format(error) => at(store, error),
        }
    }
}

/// A value in this store that cannot be read.
pub fn at(store: &impl Values, error: FormatError) -> StoreError {
    let path = store.path().to_owned();
    match error {
        FormatError::Newer(found) => StoreError::Newer { path, found, known: codec::VERSION },
        FormatError::Damaged => StoreError::Corrupt { path, reason: error.to_string() },
    }
}
