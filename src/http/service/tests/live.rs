//! Transitions as they are committed, read by clients that are quick, slow, and too many.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::access::Access;
use crate::http::listener::Bounds;
use crate::http::service::TRANSITIONS;
use crate::http::service::fixture::{Scene, day};
use crate::id::Partition;

const SHOP: &str = "segments: [{key: first, when: 'count(orders lifetime) > 0'}, {key: second, when: 'count(orders lifetime) > 1'}]";

struct Client(BufReader<TcpStream>);

impl Client {
    /// Listens from when this returns.
    fn of(scene: &Scene, query: &str) -> Client {
        let (client, partitions) = Client::opened(scene, query);
        assert_eq!(partitions, json!({"here": [0], "of": 1, "partial": false}));
        client
    }

    /// And what is said of the partitions.
    fn opened(scene: &Scene, query: &str) -> (Client, Value) {
        let mut stream = TcpStream::connect(scene.server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {TRANSITIONS}{query} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut client = Client(BufReader::new(stream));
        let (kind, mut data) = client.event();
        assert_eq!(kind, "open");
        (client, data["partitions"].take())
    }

    /// The next event: its kind and its data.
    fn event(&mut self) -> (String, Value) {
        let mut kind = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if let Some(name) = line.trim_end().strip_prefix("event: ") {
                kind = name.to_owned();
            }
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                return (kind, serde_json::from_str(data).unwrap());
            }
        }
    }

    fn transition(&mut self) -> String {
        let (kind, data) = self.event();
        assert_eq!(kind, "transition");
        format!("{} {} {}", data["customer"].as_str().unwrap(), data["transition"].as_str().unwrap(), data["segment"].as_str().unwrap())
    }
}

#[test]
fn transitions_come_once_they_are_committed_and_only_of_the_segments_asked_for() {
    let mut scene = Scene::new(SHOP);
    let (mut all, mut second) = (Client::of(&scene, ""), Client::of(&scene, "?segment=second"));
    scene.order("ann", day(1), 20);
    scene.order("ann", day(2), 20);
    scene.commit();
    assert_eq!((all.transition(), all.transition()), ("ann entered first".into(), "ann entered second".into()));
    assert_eq!(second.transition(), "ann entered second");
    assert_eq!(scene.told("/api/v1/customers/ann/segments")["segments"]["second"]["held"], true, "whoever was told finds it");
}

#[test]
fn a_client_that_is_too_slow_is_told_so_and_closed() {
    let mut scene = Scene::new(SHOP);
    let mut slow = Client::of(&scene, "");
    scene.order("ann", day(1), 20);
    scene.repeat(60_000);
    let last = loop {
        let (kind, data) = slow.event();
        if kind != "transition" {
            break (kind, data);
        }
    };
    assert_eq!(last.0, "dropped");
    assert!(last.1["missed"].as_u64().unwrap() > 0, "{}", last.1);
}

#[test]
fn there_is_room_for_so_many_and_a_place_is_free_again_when_one_goes() {
    let scene = Scene::new(SHOP);
    let mut clients: Vec<_> = (0..super::super::live::CLIENTS).map(|_| Client::of(&scene, "")).collect();
    let refused = scene.get(TRANSITIONS);
    assert_eq!((refused.code, refused.header("retry-after")), (503, Some("1")));
    clients.pop();
    let begun = crate::runtime::clock::now();
    while scene.server.listens(TRANSITIONS) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the place is not free again");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(scene.get(&format!("{TRANSITIONS}?segment=frist")).code, 404);
}

#[test]
fn transitions_of_all_processes_are_one_stream_until_one_of_them_ends() {
    let process = |of| Scene::of(SHOP, Bounds::LOOKUPS, Partition(of), 2, Access::open());
    let (mut one, mut other) = (process(0), process(1));
    one.owners.note(Partition(1), &format!("http://{}", other.server.address));
    let (mut all, partitions) = Client::opened(&one, "?segment=first&processes=all");
    assert_eq!(partitions, json!({"here": [0, 1], "of": 2, "partial": false}));
    let mut alone = Client::opened(&one, "?processes=here").0;
    other.order("ann", day(1), 20);
    other.commit();
    assert_eq!(all.transition(), "ann entered first", "of the segments asked for");
    one.order("bob", day(1), 20);
    one.commit();
    assert_eq!((all.transition(), alone.transition()), ("bob entered first".into(), "bob entered first".into()));
    drop(other);
    let (kind, data) = all.event();
    assert!(kind == "ended" && data["why"].as_str().unwrap().contains("listen again"), "{kind} {data}");
    let (_again, partitions) = Client::opened(&one, "?processes=all");
    assert_eq!(
        (&partitions["here"], &partitions["partial"], &partitions["unreached"][0]["partitions"]),
        (&json!([0]), &json!(true), &json!([1]))
    );
}
