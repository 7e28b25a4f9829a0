//! Requests made from our own OpenAPI document, valid ones and broken ones: each is answered as the document says.
//!
//! What `make fuzz` does with schemathesis against a process that runs, without either: for every operation parameters and bodies that
//! fit their schema, nearly fit it, or are what somebody sends in spite.
//!
//! **Invariant:** whatever is sent, the status is one that the operation has, an answer has the form that goes with it, and no 500
//! comes of it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::documented::{check, resolved, scene_for};
use crate::http::access::{Access, Hash, Scope, Token, Tokens};
use crate::http::lookup::OPENAPI;
use crate::http::service::TRANSITIONS;
use crate::http::service::fixture::Scene;
use crate::http::tests::Received;

/// What somebody sends in spite, or by mistake. `hush` must not come back in metrics.
const ODD: [&str; 22] = [
    "",
    " ",
    "\u{0}",
    "\r\n\r\nGET / HTTP/1.1",
    "../../etc/passwd",
    "%00",
    "%FF%FE",
    "a,b,,c",
    "null",
    "-1",
    "0",
    "1e309",
    "18446744073709551616",
    "\u{202e}hush",
    "<script>hush</script>",
    "' or 1=1 --",
    "0-zz",
    "2026-02-30T00:00:00Z",
    "-262144-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "999999999999d",
    "ä€😀",
];

const TOKEN: &str = "of-all-scopes";

/// One request, with what it was made for.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    body: Option<Vec<u8>>,
    operation: Value,
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| *path != TRANSITIONS);
    let each = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        methods.into_iter().map(|(method, operation)| (path.clone(), method.to_uppercase(), operation)).collect::<Vec<_>>()
    };
    paths.flat_map(each).collect()
}

/// Texts: of this schema, mostly; else anything.
fn text(schema: &Value) -> BoxedStrategy<String> {
    let known = ["ann", "loyal", "coupon_programme", "life", "staff", "nobody"].map(str::to_owned).to_vec();
    let fitting = match (&schema["enum"], schema["pattern"].as_str(), schema["format"].as_str(), schema["type"].as_str()) {
        (Value::Array(texts), ..) => {
            prop::sample::select(texts.clone()).prop_map(|text| text.as_str().unwrap_or_default().to_owned()).boxed()
        }
        (_, Some(pattern), ..) => string_regex(pattern.trim_matches(['^', '$'])).unwrap().boxed(),
        (_, _, Some("date-time"), _) => {
            (1u32..13, 1u32..29, 0u32..24).prop_map(|(m, d, h)| format!("2026-{m:02}-{d:02}T{h:02}:00:00Z")).boxed()
        }
        (_, _, _, Some("integer")) => (0i64..1_100).prop_map(|number| number.to_string()).boxed(),
        _ => prop::sample::select(known).boxed(),
    };
    let odd = prop::sample::select(ODD.to_vec()).prop_map(str::to_owned);
    prop_oneof![6 => fitting, 2 => odd, 1 => ".{0,40}", 1 => (500usize..600).prop_map(|length| "x".repeat(length))].boxed()
}

/// JSON of this schema, mostly; else anything.
fn value(document: &Value, schema: &Value) -> BoxedStrategy<Value> {
    let schema = resolved(document, schema);
    let is = |kind: &str| schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)));
    let fitting = if is("object") {
        object(document, schema)
    } else if is("array") {
        prop::collection::vec(value(document, &schema["items"]), 0..4).prop_map(Value::Array).boxed()
    } else {
        text(schema).prop_map(Value::String).boxed()
    };
    let odd =
        prop_oneof![Just(json!(null)), Just(json!([])), Just(json!({})), Just(json!(1e300)), Just(json!([[[[]]]])), Just(json!(true))];
    prop_oneof![9 => fitting, 1 => odd].boxed()
}

fn object(document: &Value, schema: &Value) -> BoxedStrategy<Value> {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let member = |(name, inside): (String, Value)| {
        let likely = if schema["required"].as_array().is_some_and(|all| all.contains(&json!(name))) { 0.95 } else { 0.5 };
        prop::option::weighted(likely, value(document, &inside)).prop_map(move |value| value.map(|value| (name.clone(), value)))
    };
    let members: Vec<_> = properties.into_iter().map(member).collect();
    let unknown = prop::option::weighted(0.1, Just(("hush".to_owned(), json!(1))));
    (members, unknown)
        .prop_map(|(members, unknown)| Value::Object(members.into_iter().flatten().chain(unknown).collect::<Map<_, _>>()))
        .boxed()
}

/// A body as it is sent: whole, cut off, or of bytes.
fn bytes(document: &Value, schema: &Value) -> BoxedStrategy<Vec<u8>> {
    let written = value(document, schema).prop_map(|value| value.to_string().into_bytes());
    let cut = (written.clone(), any::<prop::sample::Index>()).prop_map(|(bytes, at)| bytes[..at.index(bytes.len() + 1)].to_vec());
    prop_oneof![8 => written, 1 => cut, 1 => prop::collection::vec(any::<u8>(), 0..64)].boxed()
}

fn request(document: &Value, (path, method, operation): (String, String, Value)) -> BoxedStrategy<Asked> {
    let parameters: Vec<Value> = operation["parameters"].as_array().cloned().unwrap_or_default();
    let given = |parameter: &Value| {
        let schema = if parameter["schema"]["type"] == "array" { &parameter["schema"]["items"] } else { &parameter["schema"] };
        match parameter["required"] == true {
            true => text(schema).prop_map(Some).boxed(),
            false => prop::option::weighted(0.4, text(schema)).boxed(),
        }
    };
    let values: Vec<_> = parameters.iter().map(given).collect();
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = if schema.is_null() { Just(None).boxed() } else { bytes(document, schema).prop_map(Some).boxed() };
    let unknown = prop::bool::weighted(0.05);
    (values, body, unknown)
        .prop_map(move |(values, body, unknown)| {
            let (mut at, mut query) = (path.clone(), Vec::new());
            for (parameter, value) in parameters.iter().zip(values) {
                let (name, Some(value)) = (parameter["name"].as_str().unwrap(), value) else { continue };
                let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
                match parameter["in"].as_str() {
                    // An empty part is another path.
                    Some("path") => at = at.replace(&format!("{{{name}}}"), if encoded.is_empty() { "%20" } else { &encoded }),
                    Some("query") => query.push(format!("{name}={encoded}")),
                    _ => {}
                }
            }
            query.extend(unknown.then(|| "hush=1".to_owned()));
            let path = if query.is_empty() { at } else { format!("{at}?{}", query.join("&")) };
            Asked { method: method.clone(), path, body, operation: operation.clone() }
        })
        .boxed()
}

fn ask(scene: &Scene, asked: &Asked) -> Received {
    let body = asked.body.clone().unwrap_or_default();
    let (Asked { method, path, .. }, length) = (asked, body.len());
    // One in sixteen has no token.
    let token = if path.len() % 16 == 0 { String::new() } else { format!("authorization: Bearer {TOKEN}\r\n") };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{token}content-length: {length}\r\n\r\n");
    scene.server.send_bytes(&[head.as_bytes(), &body].concat())
}

/// Holds an answer against what the operation says of its status.
fn held(document: &Value, asked: &Asked, received: &Received) {
    let told = format!("{} {} {:?}: {} {}", asked.method, asked.path, asked.body, received.code, received.body);
    let response = &asked.operation["responses"][received.code.to_string()];
    assert!(!response.is_null() && received.code != 500, "no such answer: {told}");
    let content = resolved(document, response)["content"].as_object();
    let form = content.and_then(|content| content.iter().next());
    let kind = received.header("content-type").unwrap_or_default();
    assert_eq!(form.map(|(kind, _)| kind.as_str()), Some(kind.split(';').next().unwrap()).filter(|kind| !kind.is_empty()), "{told}");
    let Some((kind, form)) = form.filter(|(kind, _)| kind.ends_with("json")) else { return };
    let body: Value = serde_json::from_str(&received.body).unwrap_or_else(|_| panic!("{told}"));
    match kind.as_str() {
        // It may have members of its own (RFC 9457).
        "application/problem+json" => {
            assert!(body["status"] == received.code && body["title"].is_string() && body["detail"].is_string(), "{told}")
        }
        _ => check(document, &form["schema"], &body, &asked.path),
    }
    assert!(received.code != 503 || received.header("retry-after").is_some() || asked.path.starts_with("/readyz"), "{told}");
}

#[test]
fn whatever_is_sent_to_an_operation_is_answered_as_the_document_says() {
    let all = Token { name: "all".into(), hash: Hash::of(TOKEN), scopes: Scope::ALL.into(), expires: None, per_second: 1_000_000 };
    let scene = scene_for(Access::by(Tokens(vec![all])));
    let document = scene.told(OPENAPI);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let (mut codes, mut failures) = (std::collections::BTreeMap::<u16, usize>::new(), Vec::new());
    for operation in operations(&document) {
        let seen = std::cell::RefCell::new(Vec::new());
        let each = |asked: Asked| {
            let received = ask(&scene, &asked);
            held(&document, &asked, &received);
            seen.borrow_mut().push(received.code);
            Ok(())
        };
        failures.extend(TestRunner::new(config.clone()).run(&request(&document, operation), each).err().map(|failure| failure.to_string()));
        seen.into_inner().into_iter().for_each(|code| *codes.entry(code).or_default() += 1);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(codes[&200] > 100 && codes[&400] > 100, "both good and bad requests are made: {codes:?}");
    let metrics = Asked { method: "GET".into(), path: "/metrics".into(), body: None, operation: Value::Null };
    let metrics = ask(&scene, &metrics);
    assert!(metrics.code == 200 && !metrics.body.contains("hush"), "{}", metrics.body);
}
