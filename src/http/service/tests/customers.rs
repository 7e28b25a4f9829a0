//! What is known of a customer, and why it is where it is.

use serde_json::{Value, json};

use crate::http::service::fixture::{Scene, day};
use crate::id::Partition;

const SHOP: &str = "
segments:
  - {key: loyal, when: 'count(orders last 30d) > 1'}
  - {key: big, when: 'sum(orders.total last 10d) >= 50'}
  - {key: named, when: 'trait.plan == \"pro\"'}
";

/// Two orders, of which the first makes `big` for ten days.
fn ann() -> Scene {
    let mut scene = Scene::new(SHOP);
    scene.order("ann", day(1), 50);
    scene.order("ann", day(2), 20);
    scene.commit();
    scene.order("bob", day(13), 20);
    scene.commit();
    scene
}

#[test]
fn a_customer_is_told_with_what_it_was_in_and_what_was_counted() {
    let scene = ann();
    let told = scene.told("/api/v1/customers/ann");
    assert_eq!((&told["customer"], &told["seen"], &told["decided"]), (&json!("ann"), &json!(true), &json!(true)));
    let loyal = &told["segments"]["loyal"];
    assert_eq!((&loyal["held"], &loyal["valid_until"]), (&json!(true), &json!("2026-01-31T00:00:00.000Z")));
    assert_eq!(told["segments"]["big"], json!({"held": false, "left_at": "2026-01-11T00:00:00.000Z", "entry": 1, "sequence": 2}));
    assert_eq!(told["segments"].get("named"), None, "it never was in it");
    let aggregates = json!([
        {"aggregate": "count(orders last 30d)", "value": "2"}, {"aggregate": "sum(orders.total last 10d)", "value": "0"},
    ]);
    assert_eq!(told["aggregates"], aggregates);
    assert_eq!((&told["at"], &told["task_clock"]), (&json!("2026-01-13T00:00:00.000Z"), &json!("2026-01-13T00:00:00.000Z")));
    assert_eq!(told["next_due"], "2026-01-31T00:00:00.000Z");
}

#[test]
fn a_customer_that_was_never_seen_has_nothing() {
    let told = ann().told("/api/v1/customers/cat");
    assert_eq!((&told["seen"], &told["segments"], &told["next_due"]), (&json!(false), &json!({}), &Value::Null));
    assert_eq!(told["aggregates"][0], json!({"aggregate": "count(orders last 30d)", "value": "0"}));
}

#[test]
fn a_membership_is_explained_by_what_would_change_it() {
    let scene = ann();
    let told = scene.told("/api/v1/customers/ann/explain?segment=big");
    let reason = json!({"aggregate": "sum(orders.total last 10d)", "value": "0", "op": ">=", "threshold": "50", "met": false,
        "distance": {"by": "50", "direction": "more", "beyond": false}, "needed": true});
    let big = json!({"customer": "ann", "segment": "big", "at": "2026-01-13T00:00:00.000Z", "member": false,
        "since": "2026-01-11T00:00:00.000Z", "entries": 1, "reasons": [reason], "changes_at": null});
    assert_eq!(told["explanations"], json!([big]));
    assert_eq!((&told["seen"], &told["decided"], &told["at"]), (&json!(true), &json!(true), &json!("2026-01-13T00:00:00.000Z")));
    let all = scene.told("/api/v1/customers/ann/explain");
    assert_eq!(all["explanations"].as_array().unwrap().len(), 3);
    assert_eq!(scene.told("/api/v1/customers/cat/explain?segment=loyal")["explanations"][0]["member"], false);
}

#[test]
fn a_later_instant_is_explained_as_it_will_be_and_an_earlier_one_is_refused() {
    let scene = ann();
    let member =
        |at: &str| scene.told(&format!("/api/v1/customers/ann/explain?segment=loyal&at={at}"))["explanations"][0]["member"].clone();
    assert_eq!((member("2026-01-30T00:00:00Z"), member("2026-01-31T00:00:00Z")), (json!(true), json!(false)));
    let early = scene.get("/api/v1/customers/ann/explain?at=2026-01-12T00:00:00Z");
    assert_eq!(early.code, 422);
    assert!(early.body.contains("the state stands at 2026-01-13T00:00:00.000Z"), "{}", early.body);
    assert_eq!(scene.get("/api/v1/customers/ann/explain?at=2036-01-12T00:00:00Z").code, 422);
    for query in ["at=yesterday", "at=1&at=2", "segment=", "sgment=loyal"] {
        assert_eq!(scene.get(&format!("/api/v1/customers/ann/explain?{query}")).code, 400, "{query}");
    }
}

#[test]
fn nothing_is_said_of_a_customer_who_is_not_here_and_no_id_stands_in_a_metric() {
    let mut scene = ann();
    scene.told("/api/v1/customers/hush-hush");
    scene.hide();
    for path in ["/api/v1/customers/hush-hush", "/api/v1/customers/hush-hush/explain"] {
        assert_eq!(scene.get(path).code, 503, "{path}");
    }
    scene.committed.gone(Partition(0));
    for path in ["/api/v1/customers/hush-hush", "/api/v1/customers/hush-hush/explain"] {
        let received = scene.get(path);
        assert_eq!(received.code, 421, "{path}");
        assert!(!received.body.contains("hush"), "{}", received.body);
    }
    let metrics = scene.server.metrics();
    assert!(metrics.contains(r#"count{code="421",route="/api/v1/customers/{id}/explain"} 1"#), "{metrics}");
    assert!(!metrics.contains("hush"), "{metrics}");
}
