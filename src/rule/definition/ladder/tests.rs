//! Ladders: what they become, and every way in which they can be wrong.

use super::super::tests::{check, definitions, places};
use super::*;

const LIFE: &str = "
ladders:
  - key: life
    name: Life cycle
    timezone: Europe/Berlin
    stages:
      - {key: golden, when: 'count(orders last 30d) > 2', exit_when: 'count(orders last 30d) == 0', min_stay: 7d}
      - {key: fading, when: 'segment(\"golden\" last 60d)', on_create: silent}
      - {key: dormant, name: Gone}
segments:
  - {key: vip, when: 'segment(\"dormant\")'}
";

#[test]
fn stages_are_segments_that_know_their_place() {
    let definitions = definitions(LIFE);
    let keys: Vec<_> = definitions.segments.iter().map(|s| (s.key.as_str(), s.stage.map(|stage| (stage.ladder, stage.rank)))).collect();
    assert_eq!(keys, [("golden", Some((0, 0))), ("fading", Some((0, 1))), ("dormant", Some((0, 2))), ("vip", None)]);
    assert_eq!(definitions.segments[1].timezone.name(), "Europe/Berlin");
    assert_eq!(definitions.segments[2].when.to_string(), "true");
    assert_eq!((definitions.ladders[0].key.as_str(), definitions.ladders[0].name.as_deref()), ("life", Some("Life cycle")));
    assert_eq!(definitions.evaluation_order, [0, 1, 2, 3]);
}

#[test]
fn stages_are_decided_from_the_first_to_the_last_with_what_they_use_between() {
    let text = "
segments: [{key: lost, when: 'segment(\"a\" last 9d)'}]
ladders: [{key: l, stages: [{key: a, when: trait.a}, {key: b, when: 'segment(\"lost\")'}, {key: c}]}]
";
    assert_eq!(definitions(text).evaluation_order, [1, 0, 2, 3]);
}

#[test]
fn the_version_of_a_stage_depends_on_what_goes_before_it() {
    let versions = |stages: &str| -> Vec<_> {
        let text = format!("ladders: [{{key: l, stages: [{stages}]}}]");
        definitions(&text).segments.iter().map(|s| s.version.clone()).collect()
    };
    let two = versions("{key: a, when: trait.a}, {key: z}");
    assert_eq!(two, versions("{key: a, name: A, when: trait.a}, {key: z}"));
    let three = versions("{key: a, when: trait.a}, {key: b, when: trait.b}, {key: z}");
    assert_eq!(two[0], three[0]);
    assert_ne!(two[1], three[2]);
    let alone = definitions("segments: [{key: a, when: trait.a}]").segments[0].version.clone();
    assert_ne!(two[0], alone);
}

#[test]
fn an_empty_ladder_is_an_error() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages: []\n  - key: other\n"), @r"
    error[empty-ladder]: a ladder needs stages
     --> a.yaml:2:10
      |
    2 |   - key: life
      |          ^^^^
      |
      = help: `stages: [{key: active, when: '…'}, {key: dormant}]`; the last one has no `when`

    error[empty-ladder]: a ladder needs stages
     --> a.yaml:4:10
      |
    4 |   - key: other
      |          ^^^^^
      |
      = help: `stages: [{key: active, when: '…'}, {key: dormant}]`; the last one has no `when`
    ");
}

#[test]
fn a_stage_without_a_rule_that_is_not_the_last_is_a_gap() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages:\n      - {key: golden, when: 'trait.a'}\n      - {key: shining}\n      - {key: dormant}\n"), @r"
    error[ladder-gap]: only the last stage of a ladder has no `when`
     --> a.yaml:5:9
      |
    5 |       - {key: shining}
      |         ^^^^^^^^^^^^^^
      |
      = help: it takes everybody whom those above it leave: nobody would reach the stages below
    ");
}

#[test]
fn the_last_stage_has_no_rule() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages:\n      - {key: golden, when: 'trait.a'}\n      - {key: dormant, when: 'trait.b', exit_when: 'trait.c'}\n"), @r"
    error[ladder-end]: the last stage of a ladder has no `when`
     --> a.yaml:5:30
      |
    5 |       - {key: dormant, when: 'trait.b', exit_when: 'trait.c'}
      |                              ^^^^^^^^^
      |
      = help: it takes everybody whom no other stage takes; add one below for those, with a key alone

    error[ladder-end]: the last stage of a ladder has no `exit_when`
     --> a.yaml:5:52
      |
    5 |       - {key: dormant, when: 'trait.b', exit_when: 'trait.c'}
      |                                                    ^^^^^^^^^
      |
      = help: it takes everybody whom no other stage takes; add one below for those, with a key alone
    ");
}

#[test]
fn a_stage_that_hides_those_below_it_is_an_error() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages:\n      - {key: golden, when: 'trait.a or trait.b'}\n      - {key: shining, when: 'trait.b'}\n      - {key: all, when: 'true'}\n      - {key: dormant}\n"), @r"
    error[hidden-stage]: nobody reaches the stage `shining`: who meets its `when` meets that of `golden`, which goes before
     --> a.yaml:5:31
      |
    5 |       - {key: shining, when: 'trait.b'}
      |                               ^^^^^^^
      |
      = help: move `shining` above `golden`, or leave it out

    error[hidden-stage]: nobody reaches the stages below `all`: its `when` is always true
     --> a.yaml:6:27
      |
    6 |       - {key: all, when: 'true'}
      |                           ^^^^
      |
      = help: only the last stage takes everybody
    ");
    let hidden = |above: &str, below: &str| {
        let text = format!("ladders: [{{key: l, stages: [{{key: a, when: {above}}}, {{key: b, when: {below}}}, {{key: z}}]}}]");
        places(&text).len() == 1
    };
    assert!(hidden("trait.a", "trait.a"));
    assert!(hidden("trait.a", "trait.b and trait.a"));
    assert!(!hidden("trait.a and trait.b", "trait.a"));
    assert!(!hidden("trait.a", "trait.b or trait.a"));
    assert!(!hidden("trait.a, exit_when: trait.c", "trait.a"));
}

#[test]
fn a_stage_that_refers_to_a_lower_one_is_an_error() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages:\n      - {key: golden, when: 'not segment(\"dormant\" last 9d)'}\n      - {key: dormant}\n"), @r#"
    error[lower-stage]: the stage `golden` refers to `dormant`, which stands below it
     --> a.yaml:4:42
      |
    4 |       - {key: golden, when: 'not segment("dormant" last 9d)'}
      |                                          ^^^^^^^^^
      |
      = help: stages are decided from the first to the last: a stage may use those above it
    "#);
}

#[test]
fn a_circle_through_a_segment_outside_is_found() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages:\n      - {key: golden, when: 'segment(\"lost\")'}\n      - {key: fading, when: 'trait.a'}\n      - {key: dormant}\nsegments:\n  - {key: lost, when: 'segment(\"fading\")'}\n"), @r#"
    error[cycle]: segments refer to each other in a circle: golden -> lost -> fading -> golden
     --> a.yaml:4:38
      |
    4 |       - {key: golden, when: 'segment("lost")'}
      |                                      ^^^^^^
      |
      = help: one of them must be decided without the others
    "#);
}

#[test]
fn keys_of_stages_and_segments_are_one_set() {
    insta::assert_snapshot!(check("segments: [{key: golden, when: 'trait.a'}]\nladders:\n  - {key: life, stages: [{key: golden, when: 'trait.b'}, {key: dormant}]}\n  - {key: life, stages: [{key: dormant}]}\n"), @r"
    error[duplicate-segment]: the segment `golden` is defined twice
     --> a.yaml:3:32
      |
    3 |   - {key: life, stages: [{key: golden, when: 'trait.b'}, {key: dormant}]}
      |                                ^^^^^^
      |
      = help: it is defined first at a.yaml:1:18; keys are never reused

    error[duplicate-ladder]: the ladder `life` is defined twice
     --> a.yaml:4:11
      |
    4 |   - {key: life, stages: [{key: dormant}]}
      |           ^^^^

    error[duplicate-segment]: the segment `dormant` is defined twice
     --> a.yaml:4:32
      |
    4 |   - {key: life, stages: [{key: dormant}]}
      |                                ^^^^^^^
      |
      = help: it is defined first at a.yaml:3:64; keys are never reused
    ");
}

#[test]
fn a_ladder_of_a_wrong_shape_says_what_it_should_be() {
    assert_eq!(places("ladders: {a: b}"), ["wrong-type 1:10"]);
    assert_eq!(places("ladders: [a]"), ["wrong-type 1:11"]);
    assert_eq!(places("ladders: [{stages: [{key: z}]}]"), ["missing-key 1:11"]);
    assert_eq!(places("ladders: [{key: l, stages: [z]}]"), ["wrong-type 1:29"]);
    assert_eq!(places("ladders: [{key: l, when: trait.a, stages: [{key: z}]}]"), ["unknown-key 1:20"]);
    assert_eq!(places("ladders: [{key: l, timezone: x, stages: [{key: z}]}]"), ["unknown-timezone 1:30"]);
    assert_eq!(places("ladders: [{key: l, stages: [{key: z, timezone: UTC}]}]"), ["unknown-key 1:38"]);
    let stages: String = (0..MAX_STAGES).map(|i| format!("{{key: s{i}, when: 'count(orders lifetime) > {i}'}}, ")).collect();
    assert_eq!(places(&format!("ladders: [{{key: l, stages: [{stages}{{key: z}}]}}]")), ["too-many-stages 1:17"]);
}
