//! Random histories: few customers, few order ids, few amounts and a coarse grid of instants, so that expiries meet
//! events, ids repeat, refunds find their orders and edges are hit to the millisecond.
//!
//! **Invariant:** in order of arrival; most events are on time, some are late.

use proptest::prelude::*;
use rust_decimal::Decimal;
use segmentd::event::{Catalogue, Value};
use segmentd::id::{EventId, Partition};
use segmentd::scenario::PageEvent;
use segmentd::time::EventTime;
use smol_str::SmolStr;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A few days before clocks change somewhere (Berlin, Cairo, São Paulo) or a day is skipped (Apia), or a year ends.
pub const BEGINNINGS: [&str; 5] =
    ["2026-03-26T00:00:00Z", "2024-04-22T00:00:00Z", "2017-10-12T00:00:00Z", "2011-12-27T00:00:00Z", "2025-12-28T00:00:00Z"];

/// Of a day: on the grid of the windows, and where local days begin in the zones of `rules.rs`.
const HOURS: [i64; 9] = [0, 0, 6, 12, 12, 18, 22, 23, 3];

type Fields = Vec<(SmolStr, Value)>;

/// How long and how dense a history is.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Days on which something happens, and how far apart they are.
    pub days: i64,
    pub stretch: i64,
    pub events: usize,
    /// Ids of orders; fewer than orders make repeats.
    pub ids: usize,
}

impl Shape {
    /// A fortnight in which much happens at the same instants.
    pub const DENSE: Shape = Shape { days: 12, stretch: 1, events: 24, ids: 6 };
    /// Half a year: orders get too old to be changed, and late events reach back behind that.
    pub const SPARSE: Shape = Shape { stretch: 16, ..Shape::DENSE };
    /// Two years and more orders than are kept: the oldest live on in totals only.
    pub const LONG: Shape = Shape { days: 360, stretch: 2, events: 400, ids: 300 };

    /// Long enough for the windows of the rules to empty, ms.
    pub fn length_with_silence(&self) -> i64 {
        (self.days + 24) * self.stretch * DAY
    }
}

pub fn history(beginning: EventTime, shape: Shape, customers: usize) -> impl Strategy<Value = Vec<PageEvent>> {
    let arrivals = prop::collection::vec((event(beginning, shape, customers), delay()), shape.events / 8..shape.events);
    arrivals.prop_map(move |mut arrivals| {
        arrivals.sort_by_key(|(event, delay)| event.at.millis() + delay * shape.stretch);
        arrivals.into_iter().map(|(event, _)| event).collect()
    })
}

/// How much later than it happened an event arrives.
fn delay() -> impl Strategy<Value = i64> {
    prop_oneof![8 => Just(0), 1 => Just(DAY), 1 => Just(4 * DAY)]
}

fn event(beginning: EventTime, shape: Shape, customers: usize) -> impl Strategy<Value = PageEvent> {
    let at = (0..shape.days, prop::sample::select(&HOURS[..]), prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(1)]);
    let at =
        at.prop_map(move |(day, hour, off)| EventTime::from_millis(beginning.millis() + day * shape.stretch * DAY + hour * HOUR + off));
    (at, 0..customers, what(shape)).prop_map(|(at, customer, (stream, id, fields))| PageEvent {
        at,
        customer: ["c", "d", "e"][customer].into(),
        partition: Partition(0),
        id: EventId::new(id),
        stream: Catalogue::segment_spec().find(stream).unwrap(),
        fields: fields.into_iter().filter(|(_, value)| *value != Value::Text("(absent)".into())).collect(),
    })
}

/// Stream, event id, fields.
fn what(shape: Shape) -> BoxedStrategy<(&'static str, String, Fields)> {
    let ids = shape.ids;
    // About one in three short histories has one, and a long one has few, so that the others get old.
    let erasures = shape.events as u32 / Shape::DENSE.events as u32;
    let id = move || (1..=ids).prop_map(|n| format!("m{n}"));
    let anything = prop_oneof![
        8 => order(ids).prop_map(|(id, fields)| ("orders", id, fields)),
        2 => (id(), reference(ids), amount()).prop_map(|(id, order, total)| ("refunds", id, vec![order, ("total".into(), total)])),
        1 => (id(), reference(ids)).prop_map(|(id, order)| ("cancellations", id, vec![order])),
        2 => (id(), reference(ids), amount()).prop_map(|(id, order, discount)| ("coupons", id, vec![order, ("discount".into(), discount)])),
        1 => (id(), amount()).prop_map(|(id, price)| ("product_views", id, vec![("price".into(), price)])),
        2 => (id(), trait_value(), trait_value()).prop_map(|(id, x, y)| ("traits", id, vec![("x".into(), x), ("y".into(), y)])),
    ];
    prop_oneof![20 * erasures.max(1).pow(2) => anything, 1 => id().prop_map(|id| ("erasures", id, Vec::new()))].boxed()
}

fn order(ids: usize) -> impl Strategy<Value = (String, Fields)> {
    let categories = prop_oneof![
        Just(absent()),
        Just(list([])),
        Just(list([text("a")])),
        Just(list([text("b"), text("a"), text("b")])),
        Just(list([Value::Null, text("A")])),
    ];
    let prices = prop_oneof![2 => Just(absent()), 1 => prop::collection::vec(amount_or_null(), 0..3).prop_map(list)];
    let coupon = prop::sample::select(vec![absent(), absent(), text(""), text("X")]);
    let store = prop::sample::select(vec![Value::Null, text("A"), text("B"), text("AB")]);
    let count = prop::sample::select(vec![absent(), number("1"), number("2")]);
    (order_id(ids), amount(), store, count, coupon, categories, prices).prop_map(|(id, total, store, count, coupon, categories, prices)| {
        let names = ["order_id", "total", "store_id", "item_count", "coupon", "products.category", "products.price"];
        let values = [text(&id), total, store, count, coupon, categories, prices];
        (id, names.map(SmolStr::new).into_iter().zip(values).collect())
    })
}

fn order_id(ids: usize) -> impl Strategy<Value = String> {
    (1..=ids).prop_map(|n| format!("o{n}"))
}

/// The order that a refund, a cancellation or a coupon names; rarely none.
fn reference(ids: usize) -> impl Strategy<Value = (SmolStr, Value)> {
    prop_oneof![9 => order_id(ids).prop_map(|id| text(&id)), 1 => Just(Value::Null)].prop_map(|value| ("order_id".into(), value))
}

fn amount() -> impl Strategy<Value = Value> {
    prop_oneof![9 => amount_or_null(), 1 => Just(absent())]
}

/// What can stand in a list, too, where nothing can be absent.
fn amount_or_null() -> impl Strategy<Value = Value> {
    let amounts = ["10", "10.00", "20", "0", "-5", "0.1", "30.5", "5"].map(number);
    prop_oneof![8 => prop::sample::select(amounts.to_vec()), 1 => Just(Value::Null)]
}

fn trait_value() -> impl Strategy<Value = Value> {
    let several = list([text("a"), number("10"), Value::Null]);
    prop::sample::select(vec![
        absent(),
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        text("a"),
        text("ba"),
        number("10"),
        number("1.0"),
        several,
    ])
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn number(text: &str) -> Value {
    Value::Number(text.parse::<Decimal>().unwrap())
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

/// Taken out again: the record does not have the field.
fn absent() -> Value {
    text("(absent)")
}
