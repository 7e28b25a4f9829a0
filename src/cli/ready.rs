//! `segmentd ready`: is the service on this machine ready? For the health check of a container, where there is no curl.
//!
//! **Invariant:** it asks this machine alone, so that a certificate that is not for `localhost` is no obstacle: there is
//! nobody in between.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use super::{Outcome, report};

/// Longer, and it is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ask the service on this machine whether it is ready
#[derive(Parser)]
#[command(after_help = "Examples:\n  segmentd ready\n  segmentd ready --serve\n\nExit codes: 0 ready, 1 not, with its answer on stderr.")]
pub struct Args {
    /// Whose address to ask; without it config/segmentd.yaml, if there is one, and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask `segmentd serve`
    #[arg(long)]
    serve: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(config) = report::configuration(args.config.as_deref()) else { return Ok(Outcome::Refused) };
    let listen = if args.serve { config.serve } else { config.listen };
    let answer = ask(local(listen), config.access.identity.is_some())?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(Outcome::Done);
    }
    eprintln!("{}", answer.lines().last().unwrap_or_default());
    Ok(Outcome::Failed)
}

/// Where this machine reaches itself.
fn local(listen: SocketAddr) -> SocketAddr {
    match listen {
        any if !any.ip().is_unspecified() => any,
        SocketAddr::V4(any) => ([127, 0, 0, 1], any.port()).into(),
        SocketAddr::V6(any) => (std::net::Ipv6Addr::LOCALHOST, any.port()).into(),
    }
}

fn ask(address: SocketAddr, tls: bool) -> anyhow::Result<String> {
    let connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    if !tls {
        return exchange(connection);
    }
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    exchange(connector.build().configure()?.verify_hostname(false).connect("localhost", connection)?)
}

fn exchange(mut stream: impl Read + Write) -> anyhow::Result<String> {
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // A peer that closes without TLS's own goodbye has said all the same.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
