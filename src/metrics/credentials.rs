//! Tokens and certificate of the HTTP server.
//!
//! **Invariant:** a token shows by its name, which stands in the file of tokens; never by what a request brought.

use prometheus::{GaugeVec, IntCounter, Result};

use super::Declare;
use crate::time::EventTime;

pub struct CredentialMetrics {
    pub reloaded: IntCounter,
    /// Refused: what was in force stays in force.
    pub failed: IntCounter,
    certificate: GaugeVec,
    tokens: GaugeVec,
}

impl CredentialMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<CredentialMetrics> {
        let reloads = declare.counters("segmentd_credential_reloads_total", "Reloads of tokens and certificate by result", &["result"])?;
        Ok(CredentialMetrics {
            reloaded: reloads.with_label_values(&["success"]),
            failed: reloads.with_label_values(&["failure"]),
            certificate: declare.float_gauges(
                "segmentd_certificate_expiry_timestamp_seconds",
                "When the validity of the certificate in force ends, in Unix time",
                &[],
            )?,
            tokens: declare.float_gauges("segmentd_token_expiry_timestamp_seconds", "When a token ends, in Unix time", &["token"])?,
        })
    }

    pub fn certificate_ends(&self, at: EventTime) {
        self.certificate.with_label_values::<&str>(&[]).set(at.millis() as f64 / 1000.0);
    }

    /// Shows these and no others.
    pub fn tokens_end<'a>(&self, ends: impl IntoIterator<Item = (&'a str, EventTime)>) {
        self.tokens.reset();
        for (token, at) in ends {
            self.tokens.with_label_values(&[token]).set(at.millis() as f64 / 1000.0);
        }
    }
}
