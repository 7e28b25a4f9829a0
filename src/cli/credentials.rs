//! Tokens and certificate of the HTTP server, and the key of audit records, read at start, at SIGHUP, and when one of their files has changed.
//!
//! **Invariant:** all are checked before any is put in force. What is refused changes nothing: who could ask still
//! can, and a metric and one log line say so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::report;
use crate::audit::{Audit, Key};
use crate::config::watch::Signature;
use crate::config::{self, Config};
use crate::http::Server;
use crate::http::access::{Access, Tokens};
use crate::http::tls::{Certificate, Identity};
use crate::metrics::{CredentialMetrics, Metrics};

pub struct Credentials {
    files: config::access::Access,
    watch: Option<Duration>,
    in_force: Signature,
    access: Access,
    identity: Option<Identity>,
    audit: Audit,
    metrics: Arc<CredentialMetrics>,
}

/// What the files say.
struct Read {
    tokens: Option<Tokens>,
    certificate: Option<Certificate>,
    audit_key: Option<Key>,
}

impl Credentials {
    /// As the files say now; `audit` has the key from now on.
    pub fn read(config: &Config, metrics: &Metrics, audit: Audit) -> anyhow::Result<Credentials> {
        let files = config.access.clone();
        let in_force = signature(&files);
        let metrics = metrics.credentials.clone();
        let read = read(&files).map_err(anyhow::Error::msg)?;
        show(&metrics, &read);
        if read.tokens.is_some() && read.audit_key.is_none() {
            tracing::warn!("audit records will not say whom they are about; set access.audit_key");
        }
        audit.replace(read.audit_key);
        let access = read.tokens.map_or_else(Access::open, Access::by).auditing(audit.clone());
        Ok(Credentials { files, watch: config.watch, in_force, access, identity: read.certificate.map(Identity::new), audit, metrics })
    }

    pub fn protect(&self, server: Server) -> Server {
        server.protected(self.access.clone(), self.identity.clone())
    }

    /// Follows the files until the process ends.
    pub async fn follow(mut self) {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            tracing::error!("SIGHUP cannot be received; it ends this process");
            return;
        };
        let every = self.watch.unwrap_or(Duration::MAX);
        let mut seen = self.in_force.clone();
        loop {
            tokio::select! {
                hangup = hangups.recv() => match hangup {
                    Some(()) => self.reload(),
                    None => return,
                },
                () = tokio::time::sleep(every) => {
                    let now = signature(&self.files);
                    // For one more look nothing may have moved: it may be being written.
                    if now != self.in_force && now == seen {
                        self.reload();
                    }
                    seen = now;
                }
            }
        }
    }

    fn reload(&mut self) {
        if self.files.files().next().is_none() {
            return;
        }
        self.in_force = signature(&self.files);
        let read = match read(&self.files) {
            Ok(read) => read,
            Err(error) => {
                self.metrics.failed.inc();
                tracing::error!(error, "changed tokens, a changed certificate or audit key are refused; what was in force stays in force");
                return;
            }
        };
        show(&self.metrics, &read);
        self.metrics.reloaded.inc();
        tracing::info!(tokens = read.tokens.as_ref().map_or(0, |tokens| tokens.0.len()), "tokens and certificate were loaded anew");
        read.tokens.into_iter().for_each(|tokens| self.access.replace(tokens));
        self.identity.iter().zip(read.certificate).for_each(|(identity, certificate)| identity.replace(certificate));
        self.audit.replace(read.audit_key);
    }
}

fn read(files: &config::access::Access) -> Result<Read, String> {
    let first = |problems: Vec<_>| problems.first().map(report::in_a_line).unwrap_or_default();
    let tokens = files.read_tokens().map_err(first)?;
    let certificate = files.read_certificate().map_err(|error| error.to_string())?;
    Ok(Read { tokens, certificate, audit_key: files.read_audit_key().map_err(|error| error.to_string())? })
}

fn show(metrics: &CredentialMetrics, read: &Read) {
    let tokens = read.tokens.iter().flat_map(|tokens| &tokens.0);
    metrics.tokens_end(tokens.filter_map(|token| Some((token.name.as_str(), token.expires?))));
    read.certificate.iter().for_each(|certificate| metrics.certificate_ends(certificate.expires));
}

fn signature(files: &config::access::Access) -> Signature {
    let files: Vec<PathBuf> = files.files().map(PathBuf::from).collect();
    Signature::of(files.iter().map(PathBuf::as_path))
}
