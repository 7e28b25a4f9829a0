//! What this process owns, and by which proof: assignment and group metadata, captured together in one callback.
//!
//! Kafka checks that a transaction's member and generation are current; *not* who owns the partition. So a transaction
//! uses the pair that it was begun under. Were it to take fresher metadata, a partition that had gone to another member
//! meanwhile would be written by both, and both would be accepted.
//!
//! **Invariant:** a pair is published whole and never changed; one thread publishes (the poller). A token belongs to
//! one assignment of one partition: a partition that goes and comes back has another one.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::id::Partition;
use crate::kafka::GroupMetadata;

/// Names one assignment of one partition to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The pair. Larger numbers are newer.
#[derive(Default)]
pub struct Ownership {
    pub number: u64,
    /// `None`: not a member at the moment; nothing may be committed.
    pub metadata: Option<GroupMetadata>,
    pub tokens: BTreeMap<Partition, Token>,
}

impl Ownership {
    pub fn holds(&self, partition: Partition, token: Token) -> bool {
        self.tokens.get(&partition) == Some(&token)
    }
}

/// Where the poller publishes the pair and the lanes read it.
#[derive(Clone, Default)]
pub struct Published(Arc<Shared>);

#[derive(Default)]
struct Shared {
    current: Mutex<Arc<Ownership>>,
    changed: Condvar,
}

impl Published {
    pub fn current(&self) -> Arc<Ownership> {
        self.lock().clone()
    }

    /// Replaces the pair; its number is the next one.
    pub fn publish(&self, metadata: Option<GroupMetadata>, tokens: BTreeMap<Partition, Token>) {
        let mut current = self.lock();
        *current = Arc::new(Ownership { number: current.number + 1, metadata, tokens });
        self.0.changed.notify_all();
    }

    /// Waits until a pair newer than `number` is there, or for `patience`.
    pub fn wait_newer(&self, number: u64, patience: Duration) {
        let current = self.lock();
        let waited = self.0.changed.wait_timeout_while(current, patience, |current| current.number <= number);
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Ownership>> {
        self.0.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_comes_back_is_not_the_one_that_went() {
        let published = Published::default();
        published.publish(None, BTreeMap::from([(Partition(1), Token(7))]));
        let before = published.current();
        published.publish(None, BTreeMap::from([(Partition(1), Token(9))]));
        assert!(before.holds(Partition(1), Token(7)), "a pair that was taken does not change");
        assert!(!published.current().holds(Partition(1), Token(7)));
        assert!(published.current().number > before.number);
    }
}
