//! Requests over a real socket, by a client that knows nothing but TCP.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::*;
use crate::metrics::Labels;
use crate::runtime::status::{Check, Condition};

/// A server that runs on threads of its own.
pub struct Running {
    runtime: tokio::runtime::Runtime,
    serving: tokio::task::JoinHandle<Result<(), HttpError>>,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    status: Status,
}

fn start() -> Running {
    start_with(Bounds::DEFAULT)
}

fn start_with(bounds: Bounds) -> Running {
    start_site(None, None, bounds)
}

/// With lookups, where they are given.
pub fn start_site(lookup: Option<Lookup>, service: Option<Service>, bounds: Bounds) -> Running {
    start_guarded(lookup, service, bounds, Access::open())
}

/// For those alone whom `access` lets.
pub fn start_guarded(lookup: Option<Lookup>, service: Option<Service>, bounds: Bounds, access: Access) -> Running {
    start_as(lookup, service, bounds, |server| server.protected(access, None))
}

/// With the console, and nothing that it could show.
pub fn start_console() -> Running {
    start_as(None, None, Bounds::DEFAULT, Server::with_console)
}

fn start_as(lookup: Option<Lookup>, service: Option<Service>, bounds: Bounds, dressed: impl FnOnce(Server) -> Server) -> Running {
    let metrics = Metrics::new(&Labels { routes: ROUTES.into(), ..Labels::default() }).unwrap();
    let status = Status::new();
    let site = Site { metrics, status: status.clone(), progress_limit: Duration::from_millis(50), lookup, service };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = dressed(runtime.block_on(Server::bind_within("127.0.0.1:0", site, bounds)).unwrap());
    let (stop, stopped) = watch::channel(false);
    let address = server.address();
    let serving = runtime.spawn(server.run(stopped));
    Running { runtime, serving, address, stop, status }
}

pub struct Received {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Running {
    /// The status code, the content type and the body of `GET path`.
    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask("GET", path)
    }

    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let Received { code, head, body } = self.send(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or("");
        (code, content_type.into(), body)
    }

    /// What comes back for these bytes.
    pub fn send(&self, request: &str) -> Received {
        self.send_bytes(request.as_bytes())
    }

    pub fn send_bytes(&self, request: &[u8]) -> Received {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // A server that refuses a large body does not read it to its end.
        let _ = stream.write_all(request);
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Received { code: head.split(' ').nth(1).unwrap().parse().unwrap(), head: head.into(), body: body.into() }
    }

    /// The code of an answer that does not end.
    pub fn listens(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
    }

    pub fn metrics(&self) -> String {
        self.get("/metrics").2
    }

    fn json(&self, path: &str) -> (u16, String, Value) {
        let (code, content_type, body) = self.get(path);
        (code, content_type, serde_json::from_str(&body).unwrap())
    }
}

#[test]
fn a_service_is_ready_once_every_check_holds_and_says_which_does_not() {
    let server = start();
    server.status.set(Check::Assigned, Condition::met("partitions 0, 3"));
    server.status.set(Check::Restored, Condition::unmet("partition 3: 12 records remain"));
    server.status.set(Check::Reading, Condition::met(""));
    let checks = |restored: Value| json!([{"check": "assigned", "met": true, "detail": "partitions 0, 3"}, restored, {"check": "reading", "met": true, "detail": ""}]);
    let waiting = checks(json!({"check": "restored", "met": false, "detail": "partition 3: 12 records remain"}));
    let problem = json!({"title": "Service Unavailable", "status": 503, "detail": "not yet restored: partition 3: 12 records remain", "checks": waiting});
    assert_eq!(server.json("/readyz"), (503, "application/problem+json".into(), problem));

    server.status.set(Check::Restored, Condition::met("all"));
    let ready = json!({"status": "ready", "checks": checks(json!({"check": "restored", "met": true, "detail": "all"}))});
    assert_eq!(server.json("/readyz"), (200, "application/json".into(), ready));
}

#[test]
fn a_service_is_alive_until_a_thread_stands_still_whatever_its_checks_say() {
    let server = start();
    assert_eq!(server.get("/livez").0, 200);
    let (lane, poller) = (server.status.heartbeat("lane-0"), server.status.heartbeat("poller"));
    assert_eq!(server.get("/livez").0, 200);
    std::thread::sleep(Duration::from_millis(60));
    poller.beat();
    let (code, content_type, problem) = server.json("/livez");
    assert_eq!((code, content_type.as_str(), &problem["detail"]), (503, "application/problem+json", &json!("no progress: lane-0 for 0 s")));
    lane.beat();
    assert_eq!(server.get("/livez").0, 200);
}

#[test]
fn a_scrape_shows_requests_by_route_and_never_by_the_path_that_was_asked() {
    let server = start();
    server.get("/api/v1/customers/hh-1");
    let (code, content_type, text) = server.get("/metrics");
    assert_eq!((code, content_type.as_str()), (200, "text/plain; version=0.0.4"));
    assert!(text.contains(r#"segmentd_http_request_duration_seconds_count{code="404",route="other"} 1"#), "{text}");
    assert!(!text.contains("hh-1"), "{text}");
}

#[test]
fn the_version_names_the_revision() {
    let version = json!({"version": env!("CARGO_PKG_VERSION"), "revision": option_env!("SEGMENTD_REVISION").unwrap_or("unknown")});
    assert_eq!(start().json("/version"), (200, "application/json".into(), version));
}

#[test]
fn what_is_not_served_is_a_problem_document() {
    let server = start();
    let (code, content_type, problem) = server.json("/nowhere");
    assert_eq!((code, content_type.as_str(), &problem["title"]), (404, "application/problem+json", &json!("Not Found")));
    let (code, content_type, body) = server.ask("POST", "/metrics");
    assert_eq!((code, content_type.as_str()), (405, "application/problem+json"), "{body}");
}

#[test]
fn an_address_in_use_is_refused_with_a_way_out() {
    let server = start();
    let listen = server.address.to_string();
    let site = Site {
        metrics: Metrics::new(&Labels::default()).unwrap(),
        status: Status::new(),
        progress_limit: Duration::from_secs(1),
        lookup: None,
        service: None,
    };
    let refused = server.runtime.block_on(Server::bind(&listen, site.clone())).err().unwrap().to_string();
    assert!(refused.contains(&format!("cannot listen on {listen}")) && refused.contains("another process listens there"), "{refused}");
    let refused = server.runtime.block_on(Server::bind("nonsense", site)).err().unwrap().to_string();
    assert!(refused.contains("is host:port"), "{refused}");
}

#[test]
fn a_shutdown_ends_an_open_connection_and_does_not_wait_for_a_slow_one() {
    let server = start();
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(b"GET /livez HT").unwrap();
    assert_eq!(server.get("/livez").0, 200);
    server.stop.send(true).unwrap();
    let ended = async { tokio::time::timeout(GRACE + Duration::from_secs(2), server.serving).await };
    server.runtime.block_on(ended).expect("it waits for the slow client").unwrap().unwrap();
}

#[test]
fn a_silent_connection_is_closed_and_makes_room_for_the_next() {
    let server = start_with(Bounds { connections: 1, idle: Duration::from_millis(50) });
    let mut silent = TcpStream::connect(server.address).unwrap();
    // Answered only once the silent one is gone: there is room for one.
    assert_eq!(server.get("/version").0, 200);
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
}
