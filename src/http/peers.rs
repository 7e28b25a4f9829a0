//! The other processes of a deployment, asked the same question: what this one cannot know by itself.
//!
//! They are asked with the token of whoever asks, so nobody learns more of all of them than of one; each of them checks it, and
//! each writes its own audit record. An answer of theirs is never asked for on behalf of another one: the question goes one step.
//!
//! **Invariant:** everything is bounded: how many are asked, for how long, and how much they may say. Who cannot be asked is named.
//! A token that came by TLS goes nowhere without it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use openssl::ssl::{SslConnector, SslMethod};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_openssl::SslStream;

use super::place::{Place, take_apart};

/// For the whole of one question: a page that waits for who has died waits for this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Processes that are asked; the others are named as unreached.
const MOST: usize = 64;
/// A page of segments has a kilobyte for each of 500; the figures of a process with thousands, some megabytes.
const LONGEST_ANSWER: usize = 16 << 20;
/// Read at once.
const CHUNK: usize = 64 << 10;

/// How the others are asked. Cheap to clone.
#[derive(Clone, Default)]
pub struct Peers {
    /// This process's own address, as it tells the others.
    pub own: Option<Arc<str>>,
    /// It answers by TLS alone.
    pub tls: bool,
    /// Who signs the others' certificates, PEM; `None`: whom the system trusts. Read anew for each question.
    pub authority: Option<PathBuf>,
}

/// A process that is not in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unreached {
    /// As it told the others last.
    pub address: String,
    /// Partitions that it had then.
    pub partitions: Vec<i32>,
    pub why: String,
}

/// A process that has answered.
#[derive(Debug)]
pub struct Answer {
    pub address: Arc<str>,
    /// Partitions that it is believed to have.
    pub partitions: Vec<i32>,
    pub told: Value,
}

/// One that is to be asked.
struct Asked {
    address: Arc<str>,
    partitions: Vec<i32>,
}

impl Peers {
    /// Asks each process by its address, all at once; the partitions are those that it is believed to have.
    pub async fn ask(
        &self,
        processes: BTreeMap<Arc<str>, Vec<i32>>,
        path: &str,
        token: Option<&HeaderValue>,
    ) -> (Vec<Answer>, Vec<Unreached>) {
        let headers = token.and_then(|token| token.to_str().ok()).map_or_else(String::new, |token| format!("Authorization: {token}\r\n"));
        let (mut answers, mut unreached, mut asking) = (Vec::new(), Vec::new(), JoinSet::new());
        for (n, (address, partitions)) in processes.into_iter().enumerate() {
            let asked = Asked { address, partitions };
            if n >= MOST {
                unreached.push(asked.unreached(format!("at most {MOST} processes are asked")));
                continue;
            }
            let (peers, path, headers) = (self.clone(), path.to_owned(), headers.clone());
            asking.spawn(async move {
                let answer = tokio::time::timeout(PATIENCE, peers.one(&asked.address, &path, &headers)).await;
                (answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))), asked)
            });
        }
        while let Some(joined) = asking.join_next().await {
            match joined {
                Ok((Ok(told), Asked { address, partitions })) => answers.push(Answer { address, partitions, told }),
                Ok((Err(why), asked)) => unreached.push(asked.unreached(why)),
                Err(error) => tracing::error!(%error, "a question to another process ended badly"),
            }
        }
        answers.sort_by(|a, b| a.address.cmp(&b.address));
        unreached.sort_by(|a, b| a.address.cmp(&b.address));
        (answers, unreached)
    }

    /// Errors: why there is no answer.
    async fn one(&self, address: &str, path: &str, headers: &str) -> Result<Value, String> {
        let place = Place::parse(address).map_err(|error| error.to_string())?;
        if self.tls && !place.tls {
            return Err("it answers without TLS, and is not given the token".into());
        }
        let request = place.request(path, headers, None);
        let connected = TcpStream::connect((place.host, place.port)).await;
        let stream = connected.map_err(|error| format!("it cannot be reached: {error}"))?;
        let answer =
            if place.tls { exchange(self.secured(&place, stream).await?, &request).await? } else { exchange(stream, &request).await? };
        let (code, body) = take_apart(answer).ok_or("its answer is no HTTP")?;
        let told: Value = serde_json::from_slice(&body).map_err(|_| format!("it answers {code}, and no JSON"))?;
        match code {
            200 => Ok(told),
            _ => Err(format!("{code}: {}", told["detail"].as_str().unwrap_or("no reason is given"))),
        }
    }

    async fn secured(&self, place: &Place<'_>, stream: TcpStream) -> Result<SslStream<TcpStream>, String> {
        let said = |error: &dyn std::fmt::Display| format!("no TLS with it: {error}");
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|error| said(&error))?;
        if let Some(authority) = &self.authority {
            builder.set_ca_file(authority).map_err(|error| format!("{} holds no certificate: {error}", authority.display()))?;
        }
        let configured = builder.build().configure().and_then(|configuration| configuration.into_ssl(place.host));
        let mut stream = SslStream::new(configured.map_err(|error| said(&error))?, stream).map_err(|error| said(&error))?;
        Pin::new(&mut stream).connect().await.map_err(|error| said(&error))?;
        Ok(stream)
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Result<Vec<u8>, String> {
    send(&mut stream, request).await.map_err(|error| format!("it cannot be asked: {error}"))?;
    let answer = receive(&mut stream).await.map_err(|error| format!("its answer broke off: {error}"))?;
    if answer.len() > LONGEST_ANSWER { Err("its answer is too long".into()) } else { Ok(answer) }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|context| Pin::new(&mut *stream).poll_write(context, bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)).await
}

/// To the end, or to the first bytes that are too many.
async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let (mut answer, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    while answer.len() <= LONGEST_ANSWER {
        let mut read = ReadBuf::new(&mut chunk);
        poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut read)).await?;
        if read.filled().is_empty() {
            break;
        }
        answer.extend_from_slice(read.filled());
    }
    Ok(answer)
}

impl Asked {
    fn unreached(self, why: String) -> Unreached {
        Unreached { address: self.address.to_string(), partitions: self.partitions, why }
    }
}
