//! `segmentd test`: do definitions do what their tests say? Pages through the engine, with simulated time.
//!
//! A test stands in a definition (`tests:`) or in a file `*.test.yaml`, a page a document. A page without segments of
//! its own speaks of those beside it. All definitions run together, as they do in the service.
//!
//! **Invariant:** nothing that was written is passed over: a page that cannot be read, a segment that does not exist, or
//! no test at all is a failure.

mod junit;
mod result;
mod suite;

use std::path::PathBuf;

use clap::Parser;
use regex::Regex;

use super::Outcome;
use super::around::Around;
use super::report::{self, Format};
use result::TestResult;
use suite::Suite;

/// Run the tests of definitions, with simulated time
#[derive(Parser)]
#[command(after_help = "\
Examples:
  segmentd test config/segments/                 every test in or beside these definitions
  segmentd test loyal.yaml loyal.test.yaml       a file, and its tests
  segmentd test config/segments/ --run 'refund'  those whose name has `refund` in it
  segmentd test config/segments/ --junit report.xml

A test is a page: events, and every transition that they must lead to. In a definition:

  segments:
    - key: loyal
      when: 'count(orders last 30d) > 1'
      tests:
        - name: the second order enters, and time alone ends it
          events:
            - {at: 2026-01-01T10:00:00Z, orders: {order_id: a, total: 25}}
            - {at: 2026-01-03T10:00:00Z, orders: {order_id: b, total: 30}}
          until: 2026-03-01T00:00:00Z
          expect:
            - {at: 2026-01-03T10:00:00Z, entered: loyal, cause: event}
            - {at: 2026-01-31T10:00:00Z, exited: loyal, cause: time}

In a file `*.test.yaml` the page stands alone, pages are separated by `---`, and may bring `segments:` of their own.
`expect` is complete for the segments that it names; `{never: silver}` names one that nobody enters. With several
customers, events and expectations say whose they are: `customer: ann`. `until` lets time run on after the last event.

Where a test fails, `-` was expected and did not come, `+` came and was not expected.
Exit codes: 0 all pass, 1 a test failed or cannot be read, 2 usage.")]
pub struct Args {
    /// Files of definitions, files of tests, or folders of both
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only tests whose name matches
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Write a JUnit report here too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    around: Around,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut suite = Suite::read(args);
    suite.tests.retain(|test| args.run.as_ref().is_none_or(|run| run.is_match(&test.page.name)));
    let results = suite.results();
    match args.format {
        Format::Text => results.iter().for_each(TestResult::show),
        Format::Json => results.iter().for_each(|result| println!("{}", result.to_json())),
    }
    report::complain(&suite.diagnostics);
    if let Some(path) = &args.junit {
        junit::write(path, &results, &suite.diagnostics)?;
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    if args.format == Format::Text {
        println!("{}", summary(results.len(), failed));
    }
    let good = failed == 0 && suite.diagnostics.is_empty() && !results.is_empty();
    Ok(if good { Outcome::Done } else { Outcome::Failed })
}

fn summary(tests: usize, failed: usize) -> String {
    match (tests, failed) {
        (0, _) => "no test was run".to_owned(),
        (1, 0) => "1 test passed".to_owned(),
        (_, 0) => format!("{tests} tests passed"),
        _ => format!("{} passed, {failed} failed", tests - failed),
    }
}
