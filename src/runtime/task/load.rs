//! Reading a customer from the store, under the plan that is in force.
//!
//! **Invariant:** what is read is never changed here; whether it has to be decided anew is only said.

use super::backfill::{Backfill, redecide};
use super::erasures::Erasures;
use crate::customer::codec::{self, FormatError, Stored};
use crate::engine::{Loaded, rebuild};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::rank::Cuts;
use crate::store::{StoreError, Values};

/// Reads customers one by one, decided by `cuts`, and counts them in `resident`.
pub fn loader<'a>(
    plan: &'a Plan,
    cuts: &'a Cuts,
    store: &'a impl Values,
    backfill: Option<&'a Backfill>,
    erasures: &'a Erasures,
    resident: &'a mut usize,
) -> impl FnMut(&CustomerId) -> Result<Option<Loaded>, StoreError> + 'a {
    move |customer| {
        *resident += 1;
        let Some(head) = store.get(&codec::head_key(customer))? else {
            return Ok(erasures.left(plan, store, customer)?.map(|state| Loaded { state, redecide: None }));
        };
        let stored = read(plan, store, customer, &head)?;
        let mut state = stored.state;
        state.standing.cuts = cuts.clone();
        state.standing.common = backfill.and_then(|backfill| backfill.common(codec::fingerprint_of(&head))).cloned();
        rebuild(plan, customer, &state.facts, &mut state.standing);
        let waits = state.standing.common.is_some();
        Ok(Some(Loaded { state, redecide: redecide(backfill, customer, stored.current).filter(|_| !waits) }))
    }
}

/// The customer whose head this is, with the blocks that belong to it.
pub fn read(plan: &Plan, store: &impl Values, customer: &CustomerId, head: &[u8]) -> Result<Stored, StoreError> {
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
