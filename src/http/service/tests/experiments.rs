//! Experiments over HTTP: what the partitions of this process have committed, as sums.

use std::time::Duration;

use serde_json::json;

use super::super::fixture::{Scene, day};
use crate::id::Partition;
use crate::runtime::Shutdown;
use crate::runtime::clock::Deadline;

/// With this salt `ann` and `dan` are in the control arm, `bob` and `eve` in treatment.
const BUYER: &str = "
segments:
  - key: buyer
    when: 'count(orders last 30d) > 0'
    experiment: {holdout: 50%, salt: coupon-programme, goal: orders, value: total, within: 30d}
  - {key: other, when: 'count(orders last 1d) > 0'}
";
const ONE: &str = "/api/v1/experiments/buyer";

/// Everybody enters on the first day; one of each arm buys again.
fn scene() -> Scene {
    let mut scene = Scene::new(BUYER);
    ["ann", "bob", "dan", "eve"].into_iter().for_each(|customer| scene.order(customer, day(1), 5));
    scene.order("ann", day(2), 20);
    scene.order("bob", day(3), 30);
    scene.order("bob", day(4), 12);
    scene
}

#[test]
fn an_experiment_is_told_with_its_sums_and_its_partitions() {
    let mut scene = scene();
    scene.commit();
    let told = scene.told(ONE);
    let arm = |exposed: u64, goals: u64, value: &str, squares: &str| json!({"exposed": exposed, "open": 2, "recounted": 0, "converted": 1, "goals": goals, "value": value, "squares": squares, "steps": []});
    assert_eq!(told["arms"], json!({"treatment": arm(2, 2, "42", "1764"), "control": arm(2, 1, "20", "400")}));
    assert_eq!((&told["experiment"], &told["as_of"]), (&json!("buyer"), &json!("2026-01-04T00:00:00.000Z")));
    assert_eq!(told["partitions"], json!({"here": [0], "of": 1, "partial": false}));
    assert_eq!(told["conversion"]["finding"], "inconclusive");
    let mut all = scene.told("/api/v1/experiments");
    let mut listed = all["experiments"][0].take();
    listed["partitions"] = all["partitions"].take();
    assert_eq!(listed, told);
}

#[test]
fn what_is_not_committed_is_not_counted() {
    let scene = scene();
    let told = scene.told(ONE);
    assert_eq!((&told["as_of"], &told["arms"]["treatment"]["exposed"]), (&json!(null), &json!(0)));
    assert_eq!(told["verdict"], json!(["Nobody has been exposed: no entry has counted since the experiment was defined."]));
}

#[test]
fn an_experiment_that_is_not_there_is_not_found() {
    let mut scene = scene();
    scene.commit();
    for (path, detail) in [
        ("/api/v1/experiments/byer", "there is no such experiment; did you mean `buyer`?"),
        ("/api/v1/experiments/other", "there is no such experiment"),
    ] {
        let received = scene.get(path);
        assert_eq!((received.code, received.json()["detail"].as_str().unwrap()), (404, detail));
    }
    assert_eq!(scene.get("/api/v1/experiments/%ff").code, 400);
    assert_eq!(scene.get("/api/v1/experiments?x=1").code, 400);
}

#[test]
fn partitions_that_cannot_be_read_are_not_taken_for_empty_ones() {
    let mut scene = scene();
    scene.commit();
    scene.hide();
    let received = scene.get(ONE);
    assert_eq!((received.code, received.header("retry-after")), (503, Some("1")));
    scene.committed.gone(Partition(0));
    assert_eq!(scene.get(ONE).code, 503);
}

#[test]
fn metrics_show_what_is_counted_without_anybody_asking_and_nothing_of_partitions_that_are_gone() {
    let mut scene = scene();
    scene.commit();
    let (stop, exposed) = (Shutdown::default(), r#"segmentd_experiment_exposed{arm="control",experiment="buyer"} 2"#);
    let (measuring, committed, over) = (scene.measuring.clone(), scene.committed.clone(), stop.clone());
    let following = std::thread::spawn(move || measuring.follow(&committed, &over));
    let deadline = Deadline::after(Duration::from_secs(10));
    while !scene.metrics.encode().unwrap().contains(exposed) {
        assert!(!deadline.is_past(), "{}", scene.metrics.encode().unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.request();
    following.join().unwrap();
    scene.hide();
    let begun = Shutdown::default();
    let (measuring, committed, over) = (scene.measuring.clone(), scene.committed.clone(), begun.clone());
    let following = std::thread::spawn(move || measuring.follow(&committed, &over));
    while scene.metrics.encode().unwrap().contains("experiment=\"buyer\"") {
        assert!(!deadline.is_past(), "{}", scene.metrics.encode().unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    begun.request();
    following.join().unwrap();
}
