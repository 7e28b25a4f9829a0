//! `segmentd fmt`.

use crate::command::{code, file, segmentd, stderr, stdout, with_input};

#[test]
fn what_is_shipped_is_in_canonical_text() {
    let output = segmentd(&["fmt", "--check", "config/segments/"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
}

#[test]
fn a_check_lists_what_differs_and_changes_nothing() {
    let before = "# mine\nsegments: [{key: a, when: 'count(orders  last 2w)>1'}]\n";
    let (_folder, path) = file("a.yaml", before);
    let output = segmentd(&["fmt", "--check", &path]);
    assert_eq!(code(&output), 1);
    assert_eq!(stdout(&output), format!("{path}:2:27\n- count(orders  last 2w)>1\n+ count(orders last 14d) > 1\n"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    let output = segmentd(&["fmt", &path]);
    assert_eq!((code(&output), stdout(&output)), (0, format!("{path}\n")));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\nsegments: [{key: a, when: 'count(orders last 14d) > 1'}]\n");
    assert_eq!(code(&segmentd(&["fmt", "--check", &path])), 0);
}

#[test]
fn a_rule_goes_to_json_and_back() {
    let json = segmentd(&["fmt", "--to", "json", "not trait.a and count(orders last 30d) > 2"]);
    let text = with_input(&["fmt", "--to", "text"], &stdout(&json));
    assert_eq!((code(&text), stdout(&text).as_str()), (0, "not trait.a and count(orders last 30d) > 2\n"));
}

#[test]
fn what_is_no_rule_has_its_place() {
    let (_folder, path) = file("a.yaml", "segments: [{key: a, when: 'count(orders last 2x) > 1'}]\n");
    let output = segmentd(&["fmt", &path]);
    assert!(code(&output) == 1 && stderr(&output).contains("a.yaml:1:46"), "{}", stderr(&output));
    let output = segmentd(&["fmt", "--to", "json", "count(orders)>"]);
    assert!(code(&output) == 1 && stderr(&output).contains("rule:1:7"), "{}", stderr(&output));
    let output = segmentd(&["fmt", "--to", "text", "{\"field\": 1}"]);
    assert!(code(&output) == 1 && stderr(&output).contains("error[bad-rule]"), "{}", stderr(&output));
    let output = segmentd(&["fmt", "--to", "text", "{"]);
    assert!(code(&output) == 1 && stderr(&output).contains("error[bad-json]"), "{}", stderr(&output));
    assert_eq!(code(&segmentd(&["fmt"])), 2);
}
