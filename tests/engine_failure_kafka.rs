//! A record on which the engine panics, against a real Apache Kafka: it is set aside, and all others go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)] // a test fails by panicking, and measures by the clock

mod support;

use std::time::Duration;

use segmentd::runtime::crash::FAIL_ON;
use support::client::read_all;
use support::scene::{CUSTOMERS, Scene};
use support::service::{DEAD_LETTERS, INPUT};

/// As often as that may happen to a lane before it gives up.
const MOST: usize = 16;

#[test]
fn a_record_on_which_the_engine_fails_is_a_dead_letter_and_can_be_sent_again() {
    is_set_aside(&format!("{INPUT}/1@0"));
}

#[test]
fn so_is_a_record_on_which_the_decoder_fails() {
    is_set_aside(&format!("decode {INPUT}/1@0"));
}

#[track_caller]
fn is_set_aside(failure: &str) {
    let mut scene = Scene::new(2);
    scene.send_orders(3);
    let mut service = scene.service("a", &[(FAIL_ON, failure)]);
    // Whose order it was enters and leaves one segment less.
    scene.await_transitions(5 * CUSTOMERS - 2, Duration::from_secs(40));
    assert!(!service.has_ended());
    service.terminate();

    let sent = read_all(scene.broker.bootstrap(), INPUT);
    // The first of its partition.
    let unfit = sent.iter().find(|record| record.partition == 1).unwrap();
    let letters = read_all(scene.broker.bootstrap(), DEAD_LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].key, &letters[0].value), (&unfit.key, &unfit.value));
    assert_eq!(letters[0].headers["error_code"], "engine_failed");
    assert!(letters[0].headers["error_message"].contains("a test asked for it"), "{:?}", letters[0].headers);
    assert_eq!((letters[0].headers["source_partition"].as_str(), letters[0].headers["source_offset"].as_str()), ("1", "0"));

    let mut service = scene.service("a", &[]);
    let key = String::from_utf8(unfit.key.clone().unwrap()).unwrap();
    scene.send(INPUT, Some(1), &key, unfit.value.as_deref());
    scene.await_all(Duration::from_secs(40));
    service.terminate();
    scene.assert_each_once();
}

#[test]
fn an_engine_that_fails_on_one_record_after_the_other_stops_the_process() {
    let mut scene = Scene::new(2);
    scene.send_orders(1);
    let mut service = scene.service("a", &[("SERVICE_LANES", "1"), (FAIL_ON, INPUT)]);
    assert!(scene.await_end(&mut service, Duration::from_secs(60)), "it went on");
    assert!(scene.logs().contains("go back to the version before"), "{}", scene.logs());

    // Those of the last batches came to nothing with it: they are read again.
    let letters = read_all(scene.broker.bootstrap(), DEAD_LETTERS).len();
    assert!(letters <= MOST, "{letters}");
    let mut service = scene.service("a", &[]);
    scene.await_transitions(CUSTOMERS - letters, Duration::from_secs(40));
    service.terminate();
    assert_eq!(read_all(scene.broker.bootstrap(), DEAD_LETTERS).len(), letters);
}
