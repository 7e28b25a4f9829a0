//! Good and bad configurations: what is accepted, and the very words of what is not.

use super::*;
use crate::rule::diagnostic::{Style, render};

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Diagnostic>> {
    parse("segmentd.yaml", text.to_owned(), variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// `place: message` of every problem, a line each.
fn problems(text: &str, variables: &[(&str, &str)]) -> String {
    let diagnostics = load_text(text, variables).expect_err("a configuration with problems");
    let line = |d: &Diagnostic| format!("{}: {}", d.location.as_ref().map(ToString::to_string).unwrap_or_default(), d.message);
    diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_file_has_the_defaults_of_the_contract() {
    let config = load_text("", &[]).unwrap();
    assert_eq!(config.deployment, "segmentd");
    assert_eq!(config.kafka.bootstrap, "localhost:9092");
    assert_eq!(&*config.input.topics[0].0, "shop.events");
    assert_eq!(&*config.state.changelog.0, "segmentd-changelog");
    assert_eq!(config.state.memory_bytes, 1 << 30);
    assert_eq!(config.commit.interval.as_millis(), 100);
    assert_eq!(config.commit.max_events, 20_000);
    assert_eq!(config.clock.idle_delay.as_secs(), 2);
    assert_eq!(config.clock.max_future.as_secs(), 300);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let text = "deploymant: x\ninput: {topics: [], start: now}\ncommit:\n  interval: 100\n  max_events: many\nstate: {memory: 512MB}\nhttp: 8080\n";
    assert_eq!(
        problems(text, &[]),
        "segmentd.yaml:1:1: there is no setting `deploymant`\n\
         segmentd.yaml:5:15: `commit.max_events` is a text, it must be a whole number from 1 to 1000000\n\
         segmentd.yaml:7:7: `http` is a text, it must be a section\n\
         segmentd.yaml:2:17: `input.topics` is empty\n\
         segmentd.yaml:2:28: `input.start` is `now`\n\
         segmentd.yaml:6:17: `state.memory` is `512MB`\n\
         segmentd.yaml:4:13: `commit.interval` is `100`"
    );
}

#[test]
fn what_is_served_is_kept_to_this_machine_unless_somebody_says_otherwise() {
    let config = load_text("", &[]).unwrap();
    assert_eq!((config.listen.to_string().as_str(), config.serve.to_string().as_str()), ("127.0.0.1:8080", "127.0.0.1:8081"));
    for section in ["http", "serve"] {
        for listen in ["0.0.0.0:8081", "[::]:8081", "192.168.0.7:80"] {
            let column = section.len() + 12;
            let refused =
                format!("segmentd.yaml:1:{column}: `{section}.listen` is `{listen}`, which other machines reach, without tokens and TLS");
            assert_eq!(problems(&format!("{section}: {{listen: '{listen}'}}"), &[]), refused);
            load_text(&format!("{section}: {{listen: '{listen}', beyond_loopback: true}}"), &[]).unwrap();
        }
        load_text(&format!("{section}: {{listen: '[::1]:1'}}"), &[]).unwrap();
    }
}

#[test]
fn half_an_access_is_refused_with_all_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::write(folder.path().join("tokens.yaml"), "tokens: []").unwrap();
    // Tokens alone would travel in the clear.
    let text = format!("access: {{tokens: {at}/tokens.yaml}}\nserve: {{listen: '0.0.0.0:1'}}\n");
    assert!(problems(&text, &[]).contains("without tokens and TLS"));
    let text = format!("access:\n  tokens: {at}/none.yaml\n  certificate: {at}/none.crt\n");
    let found = problems(&text, &[]).replace(&at.to_string(), "AT");
    insta::assert_snapshot!(found, @r"
    segmentd.yaml:2:3: `access` names only one of `certificate` and `key`
    AT/none.yaml: the tokens cannot be read: No such file or directory (os error 2)
    ");
    let text = format!("access: {{certificate: {at}/none.crt, key: {at}/none.key}}\n");
    let found = problems(&text, &[]);
    assert!(
        found.contains("`access.certificate` with `access.key`: the certificate") && found.contains("none.crt cannot be used"),
        "{found}"
    );
    std::fs::write(folder.path().join("audit.key"), "hush-hush").unwrap();
    let found = problems(&format!("access: {{audit_key: {at}/audit.key}}\n"), &[]).replace(&at.to_string(), "AT");
    insta::assert_snapshot!(found, @"segmentd.yaml:1:21: `access.audit_key` cannot be used: the file AT/audit.key is no key: 64 hexadecimal digits, as `openssl rand -hex 32` writes them");
}

#[test]
fn an_unknown_key_is_shown_with_what_was_meant() {
    let diagnostics = load_text("kafka:\n  bootstrp: a:1\n", &[]).unwrap_err();
    let shown = render(&diagnostics[0], Style::Plain);
    assert!(shown.contains("there is no setting `kafka.bootstrp`") && shown.contains("did you mean `bootstrap`?"), "{shown}");
}

#[test]
fn a_variable_overrides_the_file() {
    let variables = [("SEGMENTD_KAFKA__BOOTSTRAP", "b:2"), ("SEGMENTD_COMMIT__MAX_EVENTS", "5"), ("SEGMENTD_CLOCK__FOLLOW_WALL", "false")];
    let config = load_text("kafka: {bootstrap: a:1}", &variables).unwrap();
    assert_eq!(config.kafka.bootstrap, "b:2");
    assert_eq!(config.commit.max_events, 5);
    assert!(!config.clock.follow_wall);
}

#[test]
fn a_wrong_variable_is_named() {
    let variables = [("SEGMENTD_KAFKA__BOOTSTRP", "b"), ("SEGMENTD_COMMIT__INTERVAL", "1y"), ("SEGMENTD_PORT_8080_TCP", "ours not")];
    assert_eq!(
        problems("", &variables),
        "SEGMENTD_KAFKA__BOOTSTRP: there is no setting `kafka.bootstrp`\nSEGMENTD_COMMIT__INTERVAL: `commit.interval` is `1y`"
    );
}

#[test]
fn properties_pass_through_except_those_that_exactly_once_rests_on() {
    let config = load_text("kafka: {properties: {security.protocol: SASL_SSL, fetch.min.bytes: 100}}", &[]).unwrap();
    assert_eq!(config.kafka.properties["fetch.min.bytes"].0, "100");
    let found = problems("kafka: {properties: {isolation.level: read_uncommitted, plugin.library.paths: x.so}}", &[]);
    assert_eq!(
        found,
        "segmentd.yaml:1:39: `kafka.properties.isolation.level` is not yours to set\n\
         segmentd.yaml:1:79: `kafka.properties.plugin.library.paths` is not yours to set"
    );
}

#[test]
fn a_secret_is_refused_in_the_file_and_never_shown() {
    let found = problems("kafka: {properties: {sasl.password: hunter2}}", &[]);
    assert_eq!(found, "segmentd.yaml:1:37: `kafka.properties.sasl.password` is a secret, and does not belong in this file");
    let config = load_text("", &[("SEGMENTD_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2")]).unwrap();
    assert_eq!(config.kafka.properties["sasl.password"].0, "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_topic_has_one_purpose() {
    let found = problems("input: {topics: [a, a]}\noutput: {transitions: a}\n", &[]);
    assert_eq!(found.lines().filter(|line| line.contains("already another topic")).count(), 2, "{found}");
}

#[test]
fn text_that_is_not_yaml_has_a_place() {
    let found = problems("kafka: {bootstrap: [\n", &[]);
    assert!(found.contains("this is not YAML"), "{found}");
}

#[test]
fn a_file_that_is_missing_is_named() {
    let diagnostics = load(Path::new("no/such/file.yaml"), []).unwrap_err();
    let shown = render(&diagnostics[0], Style::Plain);
    assert!(shown.contains("no/such/file.yaml") && shown.contains("--config"), "{shown}");
}

#[test]
fn an_entry_topic_that_is_another_topic_is_refused_where_its_segment_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let load = |topic: &str| {
        std::fs::write(&path, format!("segments:\n  - {{key: a, when: 'true', entry_topic: {topic}}}\n")).unwrap();
        let config = load_text("", &[]).unwrap();
        ruleset::load_for(&Config { segments: vec![path.clone()], streams: None, lists: None, ..config })
    };
    for (topic, setting) in [("shop.events", "input.topics.0"), ("segment-membership", "output.membership")] {
        let (ruleset, diagnostics) = load(topic);
        assert!(ruleset.is_none());
        assert_eq!(diagnostics[0].message, format!("the entry topic `{topic}` of the segment `a` is {setting} already"));
        assert_eq!(diagnostics[0].location.as_ref().unwrap().line_and_column(), Some((2, 11)));
    }
    for topic in ["segment-entries", "spring"] {
        assert!(load(topic).0.is_some(), "{topic}");
    }
}
