//! Random rules, as text: every form of the language that is evaluated, over few fields and with few numbers, so that
//! what a rule asks for does happen. Lengths and thresholds fit the histories of `events.rs`.
//!
//! **Invariant:** every text passes the checker (a case with one that does not is an error, not a silent pass).

use std::collections::BTreeMap;

use proptest::prelude::*;
use segmentd::event::Catalogue;
use segmentd::scenario::{Page, PageLadder, PageSegment, PageStage};
use serde_json::{Value as Json, json};

/// Zones whose clocks change at midnight, skip a day, or are off by half an hour.
const ZONES: [&str; 6] = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"];

type Text = BoxedStrategy<String>;

fn one_of(texts: &'static [&'static str]) -> Text {
    prop::sample::select(texts).prop_map(String::from).boxed()
}

/// One to six segments and stages that refer to each other without a cycle: each to those of a smaller place. Segments
/// come in any order of definition; of the stages of a ladder the last one has no rule. Some announce their ends, or
/// none does.
pub fn definitions(announcing: bool) -> impl Strategy<Value = (Vec<PageSegment>, Vec<PageLadder>)> {
    let zones = [zone(), zone()];
    let places = prop::collection::vec(prop_oneof![2 => Just(None), 4 => Just(Some(0)), 1 => Just(Some(1))], 1..=6usize);
    let definitions =
        places.prop_flat_map(move |places| places.into_iter().enumerate().map(|(i, l)| definition(i, l, announcing)).collect::<Vec<_>>());
    let reachable = |(segments, ladders): &(Vec<PageSegment>, Vec<PageLadder>)| {
        let page = Page { segments: segments.clone(), ladders: ladders.clone(), ..EMPTY };
        !page.definitions(&Catalogue::segment_spec()).diagnostics.iter().any(|found| found.code == "hidden-stage")
    };
    let sorted = (definitions, zones).prop_map(|(definitions, zones)| sorted(definitions, zones));
    let shuffled = sorted.prop_flat_map(|(segments, ladders)| (Just(segments).prop_shuffle(), Just(ladders)));
    shuffled.prop_filter("a stage that nobody reaches is refused", reachable)
}

/// One to three segments over sequences alone.
pub fn sequences() -> impl Strategy<Value = (Vec<PageSegment>, Vec<PageLadder>)> {
    let segment = |place: usize| {
        (sequence(), prop::bool::weighted(0.2)).prop_map(move |(sequence, negated)| PageSegment {
            key: format!("s{place}").as_str().into(),
            timezone: None,
            when: if negated { format!("not {sequence}") } else { sequence },
            exit_when: None,
            options: BTreeMap::new(),
        })
    };
    let segments = (1..=3usize).prop_flat_map(move |count| (0..count).map(segment).collect::<Vec<_>>());
    segments.prop_map(|segments| (segments, Vec::new()))
}

/// One to four segments most of whose rules rank.
pub fn ranked() -> impl Strategy<Value = (Vec<PageSegment>, Vec<PageLadder>)> {
    let rule = |place: usize| {
        let others = if place == 0 { predicate() } else { prop_oneof![predicate(), segment_reference(place)].boxed() };
        logic(prop_oneof![4 => top(), 1 => others].boxed())
    };
    let segment = move |place: usize| {
        let exit_when = prop::option::weighted(0.2, rule(place));
        (zone(), rule(place), exit_when, options(false, 0.2, false)).prop_map(move |(timezone, when, exit_when, options)| {
            let key = format!("s{place}").as_str().into();
            PageSegment { key, timezone, when, exit_when, options }
        })
    };
    (1..=4usize).prop_flat_map(move |count| (0..count).map(segment).collect::<Vec<_>>()).prop_map(|segments| (segments, Vec::new()))
}

fn top() -> Text {
    (one_of(&["1", "34", "50", "66.7", "100"]), aggregate()).prop_map(|(percent, by)| format!("top {percent}% by {by}")).boxed()
}

const EMPTY: Page = Page {
    name: String::new(),
    lists: Vec::new(),
    segments: Vec::new(),
    ladders: Vec::new(),
    events: Vec::new(),
    epoch: None,
    until: None,
    expect: Vec::new(),
};

fn zone() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop::sample::select(&ZONES[..])).prop_map(|zone| zone.map(String::from))
}

/// A segment, or a stage of one of two ladders.
fn definition(place: usize, ladder: Option<usize>, announcing: bool) -> impl Strategy<Value = (Option<usize>, PageSegment)> {
    let (exits, stay, listed) = if ladder.is_some() { (0.4, 0.35, false) } else { (0.2, 0.25, true) };
    let (exit_when, options) = (prop::option::weighted(exits, rule(place)), options(announcing, stay, listed));
    (zone(), rule(place), exit_when, options).prop_map(move |(timezone, when, exit_when, options)| {
        let key = format!("s{place}").as_str().into();
        (ladder, PageSegment { key, timezone, when, exit_when, options })
    })
}

/// What is told of a segment; with that probability how long it keeps its members; whom it always or never has.
fn options(announcing: bool, stay: f64, listed: bool) -> impl Strategy<Value = BTreeMap<String, Json>> {
    let entry = prop::sample::select(&["always", "once", "at_most 2", "after 1d", "after 36h"][..]).prop_map(Json::from);
    let expiring = if announcing { prop::option::of(span().prop_map(Json::from)).boxed() } else { Just(None).boxed() };
    let min_stay = prop::option::weighted(stay, span().prop_map(Json::from));
    let some = || prop::option::weighted(0.2, prop::sample::select(&["staff", "banned"][..]).prop_map(Json::from));
    let list = || if listed { some().boxed() } else { Just(None).boxed() };
    let each = (prop::option::weighted(0.3, entry), prop::option::weighted(0.2, experiment()), expiring, min_stay, list(), list());
    each.prop_map(|(entry, experiment, expiring, min_stay, pin, ban)| {
        let named =
            [("entry", entry), ("experiment", experiment), ("expiring", expiring), ("min_stay", min_stay), ("pin", pin), ("ban", ban)];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

/// Arms of one salt or another, and mostly something that is counted.
pub fn experiment() -> impl Strategy<Value = Json> {
    let goal =
        prop::sample::select(&[("orders", "total"), ("orders", "item_count"), ("coupons", "discount"), ("product_views", "price")][..]);
    let within = prop::sample::select(&[None, Some("1d"), Some("6d"), Some("100d")][..]);
    let steps = prop::collection::vec(prop::sample::select(&["orders", "coupons", "product_views"][..]), 0..3);
    let counted = prop::option::weighted(0.8, (goal, any::<bool>(), within, steps));
    (prop::sample::select(&["a", "b"][..]), counted).prop_map(|(salt, counted)| {
        let mut experiment = json!({"holdout": "50%", "salt": salt});
        let Some(((stream, value), valued, within, steps)) = counted else { return experiment };
        experiment["goal"] = stream.into();
        if valued {
            experiment["value"] = value.into();
        }
        within.into_iter().for_each(|within| experiment["within"] = within.into());
        if !steps.is_empty() {
            experiment["steps"] = steps.into();
        }
        experiment
    })
}

fn sorted(definitions: Vec<(Option<usize>, PageSegment)>, zones: [Option<String>; 2]) -> (Vec<PageSegment>, Vec<PageLadder>) {
    let of = |wanted| definitions.iter().filter(move |(ladder, _)| *ladder == wanted).map(|(_, segment)| segment.clone());
    let ladder = |(index, timezone): (usize, &Option<String>)| PageLadder {
        key: format!("l{index}").as_str().into(),
        timezone: timezone.clone(),
        stages: stages(of(Some(index)).collect()),
    };
    let ladders = zones.iter().enumerate().map(ladder).filter(|ladder| !ladder.stages.is_empty());
    (of(None).collect(), ladders.collect())
}

/// The last one takes everybody.
fn stages(segments: Vec<PageSegment>) -> Vec<PageStage> {
    let stage = |PageSegment { key, when, exit_when, options, .. }| PageStage { key, when: Some(when), exit_when, options };
    let mut stages: Vec<PageStage> = segments.into_iter().map(stage).collect();
    end(&mut stages);
    stages
}

pub fn end(stages: &mut [PageStage]) {
    if let Some(last) = stages.last_mut() {
        (last.when, last.exit_when) = (None, None);
    }
}

fn rule(place: usize) -> Text {
    let leaf = if place == 0 { predicate() } else { prop_oneof![4 => predicate(), 1 => segment_reference(place)].boxed() };
    logic(leaf)
}

fn logic(leaf: Text) -> Text {
    leaf.prop_recursive(2, 4, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a}) or ({b}) or not ({c})")),
        ]
    })
    .boxed()
}

fn segment_reference(place: usize) -> Text {
    let last = prop_oneof![Just(String::new()), span().prop_map(|w| format!(" last {w}"))];
    (0..place, last).prop_map(|(other, last)| format!("segment(\"s{other}\"{last})")).boxed()
}

fn predicate() -> Text {
    let limits = || (one_of(&["0", "1", "10"]), one_of(&["2", "10", "30"]));
    prop_oneof![
        8 => (quantity(), comparison(), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (quantity(), comparison(), quantity()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (quantity(), limits()).prop_map(|(a, (low, high))| format!("{a} between {low} and {high}")),
        1 => (quantity(), limits(), one_of(&["[", "("]), one_of(&["]", ")"])).prop_map(|(a, (low, high), open, close)| format!("{a} in {open}{low}, {high}{close}")),
        1 => quantity().prop_map(|a| format!("{a} in {{1, 10, 20}}")),
        1 => (aggregate(), one_of(&["is null", "is not null"])).prop_map(|(a, is)| format!("{a} {is}")),
        2 => textual(),
        3 => quantified(),
        2 => (one_of(&["orders", "product_views", "refunds"]), span(), span()).prop_map(|(s, g, w)| format!("returned({s} after {g} within {w})")),
        2 => about_traits(),
        3 => sequence(),
        1 => one_of(&["list(\"staff\")", "not list(\"staff\")"]),
    ]
    .boxed()
}

fn comparison() -> Text {
    one_of(&["==", "!=", "<", "<=", ">", ">="])
}

fn number() -> Text {
    one_of(&["0", "1", "2", "3", "10", "10.00", "20", "-5", "0.1"])
}

/// Lengths that add up to each other and to the distances between events.
fn span() -> Text {
    one_of(&["6h", "12h", "1d", "36h", "2d", "3d", "5d", "1w"])
}

fn window() -> Text {
    prop_oneof![
        6 => span().prop_map(|w| format!("last {w}")),
        2 => span().prop_map(|w| format!("older than {w}")),
        2 => (one_of(&["2d", "3d", "5d"]), one_of(&["6h", "12h", "1d"])).prop_map(|(a, b)| format!("from {a} to {b} ago")),
        1 => one_of(&["since 2011-12-29", "since 2017-10-15", "since 2024-04-26", "since 2026-03-29"]),
        2 => one_of(&["this day", "this week", "this month", "this quarter", "this year"]),
        2 => one_of(&["previous day", "previous week", "previous month", "previous quarter"]),
        3 => Just("lifetime".to_string()),
    ]
    .boxed()
}

/// A number, or arithmetic on numbers.
fn quantity() -> Text {
    prop_oneof![
        6 => aggregate(),
        1 => (aggregate(), one_of(&["+", "-", "*", "/"]), aggregate()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (number(), one_of(&["*", "-", "/"]), aggregate()).prop_map(|(n, op, a)| format!("{n} {op} {a}")),
        1 => (aggregate(), aggregate(), number()).prop_map(|(a, b, n)| format!("({a} - {b}) * {n}")),
        1 => aggregate().prop_map(|a| format!("-{a}")),
    ]
    .boxed()
}

fn aggregate() -> Text {
    let of_orders =
        (one_of(&["sum", "avg", "min", "max", "count", "distinct", "first", "latest"]), one_of(&["total", "item_count", "products.price"]));
    prop_oneof![
        4 => orders("").prop_map(|s| format!("count({s})")),
        6 => of_orders.prop_flat_map(|(function, field)| orders(&format!(".{field}")).prop_map(move |s| format!("{function}({s})"))),
        1 => (one_of(&["count", "distinct"]), one_of(&[".store_id", ".products.category"])).prop_flat_map(|(function, field)| orders(&field).prop_map(move |s| format!("{function}({s})"))),
        2 => (one_of(&["days_since", "days_since_first"]), orders("")).prop_map(|(function, s)| format!("{function}({s})")),
        2 => (one_of(&["product_views", "refunds", "cancellations", "coupons"]), window()).prop_map(|(s, w)| format!("count({s} {w})")),
        1 => (one_of(&["sum", "max", "latest"]), one_of(&["product_views.price", "refunds.total", "coupons.discount"]), window()).prop_map(|(f, s, w)| format!("{f}({s} {w})")),
    ]
    .boxed()
}

/// A selection of orders, with or without a filter.
fn orders(field: &str) -> Text {
    let field = field.to_string();
    let filter = prop_oneof![2 => Just(String::new()), 1 => filter().prop_map(|f| format!(" where {f}"))];
    (window(), filter).prop_map(move |(window, filter)| format!("orders{field} {window}{filter}")).boxed()
}

fn filter() -> Text {
    let leaf = one_of(&[
        "redeemed",
        "not redeemed",
        "total > 10",
        "total != 10",
        "total <= 0",
        "total is null",
        "total between 0 and 10",
        "total in {10, 20}",
        "total * 2 > item_count + 15",
        "10 / total > 1",
        "store_id == \"A\"",
        "store_id != \"A\"",
        "store_id contains \"A\"",
        "products.category contains \"a\"",
        "coupon is not null",
        "item_count in (1, 2]",
    ]);
    logic(leaf)
}

fn quantified() -> Text {
    (one_of(&["every", "any", "none"]), orders(""), filter()).prop_map(|(q, s, f)| format!("{q}({s}: {f})")).boxed()
}

/// Two to four steps over streams whose events meet at the same instants.
fn sequence() -> Text {
    let last = prop_oneof![1 => Just(String::new()), 2 => span().prop_map(|w| format!(" last {w}"))];
    prop_oneof![4 => one_of(&["orders", "coupons", "refunds"]), 1 => one_of(&["cancellations", "product_views"])]
        .prop_flat_map(|first| (1..=3usize).prop_flat_map(move |count| (start(&first), vec![later_step(&first); count])))
        .prop_flat_map(move |(first, later)| last.clone().prop_map(move |last| format!("sequence({first}{}{last})", later.concat())))
        .boxed()
}

fn start(stream: &str) -> Text {
    let stream = stream.to_string();
    let same = prop_oneof![6 => Just(String::new()), 1 => Just(" same total".to_string())];
    (condition_of(&stream), same)
        .prop_map(move |(filter, same)| format!("{stream}{filter}{}", if stream == "orders" { &same } else { "" }))
        .boxed()
}

fn later_step(first: &str) -> Text {
    let first = first.to_string();
    let no = prop_oneof![2 => Just(""), 1 => Just("no ")];
    let within = prop_oneof![1 => Just(String::new()), 1 => span().prop_map(|w| format!(" within {w}"))];
    let stream = one_of(&["orders", "orders", "coupons", "refunds", "cancellations", "product_views"]);
    (stream, no, within)
        .prop_flat_map(move |(stream, no, within)| {
            (condition_of(&stream), same_of(&first, &stream))
                .prop_map(move |(filter, same)| format!(" then {no}{stream}{filter}{same}{within}"))
        })
        .boxed()
}

fn condition_of(stream: &str) -> Text {
    let some = match stream {
        "orders" => filter(),
        "refunds" | "cancellations" => one_of(&["order_id is not null", "total is null"]),
        "coupons" => one_of(&["discount > 5", "order_id is null"]),
        _ => one_of(&["price > 5", "not price > 5"]),
    };
    prop_oneof![2 => Just(String::new()), 1 => some.prop_map(|f| format!(" where {f}"))].boxed()
}

/// A field that both streams have, or none.
fn same_of(first: &str, stream: &str) -> Text {
    let fields = |stream: &str| match stream {
        "orders" => vec!["order_id", "total", "coupon", "redeemed"],
        "refunds" | "cancellations" => vec!["order_id", "total"],
        "coupons" => vec!["order_id", "discount"],
        _ => vec!["price", "coupon"],
    };
    let common: Vec<&str> =
        fields(first).into_iter().filter(|field| fields(stream).contains(field) && (*field != "redeemed" || first == stream)).collect();
    let some = if common.is_empty() { vec![String::new()] } else { common.iter().map(|field| format!(" same {field}")).collect() };
    prop_oneof![1 => Just(String::new()), 1 => prop::sample::select(some)].boxed()
}

fn textual() -> Text {
    let condition = one_of(&["== \"A\"", "!= \"A\"", "in {\"A\", \"B\"}", "is null", "contains \"A\""]);
    (one_of(&["first", "latest"]), one_of(&[".store_id", ".products.category"]), condition)
        .prop_flat_map(|(function, field, condition)| orders(&field).prop_map(move |s| format!("{function}({s}) {condition}")))
        .boxed()
}

fn about_traits() -> Text {
    one_of(&[
        "trait.x",
        "not trait.x",
        "trait.x == 10",
        "trait.x != 10",
        "trait.x > 5",
        "trait.x + 1 == 11",
        "trait.x == \"a\"",
        "trait.x contains \"a\"",
        "trait.x in {\"a\", 10, true}",
        "trait.x is null",
        "trait.y is not null",
        "trait.y == trait.x",
        "count(orders last 2d) > trait.y",
    ])
}
