//! Every page of `tests/scenarios` through the engine: the contract, sentence by sentence, as text.
//!
//! A page that fails is printed with what was missing (`-`) and what came instead (`+`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::fmt::Write;
use std::sync::Arc;

use segmentd::event::Catalogue;
use segmentd::scenario::{self, Page, differences};

#[test]
fn every_page_leads_to_the_transitions_that_it_expects() {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let (mut failures, mut pages) = (String::new(), 0);
    for file in std::fs::read_dir("tests/scenarios").unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for page in scenario::parse(&path.to_string_lossy(), &text, &catalogue).unwrap_or_else(|found| panic!("{found:?}")) {
            let lines = run(&page, &catalogue);
            pages += 1;
            if !lines.is_empty() {
                writeln!(failures, "{}: {}\n  {}", path.display(), page.name, lines.join("\n  ")).unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(pages >= 70, "only {pages} pages were found");
}

fn run(page: &Page, catalogue: &Arc<Catalogue>) -> Vec<String> {
    let plan = page.plan(catalogue).unwrap_or_else(|found| panic!("{}: {found:?}", page.name));
    differences(page, &page.run(&plan))
}
