//! Static lists: who is on one, in the memory that ten million ids may take.
//!
//! A list keeps a 128-bit hash of each id, sorted: 16 bytes an id, however long it is. *Why hashes may stand for ids:*
//! that one of a thousand million customers is taken for one of ten million on a list has a probability of 3·10⁻²³; an
//! error of the memory that holds them is more likely by far.
//!
//! **Invariant:** a list never changes. The same ids, in whatever order and however often, are the same list.

use std::collections::BTreeSet;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::{Leaf, Plan};
use crate::id::CustomerId;

/// Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    hashes: Arc<Vec<u128>>,
    fingerprint: u64,
}

impl List {
    /// What stands for an id.
    pub fn hash(id: &str) -> u128 {
        xxh3_128(id.as_bytes())
    }

    /// Of hashes in any order.
    pub fn of(mut hashes: Vec<u128>) -> List {
        hashes.sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        let mut hasher = Xxh3::new();
        hashes.iter().for_each(|hash| hasher.update(&hash.to_le_bytes()));
        List { fingerprint: hasher.digest(), hashes: Arc::new(hashes) }
    }

    pub fn contains(&self, customer: &CustomerId) -> bool {
        self.hashes.binary_search(&List::hash(customer.as_str())).is_ok()
    }

    /// How many ids are on it.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

impl FromIterator<CustomerId> for List {
    fn from_iter<I: IntoIterator<Item = CustomerId>>(ids: I) -> List {
        List::of(ids.into_iter().map(|id| List::hash(id.as_str())).collect())
    }
}

impl Plan {
    /// Of the contents of all lists that some rule names; 0: there are none. Part of no segment's version: a change of a
    /// list is an input, not a change of definitions.
    pub fn lists_fingerprint(&self) -> u64 {
        let used = self.lists_used();
        let texts: Vec<String> = used.iter().map(|at| format!("{}={:x}", self.lists[*at].0, self.lists[*at].1.fingerprint)).collect();
        if texts.is_empty() { 0 } else { xxh3_64(texts.join("\n").as_bytes()) }
    }

    /// Lists that are named by rules of both plans and differ: their positions in `before` and here.
    pub fn lists_changed(&self, before: &Plan) -> Vec<(usize, usize)> {
        let used = self.lists_used().into_iter().filter_map(|at| {
            let (key, list) = &self.lists[at];
            let was = before.lists.iter().position(|(k, _)| k == key)?;
            (before.lists[was].1.fingerprint != list.fingerprint).then_some((was, at))
        });
        used.collect()
    }

    fn lists_used(&self) -> BTreeSet<usize> {
        let mut used = BTreeSet::new();
        for predicate in &self.predicates {
            predicate.formula.each_leaf(&mut |leaf| {
                if let Leaf::List(list) = leaf {
                    used.insert(list);
                }
            });
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_its_distinct_ids() {
        let list = |ids: &[&str]| ids.iter().map(|id| CustomerId::new(*id)).collect::<List>();
        assert_eq!(list(&["b", "a", "b"]), list(&["a", "b"]));
        assert_ne!(list(&["a"]), list(&["a", "b"]));
        assert!(list(&["a", "b"]).contains(&"a".into()) && !list(&["a", "b"]).contains(&"c".into()));
        assert_eq!((list(&["b", "a", "b"]).len(), list(&[]).is_empty()), (2, true));
    }
}
