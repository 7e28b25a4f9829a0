//! A task whose customers become others, or others of whom become its own.
//!
//! **Invariant:** what is sent after a customer is in the batch that writes its redirect; what arrives is in the batch that
//! moves the offset past it.

use super::Task;
use super::load::loader_of;
use crate::engine::{Parcel, Posted};
use crate::event::streams::StreamRole;
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::store::StoreError;
use crate::time::EventTime;

impl Task {
    /// Clears away what is stored of a customer whose record ended what was known of it.
    pub(super) fn note(&mut self, role: StreamRole, customer: &CustomerId) -> Result<(), StoreError> {
        match role {
            StreamRole::Erasures => self.erasures.note(&self.store, customer)?,
            StreamRole::Aliases => self.erasures.clear(&self.store, customer)?,
            _ => return Ok(()),
        }
        self.backfill.iter_mut().for_each(|backfill| backfill.forget(customer));
        Ok(())
    }

    pub fn plan(&self) -> &Plan {
        self.partition.plan()
    }

    /// For other customers, from the open batch.
    pub fn posted(&self) -> &[Posted] {
        self.partition.posted()
    }

    /// Whom a customer became whose record has just been refused for it.
    pub fn successor(&mut self, customer: &CustomerId) -> Option<CustomerId> {
        let successor = self.partition.successor(customer).cloned();
        self.forget(self.partition.find(customer));
        successor
    }

    /// Takes in what was known of another id. The caller has advanced the clock to the instant at which it was sent.
    pub fn receive(&mut self, to: &CustomerId, parcel: Parcel, wall: EventTime) -> Result<(), StoreError> {
        self.encoded.clear();
        if parcel.origin == *to {
            self.erasures.clear_redirect(&self.store, to)?;
        }
        let mut load = loader_of(&self.partition, &self.store, self.backfill.as_ref(), &self.erasures);
        self.partition.receive(to, parcel, Some(wall), &mut load)?;
        drop(load);
        self.forget(self.partition.find(to));
        Ok(())
    }

    /// Whom a customer became was erased.
    pub fn erase_redirect(&mut self, customer: &CustomerId, at: EventTime) -> Result<(), StoreError> {
        self.encoded.clear();
        let mut load = loader_of(&self.partition, &self.store, self.backfill.as_ref(), &self.erasures);
        let redirected = self.partition.erase_redirect(customer, at, &mut load)?;
        drop(load);
        if redirected {
            self.erasures.note(&self.store, customer)?;
        } else {
            self.forget(self.partition.find(customer));
        }
        Ok(())
    }
}
