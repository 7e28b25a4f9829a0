//! What is told of a segment: its options are read, and mistakes in them say what would do.

use super::*;
use crate::experiment::Holdout;
use crate::id::TopicName;

/// The options of one segment that say what is told of it.
fn publication(options: &str) -> Publication {
    definitions(&format!("segments: [{{key: a, when: 'true', {options}}}]")).segments.remove(0).publication
}

#[test]
fn what_is_told_of_a_segment_is_read() {
    assert_eq!(publication("name: A"), Publication::default());
    let span = |text| Span::parse(text).unwrap();
    let policies = [
        ("always", EntryPolicy::Always),
        ("once", EntryPolicy::Once),
        ("at_most 3", EntryPolicy::AtMost(3)),
        ("after 30d", EntryPolicy::After(span("30d"))),
    ];
    for (text, policy) in policies {
        assert_eq!(publication(&format!("entry: {text}")).entry, policy);
    }
    let all = publication(
        "entry_topic: spring-2026, expiring: 3d, experiment: {holdout: 12.5%, salt: spring, goal: orders, value: total, within: 30d, steps: [product_adds, orders]}",
    );
    assert_eq!((all.entry_topic, all.expiring), (Some(TopicName("spring-2026".into())), Some(span("3d"))));
    let experiment = all.experiment.unwrap();
    assert_eq!((experiment.holdout, experiment.salt.as_str()), (Holdout::parse("12.5%").unwrap(), "spring"));
    let goal = experiment.goal.unwrap();
    assert_eq!((goal.stream.as_str(), goal.value.as_deref(), goal.within), ("orders", Some("total"), Some(span("30d"))));
    assert_eq!(goal.steps, ["product_adds", "orders"]);
}

#[test]
fn the_salt_of_an_experiment_is_the_key_of_its_segment_unless_written() {
    assert_eq!(publication("experiment: {holdout: 50%}").experiment.unwrap().salt, "a");
}

#[test]
fn what_is_told_is_no_part_of_the_version() {
    let version = |options: &str| definitions(&format!("segments: [{{key: a, when: 'true', {options}}}]")).segments[0].version.clone();
    assert_eq!(version("name: A"), version("entry: once, entry_topic: t, expiring: 3d, on_create: silent, experiment: {holdout: 50%}"));
}

#[test]
fn an_entry_policy_or_topic_that_makes_no_sense_says_what_would() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'true', entry: onec}\n  - {key: b, when: 'true', entry_topic: spring campaign}\n"), @r#"
    error[bad-value]: `onec` is no entry policy
     --> a.yaml:2:35
      |
    2 |   - {key: a, when: 'true', entry: onec}
      |                                   ^^^^ did you mean `once`?
      |
      = help: write `always`, `once`, `at_most 3` (the first three) or `after 30d` (at least so long after the last one published)

    error[bad-value]: `spring campaign` is no name of a topic
     --> a.yaml:3:41
      |
    3 |   - {key: b, when: 'true', entry_topic: spring campaign}
      |                                         ^^^^^^^^^^^^^^^
      |
      = help: letters, digits, `.`, `_` and `-`, at most 249
    "#);
    for wrong in ["at_most", "at_most 0", "at_most -1", "after", "after 0d", "after 3", "once 2", "always x", "[once]"] {
        assert_eq!(places(&format!("segments: [{{key: a, when: 'true', entry: {wrong}}}]")).len(), 1, "{wrong}");
    }
    for wrong in ["''", "..", "a/b", "naïve", &"x".repeat(250)] {
        assert_eq!(places(&format!("segments: [{{key: a, when: 'true', entry_topic: {wrong}}}]")), ["bad-value 1:48"], "{wrong}");
    }
}

#[test]
fn an_experiment_that_makes_no_sense_says_what_would() {
    insta::assert_snapshot!(check("
segments:
  - {key: a, when: 'true', experiment: {holdout: 100%, goal: ordrs, stepps: []}}
  - {key: b, when: 'true', experiment: {salt: x, value: total, within: 3}}
  - {key: d, when: 'true', experiment: {holdout: 50%, goal: orders, value: totl, steps: [sesions, [x]]}}
  - {key: e, when: 'true', experiment: {holdout: 50%, goal: orders, value: coupon, steps: traits}}
"), @r#"
    error[bad-value]: `100%` is no share of the customers
     --> a.yaml:3:50
      |
    3 |   - {key: a, when: 'true', experiment: {holdout: 100%, goal: ordrs, stepps: []}}
      |                                                  ^^^^
      |
      = help: a holdout is more than 0% and less than 100%, with up to four digits after the point: `50%`

    error[unknown-stream]: there is no stream `ordrs`
     --> a.yaml:3:62
      |
    3 |   - {key: a, when: 'true', experiment: {holdout: 100%, goal: ordrs, stepps: []}}
      |                                                              ^^^^^ did you mean `orders`?
      |
      = help: streams are listed by `segmentd schema streams`

    error[unknown-key]: `experiment` has no `stepps`
     --> a.yaml:3:69
      |
    3 |   - {key: a, when: 'true', experiment: {holdout: 100%, goal: ordrs, stepps: []}}
      |                                                                     ^^^^^^ did you mean `steps`?
      |
      = help: possible keys are holdout, salt, goal, value, within, steps

    error[missing-key]: `experiment` needs `holdout`
     --> a.yaml:4:40
      |
    4 |   - {key: b, when: 'true', experiment: {salt: x, value: total, within: 3}}
      |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[missing-key]: `value` speaks of a goal, and there is none
     --> a.yaml:4:50
      |
    4 |   - {key: b, when: 'true', experiment: {salt: x, value: total, within: 3}}
      |                                                  ^^^^^
      |
      = help: name the stream whose events are the goal: `goal: orders`

    error[missing-key]: `within` speaks of a goal, and there is none
     --> a.yaml:4:64
      |
    4 |   - {key: b, when: 'true', experiment: {salt: x, value: total, within: 3}}
      |                                                                ^^^^^^
      |
      = help: name the stream whose events are the goal: `goal: orders`

    error[bad-duration]: `3` is no duration
     --> a.yaml:4:72
      |
    4 |   - {key: b, when: 'true', experiment: {salt: x, value: total, within: 3}}
      |                                                                        ^
      |
      = help: a duration is a whole number above 0 and a unit, `s`, `m`, `h`, `d` or `w`, such as `7d`; at most a thousand years

    error[unknown-field]: the stream `orders` has no field `totl`
     --> a.yaml:5:76
      |
    5 |   - {key: d, when: 'true', experiment: {holdout: 50%, goal: orders, value: totl, steps: [sesions, [x]]}}
      |                                                                            ^^^^ did you mean `total`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`

    error[unknown-stream]: there is no stream `sesions`
     --> a.yaml:5:90
      |
    5 |   - {key: d, when: 'true', experiment: {holdout: 50%, goal: orders, value: totl, steps: [sesions, [x]]}}
      |                                                                                          ^^^^^^^ did you mean `sessions`?
      |
      = help: streams are listed by `segmentd schema streams`

    error[wrong-type]: a step is the name of a stream, and this is a list
     --> a.yaml:5:99
      |
    5 |   - {key: d, when: 'true', experiment: {holdout: 50%, goal: orders, value: totl, steps: [sesions, [x]]}}
      |                                                                                                   ^^^

    error[type-mismatch]: the value of an experiment is a number, and `orders.coupon` is none
     --> a.yaml:6:76
      |
    6 |   - {key: e, when: 'true', experiment: {holdout: 50%, goal: orders, value: coupon, steps: traits}}
      |                                                                            ^^^^^^

    error[wrong-type]: `steps` must be a list, and this is a text
     --> a.yaml:6:91
      |
    6 |   - {key: e, when: 'true', experiment: {holdout: 50%, goal: orders, value: coupon, steps: traits}}
      |                                                                                           ^^^^^^
    "#);
    assert_eq!(places("segments: [{key: a, when: 'true', experiment: 50%}]"), ["wrong-type 1:47"]);
    assert_eq!(places("segments: [{key: a, when: 'true', experiment: {holdout: 50%, salt: ''}}]"), ["bad-value 1:68"]);
    let steps = vec!["orders"; 21].join(", ");
    let text = format!("segments: [{{key: a, when: 'true', experiment: {{holdout: 50%, goal: orders, steps: [{steps}]}}}}]");
    assert_eq!(places(&text), ["too-many-steps 1:244"]);
}
