//! Results as JUnit XML, which every build server shows.
//!
//! **Invariant:** well-formed whatever stands in a name: the five signs of markup are escaped, and characters that
//! XML 1.0 does not know are replaced.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::TestResult;
use crate::rule::diagnostic::Diagnostic;

pub fn write(path: &Path, results: &[TestResult], problems: &[Diagnostic]) -> anyhow::Result<()> {
    std::fs::write(path, report(results, problems)).with_context(|| format!("cannot write {}", path.display()))
}

/// A case for each test, and one in error for each problem that kept tests from being run.
fn report(results: &[TestResult], problems: &[Diagnostic]) -> String {
    let failures = results.iter().filter(|result| !result.passed()).count();
    let counts = format!(r#"tests="{}" failures="{failures}" errors="{}""#, results.len() + problems.len(), problems.len());
    let cases: String = results.iter().map(case).chain(problems.iter().map(error)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"segmentd\" {counts}>\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

fn case(result: &TestResult) -> String {
    let (class, name) = (escaped(&result.file), escaped(&result.name));
    let opening = format!(r#"    <testcase classname="{class}" name="{name}" file="{class}" line="{}""#, result.line);
    if result.passed() {
        return format!("{opening}/>\n");
    }
    let lines: String = result.lines.iter().map(|line| format!("{}\n", escaped(&line.to_string()))).collect();
    format!("{opening}>\n      <failure message=\"other transitions than expected\">{lines}</failure>\n    </testcase>\n")
}

fn error(problem: &Diagnostic) -> String {
    let place = problem.location.as_ref().map_or_else(String::new, ToString::to_string);
    let (place, message) = (escaped(&place), escaped(&problem.message));
    format!("    <testcase classname=\"{place}\" name=\"{}\">\n      <error message=\"{message}\"/>\n    </testcase>\n", problem.code)
}

/// <https://www.w3.org/TR/xml/#charsets>
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // As they are, a reader of attributes would see blanks.
            '\n' | '\t' | '\r' => drop(write!(out, "&#{};", u32::from(c))),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_name_cannot_break_out_of_the_markup() {
        assert_eq!(escaped("a<b>&\"'\u{1}\n"), "a&lt;b&gt;&amp;&quot;&apos;\u{fffd}&#10;");
    }
}
