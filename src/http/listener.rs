//! A listener that accepts a bounded number of connections and closes those that say nothing.
//!
//! Without it one client that opens connections and never writes would keep `/livez` from being answered, and the
//! process would be killed for it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::tls::{Identity, Wire};

#[derive(Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    /// How long a connection may go without sending or taking anything.
    pub idle: Duration,
}

impl Bounds {
    /// Scrapers and probes need a handful; a prober that keeps its connection open asks again within 30 s.
    pub const DEFAULT: Bounds = Bounds { connections: 256, idle: Duration::from_secs(75) };

    /// Every till of a shop may keep one open.
    pub const LOOKUPS: Bounds = Bounds { connections: 2048, idle: Duration::from_secs(75) };
}

pub struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    idle: Duration,
    /// `None`: without TLS.
    identity: Option<Identity>,
}

/// An accepted connection; dropped, it makes room for another.
pub struct Connection {
    stream: TcpStream,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Bounded {
    pub fn new(listener: TcpListener, bounds: Bounds) -> Bounded {
        Bounded { listener, permits: Arc::new(Semaphore::new(bounds.connections)), idle: bounds.idle, identity: None }
    }

    /// Speaks TLS from now on.
    pub fn as_identity(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }
}

impl Listener for Bounded {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        // The semaphore is never closed, so that there always is a permit in the end.
        let permit = self.permits.clone().acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let deadline = Box::pin(tokio::time::sleep(self.idle));
        (Wire::over(Connection { stream, idle: self.idle, deadline, _permit: permit }, self.identity.as_ref()), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            let deadline = tokio::time::sleep(self.idle);
            self.deadline.set(deadline);
            return Poll::Ready(read);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        // Whoever takes what is sent is there, also if it has nothing to say.
        let deadline = tokio::time::sleep(self.idle);
        self.deadline.set(deadline);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
