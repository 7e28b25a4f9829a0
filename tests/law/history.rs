//! One customer's accepted history, kept whole and in order of arrival, and what it amounts to: rows of a stream with
//! cancelled orders gone, refunds subtracted and redeemed orders marked.
//!
//! **Invariant:** nothing is kept up to date: rows are made from the whole history, and made anew when it grows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use num_rational::BigRational;
use num_traits::Zero;
use segmentd::event::streams::{StreamDefinition, StreamRole};
use segmentd::event::{Catalogue, StreamIndex, Value};
use segmentd::id::EventId;
use segmentd::scenario::PageEvent;

use super::value::{Scalar, exact};

/// An event as filters and aggregates see it.
pub struct Row {
    pub time: i64,
    /// Place among all of the customer's accepted events.
    pub arrival: i64,
    pub fields: BTreeMap<String, Scalar>,
}

#[derive(Clone, Default)]
pub struct History {
    facts: Vec<PageEvent>,
    /// An order's position in `facts`, and a refund, cancellation or mark of it: those that were in time to count.
    references: Vec<(usize, PageEvent)>,
    /// What was known of another id came to it, be it nothing.
    merged: bool,
    /// Ids of what came from there and was left behind, since an erasure lay between.
    used: Vec<(StreamIndex, EventId)>,
    /// The rows of each stream, since the last event; they do not depend on the instant of the question.
    made: RefCell<BTreeMap<StreamIndex, Rc<Vec<Row>>>>,
}

impl History {
    /// Takes an event in, unless its id was used before in its stream. `retention` is that of orders, in ms: an order
    /// that is older cannot be changed any more, and what came before its order is not kept for it any longer.
    pub fn accept(&mut self, event: &PageEvent, catalogue: &Catalogue, now: i64, retention: i64) -> bool {
        if self.has_used(event) {
            return false;
        }
        self.made.get_mut().clear();
        let new = self.facts.len();
        self.facts.push(event.clone());
        for known in 0..new {
            if now - self.facts[known].at.millis() < retention {
                self.relate(known, new, catalogue);
            }
        }
        true
    }

    /// Notes it where one of the two is an order and the other refers to it.
    fn relate(&mut self, known: usize, new: usize, catalogue: &Catalogue) {
        for (order, other) in [(known, new), (new, known)] {
            if self.refers(other, order, catalogue) {
                self.references.push((order, self.facts[other].clone()));
            }
        }
    }

    fn has_used(&self, event: &PageEvent) -> bool {
        let left_behind = self.used.iter().any(|(stream, id)| *stream == event.stream && *id == event.id);
        left_behind || self.facts.iter().any(|fact| fact.stream == event.stream && fact.id == event.id)
    }

    fn refers(&self, other: usize, order: usize, catalogue: &Catalogue) -> bool {
        let role = |i: usize| catalogue.stream(self.facts[i].stream).role;
        let named = text_of(&self.facts[other], "order_id");
        let can_refer = matches!(role(other), StreamRole::Refunds | StreamRole::Cancellations | StreamRole::Coupons);
        role(order) == StreamRole::Orders && can_refer && named.is_some() && named == text_of(&self.facts[order], "order_id")
    }

    pub fn exists(&self) -> bool {
        self.merged || !self.facts.is_empty()
    }

    /// Takes in what was accepted under another id, but for what had happened by `after`: as if it came now. An order comes
    /// with all that had referred to it, and otherwise the two find each other where both are remembered.
    pub fn absorb(&mut self, other: &History, after: i64, catalogue: &Catalogue, now: i64, retention: i64) {
        self.made.get_mut().clear();
        self.merged = true;
        let (own, mut places) = (self.facts.len(), BTreeMap::new());
        for (place, fact) in other.facts.iter().enumerate() {
            if fact.at.millis() <= after {
                self.used.push((fact.stream, fact.id.clone()));
            } else if !self.has_used(fact) {
                places.insert(place, self.facts.len());
                self.facts.push(fact.clone());
            }
        }
        self.used.extend(other.used.iter().cloned());
        let found = other.references.iter().filter_map(|(order, by)| Some((*places.get(order)?, by.clone())));
        self.references.extend(found);
        let young = |place: &usize| now - self.facts[*place].at.millis() < retention;
        let (before, new): (Vec<usize>, Vec<usize>) = (0..self.facts.len()).filter(young).partition(|place| *place < own);
        for (known, new) in before.iter().flat_map(|known| new.iter().map(move |new| (*known, *new))) {
            self.relate(known, new, catalogue);
        }
    }

    pub fn times(&self) -> impl Iterator<Item = i64> {
        self.facts.iter().map(|fact| fact.at.millis())
    }

    /// The rows of a stream by (event time, arrival).
    pub fn rows(&self, stream: StreamIndex, catalogue: &Catalogue) -> Rc<Vec<Row>> {
        let mut made = self.made.borrow_mut();
        made.entry(stream).or_insert_with(|| Rc::new(self.make_rows(stream, catalogue))).clone()
    }

    fn make_rows(&self, stream: StreamIndex, catalogue: &Catalogue) -> Vec<Row> {
        let definition = catalogue.stream(stream);
        let mut places: Vec<usize> = (0..self.facts.len()).filter(|i| self.facts[*i].stream == stream).collect();
        places.sort_by_key(|i| self.facts[*i].at);
        places.into_iter().filter_map(|i| self.row(i, definition, catalogue)).collect()
    }

    fn row(&self, place: usize, definition: &StreamDefinition, catalogue: &Catalogue) -> Option<Row> {
        let fact = &self.facts[place];
        let mut fields: BTreeMap<String, Scalar> = fact.fields.iter().map(|(name, value)| (name.to_string(), Scalar::of(value))).collect();
        if definition.role == StreamRole::Orders {
            let others: Vec<&PageEvent> = self.references.iter().filter(|(order, _)| *order == place).map(|(_, other)| other).collect();
            let role = |event: &PageEvent| catalogue.stream(event.stream).role;
            if others.iter().any(|other| role(other) == StreamRole::Cancellations) {
                return None;
            }
            let refunds: Vec<&PageEvent> = others.iter().copied().filter(|other| role(other) == StreamRole::Refunds).collect();
            lower_total(&mut fields, &refunds);
            let marked = others.iter().any(|other| role(other) == StreamRole::Coupons);
            let redeemed = marked || text_of(fact, "coupon").is_some_and(|coupon| !coupon.is_empty());
            fields.insert(StreamDefinition::REDEEMED.into(), Scalar::Bool(redeemed));
        }
        Some(Row { time: fact.at.millis(), arrival: place as i64, fields })
    }

    /// The value of a trait: highest event time, later arrival on a tie, null included.
    pub fn trait_value(&self, name: &str, catalogue: &Catalogue) -> Scalar {
        let said = self.facts.iter().filter(|fact| catalogue.stream(fact.stream).role == StreamRole::Traits);
        let said = said.filter_map(|fact| Some((fact.at, fact.field(name)?)));
        said.max_by_key(|(at, _)| *at).map_or(Scalar::Null, |(_, value)| Scalar::of(value))
    }
}

/// An order without a total has none to lower.
fn lower_total(fields: &mut BTreeMap<String, Scalar>, refunds: &[&PageEvent]) {
    let Some(Scalar::Number(total)) = fields.get_mut("total") else { return };
    for refund in refunds {
        match refund.field("total") {
            Some(Value::Number(amount)) => *total -= exact(*amount),
            _ => {
                *total = BigRational::zero();
                return;
            }
        }
    }
}

fn text_of<'a>(event: &'a PageEvent, field: &str) -> Option<&'a str> {
    match event.field(field) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}
