//! A year of real purchases through the program as it is shipped: `segmentd replay` must give exactly the transitions
//! that were computed by brute force, on however many partitions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::process::Command;

use serde_json::Value as Json;

const UNTIL: &str = "2018-03-01T00:00:00Z";

#[test]
fn replay_gives_exactly_the_golden_transitions() {
    for partitions in [1, 4, 7] {
        check(partitions);
    }
}

fn check(partitions: u32) {
    let replay = Command::new(env!("CARGO_BIN_EXE_segmentd"))
        .args(["replay", "--segments", "tests/data/golden.segments.yaml", "--until", UNTIL, "--partitions", &partitions.to_string()])
        .arg("tests/data/complete-journey.ndjson.zst")
        .output()
        .unwrap();
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let golden = zstd::decode_all(std::fs::File::open("tests/data/golden.transitions.ndjson.zst").unwrap()).unwrap();
    let (found, wanted) = (sorted(&replay.stdout), sorted(&golden));
    let first = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
    assert!(first.is_none(), "first difference (found, wanted): {first:#?}");
    assert_eq!(found.len(), wanted.len());
    assert_eq!(wanted.len(), 65_816);
}

/// What the golden file says of each transition, by customer and in the order of each customer's segments.
fn sorted(lines: &[u8]) -> Vec<String> {
    let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let mut facts: Vec<String> = lines.map(|line| fact(&serde_json::from_slice(line).unwrap())).collect();
    facts.sort();
    facts
}

fn fact(line: &Json) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {line}"));
    let sequence = line["sequence"].as_u64().unwrap();
    let cause = text("cause");
    format!("{} {} {sequence:04} {} {} entry {} {cause}", text("customer"), text("segment"), text("transition"), text("at"), line["entry"])
}
