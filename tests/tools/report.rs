//! `segmentd report`.

use serde_json::{Value, json};

use super::service::service;
use super::stopped::leave_state;
use crate::command::{code, file, segmentd, stderr, stdout, with_input};

/// With this salt `ann` and `dan` are in the control arm, `bob` and `eve` in treatment.
const SEGMENTS: &str = "
segments:
  - key: buyer
    when: 'count(orders last 30d) > 0'
    entry: once
    experiment: {holdout: 50%, salt: coupon-programme, goal: orders, value: total, within: 30d, steps: [sessions]}
  - key: spender
    when: 'sum(orders.total lifetime) > 1000'
";

/// When it arrives, and its line.
type Record = (String, String);

fn record(event: &str, customer: &str, id: &str, at: &str, properties: Value) -> Record {
    let id = format!("{event} {id}");
    let record = json!({"type": "track", "event": event, "userId": customer, "messageId": id, "timestamp": at, "properties": properties});
    (at.to_owned(), record.to_string())
}

fn late(arrival: &str, (_, line): Record) -> Record {
    (arrival.to_owned(), line)
}

/// In order of arrival.
fn lines(mut records: Vec<Record>) -> String {
    records.sort();
    records.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

fn order(customer: &str, id: &str, at: &str, total: &str) -> Record {
    record("Order Completed", customer, id, at, json!({"order_id": id, "total": total}))
}

fn refers(event: &str, customer: &str, order: &str, at: &str, total: &str) -> Record {
    record(event, customer, order, at, json!({"order_id": order, "total": total}))
}

fn session(customer: &str, at: &str) -> Record {
    record("Session Started", customer, at, at, json!({}))
}

/// Of those in the control arm. The first order of each is the entry.
fn control() -> Vec<Record> {
    vec![
        order("ann", "a", "2026-01-01T10:00:00Z", "99"),
        order("ann", "b", "2026-01-05T10:00:00Z", "30.50"),
        // Another word on the same order.
        order("ann", "b", "2026-01-06T10:00:00Z", "1000"),
        refers("Order Refunded", "ann", "b", "2026-01-07T10:00:00Z", "0.25"),
        session("ann", "2026-01-08T10:00:00Z"),
        // The last instant that counts, and the first that does not.
        order("ann", "c", "2026-01-31T10:00:00Z", "20"),
        order("ann", "d", "2026-01-31T10:00:00.001Z", "5000"),
        order("dan", "f", "2026-01-31T12:00:00Z", "1"),
    ]
}

fn treatment() -> Vec<Record> {
    vec![
        order("bob", "a", "2026-01-01T10:00:00Z", "99"),
        session("bob", "2026-01-02T10:00:00Z"),
        order("bob", "b", "2026-01-20T10:00:00Z", "30"),
        refers("Order Cancelled", "bob", "b", "2026-01-21T10:00:00Z", "30"),
        // Late, and before the entry; then late, and after it.
        late("2026-01-22", order("bob", "c", "2025-12-31T10:00:00Z", "7")),
        late("2026-01-22", order("bob", "d", "2026-01-10T10:00:00Z", "12.01")),
        order("eve", "e", "2026-02-01T09:00:00Z", "1"),
    ]
}

fn report(arguments: &[&str]) -> std::process::Output {
    let (_folder, path) = file("segments.yaml", SEGMENTS);
    with_input(&[&["report", "--segments", &path], arguments, &["-"]].concat(), &lines([control(), treatment()].concat()))
}

#[test]
fn both_arms_are_counted_from_their_entries_on() {
    let output = report(&["buyer"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output), @r"
    buyer: orders within 30d of the entry, 50% held out, as of 2026-02-01T09:00:00.000Z

                         treatment    control
     exposed                     2          2
       still open        1 (50.0%)  1 (50.0%)
       first sessions    1 (50.0%)  1 (50.0%)
       then orders       1 (50.0%)  1 (50.0%)
     converted           1 (50.0%)  1 (50.0%)
     orders                      1          2
     orders.total            12.01      50.25
       for each exposed       6.00      25.12

                             difference          95% interval  could have been seen
     converted               0.0 points  -57.3 to 57.3 points               no rise
     value for each exposed      -19.12     -277.77 to 239.53                292.29

    50.0% of the exposed are in control, 50% are due: too few to tell

    Inconclusive for conversion to orders: 50.0% in treatment, 50.0% in control; the interval of the difference, -57.3 to 57.3 points, contains 0. With 2 and 2 customers no rise could have been seen.
    Inconclusive for orders.total for each exposed customer: 6.00 in treatment, 25.12 in control; the interval of the difference, -277.77 to 239.53, contains 0. With 2 and 2 customers a difference below 292.29 could not have been seen.
    2 of 4 customers are still within 30d of their entry: judge when that is over.
    ");
}

#[test]
fn a_program_gets_sums_that_can_be_added() {
    let found: Value = serde_json::from_str(&stdout(&report(&["buyer", "--format", "json"]))).unwrap();
    insta::assert_snapshot!(found["arms"]["control"], @r#"{"exposed":2,"open":1,"recounted":0,"converted":1,"goals":2,"value":"50.25","squares":"2525.0625","steps":[{"stream":"sessions","reached":1},{"stream":"orders","reached":1}]}"#);
    insta::assert_snapshot!(found["goal"], @r#"{"stream":"orders","value":"total","within":"30d","steps":["sessions"]}"#);
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    insta::assert_snapshot!(format!("{keys:?}"), @r#"["experiment", "salt", "holdout", "goal", "as_of", "arms", "confidence", "power", "conversion", "value", "sample_ratio", "verdict"]"#);
    assert_eq!((&found["conversion"]["finding"], &found["sample_ratio"]), (&json!("inconclusive"), &Value::Null));
}

/// The example of docs/experiments.md: households to whom nobody sent anything.
#[test]
fn where_nothing_was_sent_nothing_is_found_and_the_page_says_so() {
    let output = segmentd(&["report", "coupon_programme", "--segments", "config/segments/", "assets/demo.ndjson.zst"]);
    let page = std::fs::read_to_string("docs/experiments.md").unwrap();
    assert!(page.contains(&stdout(&output)), "docs/experiments.md has not:\n{}", stdout(&output));
}

/// The table of docs/experiments.md.
#[test]
fn none_of_the_ready_experiments_finds_an_effect_where_nothing_was_sent() {
    let page = std::fs::read_to_string("docs/experiments.md").unwrap();
    for key in ["coupon_programme", "offer_large", "offer_small", "fading_sparks", "dormant_coins"] {
        let output = segmentd(&["report", key, "--segments", "config/segments/", "--format", "json", "assets/demo.ndjson.zst"]);
        let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let number = |of: &str, end: &str| found[of][end].as_f64().unwrap();
        let row = format!(
            "| `{key}` | {} | {} | {} | {:.1} to {:.1} points | {:.2} to {:.2} | {:.3} |",
            found["holdout"].as_str().unwrap(),
            found["arms"]["treatment"]["exposed"],
            found["arms"]["control"]["exposed"],
            number("conversion", "low") * 100.0,
            number("conversion", "high") * 100.0,
            number("value", "low"),
            number("value", "high"),
            number("sample_ratio", "p"),
        );
        assert!(page.contains(&row), "docs/experiments.md has not:\n{row}");
        assert_eq!((&found["conversion"]["finding"], &found["value"]["finding"]), (&json!("inconclusive"), &json!("inconclusive")));
    }
}

#[test]
fn as_it_stood_at_an_earlier_instant() {
    let output = report(&["buyer", "--at", "2026-01-06T10:00:00Z", "--format", "json"]);
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let control = &found["arms"]["control"];
    assert_eq!((&control["goals"], &control["value"], &control["open"]), (&json!(1), &json!("30.5"), &json!(1)));
    assert_eq!((&found["as_of"], &found["arms"]["treatment"]["goals"]), (&json!("2026-01-06T10:00:00.000Z"), &json!(0)));
}

#[test]
fn the_state_of_a_stopped_service_adds_its_partitions_up() {
    let folder = tempfile::tempdir().unwrap();
    leave_state(folder.path(), SEGMENTS, &[lines(control()), String::new(), lines(treatment())]);
    let (_segments, path) = file("segments.yaml", SEGMENTS);
    let arguments = ["report", "buyer", "--segments", &path, "--format", "json", "--state", &folder.path().to_string_lossy()];
    let output = segmentd(&arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let [mut stored, mut replayed] =
        [stdout(&output), stdout(&report(&["buyer", "--format", "json"]))].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    // The clock of the partition that is behind.
    assert_eq!(stored["as_of"], "2026-01-31T12:00:00.000Z");
    [&mut stored, &mut replayed].into_iter().for_each(|found| found["as_of"] = Value::Null);
    assert_eq!(stored, replayed);
}

#[test]
fn an_experiment_that_is_not_there_is_no_success() {
    let refused = |key: &str| (code(&report(&[key])), stderr(&report(&[key])));
    insta::assert_snapshot!(refused("byer").1, @"error: there is no experiment `byer`; did you mean `buyer`?");
    insta::assert_snapshot!(refused("spender").1, @"error: the segment `spender` has no experiment: give it one with `experiment: {holdout: 50%, goal: orders}`");
    assert_eq!(refused("spender").0, 1);
    assert_eq!(code(&segmentd(&["report", "buyer", "-"])), 2);
}

const ASKED: &str = "GET /api/v1/experiments/buyer HTTP/1.0";

/// What a service answers that has these events, in these partitions of two.
fn answer(records: Vec<Record>, partitions: &[i32]) -> Value {
    let (_folder, path) = file("segments.yaml", SEGMENTS);
    let output = with_input(&["report", "buyer", "--segments", &path, "--format", "json", "-"], &lines(records));
    let mut answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    answer["partitions"] = json!({"here": partitions, "of": 2});
    answer
}

#[test]
fn running_services_are_added_up_and_asked_again_while_they_count() {
    let busy = (503, json!({"title": "Service Unavailable", "status": 503, "detail": "experiments are being counted"}));
    let one = service(ASKED, vec![busy, (200, answer(control(), &[0]))]);
    let other = service(ASKED, vec![(200, answer(treatment(), &[1]))]);
    let output = segmentd(&["report", "buyer", "--format", "json", "--url", &one, "--url", &other]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    let [mut added, mut replayed] =
        [stdout(&output), stdout(&report(&["buyer", "--format", "json"]))].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(added["as_of"], "2026-01-31T12:00:00.000Z");
    [&mut added, &mut replayed].into_iter().for_each(|found| found["as_of"] = Value::Null);
    assert_eq!(added, replayed);
}

#[test]
fn services_that_cannot_be_added_up_are_refused_and_a_partition_that_is_missing_is_named() {
    let ask = |answers: [(u16, Value); 2]| {
        let [one, other] = answers.map(|answer| service(ASKED, vec![answer]));
        let output = segmentd(&["report", "buyer", "--url", &one, "--url", &other]);
        (code(&output), stderr(&output).replace(&one, "ONE").replace(&other, "OTHER"))
    };
    let counted = |partitions: &[i32]| (200, answer(control(), partitions));
    insta::assert_snapshot!(ask([counted(&[0]), counted(&[0])]).1, @"error: partition 0 was counted by two services: it has just moved, ask again; or one is named twice");
    insta::assert_snapshot!(ask([counted(&[0]), counted(&[])]).1, @"warning: of 2 partitions none of these services has counted 1");
    let mut salted = counted(&[1]);
    salted.1["salt"] = json!("another");
    insta::assert_snapshot!(ask([counted(&[0]), salted]).1, @"error: OTHER measures another experiment under this name");
    let unknown = (404, json!({"title": "Not Found", "status": 404, "detail": "there is no such experiment; did you mean `buyer2`?"}));
    insta::assert_snapshot!(ask([unknown, counted(&[1])]).1, @"error: ONE has no report: 404: there is no such experiment; did you mean `buyer2`?");
    assert_eq!(ask([(200, json!({"partitions": {"here": [], "of": 1}})), counted(&[1])]).0, 1);
}
