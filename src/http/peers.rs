//! The other processes of a deployment, asked the same question: what this one cannot know by itself.
//!
//! They are asked with the token of whoever asks, so nobody learns more of all of them than of one; each of them checks it, and
//! each writes its own audit record. An answer of theirs is never asked for on behalf of another one: the question goes one step.
//!
//! **Invariant:** everything is bounded: how many are asked, for how long, and how much they may say. Who cannot be asked is named.
//! A token that came by TLS goes nowhere without it.

mod events;

pub use events::{Event, Events};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use openssl::ssl::{SslConnector, SslMethod};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
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
    /// It is at work on its answer: who asks again later gets it.
    #[serde(skip)]
    pub is_at_work: bool,
}

/// A member of a problem document (503): see [`Unreached::is_at_work`].
pub const AT_WORK: &str = "at_work";

/// What they are asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// With its query.
    pub path: &'a str,
    /// `Authorization` of whoever asks.
    pub token: Option<&'a HeaderValue>,
    /// Of a POST.
    pub body: Option<&'a [u8]>,
}

/// A process that has answered.
#[derive(Debug)]
pub struct Answer {
    pub address: Arc<str>,
    /// Partitions that it is believed to have.
    pub partitions: Vec<i32>,
    pub told: Value,
}

/// What another process sends, in TLS or not.
type Incoming = Box<dyn AsyncRead + Send + Unpin>;

/// One that is to be asked.
struct Asked {
    address: Arc<str>,
    partitions: Vec<i32>,
}

/// Why there is no answer.
struct Why {
    text: String,
    is_at_work: bool,
}

impl Peers {
    /// Asks each process by its address, all at once; the partitions are those that it is believed to have.
    pub async fn ask(&self, processes: BTreeMap<Arc<str>, Vec<i32>>, question: Question<'_>) -> (Vec<Answer>, Vec<Unreached>) {
        let one = |peers: Peers, address: Arc<str>, request: Vec<u8>| async move { peers.one(&address, &request).await };
        let (answers, unreached) = self.each(processes, question, one).await;
        (answers.into_iter().map(|(Asked { address, partitions }, told)| Answer { address, partitions, told }).collect(), unreached)
    }

    /// Listens to each of them: what it says first, and what it goes on to say.
    pub async fn listen(&self, processes: BTreeMap<Arc<str>, Vec<i32>>, question: Question<'_>) -> (Vec<(Answer, Events)>, Vec<Unreached>) {
        let begin = |peers: Peers, address: Arc<str>, request: Vec<u8>| async move { peers.begin(&address, &request).await };
        let (answers, unreached) = self.each(processes, question, begin).await;
        let answer = |(Asked { address, partitions }, (told, events))| (Answer { address, partitions, told }, events);
        (answers.into_iter().map(answer).collect(), unreached)
    }

    /// What each answers within its time, in the order of their addresses.
    async fn each<T: Send + 'static, F: Future<Output = Result<T, Why>> + Send + 'static>(
        &self,
        processes: BTreeMap<Arc<str>, Vec<i32>>,
        question: Question<'_>,
        ask: impl Fn(Peers, Arc<str>, Vec<u8>) -> F,
    ) -> (Vec<(Asked, T)>, Vec<Unreached>) {
        let (mut answers, mut unreached, mut asking) = (Vec::new(), Vec::new(), JoinSet::new());
        for (n, (address, partitions)) in processes.into_iter().enumerate() {
            let asked = Asked { address, partitions };
            let request = if n < MOST { question.to(&asked.address) } else { Err(format!("at most {MOST} processes are asked")) };
            let request = match request {
                Ok(request) => request,
                Err(why) => {
                    unreached.push(asked.unreached(why.into()));
                    continue;
                }
            };
            let answer = tokio::time::timeout(PATIENCE, ask(self.clone(), asked.address.clone(), request));
            asking.spawn(async move {
                let silent = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()).into());
                (answer.await.unwrap_or_else(silent), asked)
            });
        }
        while let Some(joined) = asking.join_next().await {
            match joined {
                Ok((Ok(answer), asked)) => answers.push((asked, answer)),
                Ok((Err(why), asked)) => unreached.push(asked.unreached(why)),
                Err(error) => tracing::error!(%error, "a question to another process ended badly"),
            }
        }
        answers.sort_by(|(a, _), (b, _)| a.address.cmp(&b.address));
        unreached.sort_by(|a, b| a.address.cmp(&b.address));
        (answers, unreached)
    }

    /// Errors: why there is no answer.
    async fn one(&self, address: &str, request: &[u8]) -> Result<Value, Why> {
        let (code, body) =
            take_apart(received(self.send(address, request).await?).await?).ok_or_else(|| "its answer is no HTTP".to_owned())?;
        let told: Value = serde_json::from_slice(&body).map_err(|_| format!("it answers {code}, and no JSON"))?;
        match code {
            200 => Ok(told),
            _ => Err(Why { is_at_work: code == 503 && told[AT_WORK] == true, ..Why::told(code, &told) }),
        }
    }

    /// The first event, and those that follow. Errors: why there are none.
    async fn begin(&self, address: &str, request: &[u8]) -> Result<(Value, Events), Why> {
        let mut events = Events::of(self.send(address, request).await?).await?;
        let first = events.next().await.and_then(|event| serde_json::from_str(&event.data).ok());
        Ok((first.ok_or_else(|| "its answer has another form".to_owned())?, events))
    }

    /// Sends a request; where the answer comes from. Errors: why it cannot be asked.
    async fn send(&self, address: &str, request: &[u8]) -> Result<Incoming, String> {
        let place = Place::parse(address).map_err(|error| error.to_string())?;
        if self.tls && !place.tls {
            return Err("it answers without TLS, and is not given the token".into());
        }
        let connected = TcpStream::connect((place.host, place.port)).await;
        let stream = connected.map_err(|error| format!("it cannot be reached: {error}"))?;
        if place.tls { sent(self.secured(&place, stream).await?, request).await } else { sent(stream, request).await }
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

async fn sent(mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, request: &[u8]) -> Result<Incoming, String> {
    let sent = async { stream.write_all(request).await.and(stream.flush().await) };
    sent.await.map_err(|error| format!("it cannot be asked: {error}"))?;
    Ok(Box::new(stream))
}

async fn received(stream: Incoming) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    let received = stream.take(LONGEST_ANSWER as u64 + 1).read_to_end(&mut answer).await;
    received.map_err(|error| format!("its answer broke off: {error}"))?;
    if answer.len() > LONGEST_ANSWER { Err("its answer is too long".into()) } else { Ok(answer) }
}

impl Question<'_> {
    /// The request to an address. Errors: it is no address.
    fn to(&self, address: &str) -> Result<Vec<u8>, String> {
        let place = Place::parse(address).map_err(|error| error.to_string())?;
        let token = self.token.and_then(|token| token.to_str().ok());
        let headers = token.map_or_else(String::new, |token| format!("Authorization: {token}\r\n"));
        Ok(place.request(self.path, &headers, self.body))
    }
}

impl Why {
    /// What an answer says that is no 200, with its problem document.
    fn told(code: impl std::fmt::Display, problem: &Value) -> Why {
        Why::from(format!("{code}: {}", problem["detail"].as_str().unwrap_or("no reason is given")))
    }
}

impl From<String> for Why {
    fn from(text: String) -> Why {
        Why { text, is_at_work: false }
    }
}

impl Asked {
    fn unreached(self, why: Why) -> Unreached {
        let Why { text: why, is_at_work } = why;
        Unreached { address: self.address.to_string(), partitions: self.partitions, why, is_at_work }
    }
}
