//! An explanation as a person reads it.
//!
//! ```text
//! loyal: not a member at 2026-01-20T00:00:00.000Z, never was one
//!   * count(orders last 30d) is 2, > 2: no, needs 1 more
//!     every(orders last 30d: total > 20): yes
//!   enters if nothing more happens: never
//! ```
//!
//! **Invariant:** it is read off the object that a program gets, so that both forms say the same, from wherever it came.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

/// What `segmentd explain --format json` prints of one segment.
pub struct Answer<'a>(pub &'a Value);

impl Display for Answer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let told = self.0;
        let (member, since) = (is(&told["member"]), told["since"].as_str());
        let standing = if member { "a member" } else { "not a member" };
        writeln!(f, "{}: {standing} at {}, {}", text(&told["segment"]), text(&told["at"]), history(member, since))?;
        if let Some(entries) = told["entries"].as_u64().filter(|entries| *entries > 1) {
            writeln!(f, "    entered {entries} times so far")?;
        }
        for reason in told["reasons"].as_array().into_iter().flatten() {
            writeln!(f, "  {} {}", if is(&reason["needed"]) { "*" } else { " " }, line(reason))?;
        }
        let change = told["changes_at"].as_str().unwrap_or("never");
        writeln!(f, "  {} if nothing more happens: {change}\n", if member { "leaves" } else { "enters" })
    }
}

fn is(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("null")
}

fn history(member: bool, since: Option<&str>) -> String {
    match (member, since) {
        (true, Some(since)) => format!("since {since}"),
        (false, Some(since)) => format!("left at {since}"),
        (_, None) => "never was one".to_owned(),
    }
}

/// `count(orders last 30d) is 2, > 2: no, needs 1 more`
fn line(reason: &Value) -> String {
    let met = is(&reason["met"]);
    let answer = if met { "yes" } else { "no" };
    let [aggregate, value, op, threshold] = ["aggregate", "value", "op", "threshold"].map(|name| text(&reason[name]));
    // `segment("x")` or `every(…)` is true or false by itself.
    if op == "is" && threshold != "null" {
        let option = reason["list"].as_str().map_or_else(String::new, |option| format!("{option}: "));
        return format!("{option}{aggregate}: {answer}");
    }
    let about = if is(&reason["approximate"]) { " (the cut among all customers, approximate)" } else { "" };
    format!("{aggregate} is {value}, {op} {threshold}{about}: {answer}{}", margin(&reason["distance"], met))
}

fn margin(distance: &Value, met: bool) -> String {
    let Some(by) = distance["by"].as_str() else { return String::new() };
    let verb = if met { "until" } else { "needs" };
    let side = text(&distance["direction"]);
    match (by == "0", is(&distance["beyond"])) {
        (true, true) => format!(", {verb} any amount {side}"),
        (_, true) => format!(", {verb} more than {by} {side}"),
        (_, false) => format!(", {verb} {by} {side}"),
    }
}
