//! The reports of running services, each over its own partitions, added up.
//!
//! **Invariant:** no customer is counted twice, and none is left out silently: a partition that two services have counted is
//! an error, one that none has is named.

use anyhow::{Context, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::cli::remote::{self, Coverage, Covered};
use crate::experiment::{Document, Report};

/// How often a service is asked again that is still counting, a second apart.
const ATTEMPTS: usize = 60;

/// What `GET /api/v1/experiments/{key}` answers.
#[derive(Deserialize)]
struct Answer {
    partitions: Covered,
    #[serde(flatten)]
    report: Document,
}

/// The report over all partitions of these services.
pub fn fetched(urls: &[String], experiment: &str) -> anyhow::Result<Report> {
    let (mut all, mut coverage): (Option<Report>, Coverage) = (None, Coverage::default());
    for url in urls {
        let answer = ask(url, experiment).with_context(|| format!("{url} has no report"))?;
        coverage.add(&answer.partitions)?;
        let report = answer.report.to_report().ok_or_else(|| anyhow!("{url} answers something that is no report"))?;
        all = Some(match all {
            None => report,
            Some(all) => all.with(report).ok_or_else(|| anyhow!("{url} measures another experiment under this name"))?,
        });
    }
    coverage.warn();
    all.ok_or_else(|| anyhow!("no service is named"))
}

fn ask(url: &str, experiment: &str) -> anyhow::Result<Answer> {
    let path = format!("/api/v1/experiments/{}", utf8_percent_encode(experiment, NON_ALPHANUMERIC));
    serde_json::from_slice(&remote::ask(url, &path, None, ATTEMPTS)?).context("the answer is no report")
}
