//! Two processes of a deployment on a real Apache Kafka, with TLS and tokens: each tells of both, and says so when it cannot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and waits

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/command.rs"]
#[allow(dead_code)]
mod command;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::client::create_topic;
use support::kafka::free_port;
use support::scene::{CUSTOMERS, Scene};

/// Configures a process that speaks TLS on a port of localhost, and tells the others so.
fn configure(scene: &Scene, name: &str, port: u16) -> PathBuf {
    let http = format!("listen: \"127.0.0.1:{port}\", advertise: \"https://localhost:{port}\"");
    let config = scene.configure_as(name, &http);
    let at = scene.states.path().display();
    let access = format!(
        "access: {{tokens: {at}/tokens.yaml, certificate: {at}/tls.crt, key: {at}/tls.key, authority: {at}/tls.crt, audit_key: {at}/audit.key}}\nlists: {at}/lists\n"
    );
    fs::write(&config, fs::read_to_string(&config).unwrap() + &access).unwrap();
    config
}

fn ask(port: u16, path: &str, token: &str) -> Option<Value> {
    TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (code, body, _) = certificate::get(port, path, token);
    (code == 200).then(|| serde_json::from_str(&body).unwrap())
}

/// What is told in an answer that goes on.
fn data(port: u16, path: &str, token: &str) -> impl Iterator<Item = Value> {
    let lines = certificate::listen(port, path, token);
    lines.filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap()))
}

/// Who is in a segment, by all processes, a few at a time.
fn listed(port: u16, segment: &str, token: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(port, &format!("/api/v1/segments/{segment}/customers?processes=all&limit=7{cursor}"), token).unwrap();
        found.extend(page["customers"].as_array().unwrap().iter().map(|member| member["customer"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Asks for customers of both partitions to be erased.
fn erase(port: u16, customers: [&str; 4], token: &str) {
    for customer in customers {
        let (code, receipt, _) = certificate::send(port, "DELETE", &format!("/api/v1/customers/{customer}"), token);
        assert!(code == 202 && receipt.contains(r#""topic":"segmentd-changelog""#), "{receipt}");
    }
}

#[test]
fn each_of_two_processes_tells_of_both_and_names_the_one_that_is_gone() {
    let mut scene = Scene::new(2);
    ["crm.vip", "crm.new"].iter().for_each(|topic| create_topic(scene.broker.bootstrap(), topic, 1));
    scene.define("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}, {key: vip, when: 'list(\"vip\")'}]");
    let folder = scene.states.path().to_owned();
    certificate::certify(&folder, 1);
    fs::write(folder.join("audit.key"), "5".repeat(64)).unwrap();
    let file = folder.join("tokens.yaml");
    fs::create_dir(folder.join("lists")).unwrap();
    fs::write(folder.join("lists/vip.topic"), "crm.vip\n").unwrap();
    // No rule names it yet.
    fs::write(folder.join("lists/new.topic"), "crm.new\n").unwrap();
    fs::write(folder.join("lists/staff.txt"), "c-1\n").unwrap();
    let scopes = ["read:segments", "read:customers", "metrics", "erase", "write:lists"].map(|scope| ["--scope", scope]).concat();
    let made = command::segmentd(&[&["token", "new", "ann", "--to", file.to_str().unwrap()][..], &scopes].concat());
    let token = command::stdout(&made).trim().to_owned();
    let [a, b] = [free_port(), free_port()];
    let [of_a, of_b] = [configure(&scene, "one", a), configure(&scene, "other", b)];
    let (_one, mut other) = (scene.run(&of_a, "a"), scene.run(&of_b, "b"));
    scene.await_that("one partition each", || {
        let here = |port| ask(port, "/api/v1/segments", &token).map(|told| told["partitions"]["here"].as_array().unwrap().len());
        here(a) == Some(1) && here(b) == Some(1)
    });
    let both = json!({"here": [0, 1], "of": 2, "partial": false});
    scene.await_that("each knows where the other is", || ask(a, "/api/v1/segments?processes=all", &token).unwrap()["partitions"] == both);
    let mut live = data(a, "/api/v1/transitions?processes=all&segment=buyer", &token);
    assert_eq!(live.next().unwrap()["partitions"], both);
    scene.send_orders(1);
    let entered: BTreeSet<String> = live.take(CUSTOMERS).map(|told| told["customer"].as_str().unwrap().to_owned()).collect();
    assert_eq!(entered.len(), CUSTOMERS, "everybody enters once, wherever");
    for port in [a, b] {
        scene.await_that("everybody told of", || {
            ask(port, "/api/v1/segments/buyer?processes=all", &token)
                .is_some_and(|told| told["members"] == CUSTOMERS && told["partitions"] == both)
        });
        let alone = ask(port, "/api/v1/segments/buyer", &token).unwrap();
        assert!(alone["members"].as_u64().unwrap() < CUSTOMERS as u64 && alone["partitions"]["partial"] == true, "{alone}");
        scene.await_that("the past of both told", || {
            ask(port, "/api/v1/segments/buyer/history?processes=all", &token).is_some_and(|told| {
                let last = told["points"].as_array().unwrap().last().cloned();
                last.is_some_and(|last| last["members"] == CUSTOMERS && last["entered"]["event"] == CUSTOMERS)
            })
        });
    }
    let members = listed(a, "buyer", &token);
    assert_eq!((members.len(), members.iter().collect::<BTreeSet<_>>().len()), (CUSTOMERS, CUSTOMERS));
    assert_eq!(listed(b, "buyer", &token), members, "in the same order, whoever is asked");
    let tried =
        json!({"files": [{"name": "new.yaml", "text": "segments: [{key: buyer, when: 'count(orders lifetime) > 1'}]"}]}).to_string();
    scene.await_that("other definitions tried by both", || {
        let (code, body, _) = certificate::post(a, "/api/v1/definitions/plan?processes=all", &token, &tried);
        let told: Value = serde_json::from_str(&body).unwrap();
        code == 200 && told["segments"][0]["leave"]["definition"] == CUSTOMERS && told["looked_at"] == CUSTOMERS
    });
    let told = ask(a, "/api/v1/processes?processes=all", &token).unwrap();
    let addresses: Vec<&Value> = told["processes"].as_array().unwrap().iter().map(|process| &process["address"]).collect();
    assert_eq!(addresses, [&json!(format!("https://localhost:{a}")), &json!(format!("https://localhost:{b}"))]);

    // Whoever is asked: the customers of both.
    let members = |segment: &str| ask(a, &format!("/api/v1/segments/{segment}?processes=all"), &token).unwrap()["members"].as_u64();
    for customer in ["c-1", "c-2", "c-3", "c-4"] {
        assert_eq!(certificate::send(b, "PUT", &format!("/api/v1/lists/vip/customers/{customer}"), &token).0, 202);
    }
    scene.await_that("four on the list", || members("vip") == Some(4));
    assert_eq!(ask(a, "/api/v1/lists/vip/customers/c-1", &token).unwrap()["listed"], true);
    assert_eq!(certificate::send(a, "DELETE", "/api/v1/lists/vip/customers/c-1", &token).0, 202);
    scene.await_that("three on the list", || members("vip") == Some(3));
    assert_eq!(certificate::send(a, "PUT", "/api/v1/lists/new/customers/c-1", &token).0, 202);
    let listed = |port| ask(port, "/api/v1/lists/new/customers/c-1", &token).is_some_and(|told| told["listed"] == true);
    scene.await_that("on a list that no rule names", || listed(a) && listed(b));
    let (code, body, _) = certificate::send(a, "PUT", "/api/v1/lists/staff/customers/c-1", &token);
    assert!(code == 409 && body.contains("stands in a file"), "{body}");
    erase(a, ["c-1", "c-2", "c-3", "c-4"], &token);
    scene.await_that("four erased", || members("buyer") == Some(CUSTOMERS as u64 - 4));
    let erased = scene.logs().lines().filter(|line| line.contains(r#""message":"erased""#)).count();
    assert!(erased >= 2, "each process has written down its own:\n{}", scene.logs());

    // For as long as its session lasts its partition is nobody else's.
    other.kill();
    let told = ask(a, "/api/v1/segments/buyer?processes=all", &token).unwrap();
    let unreached = &told["partitions"]["unreached"][0];
    assert_eq!((&told["partitions"]["partial"], &unreached["address"]), (&json!(true), &json!(format!("https://localhost:{b}"))));
    assert!(unreached["why"].as_str().unwrap().starts_with("it cannot be reached"), "{unreached}");
    // While the partitions of the one that is gone are nobody's.
    erase(a, ["c-5", "c-6", "c-7", "c-8"], &token);
    scene.await_that("everything taken over, and four more erased", || {
        ask(a, "/api/v1/segments/buyer?processes=all", &token)
            .is_some_and(|told| told["members"] == CUSTOMERS - 8 && told["partitions"]["partial"] == false)
    });
    assert!(!scene.logs().contains(&token), "no token is in a log");
}
