//! Customers who become others (`alias`), in a partition: who leaves, what is sent after them, and what arrives.
//!
//! ```text
//!     alias a → b   a: exits ─▶ a redirect ─▶ parcel: all that was known ─▶ b: the union, evaluated once
//!     later for a   ─────────────────────────▶ b
//!     b erased      ─▶ a: the redirect goes, as if a had been erased at that instant
//! ```
//!
//! Where a and b are of different partitions, aliases of both may cross. A parcel follows redirects; one that comes back to
//! where it was sent from has gone round, and its customer is itself again.
//!
//! **Invariant:** what was known is with the customer, in one parcel, or with another customer: never lost, never twice.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Accepted, Carried, Loaded, Occasion, Partition, Slot};
use crate::customer::{Applied, CustomerState, Erased, Kin};
use crate::engine::{Input, nobody};
use crate::event::Event;
use crate::id::{CustomerId, SourcePosition};
use crate::time::EventTime;
use crate::transition::Cause;

/// Partitions, by position.
type Touched = SmallVec<[usize; 2]>;

/// What was known of a customer that became another one.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub origin: CustomerId,
    /// The clock at which it left.
    pub at: EventTime,
    /// The record that said so, and where it stands.
    pub alias: Event,
    pub position: Option<SourcePosition>,
    pub state: CustomerState,
}

/// For another customer, perhaps of another partition.
#[derive(Clone, Debug)]
pub enum Posted {
    Parcel {
        to: CustomerId,
        parcel: Box<Parcel>,
    },
    /// Whom it became was erased: what is left of it goes too, as of this instant.
    Erasure {
        to: CustomerId,
        at: EventTime,
    },
}

impl Partition {
    /// Since the last [`Partition::settled`], in order.
    pub fn posted(&self) -> &[Posted] {
        &self.posted
    }

    /// Whom a customer became, as far as it is in memory.
    pub fn successor(&self, customer: &CustomerId) -> Option<&CustomerId> {
        self.became(self.find(customer)?)
    }

    /// Whom the customer in this place became.
    pub fn became(&self, slot: Slot) -> Option<&CustomerId> {
        self.residents[slot.at()].state.as_deref()?.kin.as_deref()?.into.as_ref()
    }

    /// Lets a customer become another one, as of the clock.
    pub(super) fn depart(&mut self, slot: Slot, alias: &Event, occasion: &Occasion<'_>) -> Applied {
        let Some(state) = self.residents[slot.at()].state.as_deref() else { return Applied::Duplicate };
        let Some(into) = alias.into_whom().filter(|into| *into != alias.customer) else { return Applied::Duplicate };
        if state.kin.as_deref().is_some_and(|kin| kin.from.contains(&into)) {
            return Applied::Circular;
        }
        let (state, position) = (state.clone(), occasion.position.cloned());
        let parcel = Parcel { origin: alias.customer.clone(), at: self.clock, alias: alias.clone(), position, state };
        self.leave(slot, Input::Departure(&into), occasion);
        self.posted.push(Posted::Parcel { to: into, parcel: Box::new(parcel) });
        Applied::Accepted { matched: true }
    }

    /// Takes in what was known of another id, at the instant at which it was sent or at the clock, if that is later.
    pub fn receive<E>(
        &mut self,
        to: &CustomerId,
        parcel: Parcel,
        decided_at: Option<EventTime>,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<(), E> {
        while self.fire_next(parcel.at, decided_at, load)? {}
        self.clock = self.clock.max(parcel.at);
        let slot = self.slot(to);
        self.ensure(slot, decided_at, load)?;
        self.complete(slot, decided_at);
        let returned = parcel.origin == *to;
        if returned {
            self.be_itself(slot);
        } else if let Some(next) = self.became(slot).cloned() {
            self.posted.push(Posted::Parcel { to: next, parcel: Box::new(parcel) });
            return Ok(());
        } else if let Some(erased) = self.erased_at(slot).filter(|erased| parcel.at <= *erased) {
            self.post_erasures(ids_of(&parcel), erased);
            return Ok(());
        } else if !self.has_room(slot, &parcel) {
            let origin = parcel.origin.clone();
            self.posted.push(Posted::Parcel { to: origin, parcel: Box::new(parcel) });
            return Ok(());
        }
        self.take_over(slot, &parcel, decided_at);
        Ok(())
    }

    fn take_over(&mut self, slot: Slot, parcel: &Parcel, decided_at: Option<EventTime>) {
        let (position, decided_at) = (parcel.position.as_ref(), decided_at.unwrap_or(self.clock));
        let occasion = Occasion { cause: Cause::Merge, event: Some(&parcel.alias), position, decided_at };
        self.step(slot, Input::Merge(&parcel.state), self.clock, &occasion);
        let resident = &mut self.residents[slot.at()];
        if let Some(state) = resident.state.as_deref_mut() {
            let own = resident.customer.clone();
            let ids: Vec<CustomerId> = ids_of(parcel).into_iter().filter(|id| *id != own).collect();
            if !ids.is_empty() {
                state.kin.get_or_insert_default().add(ids);
            }
        }
    }

    /// What it had sent away has come back: the two are not one after all.
    fn be_itself(&mut self, slot: Slot) {
        if let Some(state) = self.residents[slot.at()].state.as_deref_mut().filter(|state| !state.is_known()) {
            state.kin = None;
            self.gone.remove(&slot);
        }
    }

    fn has_room(&self, slot: Slot, parcel: &Parcel) -> bool {
        let kin = self.residents[slot.at()].state.as_deref().and_then(|state| state.kin.as_deref());
        let known = kin.map_or(&[][..], |kin| &kin.from);
        // Who is known takes no further room.
        let new = ids_of(parcel).into_iter().filter(|id| !known.contains(id)).count();
        known.len() + new <= Kin::MOST
    }

    /// Ids that became a customer are erased with it.
    pub(super) fn erase_kin(&mut self, slot: Slot) {
        let kin = self.residents[slot.at()].state.as_deref().and_then(|state| state.kin.as_deref());
        let ids = kin.map_or(Vec::new(), |kin| kin.from.clone());
        self.post_erasures(ids, self.clock);
    }

    fn post_erasures(&mut self, ids: Vec<CustomerId>, at: EventTime) {
        self.posted.extend(ids.into_iter().map(|to| Posted::Erasure { to, at }));
    }

    /// Whom a customer became was erased as of `at`: nothing names it any more, and what it had done by then is refused. `false`:
    /// it is itself (again), and left alone.
    pub fn erase_redirect<E>(
        &mut self,
        customer: &CustomerId,
        at: EventTime,
        load: &mut impl FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, E>,
    ) -> Result<bool, E> {
        let slot = self.slot(customer);
        self.load(slot, load)?;
        let redirect = self.became(slot).is_some();
        if let Some(state) = self.residents[slot.at()].state.as_deref_mut().filter(|_| redirect) {
            let lives = state.erased.map_or(0, |erased| erased.lives);
            let at = state.erased.map_or(at, |erased| erased.at.max(at));
            (state.erased, state.kin) = (Some(Erased { at, lives }), None);
            self.gone.insert(slot);
        }
        Ok(redirect)
    }
}

/// Whose the content is.
fn ids_of(parcel: &Parcel) -> Vec<CustomerId> {
    let kin = parcel.state.kin.as_deref().map_or(&[][..], |kin| &kin.from);
    kin.iter().chain([&parcel.origin]).cloned().collect()
}

/// Takes an event where all partitions are in one process, and all customers in memory: what is for other customers
/// arrives at once. `home`: the partition of a customer.
pub fn accept_among(partitions: &mut [Partition], home: impl Fn(&CustomerId) -> usize, event: &Event) -> Accepted {
    let mut at = home(&event.customer);
    let Ok(mut accepted) = partitions[at].accept(event, None, None, &mut nobody);
    let (mut touched, mut whose) = (Touched::from_slice(&[at]), Cow::Borrowed(&event.customer));
    while accepted.applied == Applied::Redirected {
        let Some(next) = partitions[at].successor(&whose).cloned() else { break };
        at = home(&next);
        Ok(accepted) = partitions[at].accept(&Event { customer: next.clone(), ..event.clone() }, None, None, &mut nobody);
        touched.push(at);
        whose = Cow::Owned(next);
    }
    deliver(partitions, home, touched);
    accepted
}

/// What is posted may lead to more.
fn deliver(partitions: &mut [Partition], home: impl Fn(&CustomerId) -> usize, mut touched: Touched) {
    let mut next = touched.len() - 1;
    while let Some(from) = touched.get(next).copied() {
        for posted in std::mem::take(&mut partitions[from].posted) {
            let (Posted::Parcel { to, .. } | Posted::Erasure { to, .. }) = &posted;
            let at = home(to);
            touched.push(at);
            match posted {
                Posted::Parcel { to, parcel } => {
                    let Ok(()) = partitions[at].receive(&to, *parcel, None, &mut nobody);
                }
                Posted::Erasure { to, at: instant } => {
                    let Ok(_) = partitions[at].erase_redirect(&to, instant, &mut nobody);
                }
            }
        }
        next += 1;
    }
}
