//! Customers of a partition in memory: who is read, who is let go, and who goes over to other definitions.
//!
//! ```text
//!     not in memory ─load─▶ in memory ─redefine─▶ behind ─load: carried over─▶ in memory
//!           ▲───────────────release, or redefine where nothing can be carried─────┘
//! ```
//!
//! **Invariant:** a state in memory has the shape of the plan in force; one that is behind is nobody's to look at. Both are
//! stored as they are, unless they changed since everything was settled last.

use std::sync::Arc;

use super::{Partition, Slot};
use crate::customer::{CustomerState, Succession};
use crate::id::CustomerId;
use crate::plan::Plan;
use crate::time::EventTime;
use crate::transition::Cause;

/// A customer read back. Its truths were found by the partition's cuts.
pub struct Loaded {
    pub state: CustomerState,
    /// Why everything has to be looked at again: it was decided by other definitions, or with other lists.
    pub redecide: Option<Cause>,
}

/// A customer who was in memory when the definitions were changed, as the plan in force finds it. What is not stored is still
/// to be found (`rebuild`).
pub struct Carried {
    pub state: CustomerState,
    /// Fingerprint of the plan that decided it.
    pub decided_by: u64,
}

/// A customer of this partition. Its state is in memory while it is of use.
pub struct Resident {
    pub customer: CustomerId,
    pub state: Option<Box<CustomerState>>,
    /// When its timer fires; [`EventTime::MAX`]: it has none.
    pub armed: EventTime,
    /// The same as it is stored, by who stores it.
    pub stored: EventTime,
    /// The state by the plan before the one in force, while `state` is none: to be carried over when it is of use.
    behind: Option<Box<CustomerState>>,
    /// In `changed`, since the last [`Partition::settled`].
    pub(super) changed: bool,
    /// It was of use again after it had come into memory, since [`Partition::release_or_spare`] came by last.
    recent: bool,
    /// What the one state or the other takes in memory, in bytes, when it was measured last.
    footprint: u32,
}

impl Partition {
    /// Puts another plan in force; gives back the one before. Everything is stored: no change is open.
    ///
    /// States are carried over when they are of use, or forgotten and read back where they cannot be. Timers stay as they are:
    /// one that the new plan would not need fires early, and changes nothing.
    pub fn redefine(&mut self, plan: Arc<Plan>) -> Arc<Plan> {
        self.succession = Succession::new(self.plan.clone(), &plan);
        for resident in &mut self.residents {
            let state = resident.state.take().filter(|state| self.succession.is_some() && can_be_carried(state));
            if state.is_none() {
                self.footprint -= resident.vacate();
            }
            resident.behind = state;
        }
        self.ranks = std::mem::take(&mut self.ranks).under(&self.plan, &plan);
        std::mem::replace(&mut self.plan, plan)
    }

    pub fn resident(&self, slot: Slot) -> &Resident {
        &self.residents[slot.at()]
    }

    pub fn resident_mut(&mut self, slot: Slot) -> &mut Resident {
        &mut self.residents[slot.at()]
    }

    /// All known customers.
    pub fn residents(&self) -> impl Iterator<Item = &Resident> {
        self.residents.iter()
    }

    pub fn find(&self, customer: &CustomerId) -> Option<Slot> {
        self.index.get(customer).copied()
    }

    /// How many customers have a place here.
    pub fn customers(&self) -> usize {
        self.residents.len()
    }

    /// Bytes that states in memory take, about, as of when each was read or measured last.
    pub fn footprint(&self) -> usize {
        self.footprint
    }

    /// How many customers were read back since everything was settled last.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Looks again at how much a customer's state takes.
    pub fn measure(&mut self, slot: Slot) {
        let resident = &mut self.residents[slot.at()];
        let now = resident.state.as_deref().map_or(0, CustomerState::footprint);
        let before = std::mem::replace(&mut resident.footprint, u32::try_from(now).unwrap_or(u32::MAX));
        self.footprint = self.footprint - before as usize + resident.footprint as usize;
    }

    /// Lets go of a customer's state, unless it is not stored yet, or was of use more than once since it came into memory or was
    /// spared last.
    pub fn release(&mut self, slot: Slot) {
        let resident = &mut self.residents[slot.at()];
        if !resident.changed && !resident.recent {
            self.footprint -= resident.vacate();
        }
    }

    /// Lets go of the state of the `nth` known customer, or spares it for this once.
    pub fn release_or_spare(&mut self, nth: usize) {
        let Some(resident) = self.residents.get_mut(nth) else { return };
        if !std::mem::take(&mut resident.recent) && !resident.changed {
            self.footprint -= resident.vacate();
        }
    }

    /// The slot of a customer, made if there is none.
    pub fn slot(&mut self, customer: &CustomerId) -> Slot {
        if let Some(slot) = self.index.get(customer) {
            return *slot;
        }
        let slot = self.place(Resident::new(customer.clone()));
        self.index.insert(customer.clone(), slot);
        slot
    }

    /// Has a customer in memory as it stands. `None`: it was there; else why it has to be decided anew, if it has to be, and
    /// when it was decided last.
    pub(super) fn load<E>(
        &mut self,
        slot: Slot,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<Option<Option<(Cause, EventTime)>>, E> {
        let resident = &mut self.residents[slot.at()];
        if resident.state.is_some() {
            resident.recent = true;
            return Ok(None);
        }
        let carried = resident
            .behind
            .take()
            .zip(self.succession.as_ref())
            .map(|(state, succession)| Carried { state: succession.carry(&self.plan, *state), decided_by: succession.fingerprint() });
        let in_memory = carried.is_some();
        let loaded = load(&resident.customer, carried)?;
        self.reads += u64::from(loaded.is_some() && !in_memory);
        let redecide = loaded.as_ref().and_then(|loaded| Some((loaded.redecide?, loaded.state.standing.at)));
        let state = loaded.map_or_else(|| CustomerState::new(&self.plan), |loaded| loaded.state);
        resident.state = Some(Box::new(state));
        self.measure(slot);
        Ok(Some(redecide))
    }
}

impl Resident {
    fn new(customer: CustomerId) -> Resident {
        let (armed, stored) = (EventTime::MAX, EventTime::MAX);
        Resident { customer, state: None, armed, stored, behind: None, changed: false, recent: false, footprint: 0 }
    }

    /// Lets go of the state; what it took.
    pub(super) fn vacate(&mut self) -> usize {
        (self.state, self.behind, self.recent) = (None, None, false);
        std::mem::take(&mut self.footprint) as usize
    }
}

/// Who waits for a scan is in the store with more than its state says, and who is not known with less.
fn can_be_carried(state: &CustomerState) -> bool {
    state.is_known() && state.standing.common.is_none()
}
