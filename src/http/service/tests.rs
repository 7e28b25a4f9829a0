//! What a running service answers, over a real socket and from a real store.

mod audit;
mod customers;
mod definitions;
mod documented;
mod edges;
mod experiments;
mod generated;
mod live;
mod past;
mod plan;
mod segments;
mod together;

use std::collections::BTreeSet;

use serde_json::json;

use super::ROUTES;
use super::fixture::{Scene, day};
use crate::http::lookup::MANY;
use crate::id::Partition;

const LOYAL: &str = "segments: [{key: loyal, when: 'count(orders last 30d) > 1'}]";
const ANN: &str = "/api/v1/customers/ann/segments";

#[test]
fn a_membership_is_told_once_it_is_committed_and_not_before() {
    let mut scene = Scene::new(LOYAL);
    scene.order("ann", day(1), 20);
    scene.order("ann", day(2), 20);
    assert_eq!(scene.told(ANN)["segments"], json!({}), "the batch is open");
    scene.commit();
    let told = scene.told(ANN);
    let version = scene.plan.segments[0].version.to_string();
    let loyal = json!({"held": true, "since": "2026-01-02T00:00:00.000Z", "entry": 1, "sequence": 1, "valid_until": "2026-01-31T00:00:00.000Z", "version": version});
    assert_eq!(told["segments"], json!({"loyal": loyal}));
    assert_eq!((&told["updated_at"], &told["task_clock"]), (&json!("2026-01-02T00:00:00.000Z"), &json!("2026-01-02T00:00:00.000Z")));
    let asked = scene.told(&format!("{ANN}?segment=gold,loyal"));
    assert_eq!(asked["segments"], json!({"gold": {"held": false}, "loyal": loyal}));
    scene.advance(day(31));
    scene.order("bob", day(31), 20);
    scene.commit();
    assert_eq!(scene.told(ANN)["segments"], json!({"loyal": loyal}), "what is due at the clock itself is still to come");
}

#[test]
fn an_answer_has_its_tag_and_its_freshness_in_headers() {
    let mut scene = Scene::new(LOYAL);
    scene.order("ann", day(1), 20);
    scene.commit();
    let received = scene.get(ANN);
    assert_eq!((received.header("task-clock"), received.header("lag-records")), (Some("2026-01-01T00:00:00.000Z"), Some("0")));
    assert_eq!(received.header("cache-control"), Some("no-store"));
    assert!(received.header("etag").is_some() && received.header("as-of").is_some());
}

#[test]
fn an_open_commit_holds_the_instant_back_as_of_which_an_answer_is() {
    let mut scene = Scene::new(LOYAL);
    scene.order("ann", day(1), 20);
    scene.committing();
    let as_of = |scene: &Scene| scene.told(ANN)["as_of"].clone();
    let before = as_of(&scene);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(as_of(&scene), before, "the commit may have come through already");
    scene.commit();
    assert_ne!(as_of(&scene), before);
}

#[test]
fn a_partition_that_is_restored_or_not_known_yet_answers_nothing() {
    let mut scene = Scene::new(LOYAL);
    scene.order("ann", day(1), 20);
    scene.commit();
    scene.hide();
    let received = scene.get(ANN);
    assert_eq!((received.code, received.header("retry-after")), (503, Some("1")));
    assert!(received.body.contains("is starting, or restoring it"), "{}", received.body);
}

#[test]
fn a_customer_of_another_process_is_misdirected_and_its_owner_named_where_it_is_known() {
    let mut scene = Scene::new(LOYAL);
    scene.hide();
    scene.committed.gone(Partition(0));
    let received = scene.get(ANN);
    assert_eq!((received.code, received.header("content-type")), (421, Some("application/problem+json")));
    let problem = json!({"title": "Misdirected Request", "status": 421, "detail": "the customer's partition belongs to another process", "partition": 0});
    assert_eq!(received.json(), problem);
    scene.owners.note(Partition(0), "http://other:8080");
    assert_eq!(scene.get(ANN).json()["owner"], "http://other:8080");
    let many = scene.post(MANY, r#"{"customers":["ann","bob"]}"#);
    let place = |at: usize| json!({"at": at, "partition": 0, "owner": "http://other:8080"});
    assert_eq!((many.code, &many.json()["elsewhere"]), (421, &json!([place(0), place(1)])));
}

#[test]
fn many_customers_are_told_with_their_partition() {
    let mut scene = Scene::new(LOYAL);
    scene.order("ann", day(1), 20);
    scene.order("ann", day(1), 20);
    scene.commit();
    let told = scene.post(MANY, r#"{"customers":["bob","ann"],"segments":["loyal"]}"#).json();
    let held: Vec<_> = told["customers"].as_array().unwrap().iter().map(|one| one["segments"]["loyal"]["held"].clone()).collect();
    assert_eq!(held, [json!(false), json!(true)]);
}

#[test]
fn the_openapi_document_describes_every_route_and_every_form_that_it_names() {
    let scene = Scene::new(LOYAL);
    let document = scene.told(crate::http::lookup::OPENAPI);
    let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let routes = ROUTES.into_iter().chain(crate::http::lookup::ROUTES).chain(crate::http::ROUTES);
    assert_eq!(described, routes.filter(|route| *route != "other").collect());
    let text = document.to_string();
    let named = text.split("\"#/components/").skip(1).filter_map(|rest| rest.split('"').next());
    for name in named {
        let form = name.split('/').fold(&document["components"], |inside, part| &inside[part]);
        assert!(form.is_object(), "{name} is named and is not there");
    }
}
