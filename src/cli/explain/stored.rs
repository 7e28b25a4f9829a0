//! The customer in the state folder of a service that is stopped.
//!
//! **Invariant:** the folder is left as it was.

use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};

use crate::engine::Partition;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::runtime::task::look;
use crate::store::{Shared, StateDir, Store, StoreError};

/// For one customer.
const MEMORY: u64 = 16 << 20;

/// A partition that knows only this customer, as it stood at the last transaction. The lock is held until it is read: a
/// service that is started just then says that the folder is in use.
pub fn stored(plan: &Arc<Plan>, customer: &CustomerId, folder: &Path) -> anyhow::Result<Partition> {
    let state = StateDir::lock_to_look(folder).map_err(refused)?;
    let shared = Shared::new(MEMORY);
    for partition in state.partitions()? {
        let store = Store::open_to_read(&shared, &state.partition(partition))?;
        if let Some(found) = look(plan, &store, customer)? {
            return Ok(found.partition);
        }
    }
    bail!("the state in {} knows no such customer", folder.display())
}

pub fn refused(error: StoreError) -> anyhow::Error {
    let StoreError::InUse { path, pid } = error else { return error.into() };
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    anyhow!(
        "state folder {} is in use by {holder}: a state can be read only while its service is stopped; read files of events \
         instead",
        path.display()
    )
}
