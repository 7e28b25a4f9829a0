//! Segments with their figures, and who is in them.

use serde_json::{Value, json};

use crate::http::service::fixture::{Scene, day};
use crate::id::Partition;

const SHOP: &str = "
segments:
  - {key: loyal, name: Loyal, owner: crm, tags: [retention], when: 'count(orders  last 30d)>1', exit_when: 'count(orders last 30d) < 1'}
ladders:
  - {key: life, stages: [{key: active, when: 'count(orders last 30d) > 0'}, {key: dormant}]}
";

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

#[test]
fn a_segment_is_told_with_its_definition_and_its_figures() {
    let mut scene = Scene::new(SHOP);
    for customer in ["ann", "bob"] {
        scene.order(customer, day(1), 20);
        scene.order(customer, day(2), 20);
    }
    scene.commit();
    scene.advance(day(31));
    scene.advance(day(31).plus(crate::time::Span::from_days(2)));
    scene.commit();
    let loyal = scene.told("/api/v1/segments/loyal");
    let version = scene.plan.segments[0].version.to_string();
    let expected = json!({
        "key": "loyal", "name": "Loyal", "owner": "crm", "tags": ["retention"], "version": version, "when": "count(orders last 30d) > 1",
        "exit_when": "count(orders last 30d) < 1", "timezone": "UTC", "members": 0, "entered": {"event": 2}, "exited": {"time": 2},
        "last_change": "2026-02-01T00:00:00.000Z", "complete_since": null,
    });
    let one = json!({"here": [0], "of": 1, "partial": false});
    assert_eq!(loyal, with(expected.clone(), "partitions", one));
    let all = scene.told("/api/v1/segments");
    assert_eq!(all["segments"][0], expected);
    let stage =
        |at: usize| (all["segments"][at]["key"].clone(), all["segments"][at]["stage"].clone(), all["segments"][at]["members"].clone());
    assert_eq!(stage(1), (json!("active"), json!({"ladder": "life", "rank": 0}), json!(0)));
    assert_eq!(stage(2), (json!("dormant"), json!({"ladder": "life", "rank": 1}), json!(2)));
    assert_eq!(all["ladders"], json!([{"key": "life", "tags": [], "stages": ["active", "dormant"]}]));
    assert_eq!((&all["partitions"], &all["next"]), (&json!({"here": [0], "of": 1, "partial": false}), &Value::Null));
}

#[test]
fn a_segment_that_nobody_has_defined_is_not_found() {
    let scene = Scene::new(SHOP);
    for path in ["/api/v1/segments/loyl", "/api/v1/segments/loyl/customers", "/api/v1/customers/ann/explain?segment=loyl"] {
        let received = scene.get(path);
        assert_eq!((received.code, &received.json()["detail"]), (404, &json!("there is no such segment; did you mean `loyal`?")), "{path}");
    }
    assert_eq!(scene.get("/api/v1/segments/loyal?x=1").code, 400);
}

#[test]
fn everybody_in_a_segment_is_found_page_by_page() {
    let mut scene = Scene::new(SHOP);
    let ids: Vec<String> = (0..700).map(|customer| format!("c/{customer:03}")).collect();
    for (index, id) in ids.iter().enumerate() {
        scene.order(id, day(1), 20);
        if index % 7 == 0 {
            scene.order(id, day(1), 20);
        }
    }
    scene.commit();
    let (mut path, mut found, mut pages) = ("/api/v1/segments/loyal/customers?limit=30".to_owned(), Vec::new(), 0);
    loop {
        let page = scene.told(&path);
        let customers = page["customers"].as_array().unwrap().clone();
        assert!(customers.len() <= 30);
        found.extend(customers.iter().map(|member| member["customer"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/segments/loyal/customers?limit=30&cursor={next}");
    }
    assert_eq!(found, ids.iter().step_by(7).cloned().collect::<Vec<_>>());
    assert!(pages >= 4, "{pages}");
    let first = scene.told("/api/v1/segments/loyal/customers?limit=1");
    assert_eq!(first["customers"], json!([{"customer": "c/000", "since": "2026-01-01T00:00:00.000Z", "entry": 1, "sequence": 1}]));
    for query in ["limit=0", "limit=1001", "cursor=x", "page=2"] {
        assert_eq!(scene.get(&format!("/api/v1/segments/loyal/customers?{query}")).code, 400, "{query}");
    }
}

#[test]
fn of_partitions_that_are_not_here_nobody_is_listed_or_counted() {
    let mut scene = Scene::new(SHOP);
    scene.order("ann", day(1), 20);
    scene.order("ann", day(1), 20);
    scene.commit();
    scene.hide();
    scene.committed.gone(Partition(0));
    let page = scene.told("/api/v1/segments/loyal/customers");
    assert_eq!((&page["customers"], &page["partitions"]), (&json!([]), &json!({"here": [], "of": 1, "partial": true})));
    assert_eq!(scene.told("/api/v1/segments/loyal")["members"], 0);
    assert!(
        scene.metrics.encode().unwrap().contains("segmentd_segment_members{segment=\"loyal\"} 0"),
        "what has gone leaves nothing behind"
    );
}
