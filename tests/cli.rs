//! The commands as a person meets them: what goes to stdout, what to stderr, and the exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

#[path = "support/command.rs"]
mod command;

use std::path::Path;

use command::{code, file, segmentd, stderr, stdout, with_input};

const DEMO_SEGMENTS: &str = "assets/demo.segments.yaml";
const GOLDEN_SEGMENTS: &str = "tests/data/golden.segments.yaml";

#[test]
fn an_unknown_command_is_a_usage_error() {
    let output = segmentd(&["bogus"]);
    assert_eq!(code(&output), 2);
    assert!(stdout(&output).is_empty() && stderr(&output).contains("bogus"));
}

#[test]
fn the_version_names_a_revision() {
    let output = segmentd(&["--version"]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).starts_with(&format!("segmentd {} (", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_configuration_and_the_definitions_that_are_shipped_are_right() {
    for path in ["config/", "config/segments/", "config/streams.example.yaml", DEMO_SEGMENTS, GOLDEN_SEGMENTS] {
        let output = segmentd(&["check", "--deny-warnings", path]);
        assert_eq!(code(&output), 0, "{path}: {}", stderr(&output));
    }
}

#[test]
fn a_problem_has_its_place_and_a_suggestion() {
    let (_folder, path) = file("loyal.yaml", "segments:\n  - {key: loyal, when: 'sum(orders.totl last 30d) > 100'}\n");
    let output = segmentd(&["check", &path]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).is_empty());
    for expected in ["error[unknown-field]", "loyal.yaml:2:36", "did you mean `total`?", "1 error"] {
        assert!(stderr(&output).contains(expected), "{expected}: {}", stderr(&output));
    }
}

#[test]
fn a_program_gets_problems_as_json() {
    let (_folder, path) = file("segmentd.yaml", "kafka: {bootstrp: x}\ncommit: {interval: soon}\n");
    let output = segmentd(&["check", "--format", "json", &path]);
    assert_eq!(code(&output), 1);
    let problems: Vec<serde_json::Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<_> = problems.iter().map(|p| (p["code"].as_str().unwrap(), p["line"].as_u64().unwrap())).collect();
    assert_eq!(places, [("unknown-key", 1), ("bad-value", 2)]);
}

#[test]
fn a_configuration_that_is_wrong_starts_nothing() {
    let (_folder, path) = file("segmentd.yaml", "kafka: {properties: {acks: 1}}\n");
    let output = segmentd(&["run", "--config", &path]);
    assert_eq!(code(&output), 78);
    assert!(stderr(&output).contains("`kafka.properties.acks` is not yours to set"), "{}", stderr(&output));
    assert_eq!(code(&segmentd(&["run", "--config", "no/such/file.yaml"])), 78);
}

#[test]
fn a_replay_reads_stdin_and_reports_what_it_left_out() {
    let order = |id: &str, day: u32, total: &str| {
        format!(
            r#"{{"type":"track","event":"Order Completed","userId":"ann","messageId":"{id}","timestamp":"2026-01-0{day}T10:00:00Z","properties":{{"order_id":"{id}","total":{total}}}}}"#
        )
    };
    let input = [
        order("a", 1, "25"),
        order("b", 2, "30"),
        "not JSON".into(),
        order("c", 3, "\"21.00\""),
        order("c", 3, "21"),
        r#"{"type":"page"}"#.into(),
    ];
    let (_folder, path) =
        file("loyal.yaml", "segments:\n  - {key: loyal, when: 'count(orders last 30d) > 2 and every(orders last 30d: total > 20)'}\n");
    let output = with_input(&["replay", "--segments", &path, "--until", "2026-03-01T00:00:00Z", "-"], &input.join("\n"));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines: Vec<serde_json::Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> =
        lines.iter().map(|t| (t["transition"].as_str().unwrap(), t["at"].as_str().unwrap(), t["cause"].as_str().unwrap())).collect();
    assert_eq!(found, [("entered", "2026-01-03T10:00:00.000Z", "event"), ("exited", "2026-01-31T10:00:00.000Z", "time")]);
    for expected in ["4 events, 2 transitions", "of them 1 duplicates", "skipped 1: other_call", "rejected 1: bad_json, first at -:3"] {
        assert!(stderr(&output).contains(expected), "{expected}: {}", stderr(&output));
    }
}

#[test]
fn a_replay_tells_a_move_on_a_ladder_behind_its_exit_and_its_entry() {
    let ladder = "ladders:\n  - {key: life, stages: [{key: active, when: 'count(orders last 30d) > 0'}, {key: dormant}]}\n";
    let (_folder, path) = file("life.yaml", ladder);
    let order = r#"{"type":"track","event":"Order Completed","userId":"ann","messageId":"a","timestamp":"2026-01-01T10:00:00Z","properties":{"order_id":"a"}}"#;
    let output = with_input(&["replay", "--segments", &path, "--until", "2026-03-01T00:00:00Z", "-"], order);
    let lines: Vec<serde_json::Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| line["transition"].as_str().unwrap()).collect();
    assert_eq!(told, ["entered", "exited", "entered", "moved"]);
    let moved = [&lines[3]["ladder"], &lines[3]["from"], &lines[3]["to"], &lines[3]["cause"], &lines[3]["at"]];
    assert_eq!(moved, ["life", "active", "dormant", "time", "2026-01-31T10:00:00.000Z"]);
}

#[test]
fn a_replay_ends_with_what_is_due_at_its_last_instant() {
    let (_folder, path) = file("new.yaml", "segments: [{key: new, when: 'count(orders last 1d) > 0'}]\n");
    let order = |customer, day| {
        format!(
            r#"{{"type":"track","event":"Order Completed","userId":"{customer}","timestamp":"2026-01-0{day}T10:00:00Z","properties":{{"order_id":"1"}}}}"#
        )
    };
    let (_other, events) = file("events.ndjson", &format!("{}\n{}\n", order("ann", 1), order("bob", 2)));
    let audience = |end: &[&str]| stdout(&segmentd(&[&["replay", "--format", "audience", "--segments", &path, &events], end].concat()));
    for end in [&[][..], &["--until", "2026-01-02T10:00:00Z"], &["--until", "2026-01-01T00:00:00Z"]] {
        let members = audience(end);
        assert!(members.contains("bob") && !members.contains(r#""customer":"ann","segments":{"new""#), "{end:?}: {members}");
    }
}

#[test]
fn a_stream_remembers_for_as_long_as_it_says_and_no_shorter_than_a_window() {
    let cancelled_after = |days: u32, rule: &str| {
        let (_rules, rules) = file("net.yaml", &format!("segments: [{{key: net, when: '{rule}'}}]\n"));
        let (_streams, streams) = file("streams.yaml", "streams: [{name: orders, retention: 10d}]\n");
        let event = |name: &str, day: u32| {
            format!(
                r#"{{"type":"track","event":"Order {name}","userId":"ann","messageId":"{name}","timestamp":"2026-01-{day:02}T00:00:00Z","properties":{{"order_id":"1"}}}}"#
            )
        };
        let (_events, events) = file("events.ndjson", &format!("{}\n{}\n", event("Completed", 1), event("Cancelled", 1 + days)));
        let output = segmentd(&["replay", "--segments", &rules, "--streams", &streams, &events]);
        stdout(&output).contains(r#""transition":"exited""#)
    };
    let lifetime = "count(orders lifetime) > 0";
    assert_eq!([9, 10].map(|days| cancelled_after(days, lifetime)), [true, false]);
    assert!(cancelled_after(19, &format!("{lifetime} and count(orders last 20d) >= 0")));
}

#[test]
fn an_audience_is_who_is_a_member_at_the_end() {
    let sample = ["replay", "--segments", DEMO_SEGMENTS, "--format", "audience", "assets/demo.ndjson.zst"];
    let output = segmentd(&sample);
    let members = stdout(&output).matches(r#""loyal":{"since""#).count();
    let transitions = stdout(&segmentd(&[&sample[..3], &sample[5..]].concat()));
    let net = |direction: &str| transitions.matches(&format!(r#""segment":"loyal","transition":"{direction}""#)).count();
    assert!(members > 0);
    assert_eq!(members, net("entered") - net("exited"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let command = format!("{} schema config | head -1", assert_cmd::cargo::cargo_bin("segmentd").display());
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("{\n", ""));
}

#[test]
fn every_name_that_schema_lists_it_can_print() {
    for name in stdout(&segmentd(&["schema"])).lines() {
        let output = segmentd(&["schema", name]);
        assert!(serde_json::from_str::<serde_json::Value>(&stdout(&output)).is_ok(), "{name}");
    }
    assert_eq!(code(&segmentd(&["schema", "nonsense"])), 1);
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    let (_folder, path) = file("segmentd.yaml", "kafka: {bootstrap: '127.0.0.1:1'}\n");
    let output = segmentd(&["topics", "--config", &path]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("127.0.0.1:1") && stderr(&output).contains("SEGMENTD_KAFKA__BOOTSTRAP"), "{}", stderr(&output));
}

#[test]
fn the_links_of_the_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    documents.extend(pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains("://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let page = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(page.exists(), "{}: {target}", document.display());
            let anchors = || std::fs::read_to_string(&page).unwrap().lines().filter_map(anchor_of).collect::<Vec<_>>();
            assert!(anchor.is_empty() || anchors().iter().any(|known| known == anchor), "{}: {target}", document.display());
        }
    }
}

/// What a heading is reached by, as pages of Markdown are commonly shown.
fn anchor_of(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    Some(heading.chars().filter(kept).collect::<String>().to_lowercase().replace(' ', "-"))
}

#[test]
fn the_page_of_interfaces_has_every_command() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interfaces.md")).unwrap();
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(page.contains(&format!("`{command} ")) || page.contains(&format!("`{command}`")), "{command}");
    }
}

/// The names of all commands.
fn commands() -> Vec<String> {
    let help = stdout(&segmentd(&["help"]));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn every_command_has_a_manual_page_and_a_completion() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&segmentd(&["man", "--to", folder.path().to_str().unwrap()])), 0);
    let commands = commands();
    assert!(commands.iter().any(|command| command == "run") && commands.len() > 10, "{commands:?}");
    let completions = stdout(&segmentd(&["completions", "bash"]));
    for command in commands {
        let page = std::fs::read_to_string(folder.path().join(format!("segmentd-{command}.1")));
        assert!(command == "help" || page.unwrap().contains(".SH NAME"), "{command}");
        assert!(completions.contains(&format!("segmentd,{command})")), "{command}");
    }
    assert!(stdout(&segmentd(&["man"])).contains(".TH segmentd 1"));
}

#[test]
fn a_service_that_does_not_run_is_not_ready() {
    let (_folder, path) = file("segmentd.yaml", "http: {listen: '127.0.0.1:1'}\n");
    let output = segmentd(&["ready", "--config", &path]);
    assert!(code(&output) == 1 && stderr(&output).contains("refused"), "{}", stderr(&output));
}
