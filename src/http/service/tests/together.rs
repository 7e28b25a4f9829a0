//! Answers about several processes: what each says, added up; and what is said where one of them says nothing.
//!
//! **Law:** processes that share the partitions out tell together what one tells that has them all.

use std::io::Read;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::http::access::{Access, Hash, Scope, Token, Tokens};
use crate::http::listener::Bounds;
use crate::http::service::fixture::{Scene, day};
use crate::http::service::{PLAN, PROCESSES};
use crate::id::Partition;
use crate::kafka::partitioner::partition;

const SHOP: &str = "
segments:
  - key: buyer
    when: 'count(orders last 10d) > 0'
    experiment: {holdout: 50%, salt: s, goal: orders, value: total, within: 30d}
ladders:
  - {key: life, stages: [{key: big, when: 'sum(orders.total last 5d) > 50'}, {key: small}]}
";

/// Customers of a partition of two.
fn customers(of: i32) -> impl Iterator<Item = String> {
    (0..40).map(|n| format!("c-{n}")).filter(move |id| partition(id.as_bytes(), 2) == Partition(of))
}

fn process(of: i32, access: Access) -> Scene {
    let mut scene = Scene::of(SHOP, Bounds::LOOKUPS, Partition(of), 2, access);
    happen(&mut scene, customers(of));
    scene
}

/// Everybody buys on the second day, some again on others; time comes to the fourteenth.
fn happen(scene: &mut Scene, customers: impl Iterator<Item = String>) {
    let mut orders: Vec<(i64, u32, String)> = Vec::new();
    for (n, id) in customers.map(|id| (id.bytes().map(u64::from).sum::<u64>(), id)) {
        orders.push((2, 20, id.clone()));
        orders.extend((n % 2 == 0).then(|| (4 + (n % 5) as i64, 60, id.clone())));
    }
    orders.sort_unstable_by(|a, b| (a.0, &a.2).cmp(&(b.0, &b.2)));
    orders.iter().for_each(|(at, total, id)| scene.order(id, day(*at), *total));
    scene.advance(day(14));
    scene.commit();
}

/// Two processes, of which the first knows where the second is.
fn both() -> (Scene, Scene) {
    let (one, other) = (process(0, Access::open()), process(1, Access::open()));
    one.owners.note(Partition(1), &format!("http://{}", other.server.address));
    (one, other)
}

#[test]
fn two_processes_tell_together_what_one_tells_that_has_everything() {
    let ((one, _other), mut whole) = (both(), Scene::new(SHOP));
    happen(&mut whole, customers(0).chain(customers(1)));
    let told = |path: &str| {
        let all = one.told(&format!("{path}{}processes=all", if path.contains('?') { '&' } else { '?' }));
        assert_eq!(all["partitions"], json!({"here": [0, 1], "of": 2, "partial": false}), "{path}");
        (all, whole.told(path), one.told(path))
    };
    let (all, expected, alone) = told("/api/v1/segments");
    assert_eq!(all["segments"], expected["segments"]);
    assert!(alone["segments"] != expected["segments"] && alone["partitions"]["partial"] == true, "alone it is less");
    let (all, expected, alone) = told("/api/v1/segments/big");
    assert_eq!(without(all, "partitions"), without(expected.clone(), "partitions"));
    assert_ne!(without(alone, "partitions"), without(expected, "partitions"));
    for path in ["/api/v1/segments/buyer/history?from=2026-01-01T00:00:00Z", "/api/v1/segments/big/history?step=6h"] {
        let (all, expected, alone) = told(path);
        assert_eq!(all["points"], expected["points"], "{path}");
        assert!(alone["points"] != expected["points"] && expected["points"].as_array().unwrap().len() > 10);
    }
    let (all, expected, alone) = told("/api/v1/ladders/life/flows?from=2026-01-01T00:00:00Z");
    assert_eq!(all["moves"], expected["moves"]);
    assert_ne!(alone["moves"], expected["moves"]);
    let (all, expected, alone) = told("/api/v1/experiments/buyer");
    assert_eq!(without(all, "partitions"), without(expected.clone(), "partitions"), "the verdict is of all");
    assert_ne!(alone["arms"], expected["arms"]);
    let (all, expected, _) = told("/api/v1/experiments");
    assert_eq!(all["experiments"], expected["experiments"]);
}

fn without(mut told: Value, member: &str) -> Value {
    told.as_object_mut().unwrap().remove(member);
    told
}

#[test]
fn a_process_that_has_no_partition_tells_what_the_others_tell() {
    let (mut one, other) = both();
    one.hide();
    let paths = ["/api/v1/segments/buyer/history", "/api/v1/ladders/life/flows", "/api/v1/experiments", "/api/v1/experiments/buyer"];
    for path in paths {
        let (alone, all) = (one.get(path), one.told(&format!("{path}?processes=all")));
        assert_eq!((alone.code, alone.header("retry-after")), (503, Some("1")), "{path}");
        assert_eq!(without(all.clone(), "as_of"), without(other.told(path), "as_of"), "{path}");
        assert_eq!(all["partitions"], json!({"here": [1], "of": 2, "partial": true}));
    }
    drop(other);
    for path in paths {
        let nobody = one.get(&format!("{path}?processes=all"));
        assert_eq!((nobody.code, nobody.json()["unreached"][0]["partitions"].clone()), (503, json!([1])), "{path}: {}", nobody.body);
    }
}

/// Who is in a segment by this process, a few at a time; and the last page.
fn listed(scene: &Scene, query: &str) -> (Vec<String>, Value) {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = scene.told(&format!("/api/v1/segments/big/customers?limit=3{query}{cursor}"));
        let customers = page["customers"].as_array().unwrap();
        assert!(customers.len() <= 3);
        found.extend(customers.iter().map(|member| member["customer"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (found, page),
        }
    }
}

#[test]
fn everybody_in_a_segment_is_found_over_all_processes() {
    let buy = |of: i32| {
        let mut scene = process(of, Access::open());
        customers(of).for_each(|id| scene.order(&id, day(14), 60));
        scene.commit();
        scene
    };
    let (one, other) = (buy(0), buy(1));
    one.owners.note(Partition(1), &format!("http://{}", other.server.address));
    let ((here, _), (there, _)) = (listed(&one, ""), listed(&other, ""));
    assert!(here.len() > 3 && here.len() + there.len() == 40);
    let (all, page) = listed(&one, "&processes=all");
    assert_eq!(all, [here.clone(), there.clone()].concat(), "by partition, then by id");
    assert_eq!(page["partitions"], json!({"here": [0, 1], "of": 2, "partial": false}));
    assert_eq!(listed(&one, "&processes=all&partition=1").0, there);
    let (none, page) = listed(&one, "&partition=1");
    assert_eq!((none, &page["partitions"]["here"]), (vec![], &json!([])), "it is somebody else's");
    assert_eq!(one.get("/api/v1/segments/big/customers?partition=x").code, 400);
    drop(other);
    let (rest, page) = listed(&one, "&processes=all");
    assert_eq!((rest, &page["partitions"]["here"], &page["partitions"]["partial"]), (here, &json!([0]), &json!(true)));
    let unreached = &page["partitions"]["unreached"][0];
    assert!(unreached["why"].as_str().unwrap().starts_with("it cannot be reached: ") && unreached["partitions"] == json!([1]), "{page}");
}

/// With one segment changed, one taken out and one added.
const NEW_SHOP: &str = "segments: [
    {key: buyer, when: 'count(orders last 20d) > 0'}, {key: often, when: 'count(orders last 20d) > 1'}]";

fn planned(scene: &Scene, query: &str) -> crate::http::tests::Received {
    scene.post(&format!("{PLAN}{query}"), &json!({"files": [{"name": "new.yaml", "text": NEW_SHOP}]}).to_string())
}

#[test]
fn two_processes_find_together_what_other_definitions_would_do() {
    let ((one, other), mut whole) = (both(), Scene::new(SHOP));
    happen(&mut whole, customers(0).chain(customers(1)));
    let (all, expected, alone) = (planned(&one, "?processes=all").json(), planned(&whole, "").json(), planned(&one, "").json());
    assert_eq!(without(all.clone(), "partitions"), without(expected.clone(), "partitions"));
    assert_eq!(all["partitions"], json!({"here": [0, 1], "of": 2, "partial": false}));
    assert!(expected["segments"][0]["enter"]["definition"].as_u64().unwrap() > 1 && alone["segments"] != expected["segments"]);
    drop(other);
    let rest = planned(&one, "?processes=all").json();
    assert_eq!((&rest["segments"], &rest["partitions"]["unreached"][0]["partitions"]), (&alone["segments"], &json!([1])));
}

#[test]
fn while_one_of_them_is_counting_the_answer_is_to_ask_again() {
    let mut one = process(0, Access::open());
    let counting = saying(b"HTTP/1.0 503 X\r\n\r\n{\"detail\":\"it counts\",\"at_work\":true}");
    one.owners.note(Partition(1), &counting);
    let later = planned(&one, "?processes=all");
    assert_eq!((later.code, later.header("retry-after")), (503, Some("1")), "{}", later.body);
    one.hide();
    let starting = saying(b"HTTP/1.0 503 X\r\n\r\n{\"detail\":\"it starts\"}");
    one.owners.note(Partition(1), &starting);
    let nobody = planned(&one, "?processes=all");
    assert_eq!((nobody.code, &nobody.json()["unreached"][0]["why"]), (503, &json!("503: it starts")));
}

#[test]
fn every_process_is_named_with_its_partitions_and_its_figures() {
    let (one, other) = both();
    let told = one.told(&format!("{PROCESSES}?processes=all"));
    let processes = told["processes"].as_array().unwrap();
    assert_eq!(processes.iter().map(|process| process["partitions"].clone()).collect::<Vec<_>>(), [json!([0]), json!([1])]);
    assert_eq!(processes[1]["address"], format!("http://{}", other.server.address));
    assert_eq!((&processes[1]["ready"], &processes[1]["checks"][0]["check"]), (&json!(false), &json!("assigned")));
    let figures = processes[1]["figures"].as_str().unwrap();
    assert!(figures.contains("segmentd_timers_pending ") && !figures.contains("segmentd_segment_members"), "{figures}");
    assert_eq!(one.told(PROCESSES)["processes"].as_array().unwrap().len(), 1, "alone unless it is asked for");
    assert_eq!(one.get(&format!("{PROCESSES}?processes=most")).code, 400);
}

/// What is said of a process at an address that has the other partition.
fn unreached(address: &str) -> String {
    let one = process(0, Access::open());
    one.owners.note(Partition(1), address);
    let told = one.told("/api/v1/segments?processes=all");
    assert_eq!((&told["partitions"]["here"], &told["partitions"]["partial"]), (&json!([0]), &json!(true)));
    assert_eq!(told["segments"], one.told("/api/v1/segments")["segments"], "what is known is told");
    let unreached = &told["partitions"]["unreached"][0];
    assert_eq!((&unreached["address"], &unreached["partitions"]), (&json!(address), &json!([1])));
    unreached["why"].as_str().unwrap().to_owned()
}

/// A process that takes a connection and says this.
fn saying(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = std::io::Write::write_all(&mut stream, answer);
        // Who says nothing keeps the connection until the other one has enough.
        while answer.is_empty() && stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
    });
    address
}

#[test]
fn a_process_that_is_gone_slow_or_something_else_is_named_with_the_reason() {
    assert!(unreached("http://127.0.0.1:1").starts_with("it cannot be reached: "));
    assert_eq!(unreached(&saying(b"")), "no answer within 2 s");
    assert_eq!(unreached(&saying(b"SSH-2.0-OpenSSH\r\n")), "its answer is no HTTP");
    assert_eq!(unreached(&saying(b"HTTP/1.0 200 OK\r\n\r\n<html>")), "it answers 200, and no JSON");
    assert_eq!(unreached(&saying(b"HTTP/1.0 200 OK\r\n\r\n{}")), "its answer has another form");
    assert_eq!(unreached(&saying(b"HTTP/1.0 503 X\r\n\r\n{\"detail\":\"it starts\"}")), "503: it starts");
    assert_eq!(unreached("gopher://x"), "`gopher://x` is no address: write http://host:8080");
    let elsewhere = Scene::of("segments: [{key: a, when: 'count(orders last 1d) > 0'}]", Bounds::LOOKUPS, Partition(1), 2, Access::open());
    assert_eq!(unreached(&format!("http://{}", elsewhere.server.address)), "it has other definitions at this moment");
}

#[test]
fn the_others_are_asked_with_the_token_of_whoever_asks() {
    let token =
        |name: &str| Token { name: name.into(), hash: Hash::of(name), scopes: vec![Scope::ReadSegments], expires: None, per_second: 100 };
    let (one, other) =
        (process(0, Access::by(Tokens(vec![token("till"), token("new")]))), process(1, Access::by(Tokens(vec![token("till")]))));
    one.owners.note(Partition(1), &format!("http://{}", other.server.address));
    let ask = |token: &str| {
        let head = format!("host: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n");
        one.server.send(&format!("GET /api/v1/segments?processes=all HTTP/1.1\r\n{head}\r\n")).json()["partitions"].clone()
    };
    assert_eq!(ask("till"), json!({"here": [0, 1], "of": 2, "partial": false}));
    assert_eq!(ask("new")["unreached"][0]["why"], "401: the token is not known");
}

#[test]
fn a_token_that_came_by_tls_is_not_sent_without_it() {
    let other = process(1, Access::open());
    let peers = crate::http::peers::Peers { tls: true, ..Default::default() };
    let address: std::sync::Arc<str> = format!("http://{}", other.server.address).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let question = crate::http::peers::Question { path: "/api/v1/segments", token: None, body: None };
    let (answers, unreached) = runtime.block_on(peers.ask([(address, vec![1])].into(), question));
    assert!(answers.is_empty() && unreached[0].why.contains("without TLS"), "{unreached:?}");
}
