//! The documentation, tried: every call that it shows and every route that it names is asked, and answered as the OpenAPI document
//! says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::fixture::{Scene, day};
use crate::http::access::Access;
use crate::http::listener::Bounds;
use crate::http::lookup;
use crate::http::service::{ROUTES, TRANSITIONS};
use crate::http::tests::Received;
use crate::id::Partition;

const PAGES: [&str; 2] = [include_str!("../../../../docs/api.md"), include_str!("../../../../docs/lookup.md")];

/// What the pages speak of.
const SHOP: &str = "
lists: {staff: [ann]}
segments:
  - {key: loyal, when: 'count(orders last 30d) > 1'}
  - {key: big, when: 'sum(orders.total last 10d) >= 50'}
  - key: coupon_programme
    when: 'count(orders last 30d) > 0'
    experiment: {holdout: 50%, salt: coupon-programme, goal: orders, value: total, within: 30d}
ladders:
  - {key: life, stages: [{key: active, when: 'count(orders last 30d) > 0'}, {key: dormant}]}
";

/// A call: what follows `curl`, without the address.
struct Call {
    path: String,
    body: Option<String>,
}

fn scene() -> Scene {
    scene_for(Access::open())
}

pub fn scene_for(access: Access) -> Scene {
    let mut scene = Scene::of(SHOP, Bounds::LOOKUPS, Partition(0), 1, access);
    scene.order("ann", day(1), 50);
    scene.order("ann", day(2), 20);
    scene.order("bob", day(13), 20);
    scene.commit();
    scene
}

/// What a page shows: `curl [-N] URL [-d BODY]`, URL and body perhaps in quotes. What is asked with `-X` goes to Kafka:
/// tests/processes_kafka.rs.
fn shown(page: &str) -> Vec<Call> {
    let commands = page.lines().filter_map(|line| line.strip_prefix("curl ")).filter(|command| !command.starts_with("-X "));
    let call = |command: &str| {
        let (url, body) = command.split_once(" -d ").map_or((command, None), |(url, body)| (url, Some(body.trim_matches('\'').to_owned())));
        let url = url.trim_start_matches("-N ").trim_matches('\'');
        let path = url.split_once("//").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
        Call { path: path.unwrap_or_else(|| panic!("{command}")), body }
    };
    commands.map(call).collect()
}

fn ask(scene: &Scene, call: &Call) -> Received {
    match &call.body {
        Some(body) => scene.post(&call.path, body),
        None => scene.get(&call.path),
    }
}

/// The routes that these paths are of.
fn route_of(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    let is_of = |route: &&str| {
        let (given, written): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
        given.len() == written.len() && given.iter().zip(&written).all(|(given, written)| given == written || written.starts_with('{'))
    };
    ROUTES.into_iter().chain(lookup::ROUTES).find(is_of).unwrap_or_else(|| panic!("{path} is of no route"))
}

#[test]
fn every_call_that_is_shown_is_answered() {
    let scene = scene();
    for call in PAGES.into_iter().flat_map(shown) {
        if call.path.starts_with(TRANSITIONS) {
            assert_eq!(scene.server.listens(&call.path), 200);
            continue;
        }
        let received = ask(&scene, &call);
        assert_eq!(received.code, 200, "{}: {}", call.path, received.body);
        assert!(received.json().is_object());
    }
}

#[test]
fn every_route_is_shown_or_named_and_answers() {
    let scene = scene();
    let shown: BTreeSet<&str> = PAGES.into_iter().flat_map(shown).map(|call| route_of(&call.path)).collect();
    for route in ROUTES.into_iter().chain(lookup::ROUTES) {
        assert!(PAGES.iter().any(|page| page.contains(&format!("{route}`"))), "{route} stands on no page");
        if !shown.contains(route) {
            let key = [("experiments", "coupon_programme"), ("lists", "staff")].into_iter().find(|(kind, _)| route.contains(kind));
            let path = route.replace("{id}", "ann").replace("{key}", key.map_or("loyal", |(_, key)| key));
            assert_eq!(scene.get(&path).code, 200, "{path}");
        }
    }
}

#[test]
fn an_answer_has_the_members_that_its_form_names_and_no_others() {
    let scene = scene();
    let document = scene.told(lookup::OPENAPI);
    for call in PAGES.into_iter().flat_map(shown).filter(|call| !call.path.starts_with(TRANSITIONS)) {
        let method = if call.body.is_some() { "post" } else { "get" };
        let answers = &document["paths"][route_of(&call.path)][method]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, answers, &ask(&scene, &call).json(), &call.path);
    }
}

/// What a reference refers to, and anything else as it is.
pub fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(name) = schema["$ref"].as_str() else { return schema };
    document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} is nowhere"))
}

/// Holds a value against as much of a schema as ours use for objects and lists: names, what is required, and what is inside.
pub fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = resolved(document, schema);
    let alternatives = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    if let Some(one) = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null")).filter(|_| !value.is_null()) {
        return check(document, one, value, place);
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| check(document, &schema["items"], item, place)),
        Value::Object(members) if schema["properties"].is_object() => {
            let known = schema["properties"].as_object().unwrap();
            for (name, inside) in members {
                let form = known.get(name).unwrap_or_else(|| panic!("{place}: `{name}` is in no form"));
                check(document, form, inside, &format!("{place} {name}"));
            }
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(required.as_str().unwrap()), "{place}: {required} is missing");
            }
        }
        _ => {}
    }
}
