//! What running services would make of other definitions, each over its own partitions, added up.
//!
//! **Invariant:** no customer is counted twice, and who was not counted is said: a partition that no service has, and customers for
//! whom there was no time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::show_unchanged;
use crate::cli::Outcome;
use crate::cli::remote::{self, Coverage, Covered};
use crate::cli::report::{Format, complain};
use crate::rule::definition::sources;

/// How often a service is asked that is still at it, a second apart.
const ATTEMPTS: usize = 180;
const PATH: &str = "/api/v1/definitions/plan";

/// What `POST /api/v1/definitions/plan` answers.
#[derive(Deserialize)]
struct Planned {
    valid: bool,
    diagnostics: Vec<Value>,
    segments: Vec<Segment>,
    looked_at: u64,
    complete: bool,
    partitions: Covered,
}

/// One segment, over some partitions.
#[derive(Deserialize, Serialize)]
struct Segment {
    segment: String,
    change: String,
    members: Option<i64>,
    /// By cause.
    enter: BTreeMap<String, u64>,
    leave: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    complete_since: Option<String>,
}

/// Asks every service, and shows the sum.
pub fn show(new: &Path, urls: &[String], format: Format) -> anyhow::Result<Outcome> {
    let (sources, unreadable) = sources(&[PathBuf::from(new)]);
    if !unreadable.is_empty() {
        complain(&unreadable);
        return Ok(Outcome::Refused);
    }
    let files: Vec<Value> = sources.iter().map(|source| json!({"name": source.name, "text": source.text})).collect();
    let body = serde_json::to_vec(&json!({"files": files}))?;
    let (mut all, mut coverage): (Vec<Segment>, Coverage) = (Vec::new(), Coverage::default());
    for url in urls {
        let planned = ask(url, &body)?;
        if !planned.valid {
            planned.diagnostics.iter().for_each(|diagnostic| eprintln!("{}", line(diagnostic)));
            return Ok(Outcome::Refused);
        }
        coverage.add(&planned.partitions)?;
        if !planned.complete {
            eprintln!("warning: {url} has looked at {} customers in two minutes, and not at the others", planned.looked_at);
        }
        add(&mut all, planned.segments, url)?;
    }
    coverage.warn();
    if matches!(format, Format::Json) {
        for segment in &all {
            println!("{}", serde_json::to_string(segment)?);
        }
        return Ok(Outcome::Done);
    }
    let (unchanged, others): (Vec<&Segment>, Vec<&Segment>) = all.iter().partition(|segment| segment.is_unchanged());
    others.iter().for_each(|segment| segment.print());
    show_unchanged(unchanged.iter().map(|segment| segment.segment.as_str()));
    Ok(Outcome::Done)
}

fn ask(url: &str, body: &[u8]) -> anyhow::Result<Planned> {
    let answer = remote::ask(url, PATH, Some(body), ATTEMPTS).with_context(|| format!("{url} has no plan"))?;
    serde_json::from_slice(&answer).with_context(|| format!("{url} answers something that is no plan"))
}

/// `loyal.yaml:4:31: error: there is no stream …`
fn line(diagnostic: &Value) -> String {
    let part = |name: &str| diagnostic[name].as_str().unwrap_or_default();
    let place = diagnostic["line"].as_u64().map_or_else(String::new, |line| format!(":{line}:{}", diagnostic["column"]));
    format!("{}{place}: {}: {}", part("file"), part("severity"), part("message"))
}

fn add(all: &mut Vec<Segment>, more: Vec<Segment>, url: &str) -> anyhow::Result<()> {
    if all.is_empty() {
        *all = more;
        return Ok(());
    }
    let same = |(a, b): (&Segment, &Segment)| a.segment == b.segment && a.change == b.change;
    if all.len() != more.len() || !all.iter().zip(&more).all(same) {
        bail!("{url} has other definitions in force than the service before it");
    }
    all.iter_mut().zip(more).for_each(|(sum, segment)| sum.add(segment));
    Ok(())
}

impl Segment {
    fn add(&mut self, other: Segment) {
        self.members = self.members.zip(other.members).map(|(a, b)| a + b);
        other.enter.into_iter().for_each(|(cause, n)| *self.enter.entry(cause).or_default() += n);
        other.leave.into_iter().for_each(|(cause, n)| *self.leave.entry(cause).or_default() += n);
        self.complete_since = self.complete_since.take().max(other.complete_since);
    }

    fn is_unchanged(&self) -> bool {
        self.change == "unchanged" && self.enter.values().chain(self.leave.values()).sum::<u64>() == 0
    }

    fn print(&self) {
        println!("{:<10} {}", self.change, self.segment);
        let [enter, leave]: [u64; 2] = [&self.enter, &self.leave].map(|by_cause| by_cause.values().sum());
        let then = |members: i64| members + enter.cast_signed() - leave.cast_signed();
        let members = self.members.map_or_else(|| "members are being counted".into(), |n| format!("members {n} -> {}", then(n)));
        println!("           {members}: {enter} would enter{}, {leave} would leave{}", causes(&self.enter), causes(&self.leave));
        if let Some(since) = &self.complete_since {
            println!("           it looks at what was not kept: it knows everything that happened since {since}");
        }
    }
}

/// ` (cause `definition`)`
fn causes(by_cause: &BTreeMap<String, u64>) -> String {
    let causes: Vec<String> = by_cause.keys().map(|cause| format!("`{cause}`")).collect();
    if causes.is_empty() { String::new() } else { format!(" (cause {})", causes.join(", ")) }
}
