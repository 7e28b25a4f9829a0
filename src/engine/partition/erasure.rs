//! Erasures in a partition: the place that a customer had is given up once nothing of it is to be written any more.
//!
//! **Invariant:** from its erasure on a customer has no timer; and between two batches nothing here names somebody of whom
//! nothing is known, if the caller forgets those whom it erased.

use std::collections::BTreeSet;

use super::{Occasion, Partition, Resident, Slot};
use crate::customer::{Applied, CustomerState};
use crate::engine::Input;
use crate::id::CustomerId;
use crate::time::EventTime;

impl Partition {
    /// Ends everything that is known of a customer, as of the clock. Who has to be decided anew is not: nobody should enter
    /// on the way out.
    pub(super) fn erase(&mut self, slot: Slot, occasion: &Occasion<'_>) -> Applied {
        self.erase_kin(slot);
        self.leave(slot, Input::Erasure, occasion)
    }

    /// The same, or for another reason. The state is in memory.
    pub(super) fn leave(&mut self, slot: Slot, input: Input<'_>, occasion: &Occasion<'_>) -> Applied {
        self.retire(slot, self.clock, occasion);
        let applied = self.step(slot, input, self.clock, occasion);
        self.residents[slot.at()].armed = EventTime::MAX;
        self.gone.insert(slot);
        applied
    }

    /// What had happened by `time` was erased with the customer, whose state is in memory.
    pub(super) fn is_erased(&self, slot: Slot, time: EventTime) -> bool {
        self.erased_at(slot).is_some_and(|erased| time <= erased)
    }

    pub(super) fn erased_at(&self, slot: Slot) -> Option<EventTime> {
        Some(self.residents[slot.at()].state.as_deref()?.erased?.at)
    }

    /// Customers who were erased, or became others, since the last [`Partition::settled`]; some of them may have begun anew.
    pub fn gone(&self) -> &BTreeSet<Slot> {
        &self.gone
    }

    /// Gives somebody new a place, one that was given up if there is any.
    pub(super) fn place(&mut self, resident: Resident) -> Slot {
        if let Some(slot) = self.vacant.pop() {
            self.residents[slot.at()] = resident;
            return slot;
        }
        self.residents.push(resident);
        Slot((self.residents.len() - 1) as u32)
    }

    /// Gives up the place of a customer of whom nothing is known, its id with it; `false`: something is known, or is not
    /// stored yet.
    pub fn forget(&mut self, slot: Slot) -> bool {
        let resident = &mut self.residents[slot.at()];
        if resident.changed || resident.state.as_deref().is_none_or(CustomerState::is_known) {
            return false;
        }
        self.footprint -= resident.vacate();
        let customer = std::mem::replace(&mut resident.customer, CustomerId::new(""));
        self.index.remove(&customer);
        self.vacant.push(slot);
        self.ranks.forget(slot);
        true
    }
}
