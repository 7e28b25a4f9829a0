//! The naive evaluator on the pages that people wrote: they are right about the contract or it is.

use std::sync::Arc;

use segmentd::event::Catalogue;
use segmentd::scenario::{self, Page, differences};

use super::naive::{self, Ends, rules_of};

#[test]
fn every_page_holds_for_the_naive_evaluator() {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let mut failures = String::new();
    for file in std::fs::read_dir("tests/scenarios").unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for page in scenario::parse(&path.to_string_lossy(), &text, &catalogue).unwrap_or_else(|found| panic!("{found:?}")) {
            failures += &failure(&path.display().to_string(), &page, &catalogue);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn failure(file: &str, page: &Page, catalogue: &Arc<Catalogue>) -> String {
    let cuts = super::top::cuts_of(page, &page.plan(catalogue).unwrap());
    let lines = differences(page, &naive::transitions_by(&cuts, &rules_of(page), page, catalogue, Ends::Found));
    if lines.is_empty() { String::new() } else { format!("{file}: {}\n  {}\n", page.name, lines.join("\n  ")) }
}
