//! The console in a real browser, in front of the service on a real Apache Kafka: each question that a person asks.
//!
//! What is asked and seen stands in `tests/console/*.spec.mjs`; here is what has happened before, and whoever runs them:
//! Playwright, which `npm` fetches into `target/console`, with the system's Chromium. A missing browser is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and waits

#[path = "support/command.rs"]
#[allow(dead_code)]
mod command;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use command::{code, segmentd, stderr, stdout};
use support::kafka::free_port;
use support::scene::{CUSTOMERS, Scene};
use support::service::INPUT;

const SEGMENTS: &str = include_str!("console/segments.yaml");
/// Somebody could have been called so.
const ODD: [&str; 4] = ["a/b c?d#e", "<img src=x onerror=document.title=1>", "Łukasz ☃ 한국", "100%25"];
const SHOPPERS: usize = 64;
/// Shoppers, ann and the odd ones.
const LOYAL: u64 = 69;

#[test]
fn a_person_finds_every_answer_in_the_console() {
    let scene = Scene::new(2);
    scene.define(SEGMENTS);
    let folder = scene.states.path();
    let [token, small] = [&["read:segments", "read:customers", "metrics"][..], &["read:segments"]].map(|scopes| token(folder, scopes));
    let http = format!("127.0.0.1:{}", free_port());
    let config = scene.configure(&http);
    let access = format!("access: {{tokens: {}}}\n", folder.join("tokens.yaml").display());
    fs::write(&config, fs::read_to_string(&config).unwrap() + &access).unwrap();
    let service = scene.run(&config, "console");
    what_happened(&scene);
    let members = || ask(&http, "/api/v1/segments/loyal", &token).is_some_and(|told| told["members"] == LOYAL);
    scene.await_that("everybody is in", members);
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| keep_coming(&scene, &over));
        let passed = browse(&["frame", "modules", "questions"], &http, &token, &small);
        over.store(true, Ordering::Relaxed);
        assert!(passed, "see above; the service said:\n{}", scene.logs());
    });
    drop(service);
}

/// January 2026, as the questions know it.
fn what_happened(scene: &Scene) {
    let mut orders: Vec<Order> = (0..SHOPPERS).flat_map(shopper).collect();
    orders.extend([10, 12, 14].map(|day| Order::new("ann", day, 10)));
    orders.extend([20, 22].map(|day| Order::new("bob", day, 10)));
    // In from the first day on, and out by time alone on the last.
    orders.extend([1, 2, 3].map(|hour| Order::new("cleo", 1, hour)));
    orders.extend(ODD.iter().flat_map(|who| [10, 11, 12].map(|hour| Order::new(who, 15, hour))));
    orders.sort_by_key(|order| (order.day, order.hour));
    orders.iter().for_each(|order| order.send(scene));
    // Time comes to the first of February in both partitions.
    (0..20).for_each(|n| look(scene, &format!("tick-{n}")));
    scene.flush();
}

struct Order {
    who: String,
    day: usize,
    hour: usize,
}

impl Order {
    fn new(who: &str, day: usize, hour: usize) -> Order {
        Order { who: who.into(), day, hour }
    }

    fn send(&self, scene: &Scene) {
        let Order { who, day, hour } = self;
        let properties = format!(r#"{{"order_id":"{day}-{hour}","total":25}}"#);
        send(scene, who, "Order Completed", &format!("2026-01-{day:02}T{hour:02}:00:00.000Z"), &properties);
    }
}

/// In on a day of the first three weeks. Some come back, in either arm: nobody was sent anything.
fn shopper(n: usize) -> Vec<Order> {
    let (who, day) = (format!("shop-{n}"), 2 + n % 20);
    let again = n.is_multiple_of(3).then(|| Order::new(&who, day + 1, 15));
    [10, 11, 12].map(|hour| Order::new(&who, day, hour)).into_iter().chain(again).collect()
}

/// Somebody new looks around, again and again.
fn keep_coming(scene: &Scene, over: &AtomicBool) {
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        look(scene, &format!("live-{n}"));
        scene.flush();
        n += 1;
        std::thread::sleep(Duration::from_millis(400));
    }
}

fn look(scene: &Scene, who: &str) {
    send(scene, who, "Product Added", "2026-02-01T00:00:00.000Z", r#"{"product_id":"p"}"#);
}

fn send(scene: &Scene, who: &str, event: &str, at: &str, properties: &str) {
    let record = format!(
        r#"{{"type":"track","event":"{event}","messageId":"{who} {at}","userId":"{who}","timestamp":"{at}","properties":{properties}}}"#
    );
    scene.send(INPUT, None, who, Some(record.as_bytes()));
}

/// A token with these scopes, which the file knows.
fn token(folder: &Path, scopes: &[&str]) -> String {
    let file = folder.join("tokens.yaml");
    let mut arguments = vec!["token", "new", scopes.last().unwrap(), "--to", file.to_str().unwrap()];
    scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
    let name = arguments[2].replace(':', "-");
    arguments[2] = &name;
    let made = segmentd(&arguments);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

fn ask(http: &str, path: &str, token: &str) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(http).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// Two processes, each with half of the customers.
#[test]
fn the_console_of_one_process_tells_of_all() {
    let mut scene = Scene::new(2);
    scene.define("segments: [{key: buyer, name: Buyers, when: 'count(orders lifetime) > 0'}]");
    let at = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let run = |(name, http): (&str, &String)| {
        let config = scene.configure_as(name, &format!("listen: \"{http}\", advertise: \"http://{http}\""));
        scene.run(&config, &format!("state-{name}"))
    };
    let services = ["one", "other"].into_iter().zip(&at).map(run).collect::<Vec<_>>();
    let has_half = |http| ask(http, "/api/v1/segments", "").is_some_and(|told| told["partitions"]["here"].as_array().unwrap().len() == 1);
    scene.await_that("one partition each", || at.iter().all(|http| has_half(http)));
    scene.send_orders(1);
    let members = || ask(&at[0], "/api/v1/segments/buyer?processes=all", "").is_some_and(|told| told["members"] == CUSTOMERS);
    scene.await_that("everybody in", members);
    let passed = browse(&["processes"], &at[0], "", "");
    assert!(passed, "see above; the services said:\n{}", scene.logs());
    drop(services);
}

/// Runs the questions of these files; did they all find their answers?
fn browse(files: &[&str], http: &str, token: &str, small: &str) -> bool {
    let folder = tools();
    let mut questions = Command::new("node");
    questions.arg("node_modules/@playwright/test/cli.js").arg("test").args(files).current_dir(folder);
    questions.env("CONSOLE_URL", format!("http://{http}")).env("CONSOLE_TOKEN", token).env("CONSOLE_SMALL_TOKEN", small);
    questions.status().expect("node").success()
}

/// The questions and what runs them, in a folder below `target`: `npm` writes beside them.
fn tools() -> PathBuf {
    static ONE: Mutex<()> = Mutex::new(());
    let _at_once = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (here, there) = (root().join("tests/console"), root().join("target/console"));
    fs::create_dir_all(&there).unwrap();
    let is_same = |name: &str| fs::read(here.join(name)).ok() == fs::read(there.join(name)).ok();
    let is_there = is_same("package-lock.json") && there.join("node_modules/@playwright/test/cli.js").exists();
    for file in fs::read_dir(&here).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), there.join(file.file_name())).unwrap();
    }
    if !is_there {
        let mut fetch = Command::new("npm");
        fetch.args(["ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&there);
        let fetched = fetch.status().expect("`npm` is needed to test the console (Debian: apt-get install nodejs npm chromium)");
        assert!(fetched.success(), "npm could not fetch Playwright");
    }
    there
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
