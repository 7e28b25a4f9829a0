//! What older versions stored is read (docs/stored-format.md).
//!
//! **Invariant:** the bytes below were written once and never change; a version that cannot read them loses customers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::sync::Arc;

use segmentd::customer::codec::{self, FormatError};
use segmentd::customer::{CustomerState, Erased, Inherited, Kin};
use segmentd::engine::{Partition, nobody};
use segmentd::event::Catalogue;
use segmentd::id::CustomerId;
use segmentd::plan::Plan;
use segmentd::scenario::{Page, parse};
use segmentd::time::EventTime;

/// The head of `c` after the events of [`page`], as version 1 wrote it.
const VERSION_1: &str = "\
    0180435d7e9b01000084b6262ebf6bd73380d8ee96ef6601b65d2cf0150030db01809eb793ef660003fb7449fac9cd8ca800\
    00000000000001a067ab85fe169eb20280e4ff8fef660a1f4e961eb632c6e6000a0103002880bab703083f84d8441c0b5a57\
    03003c63104a9c5e1171ee000000000126d719f43ed152bd00000000fe8de869506d74bb000000000000000001809eb793ef\
    660026e2bd76a1b6a9a7";

/// The head of `c` after the events of [`page_of_version_2`], as version 2 wrote it: with a number of arrival, and what was told.
const VERSION_2: &str = "\
    02ffffffffffffff7f09315ee92879e63080d8ee96ef6601b65d2cf0150030db01809eb793ef6601b65d2cf0150030db01\
    809eb793ef66000003fb7449fac9cd8ca800000000000000000280e4ff8fef660a1f4e961eb632c6e6000a0180bab70328\
    3f84d8441c0b5a570163104a9c5e1171ee000000000126d719f43ed152bd00000000fe8de869506d74bb00000000000000\
    0001809eb793ef660026e2bd76a1b6a9a7";

/// The same of somebody who had been erased seven times, as version 3 wrote it: with a section.
const VERSION_3: &str = "\
    03ffffffffffffff7f09315ee92879e63080d8ee96ef6601b65d2cf0150030db01\
    809eb793ef66000003fb7449fac9cd8ca800000000000000000280e4ff8fef660a1f4e961eb632c6e6000a0180bab70328\
    3f84d8441c0b5a570163104a9c5e1171ee000000000126d719f43ed152bd00000000fe8de869506d74bb00000000000000\
    0001809eb793ef660026e2bd76a1b6a9a765021407";

fn page() -> Page {
    let text = "
name: two orders, one of them refunded, and a view at the same instant
segments:
  - {key: twice, when: 'count(orders.total lifetime) > 1 and count(product_views last 1d) > 0'}
events:
  - {at: 2026-01-01T10:00:00Z, orders: {order_id: a, total: 20}}
  - {at: 2026-01-01T11:00:00Z, product_views: {}}
  - {at: 2026-01-01T11:00:00Z, orders: {order_id: b, total: 30}}
  - {at: 2026-01-01T12:00:00Z, refunds: {order_id: a, total: 5}}
";
    parse("page", text, &Catalogue::segment_spec()).unwrap().remove(0)
}

fn page_of_version_2() -> Page {
    let mut page = page();
    page.segments[0].when = "sequence(product_views then orders)".into();
    page.segments[0].options.insert("entry".into(), "after 30d".into());
    page
}

/// The head of the only customer, as it is written now.
fn head(plan: &Arc<Plan>, page: &Page) -> Vec<u8> {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    for event in &page.events {
        let event = event.to_event(&plan.catalogue, &plan.projection);
        partition.accept(&event, None, None, &mut nobody).unwrap();
    }
    let resident = partition.resident_mut(partition.changed()[0]);
    let (customer, armed) = (resident.customer.clone(), resident.armed);
    write(plan, &customer, resident.state.as_deref_mut().unwrap(), armed)
}

fn write(plan: &Plan, customer: &CustomerId, state: &mut segmentd::customer::CustomerState, armed: EventTime) -> Vec<u8> {
    let mut head = Vec::new();
    codec::write(plan, customer, state, armed, &mut |key, value| {
        if codec::is_head(&key) {
            head = value.unwrap();
        }
    });
    head
}

fn read(plan: &Plan, head: &[u8]) -> Result<CustomerState, FormatError> {
    codec::read(plan, &CustomerId::new("c"), head, |_| Ok(None))
}

fn decided_by(plan: &Plan, head: &str) -> bool {
    codec::fingerprint_of(&bytes(head)) == Some(plan.fingerprint)
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_head_of_version_1_is_read_and_written_as_it_is_now() {
    let (page, plan) = (page(), page().plan(&Arc::new(Catalogue::segment_spec())).unwrap());
    let mut stored = read(&plan, &bytes(VERSION_1)).unwrap();
    let armed = codec::armed_of(b"hc", &bytes(VERSION_1)).unwrap();
    assert_eq!((stored.standing.memberships[0].entry(), stored.erased), (1, None));
    assert!(stored.facts.histories.iter().flat_map(|(_, history)| history.rows()).all(|row| row.arrival == 0));
    assert_eq!(write(&plan, &CustomerId::new("c"), &mut stored, armed), head(&plan, &page));
}

/// Sections stand at the end, each with its length: one that a later version adds does not make this one stumble.
#[test]
fn a_section_that_is_not_known_is_passed_over() {
    let plan = page().plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let mut with_sections = head(&plan, &page());
    with_sections.extend([200, 3, 1, 2, 3]);
    with_sections.extend([b'e', 2, 0x14, 7]);
    let erased = Erased { at: EventTime::from_millis(10), lives: 7 };
    assert_eq!(read(&plan, &with_sections).unwrap().erased, Some(erased));
    with_sections.pop();
    assert_eq!(read(&plan, &with_sections).err(), Some(FormatError::Damaged));
}

#[test]
fn a_head_of_version_2_is_read_and_written_as_it_is_now() {
    let page = page_of_version_2();
    let plan = page.plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let mut stored = read(&plan, &bytes(VERSION_2)).unwrap();
    assert!(decided_by(&plan, VERSION_2) && stored.standing.told[0].entered_at.is_some() && stored.standing.exposures.is_empty());
    assert_eq!(write(&plan, &CustomerId::new("c"), &mut stored, EventTime::MAX), head(&plan, &page));
}

#[test]
fn a_head_of_version_3_is_read_and_written_as_it_is_now() {
    let page = page_of_version_2();
    let plan = page.plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let mut stored = read(&plan, &bytes(VERSION_3)).unwrap();
    assert!(decided_by(&plan, VERSION_3));
    assert_eq!((stored.erased.unwrap().lives, &stored.kin), (7, &None));
    let now = write(&plan, &CustomerId::new("c"), &mut stored, EventTime::MAX);
    assert_eq!((now[0], &now[1..]), (4, &bytes(VERSION_3)[1..]));
}

/// What a merge leaves behind: ids, and what they did, in sections that others do not have.
#[test]
fn other_ids_and_what_they_did_are_read_back() {
    let plan = page().plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let mut stored = read(&plan, &head(&plan, &page())).unwrap();
    let before = write(&plan, &CustomerId::new("c"), &mut stored, EventTime::MAX);
    let kin = Kin { into: None, from: vec!["anon-1".into(), "anon-2".into()] };
    let inherited = Inherited { segment: 0, entries: 3, left_at: Some(EventTime::from_millis(7)) };
    stored.kin = Some(Box::new(kin.clone()));
    stored.standing.inherited.push(inherited);
    let after = write(&plan, &CustomerId::new("c"), &mut stored, EventTime::MAX);
    assert_eq!(&after[..before.len()], &before[..], "nobody else has them");
    let state = read(&plan, &after).unwrap();
    assert_eq!((state.kin.as_deref(), &state.standing.inherited[..]), (Some(&kin), &[inherited][..]));
}

/// What is sent after a customer: more than fits a record goes in parts.
#[test]
fn parts_of_what_is_known_of_a_customer_are_put_together_to_the_very_whole() {
    let plan = page().plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let (id, mut partition) = (CustomerId::new("c"), Partition::new(plan.clone(), EventTime::MIN));
    let orders = |n: i64| format!("  - {{at: {}, orders: {{order_id: o{n}, total: 1}}}}\n", EventTime::from_millis(n * 3_600_000));
    let text = format!("name: orders\nevents:\n{}", (0..200).map(orders).collect::<String>());
    for event in &parse("page", &text, &Catalogue::segment_spec()).unwrap()[0].events {
        let event = event.to_event(&plan.catalogue, &plan.projection);
        partition.accept(&event, None, None, &mut nobody).unwrap();
    }
    let whole = partition.resident(partition.changed()[0]).state.as_deref().unwrap().clone();
    let fits = |state: &CustomerState| codec::pack(&plan, &id, state).len() < 1_000;
    let parts = whole.clone().parts(&plan, &fits);
    assert!(parts.len() > 5 && parts.iter().all(fits));
    let sent = parts.iter().map(|part| codec::unpack(&plan, &id, &codec::pack(&plan, &id, part)).unwrap());
    let again = CustomerState::of_parts(sent.collect()).unwrap();
    assert_eq!(codec::pack(&plan, &id, &again), codec::pack(&plan, &id, &whole));
}

#[test]
fn a_head_of_a_newer_version_is_refused() {
    let plan = page().plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let mut newer = head(&plan, &page());
    newer[0] += 1;
    assert_eq!(read(&plan, &newer).err(), Some(FormatError::Newer(codec::VERSION + 1)));
}

#[test]
fn rows_of_one_instant_keep_their_order_of_arrival() {
    let mut page = page();
    page.segments[0].when = "sequence(product_views then orders)".into();
    let plan = page.plan(&Arc::new(Catalogue::segment_spec())).unwrap();
    let stored = read(&plan, &head(&plan, &page)).unwrap();
    let arrivals = |stream: &str| {
        let stream = usize::from(plan.catalogue.find(stream).unwrap().0);
        stored.facts.histories[stream].rows().iter().map(|row| row.arrival).collect::<Vec<_>>()
    };
    assert_eq!((arrivals("product_views"), arrivals("orders")), (vec![0], vec![0, 1]));
}
