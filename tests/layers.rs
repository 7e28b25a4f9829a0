//! The shape of the code, held by a machine: docs/architecture.md's table of layers as data, and the few rules that
//! neither the compiler nor clippy can see.
//!
//!     src/engine.rs:7: engine -> store is not upwards: row 9 names row 12
//!
//! **Invariant:** a module names only modules on rows above its own; modules on one row do not name each other. What
//! is absent (unsafe code, clocks, anyhow, giant files) is as much a part of the shape as what is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::fs;
use std::path::{Path, PathBuf};

/// docs/architecture.md, "Layers". Row 1 first.
const ROWS: &[&[&str]] = &[
    &["time", "money", "id"],
    &["event", "experiment"],
    &["window"],
    &["aggregate", "rank"],
    &["rule"],
    &["plan"],
    &["customer", "transition"],
    &["eval"],
    &["engine"],
    &["scenario"],
    &["metrics", "audit"],
    &["store", "kafka"],
    &["runtime"],
    &["replica", "history"],
    &["http"],
    &["config"],
    &["cli", "main"],
];

/// Longer than this and a file holds two concepts: find the seam.
const LONGEST_FILE: usize = 450;

/// A word that only some files may use, and why.
struct Reserved {
    word: &'static str,
    allowed: &'static [&'static str],
    reason: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved { word: "unsafe", allowed: &["src/kafka/ffi.rs"], reason: "the few native calls live in one file" },
    Reserved { word: "SystemTime::now", allowed: &["src/runtime/clock.rs"], reason: "time is an argument" },
    Reserved { word: "Instant::now", allowed: &["src/runtime/clock.rs"], reason: "time is an argument" },
    Reserved { word: "Timestamp::now", allowed: &["src/runtime/clock.rs"], reason: "time is an argument" },
    Reserved { word: "Zoned::now", allowed: &["src/runtime/clock.rs"], reason: "time is an argument" },
    Reserved {
        word: "anyhow",
        allowed: &["src/cli.rs", "src/cli/", "src/main.rs"],
        reason: "elsewhere an error tells its caller what to do",
    },
];

#[test]
fn modules_name_only_modules_on_rows_above_them() {
    report(each_file("src", layering));
}

#[test]
fn reserved_words_stay_where_they_belong() {
    report(each_file("src", reserved_words));
}

#[test]
fn files_open_with_what_they_are_and_hold_one_concept() {
    report([each_file("src", form), each_file("tests", form)].concat());
}

#[test]
fn every_module_of_the_crate_has_a_row() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for line in lib.lines() {
        if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(row_of(name).is_some(), "src/lib.rs: `{name}` stands on no row of the table");
        }
    }
}

#[test]
fn every_file_of_tests_is_in_the_page() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for file in fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        assert!(!file.ends_with(".rs") || page.contains(&format!("`{file}`")), "tests/{file} is not in docs/architecture.md, \"Tests\"");
    }
}

#[test]
fn a_made_up_violation_is_found() {
    let cases = [
        ("src/store/codec.rs", "//! x\nuse crate::engine::step;\n", ""),
        ("src/engine.rs", "//! x\nuse crate::{time::EventTime,\n    store::{Store, kafka},\n};\n", "src/engine.rs:3: engine -> store"),
        ("src/store.rs", "//! x\nfn f() { crate::kafka::send() }\n", "src/store.rs:2: store -> kafka"),
        ("src/window.rs", "//! x\nuse super::engine;\n", "src/window.rs:2: `super` is the crate"),
        ("src/store/keys.rs", "//! x\nuse super::super::engine;\n", "src/store/keys.rs:2: `super::super` is the crate"),
        ("src/store/keys/form.rs", "//! x\nuse super::super::batch;\n", ""),
        ("src/rule.rs", "//! x\nuse crate::helpers::x;\n", "src/rule.rs:2: `helpers` stands on no row"),
        ("src/window.rs", "//! [`crate::engine`] sleeps on this law.\nuse crate::time::Span;\nmod tests { use super::*; }\n", ""),
    ];
    for (path, text, expected) in cases {
        let found = layering(path, text).join("\n");
        assert!(if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) }, "{path}: {found}");
    }
    assert_eq!(reserved_words("src/window.rs", "//! x\nlet t = Instant::now();\n").len(), 1);
    assert_eq!(reserved_words("src/store.rs", "//! unsafe is absent\n#![deny(unsafe_code)]\n"), Vec::<String>::new());
    assert_eq!(form("src/window.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(form("src/window.rs", &format!("//! x{}", "\n".repeat(451))).len(), 1);
}

/// Every `crate::name`, also inside `{…}` groups over several lines, judged by the table.
fn layering(path: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let here = module_of(path);
    let Some(row) = row_of(&here) else {
        return if path == "src/lib.rs" { vec![] } else { vec![format!("{path}:1: `{here}` stands on no row of the table")] };
    };
    let mut found = ways_around(path, &code);
    for (at, name) in named_modules(&code).into_iter().filter(|(_, name)| *name != here) {
        match row_of(&name) {
            None => found.push(format!("{path}:{}: `{name}` stands on no row of the table", line_of(&code, at))),
            Some(other) if other >= row => {
                let line = line_of(&code, at);
                found.push(format!("{path}:{line}: {here} -> {name} is not upwards: row {} names row {}", row + 1, other + 1));
            }
            Some(_) => {}
        }
    }
    found
}

/// `super::` can climb to the crate's root without naming it; there it is refused. (In `src/rule/parser.rs` two of them
/// do, in its inline `mod tests` three.)
fn ways_around(path: &str, code: &str) -> Vec<String> {
    let mut found = vec![];
    let mut depth = path.trim_start_matches("src/").matches('/').count() + 1;
    for (i, line) in code.lines().enumerate() {
        let climbs = longest_climb(line);
        // Inline modules stand at the end of a file.
        depth += usize::from(line.contains("mod ") && line.contains('{'));
        if climbs >= depth {
            found.push(format!("{path}:{}: `{}` is the crate here: write `crate::`", i + 1, vec!["super"; climbs].join("::")));
        }
    }
    found
}

fn longest_climb(line: &str) -> usize {
    (1..8).take_while(|n| line.contains(&"super::".repeat(*n))).count()
}

/// The first segment after each `crate::`, with its byte position.
fn named_modules(code: &str) -> Vec<(usize, String)> {
    let mut names = vec![];
    for (at, _) in code.match_indices("crate::") {
        let after = at + "crate::".len();
        if code[after..].starts_with('{') {
            names.extend(group_heads(&code[after..]).into_iter().map(|(i, name)| (after + i, name)));
        } else {
            names.push((at, word_at(&code[after..])));
        }
    }
    names
}

/// The heads of a group's members: of `{a, b::{c, d}}` they are `a` and `b`.
fn group_heads(group: &str) -> Vec<(usize, String)> {
    let (mut heads, mut depth, mut expects_head) = (vec![], 0, false);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(c, '{' | ',') {
            expects_head = true;
        } else if expects_head && !c.is_whitespace() && c != '}' {
            heads.push((i, word_at(&group[i..])));
            expects_head = false;
        }
    }
    heads
}

fn reserved_words(path: &str, text: &str) -> Vec<String> {
    let mut found = vec![];
    for (i, line) in without_comments(text).lines().enumerate() {
        for Reserved { word, allowed, reason } in RESERVED {
            if has_word(line, word) && !allowed.iter().any(|prefix| path.starts_with(prefix)) {
                found.push(format!("{path}:{}: `{word}` belongs in {}: {reason}", i + 1, allowed.join(", ")));
            }
        }
    }
    found
}

fn form(path: &str, text: &str) -> Vec<String> {
    let mut found = vec![];
    if !text.starts_with("//!") {
        found.push(format!("{path}:1: opens without `//!`: what is it, why does it exist, what is its invariant?"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        found.push(format!("{path}:{LONGEST_FILE}: has {lines} lines, more than {LONGEST_FILE}: find the seam"));
    }
    found
}

/// Comments may point upwards (`[crate::engine]` in a law); code may not. Lines keep their numbers.
fn without_comments(text: &str) -> String {
    let code = |line: &str| line.find("//").map_or(line, |at| &line[..at]).to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part_of_word) && !line[at + word.len()..].chars().next().is_some_and(part_of_word)
    })
}

fn word_at(code: &str) -> String {
    code.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// `src/store/codec.rs` and `src/store.rs` are both `store`.
fn module_of(path: &str) -> String {
    word_at(path.trim_start_matches("src/"))
}

fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn each_file(folder: &str, check: fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let mut files = vec![];
    rust_files(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "no Rust file below {folder}: this test would prove nothing");
    let judge = |file: &PathBuf| {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        check(&path, &fs::read_to_string(file).unwrap())
    };
    files.iter().flat_map(judge).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn report(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
