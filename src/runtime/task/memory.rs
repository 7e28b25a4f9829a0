//! Memory for decoded customers: one bound for all tasks of a process, whatever the number of partitions.
//!
//! *Why one:* partitions come and go, and one is busier than another. Who commits while too much is taken lets go of its own.
//!
//! **Invariant:** what is taken is the sum over the parts that live; a dropped one gives its share back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What decoded customers may take in this process. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub struct CustomerMemory {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// A task's share of it.
#[derive(Debug)]
pub struct Part {
    memory: CustomerMemory,
    taken: usize,
}

impl CustomerMemory {
    /// `most`: in bytes.
    pub fn new(most: u64) -> CustomerMemory {
        CustomerMemory { most: usize::try_from(most).unwrap_or(usize::MAX), taken: Arc::default() }
    }

    /// By all tasks together, in bytes.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub fn part(&self) -> Part {
        Part { memory: self.clone(), taken: 0 }
    }
}

impl Part {
    /// Takes so many bytes instead of what it took before; whether that is too much, for all parts together.
    pub fn take(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.taken, bytes);
        // Differences wrap around; the sum of all does not.
        let all = self.memory.taken.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed).wrapping_add(bytes).wrapping_sub(before);
        all > self.memory.most
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.take(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_together_and_give_back_what_they_took() {
        let memory = CustomerMemory::new(100);
        let (mut a, mut b) = (memory.part(), memory.part());
        assert!(!a.take(80) && b.take(30));
        assert!(!a.take(60), "90 of 100");
        assert_eq!(memory.taken(), 90);
        drop(a);
        assert_eq!(memory.taken(), 30);
    }
}
