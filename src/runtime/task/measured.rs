//! What experiments amount to over the customers of a partition, as its store has them.
//!
//! **Invariant:** the store is only read, and nobody is decided anew: whoever was exposed is in the state, and other
//! definitions expose nobody here.

use super::load::read;
use super::look::unreadable;
use crate::customer::{codec, measure};
use crate::experiment::Arms;
use crate::plan::Plan;
use crate::runtime::changelog::Manifest;
use crate::store::{Store, StoreError, Values, View};
use crate::time::EventTime;

/// Customers that one slice counts: with long histories some tens of milliseconds.
const SLICE: usize = 512;

/// A walk over all customers, a slice at a time, so that nobody has to hold a view of the store for all of it.
#[derive(Default)]
pub struct Slice {
    /// Key of the head that was counted last.
    after: Option<Vec<u8>>,
}

impl Slice {
    /// Adds the next customers to the sums of each experiment of the plan; `false`: there were none left.
    ///
    /// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
    pub fn count(&mut self, plan: &Plan, view: &View<'_>, clock: EventTime, sums: &mut [Arms]) -> Result<bool, StoreError> {
        let heads = view.scan_state(codec::HEADS, self.after.as_deref(), SLICE)?;
        for (key, head) in &heads {
            let Some(customer) = codec::customer_of(key) else { continue };
            let state = read(plan, view, &customer, head)?;
            measure(plan, &state.facts, &state.standing, clock, sums);
        }
        let Some((last, _)) = heads.into_iter().next_back() else { return Ok(false) };
        self.after = Some(last.into());
        Ok(true)
    }
}

/// The clock of the last transaction, and the sums of each experiment of the plan; `None`: nothing was ever stored.
///
/// Errors: as of [`Slice::count`].
pub fn measured(plan: &Plan, store: &Store) -> Result<Option<(EventTime, Vec<Arms>)>, StoreError> {
    let view = store.view();
    let Some(manifest) = view.manifest()? else { return Ok(None) };
    let clock = EventTime::from_millis(Manifest::decode(&manifest).map_err(|error| unreadable(store, &error))?.clock);
    let (mut slice, mut sums) = (Slice::default(), vec![Arms::default(); plan.experiments.len()]);
    while slice.count(plan, &view, clock, &mut sums)? {}
    Ok(Some((clock, sums)))
}
