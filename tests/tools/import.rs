//! `segmentd import segment`, and the page that sets the two languages side by side.

use crate::command::{code, segmentd, stderr, stdout, with_input};

use segmentd::event::Catalogue;
use segmentd::rule::import::segment_query;

#[test]
fn the_page_that_sets_both_side_by_side_is_true() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/segment-queries.md")).unwrap();
    let section = page.split("## Side by side").nth(1).unwrap().split("##").next().unwrap();
    let rows: Vec<Vec<&str>> = section.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('`').collect()).collect();
    assert!(rows.len() >= 15, "only {} rows", rows.len());
    for row in rows {
        let rule = segment_query(row[1], &Catalogue::segment_spec()).unwrap_or_else(|found| panic!("{}: {found:?}", row[1]));
        assert_eq!(rule.to_string(), row[3], "{}", row[1]);
    }
}

#[test]
fn a_query_becomes_a_rule_or_a_definition_that_passes_the_check() {
    let query = "event('Order Completed').within(30 days).count() >= 3\n  AND trait('name') = \"O'Hara\"";
    let output = with_input(&["import", "segment", "-"], query);
    assert_eq!(stdout(&output), "count(orders last 30d) >= 3 and trait.name == \"O'Hara\"\n");
    let output = with_input(&["import", "segment", "-", "--key", "loyal"], query);
    let (_folder, path) = crate::command::file("loyal.yaml", &stdout(&output));
    assert_eq!(code(&segmentd(&["check", "--deny-warnings", &path])), 0);
}

#[test]
fn what_cannot_be_said_fails_with_its_place() {
    let output = with_input(&["import", "segment", "-"], "trait('a') = 1 AND\n  ANY trait('b') = 2");
    assert_eq!((code(&output), stdout(&output).as_str()), (1, ""));
    assert!(stderr(&output).contains("-:2:3") && stderr(&output).contains("error[not-importable]"), "{}", stderr(&output));
    assert_eq!(code(&segmentd(&["import", "segment"])), 2);
}
