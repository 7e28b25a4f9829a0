//! Pins and bans: what they become, and how they can be wrong.

use super::{check, definitions};

#[test]
fn a_pin_and_a_ban_name_lists() {
    let definitions = definitions("lists: {staff: [ann]}\nsegments: [{key: a, when: 'trait.a', pin: vip, ban: staff}]\n");
    let list = |rule: &Option<super::Expr>| rule.as_ref().unwrap().to_string();
    let segment = &definitions.segments[0];
    assert_eq!((list(&segment.pin), list(&segment.ban)), ("list(\"vip\")".to_owned(), "list(\"staff\")".to_owned()));
}

#[test]
fn a_list_that_is_not_there_comes_with_the_nearest_that_is() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'trait.a', pin: vips, ban: staff}\n"), @r"
    error[unknown-list]: there is no list `vips`
     --> a.yaml:2:36
      |
    2 |   - {key: a, when: 'trait.a', pin: vips, ban: staff}
      |                                    ^^^^ did you mean `vip`?

    error[unknown-list]: there is no list `staff`
     --> a.yaml:2:47
      |
    2 |   - {key: a, when: 'trait.a', pin: vips, ban: staff}
      |                                               ^^^^^
      |
      = help: its customers stand in the definitions, `lists: {staff: [ann, bob]}`, or in a file `staff.txt` of the lists
    ");
}

#[test]
fn customers_are_not_named_in_the_segment() {
    insta::assert_snapshot!(check("segments:\n  - {key: a, when: 'trait.a', pin: [ann, bob]}\n"), @r"
    error[wrong-type]: `pin` must be the name of a static list, and this is a list
     --> a.yaml:2:36
      |
    2 |   - {key: a, when: 'trait.a', pin: [ann, bob]}
      |                                    ^^^^^^^^^^
      |
      = help: name the customers in a list: `lists: {testers: [ann, bob]}` and `pin: testers`
    ");
}

#[test]
fn a_stage_of_a_ladder_has_neither() {
    insta::assert_snapshot!(check("ladders:\n  - key: life\n    stages:\n      - {key: golden, when: 'trait.a', pin: vip}\n      - {key: dormant, ban: vip}\n"), @r#"
    error[stage-pin]: a stage of a ladder has no `pin`
     --> a.yaml:4:45
      |
    4 |       - {key: golden, when: 'trait.a', pin: vip}
      |                                             ^^^
      |
      = help: every customer is on exactly one stage; name the list in the rules of the stages: `when: list("testers") or …`

    error[stage-pin]: a stage of a ladder has no `ban`
     --> a.yaml:5:29
      |
    5 |       - {key: dormant, ban: vip}
      |                             ^^^
      |
      = help: every customer is on exactly one stage; name the list in the rules of the stages: `when: not list("complainers") and …`
    "#);
}
