//! The console's files over a real socket: what is served, how it is confined, and that none is forgotten.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::http::tests::{Received, Running, start_console};

fn ask(server: &Running, path: &str, headers: &str) -> Received {
    server.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

#[test]
fn every_file_of_the_folder_is_served_and_listed_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console/assets");
    let mut found = Vec::new();
    files(&folder, &mut found);
    let found: BTreeSet<&str> = found.iter().map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
    let listed: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.path).collect();
    assert_eq!(listed, found);
    assert_eq!(listed.len(), ASSETS.len(), "none stands there twice");
    let server = start_console();
    for asset in ASSETS {
        let received = ask(&server, &format!("/console/{}", asset.path), "");
        assert_eq!((received.code, received.header("content-type")), (200, Some(asset.content_type)), "{}", asset.path);
        assert_eq!(received.body.as_bytes(), asset.bytes, "{}", asset.path);
    }
}

#[test]
fn every_module_that_a_module_names_is_there() {
    let paths: BTreeSet<PathBuf> = ASSETS.iter().map(|asset| PathBuf::from(asset.path)).collect();
    for asset in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT) {
        let text = std::str::from_utf8(asset.bytes).unwrap();
        let named = text.lines().filter_map(|line| line.strip_prefix("import ")?.split_once(" from '")?.1.strip_suffix("';"));
        for name in named {
            let mut path = Path::new(asset.path).parent().unwrap().to_owned();
            name.split('/').for_each(|step| match step {
                "." => {}
                ".." => drop(path.pop()),
                step => path.push(step),
            });
            assert!(paths.contains(&path), "{} names {name}", asset.path);
        }
    }
}

#[test]
fn a_page_may_load_from_here_alone_and_run_nothing_that_stands_in_it() {
    let server = start_console();
    for path in ["/console/", "/console/app.js", "/console/none.js"] {
        let received = ask(&server, path, "");
        let policy = received.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("-inline") && !policy.contains("-eval"), "{policy}");
        assert_eq!(received.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(received.header("referrer-policy"), Some("no-referrer"));
    }
    let page = ask(&server, "/console/", "").body;
    assert!(!page.contains("<style") && !page.contains(" style=") && page.matches("<script").count() == 1, "{page}");
}

#[test]
fn no_module_makes_elements_of_text() {
    let ways =
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "createContextualFragment", "eval(", "Function("];
    for asset in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT && !asset.path.starts_with("uplot/")) {
        let text = std::str::from_utf8(asset.bytes).unwrap();
        assert!(text.starts_with("// ") && text.contains("// Invariant: "), "{}: say what it is, and its invariant", asset.path);
        for way in ways {
            assert!(!text.contains(way), "{} has {way}", asset.path);
        }
    }
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again() {
    let server = start_console();
    let first = ask(&server, "/console/app.js", "");
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let again = ask(&server, "/console/app.js", &format!("if-none-match: {}\r\n", first.header("etag").unwrap()));
    assert_eq!((again.code, again.body.as_str()), (304, ""));
    assert!(again.header("content-security-policy").is_some());
    let other = ask(&server, "/console/app.js", "if-none-match: \"0\"\r\n");
    assert_eq!(other.code, 200);
}

#[test]
fn browsers_are_sent_to_the_page_and_programs_are_told_what_there_is() {
    let server = start_console();
    let browser = ask(&server, "/", "accept: text/html,application/xhtml+xml\r\n");
    assert_eq!((browser.code, browser.header("location")), (303, Some("console/")));
    assert_eq!(ask(&server, "/console", "").header("location"), Some("console/"));
    let program = ask(&server, "/", "accept: */*\r\n");
    assert_eq!((program.code, program.header("content-type")), (404, Some("application/problem+json")));
}

#[test]
fn what_leaves_the_folder_is_not_there() {
    let server = start_console();
    for path in ["/console/../Cargo.toml", "/console/%2e%2e/console.rs", "/console/pages", "/console/pages/", "/console//app.js"] {
        assert_eq!(ask(&server, path, "").code, 404, "{path}");
    }
}
