//! What is told of the past: timelines, segments over time, moves.

use serde_json::{Value, json};

use crate::http::service::fixture::{Scene, day, nothing};
use crate::http::tests::start_site;
use crate::time::EventTime;

const SHOP: &str = "
segments:
  - {key: loyal, when: 'count(orders last 10d) > 1'}
  - {key: big, when: 'sum(orders.total last 10d) >= 50'}
ladders:
  - {key: life, stages: [{key: active, when: 'count(orders last 20d) > 0'}, {key: dormant}]}
";
const TIMELINE: &str = "/api/v1/customers/ann/timeline";
const LOYAL: &str = "/api/v1/segments/loyal/history";
const LIFE: &str = "/api/v1/ladders/life/flows";

/// Ann is loyal from the second to the eleventh, active until the 22nd; bob comes on the twelfth.
fn shop() -> Scene {
    let mut scene = Scene::new(SHOP);
    scene.order("ann", day(1), 20);
    scene.order("ann", day(2), 20);
    scene.commit();
    for order in [day(12), hour(12, 6)] {
        scene.order("bob", order, 20);
    }
    scene.commit();
    scene.advance(hour(23, 12));
    scene.commit();
    scene
}

/// An instant of January 2026.
fn hour(of_day: i64, hour: i64) -> EventTime {
    EventTime::from_millis(day(of_day).millis() + hour * 3_600_000)
}

/// Segment, direction, cause and instant of each transition that is told.
fn lines(told: &Value) -> Vec<String> {
    let line = |one: &Value| format!("{} {} {} {}", one["segment"], one["transition"], one["cause"], one["at"]).replace('"', "");
    told["transitions"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_timeline_is_told_from_the_newest_on_and_page_by_page() {
    let scene = shop();
    let told = scene.told(TIMELINE);
    let expected = [
        "dormant entered time 2026-01-22T00:00:00.000Z",
        "active exited time 2026-01-22T00:00:00.000Z",
        "loyal exited time 2026-01-11T00:00:00.000Z",
        "loyal entered event 2026-01-02T00:00:00.000Z",
        "active entered event 2026-01-01T00:00:00.000Z",
    ];
    assert_eq!((lines(&told), &told["next"]), (expected.map(str::to_owned).into(), &Value::Null));
    assert_eq!((&told["customer"], &told["since"], &told["lag_records"]), (&json!("ann"), &json!("2025-10-25T12:00:00.000Z"), &json!(0)));
    let first = &told["transitions"][4];
    assert_eq!((&first["sequence"], &first["evidence"][0]["value"], &first["customer"]), (&json!(1), &json!("1"), &json!("ann")));
    let (mut paged, mut path) = (Vec::new(), format!("{TIMELINE}?limit=2"));
    loop {
        let page = scene.told(&path);
        paged.extend(lines(&page));
        match page["next"].as_str() {
            Some(next) => path = format!("{TIMELINE}?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, expected);
    assert_eq!(scene.told("/api/v1/customers/nobody/timeline")["transitions"], json!([]));
}

#[test]
fn a_timeline_forgets_what_is_too_old_by_the_task_clock_and_a_sweep_removes_it() {
    let mut scene = shop();
    assert!(scene.past.stored().iter().any(|row| row.starts_with(b"t\0\x03ann")));
    scene.order("bob", hour(12, 90 * 24), 20);
    scene.commit();
    let told = scene.told(TIMELINE);
    assert_eq!(lines(&told), ["dormant entered time 2026-01-22T00:00:00.000Z", "active exited time 2026-01-22T00:00:00.000Z"]);
    let all = scene.past.stored().len();
    scene.past.sweep(&scene.committed);
    assert_eq!(lines(&scene.told(TIMELINE)), lines(&told));
    let gone = all - scene.past.stored().len();
    // Of ann three transitions, and of the first and the second day, and the eleventh, an hour each.
    assert_eq!(gone, 6);
}

#[test]
fn a_sweep_leaves_so_many_transitions_of_a_customer() {
    let mut scene = Scene::new("segments: [{key: recent, when: 'count(orders last 1h) > 0'}]");
    for order in 0..130 {
        scene.order("ann", hour(1, 2 * order), 20);
    }
    scene.commit();
    let of_ann = |scene: &Scene| scene.past.stored().iter().filter(|row| row.starts_with(b"t\0\x03ann")).count();
    assert_eq!(of_ann(&scene), 259);
    scene.past.sweep(&scene.committed);
    assert_eq!(of_ann(&scene), crate::history::MOST);
    let newest = lines(&scene.told(TIMELINE)).remove(0);
    assert_eq!(newest, format!("recent entered event {}", hour(1, 258)));
}

#[test]
fn whoever_was_erased_has_no_past_and_no_byte_of_it_is_left() {
    let mut scene = shop();
    // Ann is in a stage, and leaves it. Without a ladder nobody would be told.
    scene.erase("ann", hour(23, 12));
    scene.commit();
    assert_eq!(scene.told(TIMELINE)["transitions"], json!([]));
    let names = |row: &Vec<u8>| row.windows(3).any(|window| window == b"ann");
    assert!(!scene.past.stored().iter().any(names));
    let told = scene.told("/api/v1/segments/dormant/history?from=2026-01-22T00:00:00Z&step=12h");
    assert_eq!(told["points"][3]["exited"], json!({"delete": 1}), "figures name nobody, and stay");

    scene.order("ann", hour(24, 0), 20);
    scene.commit();
    assert_eq!(lines(&scene.told(TIMELINE)), ["active entered event 2026-01-24T00:00:00.000Z"], "another life");
    assert_eq!(scene.told(TIMELINE)["transitions"][0]["sequence"], 1_000_000_001);
}

#[test]
fn whoever_was_in_no_segment_when_it_was_erased_is_hidden_at_once_and_swept() {
    let mut scene = Scene::new("segments: [{key: recent, when: 'count(orders last 1d) > 0'}]");
    scene.order("ann", day(1), 20);
    scene.order("bob", day(3), 20);
    scene.commit();
    assert_eq!(lines(&scene.told(TIMELINE)).len(), 2);
    scene.erase("ann", day(3));
    scene.commit();
    assert_eq!(scene.told(TIMELINE)["transitions"], json!([]), "no exit tells of it");
    let names = |row: &Vec<u8>| row.windows(3).any(|window| window == b"ann");
    assert!(scene.past.stored().iter().any(names));
    scene.past.sweep(&scene.committed);
    assert!(!scene.past.stored().iter().any(names));
    assert_eq!(lines(&scene.told("/api/v1/customers/bob/timeline")).len(), 1);
}

#[test]
fn a_segment_is_told_over_time_with_its_members_worked_back_from_those_of_now() {
    let scene = shop();
    let told = scene.told(&format!("{LOYAL}?from=2026-01-01T00:00:00Z&to=2026-01-13T00:00:00Z"));
    let points = told["points"].as_array().unwrap();
    let members: Vec<i64> = points.iter().map(|point| point["members"].as_i64().unwrap()).collect();
    assert_eq!(members, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1], "entered on the second, left on the eleventh; bob on the twelfth");
    assert_eq!(points[1], json!({"at": "2026-01-03T00:00:00.000Z", "members": 1, "entered": {"event": 1}, "exited": {}}));
    assert_eq!(points[10], json!({"at": "2026-01-12T00:00:00.000Z", "members": 0, "entered": {}, "exited": {"time": 1}}));
    assert_eq!(
        (&told["segment"], &told["step"], &told["partitions"]),
        (&json!("loyal"), &json!("1d"), &json!({"here": [0], "of": 1, "partial": false}))
    );
}

#[test]
fn steps_are_those_that_are_asked_for_and_the_last_one_ends_now() {
    let scene = shop();
    let ends = |query: &str| -> Vec<String> {
        let told = scene.told(&format!("{LOYAL}?{query}"));
        let short = |point: &Value| point["at"].as_str().unwrap()[5..16].replace('T', " ");
        told["points"].as_array().unwrap().iter().map(short).collect()
    };
    assert_eq!(ends("step=12h&from=2026-01-22T13:00:00Z"), ["01-23 00:00", "01-23 12:00", "01-23 12:00"]);
    assert_eq!(ends("step=1h&from=2026-01-23T11:59:00Z&to=2026-01-23T12:00:00Z"), ["01-23 12:00"]);
    assert_eq!(ends("").len(), 30);
    assert_eq!(ends("from=2030-01-01T00:00:00Z"), [""; 0]);
    assert_eq!(ends("from=0001-01-01T00:00:00Z").len(), 91, "no further back than what is kept");
    let hours = scene.told(&format!("{LOYAL}?step=1h&from=2026-01-12T06:00:00Z&to=2026-01-12T07:00:00Z"));
    assert_eq!(hours["points"], json!([{"at": "2026-01-12T07:00:00.000Z", "members": 1, "entered": {"event": 1}, "exited": {}}]));
}

#[test]
fn moves_are_counted_from_stage_to_stage() {
    let mut scene = shop();
    scene.order("ann", hour(23, 13), 20);
    scene.commit();
    let told = scene.told(LIFE);
    let moves = json!([{"from": "active", "to": "dormant", "count": 1}, {"from": "dormant", "to": "active", "count": 1}]);
    assert_eq!((&told["ladder"], &told["moves"]), (&json!("life"), &moves));
    let told = scene.told(&format!("{LIFE}?from=2026-01-22T00:30:00Z&to=2026-01-23T13:00:00Z"));
    assert_eq!(told["moves"], json!([{"from": "active", "to": "dormant", "count": 1}]));
    assert_eq!((&told["from"], &told["to"]), (&json!("2026-01-22T00:00:00.000Z"), &json!("2026-01-23T13:00:00.000Z")));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let scene = shop();
    for (path, code, said) in [
        (format!("{LOYAL}?step=90s"), 400, "whole hours"),
        (format!("{LOYAL}?step=1000d"), 400, "366d at most"),
        (format!("{LOYAL}?step=1h&from=2020-01-01T00:00:00Z"), 400, "1000 at most"),
        (format!("{LOYAL}?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"), 400, "`from` is not before `to`"),
        (format!("{LOYAL}?form=2026-01-02T00:00:00Z"), 400, "the query parameters are `from`, `to`, `step`"),
        (format!("{LIFE}?step=1d"), 400, "`from`, `to`"),
        (format!("{TIMELINE}?cursor=x"), 400, "`cursor` is not one of ours"),
        (format!("{TIMELINE}?limit=201"), 400, "from 1 to 200"),
        ("/api/v1/segments/loyl/history".into(), 404, "did you mean `loyal`?"),
        ("/api/v1/ladders/lyfe/flows".into(), 404, "did you mean `life`?"),
    ] {
        let received = scene.get(&path);
        assert_eq!(received.code, code, "{path}: {}", received.body);
        assert!(received.body.contains(said), "{path}: {}", received.body);
    }
}

#[test]
fn while_a_part_of_the_past_is_missing_there_is_no_answer() {
    let mut scene = shop();
    scene.past.fall_behind();
    for path in [TIMELINE, LOYAL, LIFE] {
        let received = scene.get(path);
        assert_eq!((received.code, received.header("retry-after")), (503, Some("1")), "{path}");
        assert!(received.body.contains("still being read"), "{path}: {}", received.body);
    }
    scene.hide();
    scene.committed.gone(crate::id::Partition(0));
    assert_eq!((scene.get(TIMELINE).code, scene.get(LOYAL).code), (421, 503));
}

#[test]
fn where_none_is_kept_the_past_is_not_found() {
    let (lookup, service) = nothing();
    let server = start_site(Some(lookup), Some(service), crate::http::listener::Bounds::LOOKUPS);
    let received = server.send(&format!("GET {TIMELINE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert_eq!(received.code, 404);
    assert!(received.body.contains("history.enabled"), "{}", received.body);
}
