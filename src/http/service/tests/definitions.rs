//! Texts that are not in force: checked, and tried on a customer.

use serde_json::{Value, json};

use crate::http::service::fixture::{Scene, day};
use crate::http::service::{CHECK, TRY};

const SHOP: &str = "{segments: [{key: loyal, when: 'count(orders last 30d) > 1'}, {key: big, when: 'sum(orders.total last 10d) > 999'}], lists: {staff: [ann]}}";

fn ann() -> Scene {
    let mut scene = Scene::new(SHOP);
    scene.order("ann", day(1), 50);
    scene.order("ann", day(2), 20);
    scene.commit();
    scene
}

fn post(scene: &Scene, path: &str, body: Value) -> Value {
    let received = scene.post(path, &body.to_string());
    assert_eq!(received.code, 200, "{}", received.body);
    received.json()
}

#[test]
fn a_text_that_is_right_is_told_in_its_canonical_form() {
    let told = post(&ann(), CHECK, json!({"text": "segments: [{key: a, when: 'count( orders last 30d )>2'}]"}));
    assert_eq!((&told["valid"], &told["diagnostics"]), (&json!(true), &json!([])));
    assert_eq!(told["segments"][0]["when"], "count(orders last 30d) > 2");
    assert!(told["segments"][0]["tree"]["compare"].is_object(), "{told}");
}

#[test]
fn what_is_wrong_has_a_place_and_a_suggestion() {
    let scene = ann();
    let told = post(&scene, CHECK, json!({"text": "segments:\n  - {key: a, when: 'sum(orders.totl last 30d) > 2'}\n"}));
    let expected = json!([{"severity": "error", "code": "unknown-field", "message": "the stream `orders` has no field `totl`", "file": "text",
        "line": 2, "column": 32, "bytes": [41, 45], "label": "did you mean `total`?"}]);
    let mut found = told["diagnostics"].clone();
    found[0].as_object_mut().unwrap().remove("help");
    assert_eq!((&told["valid"], &told["segments"], found), (&json!(false), &json!([]), expected));
    let rule = post(&scene, CHECK, json!({"when": "count(ordrs last 30d) > 2 and list(\"staff\")"}));
    assert_eq!((&rule["diagnostics"][0]["line"], &rule["diagnostics"][0]["bytes"]), (&json!(1), &json!([6, 11])));
    let unknown = post(&scene, CHECK, json!({"when": "count(orders last 30d) > 2 and list(\"stuff\")"}));
    assert_eq!((&unknown["valid"], &unknown["diagnostics"][0]["code"]), (&json!(false), &json!("unknown-list")));
    assert_eq!(post(&scene, CHECK, json!({"when": "count(orders last 30d) > 2 and list(\"staff\")"}))["valid"], true, "a list in force");
}

#[test]
fn a_rule_is_tried_on_a_customer_and_changes_nothing() {
    let scene = ann();
    let told = post(&scene, TRY, json!({"customer": "ann", "when": "sum(orders.total last 60d) > 60"}));
    let why = &told["explained"]["explanations"][0];
    assert_eq!((&told["valid"], &why["member"], &why["reasons"][0]["value"]), (&json!(true), &json!(true), &json!("70")));
    assert_eq!(told.get("incomplete"), None, "everything has been kept so far");
    let later = post(&scene, TRY, json!({"customer": "ann", "when": "count(orders last 30d) > 0", "at": "2026-02-02T00:00:00Z"}));
    assert_eq!(later["explained"]["explanations"][0]["member"], false);
    let wrong = post(&scene, TRY, json!({"customer": "ann", "when": "count("}));
    assert_eq!((&wrong["valid"], wrong.get("explained")), (&json!(false), None));
    assert_eq!(scene.told("/api/v1/customers/ann/segments")["segments"].as_object().unwrap().len(), 1);
}

#[test]
fn a_body_that_is_something_else_is_refused() {
    let scene = ann();
    for body in ["", "[]", "{}", r#"{"text":"","when":""}"#, r#"{"when":"x","customer":"ann"}"#, r#"{"txt":""}"#] {
        assert_eq!(scene.post(CHECK, body).code, 400, "{body}");
    }
    for body in [r#"{"when":"count(orders last 1d) > 0"}"#, r#"{"when":"x","customer":""}"#, r#"{"when":"x","customer":"ann","at":"now"}"#]
    {
        assert_eq!(scene.post(TRY, body).code, 400, "{body}");
    }
    let long = json!({"when": "x".repeat(70_000)}).to_string();
    assert!(scene.post(CHECK, &long).body.contains("at most 65536 bytes"));
}
