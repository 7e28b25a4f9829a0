//! Definitions that are tried on everybody.

use serde_json::{Value, json};

use crate::http::service::PLAN;
use crate::http::service::fixture::{Scene, day};

const SHOP: &str = "{segments: [
    {key: loyal, when: 'count(orders last 30d) > 1'}, {key: big, when: 'sum(orders.total last 10d) > 60'},
    {key: both, when: 'segment(\"loyal\") and segment(\"big\")'}, {key: gone, when: 'count(orders last 30d) > 0'}]}";

const NEW: &str = "{segments: [
    {key: loyal, when: 'count(orders last 30d) > 1'}, {key: big, when: 'sum(orders.total last 10d) > 80'},
    {key: both, when: 'segment(\"loyal\") and segment(\"big\")'}, {key: old, when: 'count(orders older than 300d) > 0'},
    {key: any, when: 'count(orders lifetime) > 0'}]}";

fn shop() -> Scene {
    let mut scene = Scene::new(SHOP);
    for (customer, total) in [("ann", 50), ("ann", 20), ("bob", 100), ("cat", 5)] {
        scene.order(customer, day(2), total);
    }
    scene.commit();
    scene
}

fn plan(scene: &Scene, text: &str) -> Value {
    let received = scene.post(PLAN, &json!({"files": [{"name": "new.yaml", "text": text}]}).to_string());
    assert_eq!(received.code, 200, "{}", received.body);
    received.json()
}

#[test]
fn everybody_is_decided_by_definitions_that_do_not_come_into_force() {
    let scene = shop();
    let told = plan(&scene, NEW);
    let line = |segment: &Value| {
        let [key, change] = ["segment", "change"].map(|name| segment[name].as_str().unwrap());
        let since = if segment.get("complete_since").is_some() { ", incomplete" } else { "" };
        format!("{key} {change} {} +{} -{}{since}", segment["members"], segment["enter"], segment["leave"])
    };
    let lines: Vec<String> = told["segments"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "loyal unchanged 1 +{} -{}",
            r#"big changed 2 +{} -{"definition":1}"#,
            r#"both affected 1 +{} -{"definition":1}"#,
            "old added 0 +{} -{}, incomplete",
            r#"any added 0 +{"definition":3} -{}, incomplete"#,
            r#"gone removed 3 +{} -{"definition":3}"#,
        ]
    );
    assert_eq!((&told["looked_at"], &told["complete"]), (&json!(3), &json!(true)));
    assert_eq!(told["partitions"], json!({"here": [0], "of": 1, "partial": false}));
    assert_eq!(scene.told("/api/v1/customers/ann/segments")["segments"].as_object().unwrap().len(), 4, "nothing has changed");
    let same = plan(&scene, SHOP);
    assert!(same["segments"].as_array().unwrap().iter().all(|segment| segment["change"] == "unchanged" && segment["leave"] == json!({})));
}

#[test]
fn texts_that_are_wrong_are_told_as_of_a_check_and_nobody_is_looked_at() {
    let told = plan(&shop(), "segments: [{key: a, when: 'count(ordrs last 30d) > 2'}]");
    assert_eq!((&told["valid"], &told["segments"], &told["looked_at"]), (&json!(false), &json!([]), &json!(0)));
    assert_eq!((&told["diagnostics"][0]["code"], &told["diagnostics"][0]["file"]), (&json!("unknown-stream"), &json!("new.yaml")));
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let mut scene = shop();
    for body in ["", "{}", r#"{"files":{}}"#, r#"{"files":[{"name":"a"}]}"#, r#"{"text":"segments: []"}"#] {
        assert_eq!(scene.post(PLAN, body).code, 400, "{body}");
    }
    let many: String = (0..2_001).map(|n| format!("{{key: a{n}, when: trait.a}},")).collect();
    let body = json!({"files": [{"name": "a", "text": format!("segments: [{many}]")}]}).to_string();
    assert!(scene.post(PLAN, &body).body.contains("at most 2000 segments"));
    scene.hide();
    let later = scene.post(PLAN, &json!({"files": [{"name": "a", "text": NEW}]}).to_string());
    assert_eq!((later.code, later.header("retry-after")), (503, Some("1")));
}
