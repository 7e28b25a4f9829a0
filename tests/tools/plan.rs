//! `segmentd plan`.

use serde_json::{Value, json};

use super::service::service;
use crate::command::{code, file, segmentd, stderr, stdout};

const OLD: &str = "
segments:
  - {key: loyal, when: 'count(orders last 30d) > 1'}
  - {key: not_loyal, when: 'count(orders lifetime) > 0 and not segment(\"loyal\")'}
  - {key: gone, when: 'sum(orders.total lifetime) > 5'}
  - {key: named, when: 'trait.a == 1'}
  - {key: same, when: 'trait.b == 1'}
  - {key: listed, when: 'list(\"staff\")'}
lists: {staff: [ann]}
";

fn new() -> String {
    let changed = OLD.replace("> 1'", "> 2'").replace("key: gone, when: 'sum", "key: fresh, when: 'max");
    changed.replace("key: named,", "key: named, name: Named,").replace("[ann]", "[ann, bob]")
}

fn order(customer: &str, id: &str, day: u32) -> String {
    format!(
        r#"{{"type":"track","event":"Order Completed","userId":"{customer}","messageId":"{id}","timestamp":"2026-01-{day:02}T10:00:00Z","properties":{{"order_id":"{id}","total":4}}}}"#
    )
}

#[test]
fn each_segment_is_said_to_change_or_not_and_who_moves() {
    let (folder, old) = file("old.yaml", OLD);
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let new = path("new.yaml", &new());
    let events = [order("ann", "a", 1), order("ann", "b", 2), order("bob", "c", 3), order("bob", "d", 4), order("bob", "e", 5)];
    let events = path("events.ndjson", &events.join("\n"));
    let output = segmentd(&["plan", &old, &new, "--over", &events]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output), @r"
    added      fresh
               members 0 -> 0: 0 would enter, 0 would leave (cause `definition`)
    removed    gone
               members 2 -> 0: 0 would enter, 2 would leave (cause `definition`)
               leave: ann, bob
               over the files, entered by event: 2 -> 0
    affected   listed
               members 1 -> 2: 1 would enter, 0 would leave (cause `definition`)
               enter: bob
               over the files, entered by event: 1 -> 2
    changed    loyal
               members 2 -> 1: 0 would enter, 1 would leave (cause `definition`)
               leave: ann
               over the files, entered by event: 2 -> 1
    annotated  named
    affected   not_loyal
               members 0 -> 1: 1 would enter, 0 would leave (cause `definition`)
               enter: ann
               over the files, exited by event: 2 -> 1
    unchanged  same
    new aggregate   max(orders.total lifetime)
    aggregate gone  sum(orders.total lifetime)
    ");
    let lines = stdout(&segmentd(&["plan", &old, &new, "--over", &events, "--format", "json"]));
    let loyal = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).find(|line| line["segment"] == "loyal");
    assert_eq!(loyal.unwrap()["over"]["examples"], serde_json::json!({"enter": [], "leave": ["ann"]}));
}

#[test]
fn an_experiment_that_deals_its_arms_otherwise_is_warned_of() {
    let segments = |a: &str, b: &str, c: &str| {
        let of = |(key, experiment): (&str, &str)| format!("  - {{key: {key}, when: 'trait.{key}', experiment: {{{experiment}}}}}\n");
        format!("segments:\n{}", [("a", a), ("b", b), ("c", c)].map(of).concat())
    };
    let (_old, old) = file("old.yaml", &segments("holdout: 50%", "holdout: 10%", "holdout: 20%"));
    let (_new, new) = file("new.yaml", &segments("holdout: 40%, salt: spring", "holdout: 12.5%", "holdout: 20%, goal: orders"));
    insta::assert_snapshot!(stdout(&segmentd(&["plan", &old, &new])), @r"
    annotated  a
               warning: the experiment's salt changes from `a` to `spring`: all arms are dealt anew, treated customers become control and the other way round, and the figures so far cannot be continued
    annotated  b
               warning: the experiment's holdout changes from 10% to 12.5%: some treated customers become control, after what they have been sent or not
    annotated  c
    ");
    let (_new, new) = file("new.yaml", &segments("holdout: 50%", "holdout: 5%", "holdout: 20%"));
    let lines = stdout(&segmentd(&["plan", &old, &new, "--format", "json"]));
    let warnings: Vec<_> = lines.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["warning"].clone()).collect();
    let shrinks =
        "the experiment's holdout changes from 10% to 5%: some control customers become treated, after what they have been sent or not";
    assert_eq!(warnings, [().into(), shrinks.into(), ().into(), serde_json::Value::Null]);
}

#[test]
fn a_set_that_is_broken_is_refused() {
    let (_folder, broken) = file("broken.yaml", "segments: [{key: a, when: 'count('}]");
    assert_eq!(code(&segmentd(&["plan", "config/segments/", &broken])), 78);
    assert_eq!(code(&segmentd(&["plan", "config/segments/", "config/segments/", "--over", "-"])), 1);
}

const ASKED: &str = "POST /api/v1/definitions/plan HTTP/1.0";

/// What a service answers that has these partitions of two.
fn planned(partitions: &[i32], enter: u64, since: Option<&str>) -> Value {
    let mut loyal =
        json!({"segment": "loyal", "change": "changed", "members": 10, "enter": {"definition": enter}, "leave": {"definition": 2}});
    since.iter().for_each(|since| loyal["complete_since"] = json!(since));
    let same = json!({"segment": "same", "change": "unchanged", "members": 7, "enter": {}, "leave": {}});
    json!({"valid": true, "diagnostics": [], "segments": [loyal, same], "looked_at": 20, "complete": partitions != [1],
        "partitions": {"here": partitions, "of": 2}})
}

#[test]
fn running_services_tell_who_would_enter_and_leave_and_are_added_up() {
    let (_folder, new) = file("new.yaml", "segments: []");
    let ask = |answers: [Value; 2]| {
        let [one, other] = answers.map(|answer| service(ASKED, vec![(200, answer)]));
        let output = segmentd(&["plan", &new, "--url", &one, "--url", &other]);
        (stdout(&output), stderr(&output).replace(&one, "ONE").replace(&other, "OTHER"))
    };
    let (shown, said) = ask([planned(&[0], 3, None), planned(&[1], 4, Some("2026-01-01T00:00:00.000Z"))]);
    insta::assert_snapshot!(shown, @r"
    changed    loyal
               members 20 -> 23: 7 would enter (cause `definition`), 4 would leave (cause `definition`)
               it looks at what was not kept: it knows everything that happened since 2026-01-01T00:00:00.000Z
    unchanged  same
    ");
    insta::assert_snapshot!(said, @"warning: OTHER has looked at 20 customers in two minutes, and not at the others");
    insta::assert_snapshot!(ask([planned(&[0], 3, None), planned(&[], 0, None)]).1, @"warning: of 2 partitions none of these services has counted 1");
    let mut others = planned(&[1], 1, None);
    others["segments"][1]["change"] = json!("changed");
    insta::assert_snapshot!(ask([planned(&[0], 3, None), others]).1, @r"
    warning: OTHER has looked at 20 customers in two minutes, and not at the others
    error: OTHER has other definitions in force than the service before it
    ");
}

#[test]
fn what_a_service_finds_wrong_is_shown_with_its_place() {
    let (_folder, new) = file("new.yaml", "segments: [{key: a, when: trait.a}]");
    let problem = json!({"severity": "error", "message": "there is no list `staff`", "file": "new.yaml", "line": 1, "column": 8});
    let answer = json!({"valid": false, "diagnostics": [problem], "segments": [], "looked_at": 0, "complete": false, "partitions": {"here": [], "of": 1}});
    let output = segmentd(&["plan", &new, "--url", &service(ASKED, vec![(503, json!({})), (200, answer)])]);
    assert_eq!((code(&output), stderr(&output).as_str()), (78, "new.yaml:1:8: error: there is no list `staff`\n"));
    assert_eq!(code(&segmentd(&["plan", &new])), 2);
    assert_eq!(code(&segmentd(&["plan", &new, &new, "--url", "http://localhost:1"])), 2);
}

#[test]
fn what_does_not_change_takes_one_line_however_much_it_is() {
    let segments: String = (1..=7).map(|n| format!("  - {{key: s{n}, when: 'count(orders last {n}d) > 0'}}\n")).collect();
    let (_folder, old) = file("old.yaml", &format!("segments:\n{segments}"));
    let (_folder, new) = file("new.yaml", &format!("segments:\n{}", segments.replace("last 3d", "last 30d")));
    insta::assert_snapshot!(stdout(&segmentd(&["plan", &old, &new])), @r"
    changed    s3
    unchanged  s1, s2, s4, s5, s6 and 1 more
    new aggregate   count(orders last 30d)
    aggregate gone  count(orders last 3d)
    ");
}
