//! The customer as a running service knows it.
//!
//! **Invariant:** what is shown is what the service answers, and who is still to be decided is named as such.

use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::remote;
use crate::time::EventTime;

/// How often a service is asked that is starting, a second apart.
const ATTEMPTS: usize = 15;

/// What `GET /api/v1/customers/{id}/explain` answers.
#[derive(Deserialize)]
struct Told {
    seen: bool,
    decided: bool,
    explanations: Vec<Value>,
}

/// The explanations of these segments; of all, if none is named.
pub fn fetched(url: &str, customer: &str, segments: &[String], at: Option<EventTime>) -> anyhow::Result<Vec<Value>> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let segments: Vec<String> = segments.iter().map(|key| encoded(key)).collect();
    let asked = [(!segments.is_empty()).then(|| format!("segment={}", segments.join(","))), at.map(|at| format!("at={at}"))];
    let asked: Vec<String> = asked.into_iter().flatten().collect();
    let query = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
    let path = format!("/api/v1/customers/{}/explain{query}", encoded(customer));
    let answer = remote::ask(url, &path, None, ATTEMPTS).with_context(|| format!("{url} explains nothing"))?;
    let told: Told = serde_json::from_slice(&answer).with_context(|| format!("{url} answers something that is no explanation"))?;
    if !told.seen {
        bail!("no event of this customer was accepted");
    }
    if !told.decided {
        eprintln!("definitions or lists have changed, and this customer is still to be decided by them: this is how they will");
    }
    Ok(told.explanations)
}
