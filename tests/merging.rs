//! Customers who become others, where partitions are far apart: aliases that cross, in every order of arrival, and more ids
//! than one customer may have.
//!
//! **Invariant:** whatever arrives when, each order is with one customer in the end, and nothing goes round for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::VecDeque;
use std::sync::Arc;

use segmentd::customer::{Applied, Kin};
use segmentd::engine::{Partition, Posted, nobody};
use segmentd::event::{Body, Catalogue, Event, Value};
use segmentd::id::{CustomerId, EventId};
use segmentd::plan::{Plan, compile};
use segmentd::rule::{Names, load_text};
use segmentd::time::EventTime;
use segmentd::transition::{Direction, Transition};

const BUYERS: &str = "segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]";

fn plan() -> Arc<Plan> {
    let catalogue = Catalogue::segment_spec();
    let loaded = load_text("segments.yaml", BUYERS, Names { catalogue: &catalogue, lists: &[] }, &[]);
    Arc::new(compile(&loaded.definitions.unwrap(), Arc::new(catalogue), Vec::new()))
}

/// Each customer in a partition of its own, by the number in its id; what they send each other is on its way.
struct Apart {
    plan: Arc<Plan>,
    partitions: Vec<Partition>,
    way: VecDeque<Posted>,
    told: Vec<Transition>,
    clock: i64,
}

impl Apart {
    fn new(count: usize) -> Apart {
        let plan = plan();
        let partitions = (0..count).map(|_| Partition::new(plan.clone(), EventTime::MIN)).collect();
        Apart { plan, partitions, way: VecDeque::new(), told: Vec::new(), clock: 0 }
    }

    fn take(&mut self, stream: &str, customer: usize, fields: Vec<Value>) -> Applied {
        self.clock += 1_000;
        let (stream, time) = (self.plan.catalogue.find(stream).unwrap(), EventTime::from_millis(self.clock));
        let event = Event { customer: id(customer), stream, time, id: EventId::new(time.to_string()), body: Body::Fields(fields) };
        let Ok(accepted) = self.partitions[customer].accept(&event, None, None, &mut nobody);
        self.settle(customer);
        accepted.applied
    }

    fn order(&mut self, customer: usize) -> Applied {
        let kept = self.plan.projection.fields[usize::from(self.plan.catalogue.find("orders").unwrap().0)].len();
        self.take("orders", customer, vec![Value::Null; kept])
    }

    fn alias(&mut self, customer: usize, into: usize) -> Applied {
        self.take("aliases", customer, vec![Value::Text(id(into).as_str().into())])
    }

    fn settle(&mut self, at: usize) {
        self.way.extend(self.partitions[at].posted().iter().cloned());
        self.told.extend(self.partitions[at].transitions().iter().cloned());
        self.partitions[at].settled();
    }

    /// Lets one of what is on its way arrive.
    fn arrive(&mut self, which: usize) {
        let posted = self.way.remove(which % self.way.len()).unwrap();
        let (Posted::Parcel { to, .. } | Posted::Erasure { to, .. }) = &posted;
        let at = number(to);
        match posted {
            Posted::Parcel { to, parcel } => {
                let Ok(()) = self.partitions[at].receive(&to, *parcel, None, &mut nobody);
            }
            Posted::Erasure { to, at: instant } => {
                let Ok(_) = self.partitions[at].erase_redirect(&to, instant, &mut nobody);
            }
        }
        self.settle(at);
    }

    /// How many orders each customer has.
    fn orders(&self) -> Vec<usize> {
        let stream = usize::from(self.plan.catalogue.find("orders").unwrap().0);
        let orders = |partition: &Partition| {
            let states = partition.residents().filter_map(|resident| resident.state.as_deref());
            states.map(|state| state.facts.histories[stream].rows().len()).sum()
        };
        self.partitions.iter().map(orders).collect()
    }

    /// Who is a member by what was told. Fails where a number comes twice, or an entry follows an entry.
    fn members(&self) -> Vec<usize> {
        let of = |customer: usize| self.told.iter().filter(move |t| t.customer == id(customer));
        let is_member = |customer: &usize| {
            let (mut member, mut last) = (false, 0);
            for transition in of(*customer) {
                assert!(transition.sequence > last && (transition.direction == Direction::Entered) != member, "{transition:?}");
                (member, last) = (!member, transition.sequence);
            }
            member
        };
        (0..self.partitions.len()).filter(is_member).collect()
    }
}

fn id(customer: usize) -> CustomerId {
    CustomerId::new(format!("c{customer}"))
}

fn number(id: &CustomerId) -> usize {
    id.as_str()[1..].parse().unwrap()
}

#[test]
fn aliases_that_cross_lose_nothing_and_come_to_an_end() {
    for seed in 0..200usize {
        let count = 2 + seed % 3;
        let mut apart = Apart::new(count);
        (0..count).for_each(|customer| assert_ne!(apart.order(customer), Applied::Duplicate));
        // All before anything arrives: each becomes the next one, round the circle.
        for customer in 0..count {
            assert_eq!(apart.alias(customer, (customer + 1) % count), Applied::Accepted { matched: true });
        }
        let mut steps = 0;
        while !apart.way.is_empty() {
            let which = (seed * 7_919 + steps * steps * 31) % 1_009;
            apart.arrive(which);
            steps += 1;
            assert!(steps < 1_000, "seed {seed}: something goes round");
        }
        let orders = apart.orders();
        assert_eq!(orders.iter().sum::<usize>(), count, "seed {seed}: {orders:?}");
        let holding: Vec<usize> = (0..count).filter(|customer| orders[*customer] > 0).collect();
        assert!(!holding.is_empty() && apart.members() == holding, "seed {seed}: {orders:?}, members {:?}", apart.members());
    }
}

#[test]
fn a_circle_that_is_known_is_refused_at_once() {
    let mut apart = Apart::new(2);
    apart.order(0);
    apart.alias(0, 1);
    apart.arrive(0);
    assert_eq!(apart.alias(1, 0), Applied::Circular);
    assert_eq!(apart.order(0), Applied::Redirected);
    assert_eq!((apart.orders(), apart.members()), (vec![0, 1], vec![1]));
}

#[test]
fn one_id_more_than_a_customer_may_have_stays_itself() {
    let mut apart = Apart::new(Kin::MOST + 2);
    for customer in 1..Kin::MOST + 2 {
        apart.order(customer);
        apart.alias(customer, 0);
    }
    for _ in 0..Kin::MOST {
        apart.arrive(0);
    }
    assert_eq!(apart.orders()[0], Kin::MOST);
    apart.arrive(0);
    assert_eq!(apart.way.len(), 1, "it is sent back");
    apart.arrive(0);
    assert_eq!((apart.orders()[0], apart.orders()[Kin::MOST + 1]), (Kin::MOST, 1));
    assert_eq!(apart.order(Kin::MOST + 1), Applied::Accepted { matched: true });
    assert_eq!(apart.members(), [0, Kin::MOST + 1]);
}

/// An erasure that overtakes what is on its way to the customer takes that, too.
#[test]
fn what_arrives_after_the_erasure_is_erased_where_it_came_from() {
    let mut apart = Apart::new(2);
    apart.order(0);
    apart.order(1);
    apart.alias(0, 1);
    apart.take("erasures", 1, Vec::new());
    while !apart.way.is_empty() {
        apart.arrive(0);
    }
    assert_eq!((apart.orders(), apart.members()), (vec![0, 0], vec![]));
    let left = |at: usize| apart.partitions[at].residents().any(|resident| resident.state.as_deref().is_some_and(|s| s.kin.is_some()));
    assert!(!left(0) && !left(1), "no redirect, and nobody who has one");
}
