//! Who was erased from a partition, by keyed hashes, or became another customer; and what that takes away in the open batch.
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
use crate::customer::{CustomerState, Erased, Kin};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::store::{self, Store, StoreError, Values};
use crate::time::EventTime;

/// Keys that one read of the store brings.
const SCAN: usize = 1_000;

#[derive(Default)]
pub struct Erasures {
    /// None before the first erasure.
    secret: Option<Secret>,
    saved: bool,
    /// Somebody became another customer, at some time.
    redirects: bool,
    /// Changelog keys that go with the open batch.
    gone: BTreeSet<Vec<u8>>,
}

impl Erasures {
    /// As the store has them.
    pub fn read(store: &impl Values) -> Result<Erasures, StoreError> {
        let value = store.get(codec::SECRET)?;
        let secret = value.map(|value| Secret::of_value(&value)).transpose().map_err(|error| at(store, error))?;
        Ok(Erasures { secret, saved: true, redirects: false, gone: BTreeSet::new() })
    }

    /// The same, for who also has to know whom customers became.
    pub fn read_all(store: &Store) -> Result<Erasures, StoreError> {
        let redirects = !store.scan_state(codec::REDIRECTS, None, 1)?.is_empty();
        Ok(Erasures { redirects, ..Erasures::read(store)? })
    }

    /// Somebody of whom nothing is known but an erasure, or whom it became.
    pub fn left(&self, plan: &Plan, store: &impl Values, customer: &CustomerId) -> Result<Option<CustomerState>, StoreError> {
        let erased = self.find(store, customer)?;
        let redirect = if self.redirects { store.get(&codec::redirect_key(customer))? } else { None };
        let redirect = redirect.map(|value| codec::read_redirect(&value)).transpose().map_err(|error| at(store, error))?;
        let Some((into, lives)) = redirect else {
            return Ok(erased.map(|erased| CustomerState { erased: Some(erased), ..CustomerState::new(plan) }));
        };
        let erased = Some(Erased { at: erased.map_or(EventTime::MIN, |erased| erased.at), lives });
        Ok(Some(CustomerState { erased, kin: Some(Box::new(Kin { into: Some(into), from: Vec::new() })), ..CustomerState::new(plan) }))
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
        self.clear(store, customer)
    }

    /// A customer that became another one is itself again.
    pub fn clear_redirect(&mut self, store: &Store, customer: &CustomerId) -> Result<(), StoreError> {
        self.clear_key(store, codec::redirect_key(customer))
    }

    fn clear_key(&mut self, store: &Store, key: Vec<u8>) -> Result<(), StoreError> {
        if store.get(&key)?.is_some() {
            self.gone.insert(key);
        }
        Ok(())
    }

    /// A customer becomes another one in the open batch: everything goes that the store has.
    pub fn clear(&mut self, store: &Store, customer: &CustomerId) -> Result<(), StoreError> {
        self.redirects = true;
        self.clear_key(store, codec::head_key(customer))?;
        self.clear_redirect(store, customer)?;
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

    /// The records of a customer who was erased in the open batch, or became another one, or both.
    pub fn records(&self, customer: &CustomerId, state: &CustomerState) -> impl Iterator<Item = Change> + use<> {
        let into = state.kin.as_deref().and_then(|kin| kin.into.as_ref());
        let lives = state.erased.map_or(0, |erased| erased.lives);
        let redirect = into.map(|into| (codec::redirect_key(customer), Some(codec::write_redirect(into, lives))));
        let erased = state.erased.filter(|erased| erased.at > EventTime::MIN);
        let erased = self.secret.zip(erased).map(|(secret, erased)| (secret.key_of(customer), Some(codec::write_erased(&erased))));
        redirect.into_iter().chain(erased)
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
