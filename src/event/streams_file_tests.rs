//! Good files change the catalogue as they say; bad ones say everything that is wrong, and where.

use super::*;

fn extended(yaml: &str) -> Catalogue {
    Catalogue::segment_spec().extended(yaml).expect("a good file")
}

/// `line:column message (help)` of every problem.
fn problems(yaml: &str) -> Vec<String> {
    let problems = Catalogue::segment_spec().extended(yaml).expect_err("a bad file");
    let shown = |p: &StreamProblem| format!("{}:{} {} ({})", p.line, p.column, p.message, p.help.as_deref().unwrap_or("-"));
    problems.iter().map(shown).collect()
}

#[track_caller]
fn check_problem(yaml: &str, expected: &str) {
    let problems = problems(yaml);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains(expected), "{problems:?}");
}

#[test]
fn an_empty_file_changes_nothing() {
    for yaml in ["", "# nothing yet\n", "streams: []\n"] {
        assert_eq!(extended(yaml), Catalogue::segment_spec(), "{yaml:?}");
    }
}

#[test]
fn the_example_that_is_shipped_is_good() {
    let catalogue = extended(include_str!("../../config/streams.example.yaml"));
    let reviews = catalogue.stream(catalogue.find("reviews").expect("the example's own stream"));
    assert_eq!(reviews.event_id, "/properties/review_id");
    assert!(reviews.fields[usize::from(reviews.field("tags").expect("declared").0)].array);
}

#[test]
fn a_built_in_stream_keeps_its_place_and_what_is_not_named() {
    let yaml = "
streams:
  - name: orders
    events: [Order Completed, Purchase Made]
    currency: EUR
    retention: 400d
    fields:
      - {name: pincode, type: string, path: /context/location/postal_code}
      - {name: total, type: decimal, paths: [/properties/amount, /properties/total]}
";
    let (before, after) = (Catalogue::segment_spec(), extended(yaml));
    let orders = &after.streams[0];
    assert_eq!(after.streams[1..], before.streams[1..]);
    assert_eq!(orders.events, ["Order Completed", "Purchase Made"]);
    assert_eq!((orders.currency.as_deref(), orders.retention), (Some("EUR"), Retention::Of(Span::from_days(400))));
    assert_eq!(orders.event_id, "/properties/order_id");
    assert_eq!(orders.field("total"), before.streams[0].field("total"));
    assert_eq!(orders.fields[1].paths, ["/properties/amount", "/properties/total"]);
    assert_eq!(usize::from(orders.field("pincode").expect("added").0), before.streams[0].fields.len());
}

#[test]
fn a_stream_of_ones_own_stands_behind_the_built_in_ones() {
    let catalogue = extended("streams: [{name: reviews, events: [Review Written], retention: forever}]");
    let reviews = catalogue.streams.last().expect("a stream");
    assert_eq!((reviews.name.as_str(), reviews.role, reviews.retention), ("reviews", StreamRole::Plain, Retention::Forever));
    assert!(reviews.field("user_agent").is_some());
    assert_eq!(reviews.event_id, "/messageId");
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let yaml = "streams:
  - name: 1st
    events: [Coupon Denied]
    event_id: messageId
    retention: a while
    fields:
      - {name: a-b, type: string, path: /a/*/b/*}
      - {name: c, type: string}
      - {name: d, type: string, paths: [/d, /e/*]}
  - name: traits
";
    let places: Vec<String> = problems(yaml).iter().map(|p| p.split(' ').next().unwrap_or("").to_owned()).collect();
    assert_eq!(places, ["2:11", "3:14", "4:15", "5:16", "7:16", "7:41", "8:16", "9:45", "10:11"]);
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    check_problem("streams:\n  - name: orders\n    evnts: [a]\n", "did you mean `events`?");
    check_problem("stream: []\n", "did you mean `streams`?");
    check_problem("streams: [{name: orders, fields: [{name: a, type: number, path: /a}]}]", "decimal");
}

#[test]
fn a_misspelt_stream_is_not_taken_for_a_new_one() {
    check_problem("streams: [{name: order, currency: EUR}]", "did you mean `orders`?");
}

#[test]
fn what_contradicts_itself_is_refused() {
    check_problem("streams: [{name: orders}, {name: orders}]", "defined twice");
    check_problem("streams: [{name: sessions, events: []}]", "takes no events");
    check_problem(
        "streams: [{name: sessions, fields: [{name: a, type: string, path: /a}, {name: a, type: string, path: /b}]}]",
        "defined twice",
    );
    check_problem("streams: [{name: sessions, events: [Order Completed]}]", "already belongs to the stream `orders`");
    check_problem("streams: [{name: orders, fields: [{name: redeemed, type: boolean, path: /r}]}]", "computed");
    check_problem("streams: [{name: orders, event_id: /products/*/id}]", "every element");
    check_problem("streams: [{name: orders, currency_path: /a~2b}]", "`~0`");
    check_problem("streams: {", "");
}

#[test]
fn a_giant_is_refused() {
    let fields: Vec<String> = (0..20_000).map(|i| format!("{{name: f{i}, type: string, path: /properties/f{i}}}")).collect();
    check_problem(&format!("streams: [{{name: orders, fields: [{}]}}]", fields.join(", ")), "more than 50000");
}
