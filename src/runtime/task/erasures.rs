//! Who was erased from a partition, by keyed hashes; and what an erasure in the open batch takes away.
//!
//! What goes is found in the store and not in the state: blocks that were written under other definitions, which nobody
//! reads any more, go too.
//!
//! **Invariant:** an erasure, its record and the tombstones of every key of the customer are in one transaction. The
//! secret is written with, or before, the first record that is keyed with it.

use std::collections::{BTreeSet, HashSet};

use super::Change;
use super::load::at;
use crate::customer::codec::{self, Secret};
use crate::customer::{CustomerState, Erased};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::store::{self, Store, StoreError, Values};

/// Keys that one read of the store brings.
const SCAN: usize = 1_000;

#[derive(Default)]
pub struct Erasures {
    /// None before the first erasure.
    secret: Option<Secret>,
    saved: bool,
    /// Changelog keys that go with the open batch.
    gone: BTreeSet<Vec<u8>>,
}

impl Erasures {
    /// As the store has them.
    pub fn read(store: &impl Values) -> Result<Erasures, StoreError> {
        let value = store.get(codec::SECRET)?;
        let secret = value.map(|value| Secret::of_value(&value)).transpose().map_err(|error| at(store, error))?;
        Ok(Erasures { secret, saved: true, gone: BTreeSet::new() })
    }

    /// What is left of a customer who is not in the store; `None`: no such id was ever erased.
    pub fn find(&self, store: &impl Values, customer: &CustomerId) -> Result<Option<Erased>, StoreError> {
        let Some(secret) = &self.secret else { return Ok(None) };
        let value = store.get(&secret.key_of(customer))?;
        value.map(|value| codec::read_erased(&value)).transpose().map_err(|error| at(store, error))
    }

    /// A customer is erased in the open batch: everything goes that the store has.
    pub fn note(&mut self, store: &Store, customer: &CustomerId) -> Result<(), StoreError> {
        if self.secret.is_none() {
            self.secret = Some(Secret::new(store::secret()?));
            self.saved = false;
        }
        let head = codec::head_key(customer);
        if store.get(&head)?.is_some() {
            self.gone.insert(head);
        }
        for prefix in codec::parts_of(customer) {
            let mut after = None;
            loop {
                let found = store.scan_state(&prefix, after.as_deref(), SCAN)?;
                after = found.last().map(|(key, _)| key.to_vec());
                self.gone.extend(found.iter().map(|(key, _)| key.to_vec()));
                if found.len() < SCAN {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The secret, if it is new.
    pub fn change(&self) -> Option<Change> {
        let secret = self.secret.filter(|_| !self.saved)?;
        Some((codec::SECRET.to_vec(), Some(secret.to_value())))
    }

    /// The record of a customer who was erased in the open batch.
    pub fn record(&self, customer: &CustomerId, state: &CustomerState) -> Option<Change> {
        Some((self.secret?.key_of(customer), Some(codec::write_erased(&state.erased?))))
    }

    /// Tombstones for what goes and is not written anew by `changes`.
    pub fn tombstones(&self, changes: &[Change]) -> Vec<Change> {
        if self.gone.is_empty() {
            return Vec::new();
        }
        let written: HashSet<&[u8]> = changes.iter().map(|(key, _)| key.as_slice()).collect();
        self.gone.iter().filter(|key| !written.contains(key.as_slice())).map(|key| (key.clone(), None)).collect()
    }

    /// Nobody has been erased in the open batch.
    pub fn saved(&mut self) {
        self.saved = true;
        self.gone.clear();
    }
}

/// Somebody of whom nothing is known but the erasure.
pub fn nobody(plan: &Plan, erased: Erased) -> CustomerState {
    CustomerState { erased: Some(erased), ..CustomerState::new(plan) }
}
