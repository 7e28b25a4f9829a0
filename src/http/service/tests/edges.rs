//! What no client should send, and some do: ids of ten kilobytes, slashes and control characters in them, bodies that break off, a
//! thousand connections, a listener that never reads.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::LOYAL;
use crate::http::listener::Bounds;
use crate::http::lookup::MANY;
use crate::http::service::fixture::{Scene, day};
use crate::http::service::{CHECK, CUSTOMER, EXPLAIN, TIMELINE, TRANSITIONS, TRY};

const OF_CUSTOMERS: [&str; 4] = [CUSTOMER, EXPLAIN, TIMELINE, crate::http::lookup::CUSTOMER];

fn path_of(route: &str, id: &str) -> String {
    route.replace("{id}", &utf8_percent_encode(id, NON_ALPHANUMERIC).to_string())
}

#[test]
fn any_id_is_answered_for_by_every_route_of_customers() {
    let mut scene = Scene::new(LOYAL);
    let ids = ["a/b", "../ann", "ann?x=y#z", "ä€😀", "\u{1}\u{7f}\n", " ", "%", "%2F", "\u{202e}nna", "<script>"];
    for id in ids {
        let id = serde_json::to_string(id).unwrap();
        scene.order(id.trim_matches('"'), day(1), 20);
        scene.order(id.trim_matches('"'), day(1), 20);
    }
    scene.commit();
    for id in ids {
        for route in OF_CUSTOMERS {
            let told = scene.told(&path_of(route, id));
            assert_eq!(told["customer"], id, "{route}");
        }
        assert_eq!(scene.told(&path_of(TIMELINE, id))["transitions"][0]["segment"], "loyal", "{id:?}");
    }
}

#[test]
fn an_id_that_no_event_carries_is_refused_by_every_route_and_stands_nowhere() {
    let scene = Scene::new(LOYAL);
    let long = "hush".repeat(2_500);
    for route in OF_CUSTOMERS {
        let received = scene.get(&path_of(route, &long));
        assert_eq!(received.code, 400, "{route}");
        assert!(received.body.contains("a customer's id has 10000 bytes") && !received.body.contains("hush"), "{}", received.body);
        let received = scene.get(&route.replace("{id}", "%FF"));
        assert_eq!(received.code, 400, "{route}: {}", received.body);
    }
    let body = serde_json::json!({"customer": long, "when": "true"}).to_string();
    assert_eq!(scene.post(TRY, &body).code, 400);
    assert!(!scene.server.metrics().contains("hush"));
}

#[test]
fn a_body_that_breaks_off_is_refused_and_holds_no_room() {
    let scene = Scene::new(LOYAL);
    for route in [MANY, CHECK, TRY] {
        let mut stream = TcpStream::connect(scene.server.address).unwrap();
        write!(stream, "POST {route} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{\"customers\":[").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        // A client that has closed may get an answer, or nothing; never a success.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{route}: {answer}");
    }
    assert_eq!(scene.get("/livez").code, 200);
}

#[test]
fn a_thousand_connections_are_all_answered() {
    let mut scene = Scene::new(LOYAL);
    scene.order("ann", day(1), 20);
    scene.commit();
    let clients = 1_000.min(files() / 3);
    let mut clients: Vec<TcpStream> = (0..clients).map(|_| TcpStream::connect(scene.server.address).unwrap()).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(client, "GET /api/v1/customers/ann/segments HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
    assert_eq!(scene.get("/livez").code, 200, "while they are all open");
}

/// How many files a process may have open here; each connection takes one at either end.
fn files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}

#[test]
fn a_listener_that_never_reads_is_closed_and_one_that_reads_goes_on() {
    let mut scene = Scene::within(LOYAL, Bounds { connections: 64, idle: Duration::from_secs(2) });
    let listen = |scene: &Scene| {
        let mut stream = TcpStream::connect(scene.server.address).unwrap();
        write!(stream, "GET {TRANSITIONS} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    };
    let (mut silent, reading) = (listen(&scene), listen(&scene));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || read_until(reading, &stopped));
    scene.order("ann", day(1), 20);
    scene.order("ann", day(1), 20);
    // 45 MB in 5 s: soon more than the buffers of the system and of the server hold.
    for _ in 0..100 {
        scene.repeat(500);
        std::thread::sleep(Duration::from_millis(50));
    }
    stop.send(()).unwrap();
    scene.repeat(1);
    assert!(reader.join().unwrap(), "whoever reads is told on");
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest);
    // Read now, an open connection would go on to the word that it is too late.
    assert!(!rest.windows(14).any(|part| part == b"event: dropped"), "it was still open, with {} bytes", rest.len());
}

/// Reads until it is told to stop and something has come after that; `false`: the other side closed.
fn read_until(mut stream: TcpStream, stopped: &std::sync::mpsc::Receiver<()>) -> bool {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(_) if stopped.try_recv().is_ok() => return true,
            Ok(_) => {}
        }
    }
}
