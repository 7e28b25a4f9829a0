//! Asking a running service over HTTP: what `report`, `explain` and `plan` do with `--url`.
//!
//! **Invariant:** a token goes to the address that a person has named, and to the owner of a customer that this one names, but never
//! from TLS into the clear.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use openssl::ssl::{SslConnector, SslMethod};
use serde::Deserialize;
use serde_json::Value;

use crate::http::place::{self, Place};

/// For a connection, and for each wait for bytes.
const WAIT: Duration = Duration::from_secs(15);

/// An answer has some kilobytes for each of a few hundred segments.
const LONGEST_ANSWER: u64 = 16 << 20;

/// Where a token comes from: a command line is seen by everybody on the machine.
const TOKEN: &str = "SEGMENTD_TOKEN";

/// Asks until there is an answer, a second apart while the service is not ready or still counting.
///
/// Errors: what the problem document says that comes instead, and whatever is no answer within `attempts`.
pub fn ask(url: &str, path: &str, body: Option<&[u8]>, attempts: usize) -> anyhow::Result<Vec<u8>> {
    let place = Place::parse(url)?;
    for _ in 0..attempts {
        let (code, answer) = send(&place, path, body)?;
        match code {
            200 => return Ok(answer),
            503 => std::thread::sleep(Duration::from_secs(1)),
            421 => {
                let owner =
                    owner(&answer).ok_or_else(|| anyhow!("421: {}; name the address of the process that owns it", detail(&answer)))?;
                return ask_owner(&place, &owner, path, body).with_context(|| format!("the customer is at {owner}"));
            }
            _ => bail!("{code}: {}", detail(&answer)),
        }
    }
    bail!("it is still counting, or starting, after {attempts} s")
}

/// The process that a service has named is asked once: it knows, or the partition has just moved.
fn ask_owner(from: &Place<'_>, owner: &str, path: &str, body: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
    let place = Place::parse(owner)?;
    if from.tls && !place.tls {
        bail!("it is not asked, since it answers without TLS");
    }
    match send(&place, path, body)? {
        (200, answer) => Ok(answer),
        (code, answer) => bail!("{code}: {}", detail(&answer)),
    }
}

fn owner(problem: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(problem).ok()?["owner"].as_str().map(String::from)
}

/// What a problem document says (RFC 9457).
fn detail(body: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    problem.and_then(|problem| problem["detail"].as_str().map(String::from)).unwrap_or_else(|| "no reason is given".into())
}

/// Which partitions an answer is about.
#[derive(Deserialize)]
pub struct Covered {
    here: Vec<i32>,
    of: u32,
}

/// Those of several answers, which are added up.
#[derive(Default)]
pub struct Coverage {
    seen: BTreeSet<i32>,
    of: u32,
}

impl Coverage {
    /// Errors: a partition was counted before.
    pub fn add(&mut self, covered: &Covered) -> anyhow::Result<()> {
        if let Some(twice) = covered.here.iter().find(|partition| !self.seen.insert(**partition)) {
            bail!("partition {twice} was counted by two services: it has just moved, ask again; or one is named twice");
        }
        self.of = self.of.max(covered.of);
        Ok(())
    }

    /// Says which partitions nobody has counted.
    pub fn warn(&self) {
        let missing = (0..self.of).filter(|partition| i32::try_from(*partition).is_ok_and(|partition| !self.seen.contains(&partition)));
        let missing: Vec<String> = missing.map(|partition| partition.to_string()).collect();
        if !missing.is_empty() {
            eprintln!("warning: of {} partitions none of these services has counted {}", self.of, missing.join(", "));
        }
    }
}

/// The code and the body that a path answers.
fn send(place: &Place<'_>, path: &str, body: Option<&[u8]>) -> anyhow::Result<(u16, Vec<u8>)> {
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty() && !token.contains(['\r', '\n']));
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let request = place.request(path, &authorization, body);
    let stream = connect(place)?;
    if !place.tls {
        return exchange(stream, &request);
    }
    let connector = SslConnector::builder(SslMethod::tls_client())?.build();
    exchange(connector.connect(place.host, stream).map_err(|error| anyhow!("no TLS with {}: {error}", place.host))?, &request)
}

fn connect(place: &Place<'_>) -> anyhow::Result<TcpStream> {
    let addresses = (place.host, place.port).to_socket_addrs().with_context(|| format!("there is no host `{}`", place.host))?;
    let mut refused = anyhow!("there is no host `{}`", place.host);
    for address in addresses {
        match TcpStream::connect_timeout(&address, WAIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                return Ok(stream);
            }
            Err(error) => refused = anyhow!("{address}: {error}"),
        }
    }
    Err(refused)
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).context("the answer broke off")?;
    place::take_apart(answer).ok_or_else(|| anyhow!("the answer is no HTTP"))
}
