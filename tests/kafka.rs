//! The service against a real Apache Kafka: every event leads to its transitions once, whatever dies in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::time::Duration;

use segmentd::id::{Offset, Partition, TopicName};
use segmentd::kafka::topics::Topics;
use segmentd::replica::Copies;
use segmentd::runtime::crash::{CrashPoint, VARIABLE};
use segmentd::time::EventTime;
use support::client::{create_topic, delete_topic, read_all};
use support::kafka::Broker;
use support::replica::Replica;
use support::scene::{CUSTOMERS, Scene};
use support::service::{DEAD_LETTERS, INPUT, MEMBERSHIP, TRANSITIONS, settings};

#[test]
fn every_event_leads_to_its_transition_once() {
    let mut scene = Scene::new(4);
    scene.send_orders(20);
    let mut service = scene.service("a", &[]);
    scene.await_all(Duration::from_secs(40));
    let stopped = service.terminate();
    assert!(stopped < Duration::from_secs(5), "SIGTERM to exit took {stopped:?}");
    scene.assert_each_once();
}

#[test]
fn a_crash_at_any_point_loses_and_doubles_nothing() {
    let mut scene = Scene::new(4);
    for point in CrashPoint::ALL {
        // The third passage, where there are that many: by then there is something to come back to.
        for passage in ["1", "3"] {
            scene.send_orders(2);
            let crash = format!("{}:{passage}", point.as_str());
            // One lane and small batches: several tasks in a transaction, several transactions a round.
            let small = [("SERVICE_LANES", "1"), ("SERVICE_MAX_EVENTS", "30"), ("SERVICE_STATIC", "1")];
            let mut service = scene.service("a", &[&small[..], &[(VARIABLE, &crash)]].concat());
            let died = scene.await_end(&mut service, Duration::from_secs(if passage == "1" { 20 } else { 4 }));
            assert!(died || passage == "3", "{} was never passed", point.as_str());
            service.kill();
            let mut service = scene.service("a", &small);
            scene.await_all(Duration::from_secs(40));
            service.terminate();
        }
    }
    scene.assert_each_once();
}

#[test]
fn a_deployment_does_not_go_on_from_what_another_one_has_kept() {
    let mut scene = Scene::new(1);
    let config = scene.configure("127.0.0.1:0");
    let mut service = scene.run(&config, "a");
    scene.send_orders(1);
    scene.await_all(Duration::from_secs(40));
    let settings = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("deployment: other\n{settings}")).unwrap();
    let mut other = scene.run(&config, "b");
    assert!(scene.await_end(&mut other, Duration::from_secs(30)), "{}", scene.logs());
    assert!(scene.logs().contains("holds the state of the deployment `segmentd`, and this one is `other`"), "{}", scene.logs());

    scene.send_orders(1);
    scene.await_all(Duration::from_secs(40));
    service.terminate();
    scene.assert_each_once();
}

#[test]
fn another_process_takes_over_from_one_that_died_in_a_transaction() {
    let mut scene = Scene::new(4);
    for (round, point) in
        [CrashPoint::AfterSend, CrashPoint::AfterOffsets, CrashPoint::BeforeCommit, CrashPoint::AfterCommit].iter().enumerate()
    {
        scene.send_orders(2);
        let (dying, heir) = if round % 2 == 0 { ("a", "b") } else { ("b", "a") };
        let mut service = scene.service(dying, &[(VARIABLE, point.as_str())]);
        assert!(scene.await_end(&mut service, Duration::from_secs(20)), "{} was never passed", point.as_str());
        let mut service = scene.service(heir, &[]);
        scene.await_all(Duration::from_secs(40));
        service.terminate();
    }
    scene.assert_each_once();
}

#[test]
fn partitions_move_while_events_flow() {
    let mut scene = Scene::new(4);
    let mut first = scene.service("a", &[]);
    scene.send_orders(10);
    scene.await_all(Duration::from_secs(40));
    let mut second = scene.service("b", &[]);
    for _ in 0..20 {
        scene.send_orders(5);
        std::thread::sleep(Duration::from_millis(200));
    }
    first.terminate();
    scene.send_orders(20);
    let mut first = scene.service("a", &[]);
    for _ in 0..20 {
        scene.send_orders(5);
        std::thread::sleep(Duration::from_millis(200));
    }
    second.kill();
    scene.send_orders(20);
    scene.await_all(Duration::from_secs(60));
    first.terminate();
    scene.assert_each_once();
}

#[test]
fn a_stopped_process_that_comes_back_writes_nothing_more() {
    let mut scene = Scene::new(4);
    scene.send_orders(5);
    let mut zombie = scene.service("a", &[]);
    scene.await_all(Duration::from_secs(40));
    scene.send_orders(5);
    zombie.signal("-STOP");
    let mut heir = scene.service("b", &[]);
    scene.send_orders(5);
    scene.await_all(Duration::from_secs(60));
    zombie.signal("-CONT");
    scene.send_orders(10);
    scene.await_all(Duration::from_secs(60));
    zombie.terminate();
    heir.terminate();
    scene.assert_each_once();
}

#[test]
fn a_broker_that_dies_and_comes_back_is_waited_for() {
    let mut scene = Scene::on(Broker::start_mortal(), 4);
    let mut service = scene.service("a", &[]);
    scene.send_orders(10);
    scene.await_all(Duration::from_secs(40));
    scene.send_orders(10);
    scene.broker.kill();
    scene.broker.restart();
    scene.reconnect();
    scene.send_orders(10);
    scene.await_all(Duration::from_secs(60));
    service.terminate();
    scene.assert_each_once();
}

#[test]
fn what_is_no_event_goes_to_the_dead_letters_as_it_came() {
    let mut scene = Scene::new(4);
    let bad: [(&[u8], &str); 3] =
        [(b"not json", "bad_json"), (b"\xff\xfe", "bad_json"), (br#"{"type":"track","event":"Order Completed"}"#, "missing")];
    for (value, _) in bad {
        scene.send(INPUT, Some(1), "some-key", Some(value));
    }
    scene.send(INPUT, Some(2), "some-key", None);
    scene.send_orders(2);
    let mut service = scene.service("a", &[]);
    scene.await_all(Duration::from_secs(40));
    service.terminate();
    let letters = read_all(scene.broker.bootstrap(), DEAD_LETTERS);
    assert_eq!(letters.len(), 4);
    for (value, code) in bad {
        let letter = letters.iter().find(|letter| letter.value.as_deref() == Some(value)).expect("the original bytes");
        assert!(letter.headers["error_code"].contains(code) || letter.headers["error_code"] == "bad_utf8", "{:?}", letter.headers);
        assert_eq!((letter.headers["source_topic"].as_str(), letter.headers["source_partition"].as_str()), (INPUT, "1"));
        assert_eq!(letter.key.as_deref(), Some(&b"some-key"[..]));
    }
    assert!(letters.iter().any(|letter| letter.value.is_none() && letter.headers["error_code"] == "tombstone"));
    scene.assert_each_once();
}

#[test]
fn a_record_on_the_wrong_partition_reaches_its_customers_task() {
    let mut scene = Scene::new(4);
    let mut service = scene.service("a", &[]);
    // All on one partition, whatever the key: three quarters of the customers live elsewhere.
    scene.send_orders_to(3, Some(0));
    scene.await_all(Duration::from_secs(40));
    service.terminate();
    scene.assert_each_once();
    assert!(!read_all(scene.broker.bootstrap(), MEMBERSHIP).is_empty());
}

#[test]
fn with_no_event_coming_a_customer_leaves_at_the_due_instant() {
    let mut scene = Scene::new(4);
    scene.define("segments: [{key: recent, when: 'count(orders last 3s) > 0'}]");
    let mut service = scene.service("a", &[("SERVICE_FOLLOW_WALL", "1")]);
    // The first customer only shows that the service is up; starting is no timer's lag.
    order_now(&scene, "first");
    scene.await_transitions(1, Duration::from_secs(40));
    let now = order_now(&scene, "c");
    let records = scene.await_transitions(4, Duration::from_secs(20));
    service.terminate();
    let exits = records.iter().map(support::client::Read::json).map(|record| record["properties"].clone());
    let exit = exits.filter(|exit| exit["customer"] == "c").find(|exit| exit["transition"] == "exited").unwrap();
    let due = now + jiff::Span::new().seconds(3);
    assert_eq!(exit["cause"], "time");
    assert_eq!(exit["at"].as_str().unwrap(), format!("{due:.3}"), "stamped with the due instant, not with when it was noticed");
    let decided: jiff::Timestamp = exit["decided_at"].as_str().unwrap().parse().unwrap();
    let late = decided.duration_since(due).as_millis();
    // The task clock stays 2 s behind the wall clock (`clock.idle_delay`). What comes on top is ours, usually 0.1 s; the
    // bound leaves room for a machine that does other things too.
    assert!((2000..5000).contains(&late), "fired {late} ms after it was due");
}

/// Sends a customer's order of this instant, which is given back.
fn order_now(scene: &Scene, customer: &str) -> jiff::Timestamp {
    let now = jiff::Timestamp::now().round(jiff::Unit::Millisecond).unwrap();
    let order = format!(
        r#"{{"type":"track","event":"Order Completed","userId":"{customer}","timestamp":"{now:.3}","properties":{{"order_id":"o-{customer}","total":20}}}}"#
    );
    scene.send(INPUT, None, customer, Some(order.as_bytes()));
    now
}

#[test]
fn a_replica_shows_what_is_committed_and_says_as_of_when() {
    let mut scene = Scene::new(4);
    let mut service = scene.service("a", &[]);
    let replica = replica(&scene);
    scene.send_orders(3);
    scene.await_all(Duration::from_secs(40));
    let late = replica.await_that("told", |replica| (0..CUSTOMERS).all(|c| replica.holds(&format!("c-{c}"), "n3") == Some(true)));
    println!("the last of {CUSTOMERS} customers was told {late:?} after a reader had seen all transitions");
    assert!(replica.await_ready() < Duration::from_secs(5));
    // The markers of transactions take offsets too, and are no lag.
    let before = jiff::Timestamp::now();
    replica.await_that("up to date", |replica| {
        let told = replica.customer("c-0").unwrap();
        told["lag_records"] == 0 && told["as_of"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() > before
    });
    assert_eq!(replica.holds("c-0", "n2"), Some(false), "left when the third order came");
    service.terminate();
    replica.stop();
}

#[test]
fn a_replica_starts_over_when_its_topic_was_made_anew() {
    let scene = Scene::new(1);
    let remake = |customers: &[&str]| {
        if support::client::exists(scene.broker.bootstrap(), MEMBERSHIP) {
            delete_topic(scene.broker.bootstrap(), MEMBERSHIP);
        }
        create_topic(scene.broker.bootstrap(), MEMBERSHIP, 2);
        // More of them each time, so that no offset tells that the topic is another one.
        for customer in customers.iter().cycle().take(customers.len() * 50) {
            let record = format!(
                r#"{{"customer":"{customer}","segments":{{"s":{{"since":"2026-01-01T00:00:00.000Z"}}}},"updated_at":"2026-01-01T00:00:00.000Z"}}"#
            );
            scene.send(MEMBERSHIP, None, customer, Some(record.as_bytes()));
        }
        scene.flush();
    };
    remake(&["ann", "bob"]);
    let first = replica(&scene);
    first.await_that("told", |replica| replica.holds("ann", "s") == Some(true) && replica.holds("bob", "s") == Some(true));
    remake(&["bob", "cat", "dan"]);
    first.await_that("told anew, running", |replica| replica.holds("ann", "s") == Some(false) && replica.holds("cat", "s") == Some(true));
    first.stop();
    remake(&["dan", "eve", "fay", "guy"]);
    let second = replica(&scene);
    second
        .await_that("told anew, restarted", |replica| replica.holds("bob", "s") == Some(false) && replica.holds("eve", "s") == Some(true));
    second.stop();
}

#[test]
fn a_replica_that_was_away_for_longer_than_tombstones_are_kept_starts_over() {
    let scene = Scene::new(1);
    create_topic(scene.broker.bootstrap(), MEMBERSHIP, 1);
    let record = br#"{"customer":"c","segments":{"s":{"since":"2026-01-01T00:00:00.000Z"}},"updated_at":"2026-01-01T00:00:00.000Z"}"#;
    scene.send(MEMBERSHIP, None, "ann", Some(record));
    scene.flush();
    // What a replica left behind that saw bob enter, and was not there when bob left.
    let kafka = settings(scene.broker.bootstrap(), scene.states.path()).kafka;
    let id = Topics::connect(&kafka).unwrap().id(&TopicName(MEMBERSHIP.into())).unwrap();
    let leave_behind = |age_hours: i64| {
        let copies = Copies::open(&scene.states.path().join("replica"), 8 << 20, MEMBERSHIP, 1, id.clone()).unwrap();
        let copy = copies.get(Partition(0)).unwrap();
        copy.clear().unwrap();
        copy.note_end(Offset(0), EventTime::from_millis(jiff::Timestamp::now().as_millisecond() - age_hours * 3_600_000));
        copy.apply(&[(b"bob", Some(record))], Offset(1), id.as_deref()).unwrap();
    };
    leave_behind(19);
    let young = replica(&scene);
    young.await_ready();
    assert_eq!((young.holds("bob", "s"), young.figure("segmentd_replica_started_over_total")), (Some(true), 0.0));
    young.stop();
    leave_behind(21);
    let old = replica(&scene);
    old.await_that("told anew", |replica| replica.holds("bob", "s") == Some(false) && replica.holds("ann", "s") == Some(true));
    old.stop();
}

/// In the folder of its own that every replica of a scene has.
fn replica(scene: &Scene) -> Replica {
    let kafka = settings(scene.broker.bootstrap(), scene.states.path()).kafka;
    Replica::start(kafka, &scene.states.path().join("replica"))
}

/// Two processes, each with partitions of its own; then one dies.
#[test]
fn a_customer_of_another_process_is_answered_with_where_it_is() {
    let mut scene = Scene::new(4);
    scene.define("segments: [{key: buyer, when: 'count(orders lifetime) > 0'}]");
    let addresses = ["a", "b"].map(|_| format!("127.0.0.1:{}", support::kafka::free_port()));
    let start = |name: &str, http: &str| {
        let config = scene.configure_as(name, &format!("listen: \"{http}\", advertise: \"http://{http}\""));
        scene.run(&config, name)
    };
    let (mut a, mut b) = (start("a", &addresses[0]), start("b", &addresses[1]));
    scene.send_orders(1);
    scene.await_transitions(CUSTOMERS, Duration::from_secs(60));
    // Found by asking the one, and the other if it says so: as a client does that follows.
    let held_by = |customer: usize, first: usize| {
        let path = format!("/api/v1/customers/c-{customer}/segments");
        let (code, body) = support::client::ask(&addresses[first], &path)?;
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        let owner = match code {
            200 => return (told["segments"]["buyer"]["held"] == true).then_some(first),
            421 => addresses.iter().position(|address| told["owner"] == format!("http://{address}"))?,
            _ => return None,
        };
        let (code, body) = support::client::ask(&addresses[owner], &path)?;
        (code == 200 && body.contains(r#""buyer":{"held":true"#)).then_some(owner)
    };
    let everybody = |first: usize| (0..CUSTOMERS).map(|customer| held_by(customer, first)).collect::<Option<Vec<_>>>();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let both = |found: &Vec<usize>| found.contains(&0) && found.contains(&1);
    while [0, 1].iter().any(|first| !everybody(*first).is_some_and(|found| both(&found))) {
        assert!(std::time::Instant::now() < deadline, "not everybody is found\n{}", scene.logs());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(everybody(0), everybody(1));
    b.kill();
    while everybody(0) != Some(vec![0; CUSTOMERS]) {
        assert!(std::time::Instant::now() < deadline + Duration::from_secs(60), "the survivor does not answer for all\n{}", scene.logs());
        std::thread::sleep(Duration::from_millis(100));
    }
    a.terminate();
}

const MANY: &str = "{key: many, when: 'count(orders lifetime) >= 5'}";

/// `segmentd run` itself, told by SIGHUP; events flow all the time.
#[test]
fn definitions_change_while_events_flow() {
    let mut scene = Scene::new(4);
    let http = format!("127.0.0.1:{}", support::kafka::free_port());
    scene.define(&format!("segments: [{MANY}, {{key: gone, when: 'count(orders lifetime) >= 3'}}]"));
    let config = scene.configure(&http);
    let mut service = scene.run(&config, "a");
    scene.send_orders(10);
    scene.await_transitions(2 * CUSTOMERS, Duration::from_secs(40));

    scene.define(&format!("segments: [{MANY}, {{key: added, when: 'count(orders lifetime) >= 8'}}]"));
    service.signal("-HUP");
    for _ in 0..10 {
        scene.send_orders(2);
        std::thread::sleep(Duration::from_millis(50));
    }
    let records = scene.await_transitions(4 * CUSTOMERS, Duration::from_secs(20));
    let by_definition = |segment: &str, transition: &str| {
        let records = records.iter().map(|record| record.json()["properties"].clone());
        records.filter(|p| p["segment"] == segment && p["transition"] == transition && p["cause"] == "definition").count()
    };
    assert_eq!(
        (by_definition("added", "entered"), by_definition("gone", "exited"), by_definition("many", "entered")),
        (CUSTOMERS, CUSTOMERS, 0)
    );
    await_metric(&http, "segmentd_config_reloads_total{result=\"success\"} 1");
    (0..4).for_each(|partition| await_metric(&http, &format!("segmentd_backfill_remaining_customers{{partition=\"{partition}\"}} 0")));

    scene.define("segments: [{key: many, when: 'count(ordrs lifetime) >= 5'}]");
    service.signal("-HUP");
    await_metric(&http, "segmentd_config_reloads_total{result=\"failure\"} 1");
    scene.send_orders(2);

    // A kill in the midst of the next change, which the restart finds half done or not begun.
    scene.define(&format!("segments: [{MANY}, {{key: added, when: 'count(orders lifetime) >= 1_000'}}]"));
    service.signal("-HUP");
    await_metric(&http, "segmentd_config_reloads_total{result=\"success\"} 2");
    service.kill();
    let mut service = scene.run(&config, "a");
    scene.send_orders(2);
    scene.await_transitions(5 * CUSTOMERS, Duration::from_secs(40));
    await_metric(&http, "segmentd_consumer_lag_records{partition=\"0\",topic=\"shop.events\"} 0");
    service.terminate();
    let mut found: Vec<_> = read_all(scene.broker.bootstrap(), TRANSITIONS).iter().map(told).collect();
    found.sort();
    let each = |told: &'static str| (0..CUSTOMERS).map(move |customer| format!("c-{customer} {told}"));
    let mut wanted: Vec<_> =
        ["many entered 1", "gone entered 1", "gone exited 2", "added entered 1", "added exited 2"].into_iter().flat_map(each).collect();
    wanted.sort();
    assert_eq!(found, wanted, "{}", scene.logs());
}

#[test]
fn all_partitions_go_by_one_cut_whoever_dies() {
    let scene = Scene::new(4);
    scene.define("segments: [{key: best, when: 'top 25% by sum(orders.total lifetime)'}]");
    let seconds = [("SERVICE_EPOCH", "1s"), ("SERVICE_LANES", "1")];
    let mut first = scene.service("a", &seconds);
    let mut second = scene.service("b", &seconds);
    scene.send_ranked_orders(0);
    let minute = scene.await_ranks(1, Duration::from_secs(60));
    for round in 0..6 {
        // Many exceed the cut that is in force, until it follows.
        scene.send_ranked_orders(minute + round);
        std::thread::sleep(Duration::from_millis(1_500));
        if round % 2 == 1 {
            second.kill();
            second = scene.service("b", &seconds);
        }
    }
    // Whoever has partition 0 cuts for all; another one takes over.
    first.kill();
    scene.await_ranks(minute + 6, Duration::from_secs(60));
    second.terminate();
    scene.assert_alternating();
}

fn told(record: &support::client::Read) -> String {
    let properties = &record.json()["properties"];
    let text = |key: &str| properties[key].as_str().unwrap().to_string();
    format!("{} {} {} {}", text("customer"), text("segment"), text("transition"), properties["sequence"])
}

/// Waits until a scrape has this line.
fn await_metric(http: &str, line: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let text = support::client::get(http, "/metrics");
        if text.lines().any(|found| found == line) {
            return;
        }
        let like: Vec<_> = text.lines().filter(|found| found.starts_with(line.split(['{', ' ']).next().unwrap_or(line))).collect();
        assert!(std::time::Instant::now() < deadline, "no `{line}`: {like:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
