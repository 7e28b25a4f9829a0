//! An explanation as a person reads it, or as an object for a program.
//!
//! ```text
//! loyal: not a member at 2026-01-20T00:00:00.000Z, never was one
//!   * count(orders last 30d) is 2, > 2: no, needs 1 more
//!     every(orders last 30d: total > 20): yes
//!   enters if nothing more happens: never
//! ```
//!
//! **Invariant:** both forms say the same.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use crate::engine::{PinOrBan, Reason, Why};
use crate::eval::Distance;
use crate::http::service::explanation;
use crate::id::{CustomerId, SegmentKey};
use crate::time::EventTime;

pub struct Answer<'a> {
    pub customer: &'a CustomerId,
    pub segment: &'a SegmentKey,
    pub at: EventTime,
    pub why: Why,
}

impl Display for Answer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Why { member, since, entries, reasons, needed, changes_at } = &self.why;
        writeln!(
            f,
            "{}: {} at {}, {}",
            self.segment,
            if *member { "a member" } else { "not a member" },
            self.at,
            history(*member, *since)
        )?;
        if *entries > 1 {
            writeln!(f, "    entered {entries} times so far")?;
        }
        for (index, reason) in reasons.iter().enumerate() {
            writeln!(f, "  {} {}", if needed.contains(&index) { "*" } else { " " }, line(reason))?;
        }
        let change = changes_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        writeln!(f, "  {} if nothing more happens: {change}\n", if *member { "leaves" } else { "enters" })
    }
}

fn history(member: bool, since: Option<EventTime>) -> String {
    match (member, since) {
        (true, Some(since)) => format!("since {since}"),
        (false, Some(since)) => format!("left at {since}"),
        (_, None) => "never was one".to_owned(),
    }
}

/// `count(orders last 30d) is 2, > 2: no, needs 1 more`
fn line(reason: &Reason) -> String {
    let evidence = &reason.evidence;
    let answer = if evidence.met { "yes" } else { "no" };
    let by = reason.distance.as_ref().map_or_else(String::new, |distance| margin(distance, evidence.met));
    let threshold = evidence.threshold.as_deref().unwrap_or("null");
    // `segment("x")` or `every(…)` is true or false by itself.
    if evidence.op == "is" && threshold != "null" {
        let option = reason.list.map_or_else(String::new, |list| format!("{}: ", option(list)));
        return format!("{option}{}: {answer}", evidence.aggregate);
    }
    let value = evidence.value.as_deref().unwrap_or("null");
    let about = if evidence.approximate { " (the cut among all customers, approximate)" } else { "" };
    format!("{} is {value}, {} {threshold}{about}: {answer}{by}", evidence.aggregate, evidence.op)
}

fn option(list: PinOrBan) -> &'static str {
    match list {
        PinOrBan::Pin => "pin",
        PinOrBan::Ban => "ban",
    }
}

fn margin(Distance { by, more, beyond }: &Distance, met: bool) -> String {
    let verb = if met { "until" } else { "needs" };
    let side = if *more { "more" } else { "less" };
    match (by.is_zero(), beyond) {
        (true, true) => format!(", {verb} any amount {side}"),
        (_, true) => format!(", {verb} more than {by} {side}"),
        (_, false) => format!(", {verb} {by} {side}"),
    }
}

impl Answer<'_> {
    /// Absent: not applicable; null: none.
    pub fn to_json(&self) -> Value {
        explanation(self.customer, self.segment, self.at, &self.why)
    }
}
