//! The chronicles of partitions that another process owns now: nothing is read into them any more, so an erasure would never come.
//!
//! They are kept for a while, since a partition often comes back: a restart of the other process gives it away again, and what the
//! topic has lost meanwhile is in the folder alone.
//!
//! **Invariant:** only what this process has seen to be somebody else's for all of that time is removed; before the group has said
//! whose the partitions are, nothing is.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::Partition;
use crate::runtime::clock::Deadline;
use crate::store::{self, StateDir, StoreError};

/// How long a partition may be away.
pub const AWAY: Duration = Duration::from_hours(1);

/// Until when each of them may come back.
#[derive(Default)]
pub struct Former(BTreeMap<Partition, Deadline>);

impl Former {
    /// Removes the chronicles of partitions that are not `kept`, once they were not for as long as `away`. Those that are kept may
    /// be open, others may not.
    pub fn remove(&mut self, folder: &StateDir, kept: impl Fn(Partition) -> bool, away: Duration) -> Result<(), StoreError> {
        self.0.retain(|partition, _| !kept(*partition));
        for partition in folder.partitions()?.into_iter().filter(|partition| !kept(*partition)) {
            if self.0.entry(partition).or_insert_with(|| Deadline::after(away)).is_past() {
                store::discard(&folder.partition(partition))?;
                self.0.remove(&partition);
                tracing::info!(partition = partition.0, "removed the history of a partition that another process has");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn folder() -> (TempDir, StateDir) {
        let folder = TempDir::new().unwrap();
        for partition in ["0", "1", "2"] {
            fs::create_dir(folder.path().join(partition)).unwrap();
            fs::write(folder.path().join(partition).join("CURRENT"), "ann").unwrap();
        }
        let locked = StateDir::lock(folder.path(), None).unwrap();
        (folder, locked)
    }

    fn left(folder: &StateDir) -> Vec<i32> {
        folder.partitions().unwrap().into_iter().map(|partition| partition.0).collect()
    }

    #[test]
    fn what_another_process_has_had_for_long_enough_is_removed_and_nothing_else() {
        let ((_kept, folder), mut former) = (folder(), Former::default());
        let is_ours = |partition: Partition| partition == Partition(1);
        former.remove(&folder, is_ours, AWAY).unwrap();
        assert_eq!(left(&folder), [0, 1, 2], "they may come back");
        let mut former = Former::default();
        former.remove(&folder, is_ours, Duration::ZERO).unwrap();
        assert_eq!(left(&folder), [1]);
        assert!(folder.path().join("lock").exists() && !folder.path().join("0.discarded").exists());
    }

    #[test]
    fn a_partition_that_comes_back_begins_to_be_away_anew_when_it_goes_again() {
        let ((_kept, folder), mut former) = (folder(), Former::default());
        let away = Duration::from_millis(50);
        former.remove(&folder, |_| false, away).unwrap();
        std::thread::sleep(away);
        former.remove(&folder, |_| true, away).unwrap();
        former.remove(&folder, |_| false, away).unwrap();
        assert_eq!(left(&folder), [0, 1, 2]);
    }
}
