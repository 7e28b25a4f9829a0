//! What experiments amount to over all customers of a partition's store.
//!
//! **Invariant:** the store is only read, and nobody is decided anew: whoever was exposed is in the state, and other
//! definitions expose nobody here.

use super::load::read;
use crate::customer::{codec, measure};
use crate::experiment::Arms;
use crate::plan::Plan;
use crate::runtime::changelog::Manifest;
use crate::store::{Store, StoreError};
use crate::time::EventTime;

/// Customers that one read of the store brings.
const SCAN_HEADS: usize = 512;

/// The sums of each experiment of the plan, and the clock of the last transaction; `None`: nothing was ever stored.
///
/// Reads every customer: about as long as a restart's scan of all states.
///
/// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
pub fn measured(plan: &Plan, store: &Store) -> Result<Option<(EventTime, Vec<Arms>)>, StoreError> {
    let Some(manifest) = store.manifest()? else { return Ok(None) };
    let manifest = Manifest::decode(&manifest).map_err(|error| super::look::unreadable(store, &error))?;
    let clock = EventTime::from_millis(manifest.clock);
    let (mut sums, mut after) = (vec![Arms::default(); plan.experiments.len()], None);
    loop {
        let heads = store.scan_state(codec::HEADS, after.as_deref(), SCAN_HEADS)?;
        for (key, head) in &heads {
            let Some(customer) = codec::customer_of(key) else { continue };
            let state = read(plan, store, &customer, head)?.state;
            measure(plan, &state.facts, &state.standing, clock, &mut sums);
        }
        let Some((last, _)) = heads.into_iter().next_back() else { return Ok(Some((clock, sums))) };
        after = Some(last);
    }
}
