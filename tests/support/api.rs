//! The HTTP interface in this process, asked over a socket as a client asks it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use segmentd::http::lookup::{Lookup, Source};
use segmentd::http::peers::Peers;
use segmentd::http::room::Limits;
use segmentd::http::service::{InForce, Partitions, Rules, Service};
use segmentd::http::{Server, Site};
use segmentd::runtime::Observed;
use segmentd::runtime::measuring::Measuring;
use serde_json::Value;
use tokio::sync::watch;

pub struct Api {
    pub address: SocketAddr,
    _stop: watch::Sender<bool>,
    _io: tokio::runtime::Runtime,
}

impl Api {
    /// Of a running service over these definitions.
    pub fn of(observed: &Observed, rules: Rules) -> Api {
        let partitions = Partitions { committed: observed.committed.clone(), owners: observed.owners.clone() };
        let service = Service {
            partitions: partitions.clone(),
            rules: InForce::new(rules),
            metrics: observed.metrics.clone(),
            feed: observed.feed.clone(),
            history: None,
            measuring: Measuring::new(observed.metrics.experiments.clone()),
            status: observed.status.clone(),
            peers: Peers::default(),
            requests: None,
        };
        Api::start(observed, Source::Service(partitions), Some(service))
    }

    pub fn start(observed: &Observed, source: Source, service: Option<Service>) -> Api {
        let lookup = Lookup { source, limits: Limits::new(512) };
        let (metrics, status) = (observed.metrics.clone(), observed.status.clone());
        let site = Site { metrics, status, progress_limit: Duration::from_secs(30), lookup: Some(lookup), service };
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let server = io.block_on(Server::bind("127.0.0.1:0", site)).expect("listens");
        let (address, (stop, stopped)) = (server.address(), watch::channel(false));
        io.spawn(server.run(stopped));
        Api { address, _stop: stop, _io: io }
    }

    /// The code and the body that a path answers.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.address, path)
    }

    pub fn json(&self, path: &str) -> (u16, Value) {
        let (code, body) = self.get(path);
        (code, serde_json::from_str(&body).expect("JSON"))
    }

    /// What is told of a customer's memberships; nothing while there is no answer.
    pub fn customer(&self, id: &str) -> Option<Value> {
        let (code, body) = self.json(&format!("/api/v1/customers/{id}/segments"));
        (code == 200).then_some(body)
    }

    /// Is this customer in this segment? `None`: there is no answer yet.
    pub fn holds(&self, id: &str, segment: &str) -> Option<bool> {
        self.customer(id).map(|told| told["segments"].get(segment).is_some())
    }

    /// Asks until it is so; how long that took.
    pub fn await_that(&self, what: &str, mut done: impl FnMut(&Api) -> bool) -> Duration {
        let begun = Instant::now();
        while !done(self) {
            let late = || format!("not {what} within 30 s: {:?}\n{}", self.get("/readyz"), self.get("/metrics").1);
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", late());
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }
}

/// The code and the body that a path of a server answers.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connects");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("asks");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("answers");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code"), body.to_owned())
}
