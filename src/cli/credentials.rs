//! Tokens and certificate of the HTTP server, read at start, at SIGHUP, and when one of their files has changed.
//!
//! **Invariant:** both are checked before either is put in force. What is refused changes nothing: who could ask still
//! can, and a metric and one log line say so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::report;
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
    metrics: Arc<CredentialMetrics>,
}

impl Credentials {
    /// As the files say now.
    pub fn read(config: &Config, metrics: &Metrics) -> anyhow::Result<Credentials> {
        let files = config.access.clone();
        let in_force = signature(&files);
        let metrics = metrics.credentials.clone();
        let (tokens, certificate) = read(&files).map_err(anyhow::Error::msg)?;
        show(&metrics, tokens.as_ref(), certificate.as_ref());
        let (access, identity) = (tokens.map_or_else(Access::open, Access::by), certificate.map(Identity::new));
        Ok(Credentials { files, watch: config.watch, in_force, access, identity, metrics })
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
        let (tokens, certificate) = match read(&self.files) {
            Ok(read) => read,
            Err(error) => {
                self.metrics.failed.inc();
                tracing::error!(error, "changed tokens or a changed certificate are refused; what was in force stays in force");
                return;
            }
        };
        show(&self.metrics, tokens.as_ref(), certificate.as_ref());
        self.metrics.reloaded.inc();
        tracing::info!(tokens = tokens.as_ref().map_or(0, |tokens| tokens.0.len()), "tokens and certificate were loaded anew");
        tokens.into_iter().for_each(|tokens| self.access.replace(tokens));
        self.identity.iter().zip(certificate).for_each(|(identity, certificate)| identity.replace(certificate));
    }
}

fn read(files: &config::access::Access) -> Result<(Option<Tokens>, Option<Certificate>), String> {
    let first = |problems: Vec<_>| problems.first().map(report::in_a_line).unwrap_or_default();
    Ok((files.read_tokens().map_err(first)?, files.read_certificate().map_err(|error| error.to_string())?))
}

fn show(metrics: &CredentialMetrics, tokens: Option<&Tokens>, certificate: Option<&Certificate>) {
    let tokens = tokens.iter().flat_map(|tokens| &tokens.0);
    metrics.tokens_end(tokens.filter_map(|token| Some((token.name.as_str(), token.expires?))));
    certificate.into_iter().for_each(|certificate| metrics.certificate_ends(certificate.expires));
}

fn signature(files: &config::access::Access) -> Signature {
    let files: Vec<PathBuf> = files.files().map(PathBuf::from).collect();
    Signature::of(files.iter().map(PathBuf::as_path))
}
