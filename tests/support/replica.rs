//! A read replica in this process, with lookups over HTTP as a client makes them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use segmentd::http::lookup::{Limits, Lookup};
use segmentd::http::{Server, Site};
use segmentd::id::TopicName;
use segmentd::metrics::{Labels, Metrics};
use segmentd::replica::{self, Memberships, ReplicaError};
use segmentd::runtime::Shutdown;
use segmentd::runtime::status::Status;
use serde_json::Value;
use tokio::sync::watch;

use super::service::MEMBERSHIP;

pub struct Replica {
    pub address: SocketAddr,
    shutdown: Shutdown,
    reading: Option<JoinHandle<Result<(), ReplicaError>>>,
    _stop_http: watch::Sender<bool>,
    _io: tokio::runtime::Runtime,
}

impl Replica {
    pub fn start(kafka: segmentd::kafka::Settings, dir: &Path) -> Replica {
        let (status, shutdown, memberships) = (Status::new(), Shutdown::default(), Arc::new(Memberships::default()));
        let metrics = Metrics::new(&Labels::default()).expect("metrics");
        let lookup = Lookup { memberships: memberships.clone(), limits: Limits::new(512) };
        let site = Site { metrics: metrics.clone(), status: status.clone(), progress_limit: Duration::from_secs(30), lookup: Some(lookup) };
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let server = io.block_on(Server::bind("127.0.0.1:0", site)).expect("listens");
        let (address, (stop_http, stopped)) = (server.address(), watch::channel(false));
        io.spawn(server.run(stopped));
        let settings = replica::Settings { kafka, topic: TopicName(MEMBERSHIP.into()), dir: dir.into(), memory_bytes: 16 << 20 };
        let asked = shutdown.clone();
        let reading = std::thread::spawn(move || replica::run(settings, memberships, &metrics, status, &asked));
        Replica { address, shutdown, reading: Some(reading), _stop_http: stop_http, _io: io }
    }

    /// The code and the body that a path answers.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("connects");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("asks");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("answers");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code"), body.to_owned())
    }

    pub fn customer(&self, id: &str) -> Option<Value> {
        let (code, body) = self.get(&format!("/api/v1/customers/{id}/segments"));
        (code == 200).then(|| serde_json::from_str(&body).expect("JSON"))
    }

    /// Is this customer in this segment? `None`: there is no answer yet.
    pub fn holds(&self, id: &str, segment: &str) -> Option<bool> {
        self.customer(id).map(|told| told["segments"].get(segment).is_some())
    }

    pub fn await_that(&self, what: &str, mut done: impl FnMut(&Replica) -> bool) -> Duration {
        let begun = Instant::now();
        while !done(self) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "not {what} within 30 s: {:?}\n{}",
                self.get("/readyz"),
                self.get("/metrics").1
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    pub fn await_ready(&self) -> Duration {
        self.await_that("ready", |replica| replica.get("/readyz").0 == 200)
    }

    /// A figure without labels.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").1;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).expect("a figure")
    }

    pub fn stop(mut self) {
        self.shutdown.request();
        self.reading.take().expect("runs").join().expect("no panic").expect("a clean end");
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}
