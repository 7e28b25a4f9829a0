//! What became of a test, as lines for a person or an object for a program.

use std::sync::Arc;

use serde_json::json;

use crate::plan::Plan;
use crate::scenario::{Line, Written, compare};

/// What became of one test.
pub struct TestResult {
    pub name: String,
    pub file: String,
    /// Where the page begins.
    pub line: usize,
    /// None, if it passed.
    pub lines: Vec<ShownLine>,
}

/// A line of a difference; of what was expected and did not come, with its place.
#[derive(serde::Serialize)]
pub struct ShownLine {
    mark: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl TestResult {
    pub fn of(test: &Written, plan: &Arc<Plan>) -> TestResult {
        let outcomes = test.page.run(plan);
        let location = test.location();
        TestResult {
            name: test.page.name.clone(),
            line: location.line_and_column().map_or(1, |(line, _)| line),
            file: location.source.name.clone(),
            lines: compare(&test.page, &outcomes).iter().map(|line| ShownLine::of(line, test)).collect(),
        }
    }

    pub fn passed(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn show(&self) {
        println!("{}  {}:{}  {}", if self.passed() { "ok  " } else { "FAIL" }, self.file, self.line, self.name);
        for line in &self.lines {
            println!("      {line}");
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        let result = if self.passed() { "passed" } else { "failed" };
        json!({"name": self.name, "file": self.file, "line": self.line, "result": result, "lines": self.lines})
    }
}

impl ShownLine {
    fn of(line: &Line<'_>, test: &Written) -> ShownLine {
        let (mark, text, place) = match line {
            Line::Agrees(expected) => (" ", expected.to_string(), None),
            Line::Missing(index, expected) => ("-", expected.to_string(), test.expectation(*index).map(|place| place.to_string())),
            Line::Unexpected(outcome) => ("+", outcome.to_string(), None),
        };
        ShownLine { mark, text, place }
    }
}

impl std::fmt::Display for ShownLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.mark, self.text)?;
        self.place.iter().try_for_each(|place| write!(f, "  # {place}"))
    }
}
