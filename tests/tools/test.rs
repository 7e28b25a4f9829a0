//! `segmentd test`.

use crate::command::{code, file, segmentd, stderr, stdout};

const LOYAL: &str = "
segments:
  - key: loyal
    when: 'count(orders last 30d) > 1 and not segment(\"staff\")'
    tests:
      - name: the second order <enters>
        events:
          - {at: 2026-01-01T10:00:00Z, orders: {order_id: a}}
          - {at: 2026-01-03T10:00:00Z, orders: {order_id: b}}
        expect:
          - {at: 2026-01-03T10:00:00Z, entered: loyal}
  - {key: staff, when: 'list(\"staff\")'}
lists: {staff: [bob]}
";

const PAGES: &str = "
name: whoever works here is never loyal
events:
  - {at: 2026-01-01T10:00:00Z, customer: bob, orders: {order_id: a}}
  - {at: 2026-01-03T10:00:00Z, customer: bob, orders: {order_id: b}}
expect: [{never: loyal}]
---
name: a list may be another one in a test
lists: {staff: [ann]}
events:
  - {at: 2026-01-01T10:00:00Z, customer: bob, orders: {order_id: a}}
  - {at: 2026-01-03T10:00:00Z, customer: bob, orders: {order_id: b}}
expect: [{at: 2026-01-03T10:00:00Z, customer: bob, entered: loyal}]
---
name: a page may have segments of its own
segments: [{key: any, when: 'count(orders last 1d) > 0'}]
events: [{at: 2026-01-01T10:00:00Z, orders: {order_id: a}}]
until: 2026-01-03T00:00:00Z
expect:
  - {at: 2026-01-01T10:00:00Z, entered: any, valid_until: 2026-01-02T10:00:00Z}
  - {at: 2026-01-02T11:00:00Z, exited: any}
";

#[test]
fn the_definitions_that_are_shipped_do_what_their_tests_say() {
    let output = segmentd(&["test", "config/segments/"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn pages_in_and_beside_definitions_are_run_together() {
    let (folder, _) = file("loyal.yaml", LOYAL);
    std::fs::write(folder.path().join("loyal.test.yaml"), PAGES).unwrap();
    let output = segmentd(&["test", folder.path().to_str().unwrap()]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output).replace(folder.path().to_str().unwrap(), ""), @r"
    ok    /loyal.test.yaml:2  whoever works here is never loyal
    ok    /loyal.test.yaml:8  a list may be another one in a test
    FAIL  /loyal.test.yaml:15  a page may have segments of its own
            {at: 2026-01-01T10:00:00.000Z, entered: any, valid_until: 2026-01-02T10:00:00.000Z}
          - {at: 2026-01-02T11:00:00.000Z, exited: any}  # /loyal.test.yaml:21:5
          + {at: 2026-01-02T10:00:00.000Z, exited: any, cause: time, sequence: 2, entry: 1}
    ok    /loyal.yaml:6  the second order <enters>
    3 passed, 1 failed
    ");
}

#[test]
fn a_file_of_tests_finds_the_definitions_beside_it() {
    let (folder, _) = file("loyal.yaml", LOYAL);
    let path = folder.path().join("loyal.test.yaml");
    std::fs::write(&path, PAGES).unwrap();
    let output = segmentd(&["test", path.to_str().unwrap(), "--run", "never|another"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).ends_with("2 tests passed\n"), "{}", stdout(&output));
}

#[test]
fn a_report_for_a_build_server_is_well_formed() {
    let (folder, path) = file("loyal.yaml", &LOYAL.replace("> 1 and", "> 5 and"));
    let report = folder.path().join("report.xml");
    let output = segmentd(&["test", &path, "--junit", report.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    insta::assert_snapshot!(std::fs::read_to_string(report).unwrap().replace(&path, "loyal.yaml"), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites tests="1" failures="1" errors="0">
      <testsuite name="segmentd" tests="1" failures="1" errors="0">
        <testcase classname="loyal.yaml" name="the second order &lt;enters&gt;" file="loyal.yaml" line="6">
          <failure message="other transitions than expected">- {at: 2026-01-03T10:00:00.000Z, entered: loyal}  # loyal.yaml:11:13
    </failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_program_gets_an_object_a_test() {
    let (_folder, path) = file("loyal.yaml", &LOYAL.replace("> 1 and", "> 5 and"));
    let output = segmentd(&["test", &path, "--format", "json"]);
    let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&result["result"], &result["line"]), (&"failed".into(), &6.into()));
    assert_eq!((&result["lines"][0]["mark"], result["lines"].as_array().unwrap().len()), (&"-".into(), 1));
    assert!(result["lines"][0]["place"].as_str().unwrap().ends_with("loyal.yaml:11:13"));
}

#[test]
fn what_keeps_a_test_from_being_run_is_a_failure_with_its_place() {
    let broken = LOYAL.replace("entered: loyal", "entered: loyl").replace("order_id: b", "ordr_id: b");
    let (_folder, path) = file("loyal.yaml", &broken);
    let output = segmentd(&["test", &path]);
    assert_eq!(code(&output), 1);
    insta::assert_snapshot!(stderr(&output).replace(&path, "loyal.yaml"), @r"
    error[unknown-field]: the stream `orders` has no field `ordr_id`
     --> loyal.yaml:9:49
      |
    9 |           - {at: 2026-01-03T10:00:00Z, orders: {ordr_id: b}}
      |                                                 ^^^^^^^ did you mean `order_id`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`

    1 error
    ");
    let (_folder, path) = file("loyal.yaml", &LOYAL.replace("entered: loyal", "entered: loyl"));
    let output = segmentd(&["test", &path]);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, "no test was run\n"));
    insta::assert_snapshot!(stderr(&output).replace(&path, "loyal.yaml"), @r"
    error[unknown-segment]: there is no segment `loyl`
      --> loyal.yaml:11:13
       |
    11 |           - {at: 2026-01-03T10:00:00Z, entered: loyl}
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `loyal`?

    1 error
    ");
}

#[test]
fn no_test_at_all_is_no_success() {
    let output = segmentd(&["test", "config/segments/", "--run", "no such name"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, "no test was run\n"));
    assert_eq!(code(&segmentd(&["test", "config/segments/", "--run", "("])), 2);
}
