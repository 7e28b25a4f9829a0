//! The experiments over every partition in the state folder of a service that is stopped.
//!
//! **Invariant:** the folder is left as it was.

use std::path::Path;

use anyhow::bail;

use super::super::explain::refused;
use crate::experiment::{Arms, earliest};
use crate::plan::Plan;
use crate::runtime::task::measured;
use crate::store::{Shared, StateDir, Store};
use crate::time::EventTime;

/// A scan goes through the values once: more would keep nothing that is read again.
const MEMORY: u64 = 32 << 20;

/// The earliest clock of the partitions, and the sums of each experiment.
pub fn stored(plan: &Plan, folder: &Path) -> anyhow::Result<(Option<EventTime>, Vec<Arms>)> {
    let state = StateDir::lock_to_look(folder).map_err(refused)?;
    let shared = Shared::new(MEMORY);
    let (mut as_of, mut sums) = (None, vec![Arms::default(); plan.experiments.len()]);
    for partition in state.partitions()? {
        let store = Store::open_to_read(&shared, &state.partition(partition))?;
        if let Some((clock, counted)) = measured(plan, &store)? {
            as_of = earliest(as_of, Some(clock));
            sums.iter_mut().zip(&counted).for_each(|(sum, counted)| sum.add(counted));
        }
    }
    if as_of.is_none() {
        bail!("the state in {} has no partition that was ever written", folder.display());
    }
    Ok((as_of, sums))
}
