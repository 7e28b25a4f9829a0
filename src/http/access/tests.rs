//! Who is let in and who is turned away, over a real socket.

use std::collections::BTreeSet;

use super::*;
use crate::http::listener::Bounds;
use crate::http::service::{self, fixture};
use crate::http::tests::{Received, Running, start_guarded};
use crate::http::{OTHER, ROUTES, console, lookup};

const CUSTOMER: &str = "/api/v1/customers/hush-hush/segments";

fn token(name: &str, scopes: &[Scope]) -> Token {
    Token { name: name.into(), hash: Hash::of(name), scopes: scopes.into(), expires: None, per_second: 100 }
}

/// Tokens whose text is their name.
fn start(tokens: Vec<Token>) -> (Running, Access) {
    let access = Access::by(Tokens(tokens));
    let (lookup, service) = fixture::nothing();
    (start_guarded(Some(lookup), Some(service), Bounds::LOOKUPS, access.clone()), access)
}

fn ask(server: &Running, method: &str, path: &str, token: Option<&str>) -> Received {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    server.send(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n{authorization}\r\n"))
}

fn header<'a>(received: &'a Received, name: &str) -> Option<&'a str> {
    received.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn the_table_has_every_route_that_is_served_and_no_other() {
    let named: BTreeSet<&str> = TABLE.iter().map(|route| route.path).collect();
    let services = lookup::ROUTES.into_iter().chain(service::ROUTES).chain(console::ROUTES);
    let served: BTreeSet<&str> = ROUTES.into_iter().chain(services).filter(|route| *route != OTHER).collect();
    assert_eq!(named, served, "each route needs its line in src/http/access/routes.rs");
    assert_eq!(named.len(), TABLE.len(), "none stands there twice");
}

#[test]
fn the_interface_says_which_scope_each_route_needs() {
    let (server, _) = start(vec![]);
    let document: serde_json::Value = serde_json::from_str(&ask(&server, "GET", lookup::OPENAPI, None).body).unwrap();
    let for_programs = TABLE.iter().filter(|route| !console::ROUTES.contains(&route.path));
    for (route, (method, need)) in for_programs.flat_map(|route| route.methods.iter().map(move |method| (route, method))) {
        let said = &document["paths"][route.path][method.to_lowercase()]["security"];
        let expected = match need {
            Need::Nothing => serde_json::json!([]),
            Need::Scope(scope) => serde_json::json!([{"token": [scope.as_str()]}]),
        };
        assert_eq!(*said, expected, "{method} {}", route.path);
    }
}

#[test]
fn nothing_but_health_the_interface_itself_and_the_files_of_the_console_is_open() {
    let open: Vec<_> = TABLE.iter().filter(|route| route.methods.iter().any(|(_, need)| *need == Need::Nothing)).map(|r| r.path).collect();
    assert_eq!(open, ["/livez", "/readyz", "/openapi.json", "/", "/console", "/console/", "/console/{*asset}"]);
    let (server, _) = start(vec![]);
    for route in TABLE {
        let path = route.path.replace("{id}", "hush-hush");
        for (method, need) in route.methods {
            // 404: this server shows no console.
            let expected = if *need == Need::Nothing { [200, 404, 503].as_slice() } else { &[401] };
            let received = ask(&server, method, &path, None);
            assert!(expected.contains(&received.code), "{method} {path}: {}", received.code);
        }
    }
    assert_eq!(ask(&server, "GET", "/nowhere", None).code, 404);
}

#[test]
fn a_method_that_is_not_served_says_which_are() {
    let (server, _) = start(vec![]);
    let received = ask(&server, "DELETE", CUSTOMER, None);
    assert_eq!((received.code, header(&received, "allow")), (405, Some("GET")));
}

#[test]
fn a_token_opens_what_its_scopes_say() {
    let (server, _) = start(vec![token("till", &[Scope::ReadCustomers]), token("prom", &[Scope::Metrics])]);
    assert_eq!(ask(&server, "GET", "/metrics", Some("prom")).code, 200);
    assert_eq!(ask(&server, "HEAD", "/metrics", Some("prom")).code, 200);
    // Nothing was read yet: it came as far as the lookup.
    assert_eq!(ask(&server, "GET", CUSTOMER, Some("till")).code, 503);
    let refused = ask(&server, "GET", CUSTOMER, Some("prom"));
    let challenge = r#"Bearer realm="segmentd", error="insufficient_scope", scope="read:customers""#;
    assert_eq!((refused.code, header(&refused, "www-authenticate")), (403, Some(challenge)));
    assert_eq!(header(&refused, "content-type"), Some("application/problem+json"));
}

#[test]
fn what_is_no_token_of_ours_is_turned_away() {
    let ended = Token { expires: Some(clock::wall()), ..token("old", &[Scope::Metrics]) };
    let (server, _) = start(vec![ended, token("prom", &[Scope::Metrics])]);
    for wrong in ["old", "pro", "prom2", &"x".repeat(10_000)] {
        let refused = ask(&server, "GET", "/metrics", Some(wrong));
        assert_eq!(refused.code, 401);
        let challenge = header(&refused, "www-authenticate").unwrap();
        assert!(challenge.ends_with(r#"error="invalid_token""#), "{challenge}");
        assert!(!refused.body.contains(wrong), "{}", refused.body);
    }
    for anonymous in ["", "authorization: Bearer \r\n", "authorization: Basic prom\r\n", "authorization: prom\r\n"] {
        let refused = server.send(&format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{anonymous}\r\n"));
        assert_eq!((refused.code, header(&refused, "www-authenticate")), (401, Some(r#"Bearer realm="segmentd""#)));
    }
    assert_eq!(server.send("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: bearer prom\r\n\r\n").code, 200);
}

#[test]
fn a_token_that_asks_too_often_waits() {
    let (server, _) = start(vec![Token { per_second: 1, ..token("prom", &[Scope::Metrics]) }, token("other", &[Scope::Metrics])]);
    assert_eq!(ask(&server, "GET", "/metrics", Some("prom")).code, 200);
    let refused = ask(&server, "GET", "/metrics", Some("prom"));
    assert_eq!((refused.code, header(&refused, "retry-after")), (429, Some("1")));
    assert_eq!(ask(&server, "GET", "/metrics", Some("other")).code, 200, "each token has its own");
}

#[test]
fn other_tokens_take_the_place_of_those_in_force() {
    let (server, access) = start(vec![token("old", &[Scope::Metrics])]);
    assert_eq!(ask(&server, "GET", "/version", Some("old")).code, 200);
    access.replace(Tokens(vec![token("new", &[Scope::Metrics])]));
    assert_eq!(ask(&server, "GET", "/version", Some("old")).code, 401);
    assert_eq!(ask(&server, "GET", "/version", Some("new")).code, 200);
}

#[test]
fn what_changes_something_needs_a_token_also_where_nothing_else_does() {
    let (lookup, service) = fixture::nothing();
    let server = start_guarded(Some(lookup), Some(service), Bounds::LOOKUPS, Access::open());
    // The stream of transitions does not end.
    let finite = TABLE.iter().filter(|route| route.path != service::TRANSITIONS);
    for (route, (method, need)) in finite.flat_map(|route| route.methods.iter().map(move |method| (route, method))) {
        let asked = ask(&server, method, &route.path.replace("{id}", "ann").replace("{key}", "vip"), None);
        let is_refused = asked.body.contains("what changes something needs a token");
        assert_eq!((is_refused, is_refused), (need.is_a_request(), asked.code == 403), "{method} {}", route.path);
    }
}
