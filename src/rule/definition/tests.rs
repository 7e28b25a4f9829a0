//! Files of definitions: what they become, and every way in which they can be wrong.

mod doubts;

use super::super::diagnostic::{Style, render_all};
use super::super::fixture;
use super::*;
use crate::time::Span;

mod pin;
mod publication;

fn loaded(text: &str) -> Loaded {
    let catalogue = fixture::catalogue();
    load_text("a.yaml", text, Names { catalogue: &catalogue, lists: &["vip".into()] }, &[])
}

/// What is said about a file; definitions are there exactly if none of it is an error.
#[track_caller]
pub fn check(text: &str) -> String {
    let loaded = loaded(text);
    assert_eq!(loaded.definitions.is_none(), loaded.diagnostics.iter().any(Diagnostic::is_error));
    render_all(&loaded.diagnostics, Style::Plain).trim_end().to_owned()
}

#[track_caller]
pub fn definitions(text: &str) -> Definitions {
    let loaded = loaded(text);
    assert_eq!(render_all(&loaded.diagnostics, Style::Plain), "");
    loaded.definitions.unwrap()
}

/// `code line:column` of each problem.
pub fn places(text: &str) -> Vec<String> {
    let of = |d: &Diagnostic| match d.location.as_ref().and_then(Location::line_and_column) {
        Some((line, column)) => format!("{} {line}:{column}", d.code),
        None => d.code.to_owned(),
    };
    loaded(text).diagnostics.iter().map(of).collect()
}

const GOLDEN: &str = r#"
segments:
  - {key: coupon_loyalty,        when: 'count(orders last 30d) > 2 and every(orders last 30d: total > 20)'}
  - {key: coupon_points_low,     when: 'sum(orders.total lifetime where redeemed) in [100, 300)'}
  - {key: coupon_points_high,    when: 'sum(orders.total lifetime where redeemed) >= 300'}
  - {key: couponers_at_risk,     when: '(segment("coupon_points_high") or segment("coupon_points_low")) and (segment("lapsed") or segment("fading"))'}
  - {key: lapsed,                when: 'count(orders lifetime) > 0 and count(orders last 30d) == 0'}
  - {key: won_back,              when: 'returned(orders after 60d within 14d)'}
  - {key: aov_50_100,            when: 'avg(orders.total last 90d) in [50, 100)'}
  - {key: fading,                when: 'count(orders from 60d to 30d ago) >= 3 and sum(orders.total last 30d) < 0.5 * sum(orders.total from 60d to 30d ago)'}
  - {key: big_basket_this_month, when: 'max(orders.total this month) >= 150'}
  - {key: parents_buying,        when: 'trait.kids_count in {"1", "2", "3+"} and count(orders last 14d) >= 2'}
  - {key: many_stores,           when: 'distinct(orders.store_id last 90d) >= 4', exit_when: 'distinct(orders.store_id last 90d) < 2'}
"#;

#[test]
fn segments_keep_their_order_and_are_evaluated_after_what_they_use() {
    let definitions = definitions(GOLDEN);
    let keys: Vec<_> = definitions.evaluation_order.iter().map(|i| definitions.segments[*i].key.as_str()).collect();
    assert_eq!(definitions.segments[3].key.as_str(), "couponers_at_risk");
    assert_eq!(keys[3..8], ["lapsed", "won_back", "aov_50_100", "fading", "couponers_at_risk"]);
    assert_eq!(definitions.segments[10].exit_when.as_ref().unwrap().to_string(), "distinct(orders.store_id last 90d) < 2");
}

#[test]
fn every_option_is_read() {
    let text = "
lists: {staff: [ann, 17]}
segments:
  - key: a.b-c_1
    name: A
    description: >
      Two
      lines
    owner: team
    tags: [x, y]
    timezone: Europe/Berlin
    on_create: silent
    min_stay: 2w
    when: |
      # everybody
      # but the staff
      not list(\"staff\")
        and not list(\"vip\")
    tests: [{name: t}]
";
    let definitions = definitions(text);
    let segment = &definitions.segments[0];
    assert_eq!(segment.key.as_str(), "a.b-c_1");
    assert_eq!((segment.name.as_deref(), segment.owner.as_deref()), (Some("A"), Some("team")));
    assert_eq!(segment.description.as_deref(), Some("Two lines\n"));
    assert_eq!(segment.tags, ["x", "y"]);
    assert_eq!(segment.timezone.name(), "Europe/Berlin");
    assert_eq!(segment.min_stay, Span::parse("14d"));
    assert_eq!(segment.publication.on_create, OnCreate::Silent);
    assert_eq!(segment.when.to_string(), "not list(\"staff\") and not list(\"vip\")");
    assert!(segment.tests.is_some());
    assert_eq!(definitions.lists["staff"].iter().map(CustomerId::as_str).collect::<Vec<_>>(), ["17", "ann"]);
}

#[test]
fn the_version_is_what_the_segment_means_and_not_how_it_is_written() {
    let version = |fields: &str| definitions(&format!("segments: [{{key: a, {fields}}}]")).segments[0].version.clone();
    let one = version("when: 'count(orders last 14d) > 1'");
    assert_eq!(one, version("name: A, when: 'count( orders  last 2w )>1'"));
    assert_eq!(one, version("timezone: UTC, when: '(count(orders last 14d)) > 1'"));
    assert_ne!(one, version("when: 'count(orders last 14d) > 2'"));
    assert_ne!(one, version("timezone: Europe/Berlin, when: 'count(orders last 14d) > 1'"));
    assert_ne!(one, version("when: 'count(orders last 14d) > 1', exit_when: 'false'"));
    assert_ne!(one, version("when: 'count(orders last 14d) > 1', min_stay: 7d"));
    assert_ne!(one, version("when: 'count(orders last 14d) > 1', pin: vip"));
    assert_ne!(version("when: 'count(orders last 14d) > 1', ban: vip"), version("when: 'count(orders last 14d) > 1', pin: vip"));
    assert_eq!(one.len(), 32);
}

#[test]
fn a_problem_in_a_rule_is_shown_where_the_file_has_it() {
    insta::assert_snapshot!(check("segments:\n  - key: loyal\n    when: >\n      count(orders last 30d) > 2 and\n      sum(orders.totl last 30d) > 100\n"), @r"
    error[unknown-field]: the stream `orders` has no field `totl`
     --> a.yaml:5:18
      |
    5 |       sum(orders.totl last 30d) > 100
      |                  ^^^^ did you mean `total`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
}

#[test]
fn places_are_exact_however_the_rule_is_written() {
    let at = |written: &str| places(&format!("segments:\n  - key: a\n    when: {written}\n"));
    assert_eq!(at("sum(orders.totl last 1d) > 1"), ["unknown-field 3:22"]);
    assert_eq!(at("'sum(orders.totl last 1d) > 1'"), ["unknown-field 3:23"]);
    assert_eq!(at("\"sum(orders.totl last 1d) > 1\""), ["unknown-field 3:23"]);
    assert_eq!(at("'trait.a == \"it''s\" and sum(orders.totl last 1d) > 1'"), ["unknown-field 3:46"]);
    assert_eq!(at(r#""trait.a == \"\u00e9\" and sum(orders.totl last 1d) > 1""#), ["unknown-field 3:49"]);
    assert_eq!(at("trait.a and\n      sum(orders.totl last 1d) > 1"), ["unknown-field 4:18"]);
    assert_eq!(at("'trait.a and\n\n      sum(orders.totl last 1d) > 1'"), ["unknown-field 5:18"]);
    assert_eq!(at("\"trait.a \\\n      and sum(orders.totl last 1d) > 1\""), ["unknown-field 4:22"]);
    for block in ["|", ">", "|-", ">+", "|2"] {
        assert_eq!(at(&format!("{block}\n      trait.a # é\n        and sum(orders.totl last 1d) > 1")), ["unknown-field 5:24"], "{block}");
    }
}

#[test]
fn a_file_that_is_no_yaml_says_where() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'trait.a'\n"), @r"
    error[yaml-syntax]: this is not YAML: unclosed bracket '{'
     --> a.yaml:2:5
      |
    2 |   - {key: a, when: 'trait.a'
      |     ^
    ");
}

#[test]
fn an_empty_file_is_an_error() {
    insta::assert_snapshot!(check(""), @r"
    error[empty-file]: the file defines nothing
    --> a.yaml
     = help: a file of definitions begins with `segments:`
    ");
    assert_eq!(places("# nothing\n"), ["empty-file"]);
    assert_eq!(places("---\n"), ["empty-file"]);
}

#[test]
fn no_definition_at_all_is_an_error() {
    insta::assert_snapshot!(check("segments: []\n"), @r"
    error[no-definitions]: there is not a single definition
     |
     = help: definitions are read from files `*.yaml` and `*.yml`
    ");
}

#[test]
fn keys_that_nobody_knows_are_errors_with_the_nearest_known_one() {
    insta::assert_snapshot!(check("segmnts: []\nsegments:\n  - {key: a, whn: 'true', when: 'true', timezone: Europe/Berln}\n"), @r"
    error[unknown-key]: a file of definitions has no `segmnts`
     --> a.yaml:1:1
      |
    1 | segmnts: []
      | ^^^^^^^ did you mean `segments`?
      |
      = help: possible keys are lists, segments, ladders

    error[unknown-key]: a segment has no `whn`
     --> a.yaml:3:14
      |
    3 |   - {key: a, whn: 'true', when: 'true', timezone: Europe/Berln}
      |              ^^^ did you mean `when`?
      |
      = help: possible keys are key, name, description, owner, tags, timezone, when, exit_when, min_stay, tests, pin, ban, entry, entry_topic, expiring, on_create, experiment

    error[unknown-timezone]: there is no time zone `Europe/Berln`
     --> a.yaml:3:51
      |
    3 |   - {key: a, whn: 'true', when: 'true', timezone: Europe/Berln}
      |                                                   ^^^^^^^^^^^^ did you mean `Europe/Berlin`?
      |
      = help: time zones have IANA names, such as `Europe/Berlin`
    ");
}

#[test]
fn keys_of_a_page_around_the_definitions_are_let_through() {
    let catalogue = fixture::catalogue();
    let names = Names { catalogue: &catalogue, lists: &[] };
    let loaded = load_text("page", "name: x\nevents: []\nsegments: [{key: a, when: 'true'}]", names, &["name", "events"]);
    assert_eq!(loaded.definitions.unwrap().segments.len(), 1);
}

#[test]
fn a_key_that_comes_twice_is_an_error() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'true', when: 'false'}\n  - {key: b, when: 'true'}\n  - {key: b, when: 'false'}\n"), @r"
    error[duplicate-key]: the key `when` comes twice in one mapping
     --> a.yaml:2:28
      |
    2 |   - {key: a, when: 'true', when: 'false'}
      |                            ^^^^
      |
      = help: it came first at line 2, column 14

    error[duplicate-segment]: the segment `b` is defined twice
     --> a.yaml:4:11
      |
    4 |   - {key: b, when: 'false'}
      |           ^
      |
      = help: it is defined first at a.yaml:3:11; keys are never reused
    ");
}

#[test]
fn the_same_key_in_two_files_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = ["a.yaml", "b.yaml"].iter().map(|name| folder.path().join(name)).collect();
    for path in &paths {
        std::fs::write(path, "segments: [{key: a, when: 'true'}]").unwrap();
    }
    let catalogue = fixture::catalogue();
    let loaded = load(&paths, Names { catalogue: &catalogue, lists: &[] });
    assert_eq!(loaded.diagnostics[0].code, "duplicate-segment");
    assert_eq!(loaded.diagnostics[0].location.as_ref().unwrap().source.name, paths[1].display().to_string());
}

#[test]
fn a_key_must_be_there_and_well_formed() {
    assert_eq!(
        places("segments:\n  - {when: 'true'}\n  - {key: 'a b', when: 'true'}\n  - {key: c}\n  - {key: '', when: ~}"),
        ["missing-key 2:5", "bad-key 3:11", "missing-key 4:5", "bad-key 5:11", "wrong-type 5:21"]
    );
    assert_eq!(places(&format!("segments: [{{key: {}, when: 'true'}}]", "k".repeat(129))), ["bad-key 1:18"]);
    insta::assert_snapshot!(check("segments:\n  - {key: 'größe', when: 'true'}\n"), @r"
    error[bad-key]: a key is made of letters (a-z, A-Z), digits, `_`, `-` and `.`, and this one has `ö`
     --> a.yaml:2:11
      |
    2 |   - {key: 'größe', when: 'true'}
      |           ^^^^^^^
    ");
}

#[test]
fn values_of_a_wrong_shape_say_what_they_should_be() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: [1], tags: x, on_create: silnt}\n  - b\nlists: [1]\n"), @r"
    error[wrong-type]: `when` must be a text, and this is a list
     --> a.yaml:2:20
      |
    2 |   - {key: a, when: [1], tags: x, on_create: silnt}
      |                    ^^^

    error[wrong-type]: `tags` must be a list, and this is a text
     --> a.yaml:2:31
      |
    2 |   - {key: a, when: [1], tags: x, on_create: silnt}
      |                               ^

    error[bad-value]: `silnt` is neither `silent` nor `emit`
     --> a.yaml:2:45
      |
    2 |   - {key: a, when: [1], tags: x, on_create: silnt}
      |                                             ^^^^^ did you mean `silent`?

    error[wrong-type]: a segment is a mapping, and this is a text
     --> a.yaml:3:5
      |
    3 |   - b
      |     ^

    error[wrong-type]: `lists` is a mapping, and this is a list
     --> a.yaml:4:8
      |
    4 | lists: [1]
      |        ^^^
    ");
    assert_eq!(places("segments: {a: b}"), ["wrong-type 1:11"]);
    assert_eq!(places("[]"), ["wrong-type 1:1"]);
    assert_eq!(places("lists: {a: [x, [y]], a b: []}"), ["wrong-type 1:16", "bad-key 1:22"]);
}

#[test]
fn a_duration_is_a_number_and_a_unit() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'true', min_stay: 7 days}\n"), @r"
    error[bad-duration]: `7 days` is no duration
     --> a.yaml:2:38
      |
    2 |   - {key: a, when: 'true', min_stay: 7 days}
      |                                      ^^^^^^
      |
      = help: a duration is a whole number above 0 and a unit, `s`, `m`, `h`, `d` or `w`, such as `7d`; at most a thousand years
    ");
    for wrong in ["0d", "7", "-7d", "[7d]", "99999999w"] {
        assert_eq!(places(&format!("segments: [{{key: a, when: 'true', min_stay: {wrong}}}]")).len(), 1, "{wrong}");
    }
}

#[test]
fn unknown_segments_and_lists_come_with_the_nearest_known_one() {
    insta::assert_snapshot!(check("segments:\n  - {key: golden, when: 'not list(\"vap\")'}\n  - {key: b, when: 'true', exit_when: 'segment(\"goldn\")'}\n"), @r#"
    error[unknown-list]: there is no list `vap`
     --> a.yaml:2:35
      |
    2 |   - {key: golden, when: 'not list("vap")'}
      |                                   ^^^^^ did you mean `vip`?

    error[unknown-segment]: there is no segment `goldn`
     --> a.yaml:3:48
      |
    3 |   - {key: b, when: 'true', exit_when: 'segment("goldn")'}
      |                                                ^^^^^^^ did you mean `golden`?
    "#);
}

#[test]
fn a_broken_segment_is_still_known_by_its_key() {
    assert_eq!(places("segments: [{key: a, when: '('}, {key: b, when: 'segment(\"a\")'}]"), ["syntax 1:29"]);
}

#[test]
fn of_a_long_circle_the_first_segments_are_named() {
    let segments: String = (0..2_000).map(|n| format!("  - {{key: s{n}, when: 'segment(\"s{}\")'}}\n", (n + 1) % 2_000)).collect();
    let message = check(&format!("segments:\n{segments}"));
    assert!(
        message.contains(": 2000 segments refer to each other in a circle: s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> … -> s0\n"),
        "{message}"
    );
}

#[test]
fn a_circle_is_refused_with_its_path() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'segment(\"b\")'}\n  - {key: b, when: 'trait.x', exit_when: 'not segment(\"c\" last 9d)'}\n  - {key: c, when: 'segment(\"a\")'}\n  - {key: d, when: 'segment(\"d\")'}\n"), @r#"
    error[cycle]: segments refer to each other in a circle: a -> b -> c -> a
     --> a.yaml:2:29
      |
    2 |   - {key: a, when: 'segment("b")'}
      |                             ^^^
      |
      = help: one of them must be decided without the others

    error[cycle]: the segment `d` refers to itself
     --> a.yaml:5:29
      |
    5 |   - {key: d, when: 'segment("d")'}
      |                             ^^^
      |
      = help: one of them must be decided without the others
    "#);
}

#[test]
fn a_list_is_defined_once() {
    assert_eq!(places("lists: {vip: [a], x: []}\nsegments: []"), ["duplicate-list 1:9"]);
}

#[test]
fn a_thousand_errors_are_all_found_and_a_hundred_shown() {
    let text = format!(
        "segments:\n{}",
        (0..1000).map(|i| format!("  - {{key: s{i}, when: 'count(ordrs lifetime) > {i}'}}\n")).collect::<String>()
    );
    let loaded = loaded(&text);
    assert_eq!(loaded.diagnostics.len(), 1000);
    assert_eq!(loaded.diagnostics[999].location.as_ref().unwrap().line_and_column().unwrap().0, 1001);
    let shown = render_all(&loaded.diagnostics, Style::Plain);
    assert_eq!(shown.matches("error[unknown-stream]").count(), 100);
    assert!(shown.ends_with("… and 900 more\n"));
}

#[test]
fn nesting_is_bounded_in_yaml_and_in_rules() {
    assert_eq!(places(&"[".repeat(1_000_000))[0].split(' ').next(), Some("yaml-syntax"));
    assert_eq!(places(&format!("segments: [{{key: a, when: '{}'}}]", "(".repeat(1_000_000))), ["too-long 1:28"]);
}

#[test]
fn aliases_stand_for_texts_alone() {
    assert_eq!(definitions("segments: [{key: a, when: &w 'true'}, {key: b, when: *w}]").segments[1].when.to_string(), "true");
    assert_eq!(places("lists: {a: &x [b], c: *x}"), ["yaml-alias 1:23"]);
}

#[test]
fn a_program_gets_the_same_as_data() {
    let diagnostic = &loaded("segments:\n  - {key: a, when: 'sum(orders.totl last 1d) > 1'}").diagnostics[0];
    insta::assert_snapshot!(serde_json::to_string(diagnostic).unwrap(), @r#"
    {"severity":"error","code":"unknown-field","message":"the stream `orders` has no field `totl`","file":"a.yaml","line":2,"column":32,"bytes":[41,45],"label":"did you mean `total`?","help":"fields of `orders` are listed by `segmentd schema streams`"}
    "#);
}
