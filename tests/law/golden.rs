//! The naive evaluator against transitions that somebody else computed: it must itself be right before it judges.

use std::collections::BTreeMap;

use segmentd::event::{Catalogue, Value};
use segmentd::id::Partition;
use segmentd::scenario::{self, Outcome, Page, PageEvent};
use segmentd::time::EventTime;
use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_64;

use super::naive::{self, Ends, rules_of};

/// Of this many households one is checked; together they have all eleven segments.
const ONE_IN: u64 = 40;

#[test]
fn the_naive_evaluator_agrees_with_the_golden_transitions() {
    let catalogue = Catalogue::segment_spec();
    let text = std::fs::read_to_string("tests/data/golden.segments.yaml").unwrap();
    let golden = scenario::parse("golden", &format!("name: golden\nuntil: 2018-03-01T00:00:00Z\n{text}"), &catalogue).unwrap().remove(0);
    let rules = rules_of(&golden);
    let mut wanted = chosen_lines("tests/data/golden.transitions.ndjson.zst", "customer", golden_line);
    for (customer, events) in chosen_lines("tests/data/complete-journey.ndjson.zst", "userId", |record| event_of(record, &catalogue)) {
        let page = Page { events, ..golden.clone() };
        let found = naive::transitions(&rules, &page, &catalogue, Ends::Ignored);
        let mut found: Vec<String> = found.iter().map(found_line).collect();
        let mut wanted = wanted.remove(&customer).unwrap_or_default();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{customer}");
    }
}

/// The lines of the chosen households, by household.
fn chosen_lines<T>(path: &str, key: &str, read: impl Fn(&Json) -> T) -> BTreeMap<String, Vec<T>> {
    let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let mut chosen: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let line: Json = serde_json::from_slice(line).unwrap();
        let customer = line[key].as_str().unwrap();
        if xxh3_64(customer.as_bytes()).is_multiple_of(ONE_IN) {
            chosen.entry(customer.into()).or_default().push(read(&line));
        }
    }
    chosen
}

fn golden_line(line: &Json) -> String {
    let text = |key: &str| line[key].as_str().unwrap();
    format!("{} {} {} {} {} {}", text("at"), text("transition"), text("segment"), line["sequence"], line["entry"], text("cause"))
}

fn found_line(o: &Outcome) -> String {
    format!("{} {} {} {} {} {}", o.at, o.happening.as_str(), o.segment, o.sequence, o.entry, o.cause.as_str())
}

/// A record as the fields that the golden segments look at; with its own small reading of JSON, apart from the decoder.
fn event_of(record: &Json, catalogue: &Catalogue) -> PageEvent {
    let stream = match record["event"].as_str() {
        Some("Order Completed") => "orders",
        Some("Coupon Redeemed") => "coupons",
        Some("Campaign Sent") => "campaign_sends",
        _ => "traits",
    };
    let (from, names): (&str, &[&str]) = match stream {
        "traits" => ("traits", &["kids_count"]),
        _ => ("properties", &["order_id", "total", "store_id"]),
    };
    let fields = names.iter().map(|name| ((*name).into(), value_of(&record[from][*name]))).collect();
    PageEvent {
        at: EventTime::parse(record["timestamp"].as_str().unwrap()).unwrap(),
        customer: record["userId"].as_str().unwrap().into(),
        partition: Partition(0),
        id: record["messageId"].as_str().unwrap().into(),
        stream: catalogue.find(stream).unwrap(),
        fields,
    }
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::Text(text.into()),
        Json::Number(number) => Value::Number(number.to_string().parse().unwrap()),
        _ => Value::Null,
    }
}
