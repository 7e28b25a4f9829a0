//! A partition over what is stored: states are written after every record and read back when they are of use, under other rules
//! or with other lists maybe; what customers who become others send arrives at once.
//!
//! The same is done by a task over its store (`src/runtime/task/`); here a store is a map, so that thousands of lives cost little.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use segmentd::customer::codec::{self, FormatError, Secret};
use segmentd::customer::{Applied, CustomerState, Erased, Kin};
use segmentd::engine::{Carried, Loaded, Parcel, Partition, Posted, Slot, rebuild};
use segmentd::id::CustomerId;
use segmentd::plan::{Common, Plan};
use segmentd::scenario::{Outcome, PageEvent};
use segmentd::time::EventTime;
use segmentd::transition::Cause;

/// What erased customers are recognised by.
const SECRET: [u8; Secret::BYTES] = *b"nobody knows it ";

/// What a store holds: values by key.
type Stored = BTreeMap<Vec<u8>, Vec<u8>>;

pub struct Life {
    partition: Partition,
    stored: Stored,
    out: Vec<Outcome>,
    /// By what customers of the rules before go on until a scan comes to them.
    common: Option<Arc<Common>>,
    /// Who came on a list or left it since the last scan.
    relisted: BTreeSet<CustomerId>,
}

impl Life {
    pub fn new(plan: &Arc<Plan>) -> Life {
        let partition = Partition::new(plan.clone(), EventTime::MIN);
        Life { partition, stored: Stored::new(), out: Vec::new(), common: None, relisted: BTreeSet::new() }
    }

    /// What is in memory only is gone.
    pub fn restart(&mut self) {
        let mut partition = Partition::new(self.partition.plan().clone(), self.partition.clock());
        for (key, value) in &self.stored {
            if let (Some(customer), Some(due)) = (codec::customer_of(key), codec::armed_of(key, value)) {
                partition.arm_stored(&customer, due);
            }
        }
        self.partition = partition;
        self.common = None;
    }

    /// Other rules, or the same ones with other lists. `wait`: for a scan, as far as customers can.
    pub fn redefine(&mut self, plan: &Arc<Plan>, wait: bool) {
        let before = self.partition.redefine(plan.clone());
        for (was, is) in plan.lists_changed(&before) {
            let [was, is] = [&before.lists[was].1, &plan.lists[is].1];
            self.relisted.extend(self.customers().into_iter().filter(|customer| was.contains(customer) != is.contains(customer)));
        }
        self.common = if wait && self.relisted.is_empty() { plan.common_with(&before).map(Arc::new) } else { None };
    }

    pub fn take(&mut self, event: &PageEvent) {
        let plan = self.partition.plan().clone();
        let mut event = event.to_event(&plan.catalogue, &plan.projection);
        while self.with(|partition, mut load| partition.accept(&event, None, None, &mut load).unwrap().applied) == Applied::Redirected {
            event.customer = self.partition.successor(&event.customer).unwrap().clone();
        }
        self.settle();
    }

    /// A scan looks at everybody.
    pub fn decide_all(&mut self) {
        for customer in self.customers() {
            let slot = self.partition.slot(&customer);
            self.with(|partition, mut load| partition.ensure(slot, None, &mut load).unwrap());
            self.partition.complete(slot, None);
        }
        self.settle();
        self.relisted.clear();
    }

    /// Lets time run on to the end, `until` or the clock, which is given back.
    pub fn run_to(&mut self, until: Option<EventTime>) -> EventTime {
        let end = until.unwrap_or(EventTime::MIN).max(self.partition.clock());
        let just_after = EventTime::from_millis(end.millis() + 1);
        while self.with(|partition, mut load| partition.fire_next(just_after, None, &mut load).unwrap()) {}
        self.settle();
        end
    }

    /// What was told so far.
    pub fn told(&self) -> &[Outcome] {
        &self.out
    }

    /// Everybody, as they are stored.
    pub fn states(&self) -> Vec<CustomerState> {
        let read = |customer| load(self.partition.plan(), None, &self.relisted, &self.stored, &customer, None).unwrap();
        self.customers().into_iter().filter_map(read).map(|loaded| loaded.state).collect()
    }

    fn customers(&self) -> Vec<CustomerId> {
        self.stored.keys().filter_map(|key| codec::customer_of(key)).collect()
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Partition, &mut dyn FnMut(&CustomerId, Option<Carried>) -> Result<Option<Loaded>, FormatError>) -> T,
    ) -> T {
        let Life { partition, stored, common, relisted, .. } = self;
        let plan = partition.plan().clone();
        act(partition, &mut |customer, carried| load(&plan, common.as_ref(), relisted, stored, customer, carried))
    }

    /// Stores what has changed, and lets arrive what was posted.
    fn settle(&mut self) {
        loop {
            self.out.extend(self.partition.outputs().map(Outcome::from));
            self.store();
            let posted = self.partition.posted().to_vec();
            self.partition.settled();
            if posted.is_empty() {
                return;
            }
            posted.into_iter().for_each(|posted| self.arrive(posted));
        }
    }

    fn arrive(&mut self, posted: Posted) {
        match posted {
            Posted::Parcel { to, parcel } => {
                let parcel = sent(self.partition.plan(), *parcel);
                self.with(|partition, mut load| partition.receive(&to, parcel, None, &mut load).unwrap());
            }
            Posted::Erasure { to, at } => {
                self.with(|partition, mut load| partition.erase_redirect(&to, at, &mut load).unwrap());
            }
        }
    }

    fn store(&mut self) {
        for slot in self.partition.gone() {
            let resident = self.partition.resident(*slot);
            clear(&mut self.stored, &resident.customer);
            let (id, state) = (&resident.customer, resident.state.as_deref().unwrap());
            let Erased { at, lives } = state.erased.unwrap_or(Erased { at: EventTime::MIN, lives: 0 });
            if let Some(into) = state.kin.as_deref().and_then(|kin| kin.into.as_ref()) {
                self.stored.insert(codec::redirect_key(id), codec::write_redirect(into, lives));
            }
            if at > EventTime::MIN {
                self.stored.insert(Secret::new(SECRET).key_of(id), codec::write_erased(&Erased { at, lives }));
            }
        }
        self.partition.changed().to_vec().into_iter().for_each(|slot| self.write(slot));
    }

    fn write(&mut self, slot: Slot) {
        let (plan, stored) = (self.partition.plan().clone(), &mut self.stored);
        let resident = self.partition.resident_mut(slot);
        let armed = resident.armed;
        let Some(state) = resident.state.as_deref_mut().filter(|state| state.is_known()) else { return };
        stored.remove(&codec::redirect_key(&resident.customer));
        codec::write(&plan, &resident.customer, state, armed, &mut |key, value| match value {
            Some(value) => drop(stored.insert(key, value)),
            None => drop(stored.remove(&key)),
        });
        codec::written(state);
    }
}

/// As a parcel comes out of a topic none of whose records holds two rows.
fn sent(plan: &Plan, parcel: Parcel) -> Parcel {
    let parts = parcel.state.clone().parts(plan, &|_| false);
    let read = parts.iter().map(|part| codec::unpack(plan, &parcel.origin, &codec::pack(plan, &parcel.origin, part)).unwrap());
    Parcel { state: CustomerState::of_parts(read.collect()).unwrap(), ..parcel.clone() }
}

fn clear(stored: &mut Stored, id: &CustomerId) {
    let parts = codec::parts_of(id);
    let keys = [codec::head_key(id), codec::redirect_key(id)];
    stored.retain(|key, _| !keys.contains(key) && !parts.iter().any(|part| key.starts_with(part)));
}

/// As a customer is read: by what both plans have in common, where a scan has not come and there is anything.
fn load(
    plan: &Plan,
    common: Option<&Arc<Common>>,
    relisted: &BTreeSet<CustomerId>,
    stored: &Stored,
    customer: &CustomerId,
    carried: Option<Carried>,
) -> Result<Option<Loaded>, FormatError> {
    let Some(head) = stored.get(&codec::head_key(customer)) else { return left(plan, stored, customer) };
    let (mut state, decided_by) = match carried {
        Some(carried) => (carried.state, carried.decided_by),
        None => {
            let read = codec::read(plan, customer, head, |key| Ok::<_, FormatError>(stored.get(key).cloned()))?;
            (read, codec::fingerprint_of(head).unwrap())
        }
    };
    state.standing.common = common.filter(|common| common.continues(decided_by)).cloned();
    rebuild(plan, customer, &state.facts, &mut state.standing);
    let redecide = match decided_by == plan.fingerprint {
        _ if state.standing.common.is_some() => None,
        false => Some(Cause::Definition),
        true => relisted.contains(customer).then_some(Cause::List),
    };
    Ok(Some(Loaded { state, redecide }))
}

/// Somebody of whom nothing is known but an erasure, or whom it became.
fn left(plan: &Plan, stored: &Stored, customer: &CustomerId) -> Result<Option<Loaded>, FormatError> {
    let erased = stored.get(&Secret::new(SECRET).key_of(customer)).map(|value| codec::read_erased(value)).transpose()?;
    let redirect = stored.get(&codec::redirect_key(customer)).map(|value| codec::read_redirect(value)).transpose()?;
    let (kin, lives) = match redirect {
        Some((into, lives)) => (Some(Box::new(Kin { into: Some(into), from: Vec::new() })), Some(lives)),
        None => (None, erased.map(|erased| erased.lives)),
    };
    let erased = lives.map(|lives| Erased { at: erased.map_or(EventTime::MIN, |erased| erased.at), lives });
    let state = CustomerState { erased, kin, ..CustomerState::new(plan) };
    Ok(erased.map(|_| Loaded { state, redecide: None }))
}
