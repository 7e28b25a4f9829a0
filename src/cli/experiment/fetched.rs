//! The reports of running services, each over its own partitions, added up.
//!
//! **Invariant:** no customer is counted twice, and none is left out silently: a partition that two services have counted is
//! an error, one that none has is named.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use openssl::ssl::{SslConnector, SslMethod};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::experiment::{Document, Report};

/// For a connection, and for each wait for bytes.
const WAIT: Duration = Duration::from_secs(15);

/// How often a service is asked again that is still counting, a second apart.
const ATTEMPTS: usize = 60;

/// A report has a few kilobytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Where a token comes from: a command line is seen by everybody on the machine.
const TOKEN: &str = "SEGMENTD_TOKEN";

/// What `GET /api/v1/experiments/{key}` answers.
#[derive(Deserialize)]
struct Answer {
    partitions: Covered,
    #[serde(flatten)]
    report: Document,
}

#[derive(Deserialize)]
struct Covered {
    here: Vec<i32>,
    of: u32,
}

/// The report over all partitions of these services.
pub fn fetched(urls: &[String], experiment: &str) -> anyhow::Result<Report> {
    let (mut all, mut seen, mut partitions): (Option<Report>, BTreeSet<i32>, u32) = (None, BTreeSet::new(), 0);
    for url in urls {
        let answer = ask(url, experiment).with_context(|| format!("{url} has no report"))?;
        if let Some(twice) = answer.partitions.here.iter().find(|partition| !seen.insert(**partition)) {
            bail!("partition {twice} was counted by two services: it has just moved, ask again; or one is named twice");
        }
        partitions = partitions.max(answer.partitions.of);
        let report = answer.report.to_report().ok_or_else(|| anyhow!("{url} answers something that is no report"))?;
        all = Some(match all {
            None => report,
            Some(all) => all.with(report).ok_or_else(|| anyhow!("{url} measures another experiment under this name"))?,
        });
    }
    let missing: Vec<String> =
        (0..partitions as i32).filter(|partition| !seen.contains(partition)).map(|partition| partition.to_string()).collect();
    if !missing.is_empty() {
        eprintln!("warning: of {partitions} partitions none of these services has counted {}", missing.join(", "));
    }
    all.ok_or_else(|| anyhow!("no service is named"))
}

fn ask(url: &str, experiment: &str) -> anyhow::Result<Answer> {
    let place = Place::parse(url)?;
    for _ in 0..ATTEMPTS {
        let (code, body) = place.get(&format!("/api/v1/experiments/{}", utf8_percent_encode(experiment, NON_ALPHANUMERIC)))?;
        match code {
            200 => return serde_json::from_slice(&body).context("the answer is no report"),
            503 => std::thread::sleep(Duration::from_secs(1)),
            _ => bail!("{code}: {}", detail(&body)),
        }
    }
    bail!("it is still counting, or starting, after {ATTEMPTS} s")
}

/// What a problem document says (RFC 9457).
fn detail(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    problem.and_then(|problem| problem["detail"].as_str().map(String::from)).unwrap_or_else(|| "no reason is given".into())
}

/// A service's address.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    tls: bool,
    host: &'a str,
    port: u16,
    /// What stands before every path.
    base: &'a str,
}

impl<'a> Place<'a> {
    fn parse(url: &'a str) -> anyhow::Result<Place<'a>> {
        let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => bail!("`{url}` is no address: write http://host:8080"),
        };
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = match port {
            Some((host, port)) => (host, port.parse().with_context(|| format!("`{port}` is no port"))?),
            None => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Place { tls, host, port, base: base.trim_end_matches('/') })
    }

    /// The code and the body that a path answers. HTTP/1.0, so that the answer ends with the connection.
    fn get(&self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty() && !token.contains(['\r', '\n']));
        let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!("GET {}{path} HTTP/1.0\r\nHost: {}:{}\r\n{authorization}\r\n", self.base, self.host, self.port);
        let stream = self.connect()?;
        if !self.tls {
            return exchange(stream, &request);
        }
        let connector = SslConnector::builder(SslMethod::tls_client())?.build();
        exchange(connector.connect(self.host, stream).map_err(|error| anyhow!("no TLS with {}: {error}", self.host))?, &request)
    }

    fn connect(&self) -> anyhow::Result<TcpStream> {
        let addresses = (self.host, self.port).to_socket_addrs().with_context(|| format!("there is no host `{}`", self.host))?;
        let mut refused = anyhow!("there is no host `{}`", self.host);
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
}

fn exchange(mut stream: impl Read + Write, request: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).context("the answer broke off")?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| anyhow!("the answer is no HTTP"))?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| anyhow!("the answer is no HTTP"))?;
    Ok((code, answer.split_off(end + 4)))
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn an_address_is_read_with_its_defaults() {
        let place = |url| Place::parse(url).map(|Place { tls, host, port, base }| (tls, host, port, base)).ok();
        assert_eq!(place("http://a:8080"), Some((false, "a", 8080, "")));
        assert_eq!(place("https://a.example/segments/"), Some((true, "a.example", 443, "/segments")));
        assert_eq!(place("http://[::1]:8080"), Some((false, "::1", 8080, "")));
        assert_eq!(place("http://[::1]"), Some((false, "::1", 80, "")));
        assert!(place("a:8080").is_none() && place("http://a:x").is_none());
    }
}
