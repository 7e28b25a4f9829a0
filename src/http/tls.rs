//! TLS, by the system's OpenSSL: the same that librdkafka uses, and fixed with it.
//!
//! The certificate may be replaced while the server runs; connections that are open keep the one they began with.
//!
//! **Invariant:** accepting a connection never waits for its handshake. That is done by its first read, under the same
//! bounds as the rest of it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;

use super::listener::Connection;
use crate::time::EventTime;

/// Why a certificate cannot be used: a person has to act.
#[derive(thiserror::Error, Debug)]
pub enum TlsError {
    #[error("the certificate {path} cannot be used: {source}")]
    Certificate { path: PathBuf, source: ErrorStack },
    #[error("the key {path} cannot be used: {source}")]
    Key { path: PathBuf, source: ErrorStack },
    #[error("the key {key} is not that of the certificate {certificate}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] ErrorStack),
}

/// A certificate with its key, in force from now on.
pub struct Certificate {
    acceptor: SslAcceptor,
    /// When its own validity ends.
    pub expires: EventTime,
}

impl Certificate {
    /// PEM files: the chain, the server's own certificate first, and the key.
    pub fn read(chain: &Path, key: &Path) -> Result<Certificate, TlsError> {
        // TLS 1.2 and 1.3, forward secrecy only. Source: Mozilla's server side TLS, intermediate, version 5.
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        let unusable = |source| TlsError::Certificate { path: chain.into(), source };
        builder.set_certificate_chain_file(chain).map_err(unusable)?;
        builder.set_private_key_file(key, SslFiletype::PEM).map_err(|source| TlsError::Key { path: key.into(), source })?;
        builder.check_private_key().map_err(|_| TlsError::Mismatch { certificate: chain.into(), key: key.into() })?;
        let acceptor = builder.build();
        let expires = acceptor.context().certificate().map(|own| end_of(own.not_after())).transpose()?;
        Ok(Certificate { acceptor, expires: expires.unwrap_or(EventTime::MIN) })
    }
}

fn end_of(end: &openssl::asn1::Asn1TimeRef) -> Result<EventTime, ErrorStack> {
    let left = Asn1Time::from_unix(0)?.diff(end)?;
    Ok(EventTime::from_millis((i64::from(left.days) * 86_400 + i64::from(left.secs)) * 1000))
}

/// The certificate in force; the same for all clones.
#[derive(Clone)]
pub struct Identity(Arc<RwLock<Arc<Certificate>>>);

impl Identity {
    pub fn new(certificate: Certificate) -> Identity {
        Identity(Arc::new(RwLock::new(Arc::new(certificate))))
    }

    /// For connections from now on.
    pub fn replace(&self, certificate: Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }

    fn begin(&self, connection: Connection) -> Result<SslStream<Connection>, ErrorStack> {
        let certificate = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut session = Ssl::new(certificate.acceptor.context())?;
        session.set_accept_state();
        SslStream::new(session, connection)
    }
}

/// A connection as it is spoken over.
pub enum Wire {
    Plain(Connection),
    Tls(SslStream<Connection>),
    /// No session could be made: it reads as closed.
    Closed,
}

impl Wire {
    pub fn over(connection: Connection, identity: Option<&Identity>) -> Wire {
        let Some(identity) = identity else { return Wire::Plain(connection) };
        identity.begin(connection).map_or_else(
            |error| {
                tracing::error!(%error, "a TLS session cannot be made");
                Wire::Closed
            },
            Wire::Tls,
        )
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(context),
            Wire::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Closed => Poll::Ready(Ok(())),
        }
    }
}
