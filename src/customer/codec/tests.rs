//! Bytes of today and of yesterday: what was written is read, whichever version wrote it.

use std::sync::Arc;

use super::super::exposure::Dropped;
use super::*;
use crate::event::Catalogue;
use crate::experiment::Arm;
use crate::money::Number;
use crate::rule::{Names, load_text};

fn plan() -> Plan {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let text = "segments: [{key: buyer, when: 'trait.plan == \"gold\"', entry: after 30d, expiring: 3d}]";
    let loaded = load_text("plan", text, Names { catalogue: &catalogue, lists: &[] }, &[]);
    crate::plan::compile(&loaded.definitions.unwrap(), catalogue, Vec::new())
}

fn read_head(plan: &Plan, head: &[u8]) -> Result<CustomerState, FormatError> {
    read(plan, &"c".into(), head, |_| Ok::<_, FormatError>(None))
}

fn written_head(plan: &Plan, state: &mut CustomerState) -> Vec<u8> {
    let mut heads = Vec::new();
    write(plan, &"c".into(), state, EventTime::MAX, &mut |_, value| heads.extend(value));
    heads.remove(0)
}

fn newyear() -> EventTime {
    EventTime::parse("2026-01-01T00:00:00Z").unwrap()
}

#[test]
fn what_was_told_of_a_membership_is_read_back() {
    let plan = plan();
    let mut state = CustomerState::new(&plan);
    *state.standing.told_mut(0) = Told { segment: 0, entered_at: Some(newyear()), announced: Some(EventTime::MAX), end: None };
    let head = written_head(&plan, &mut state);
    assert_eq!(read_head(&plan, &head).unwrap().standing.told, state.standing.told);
}

#[test]
fn a_policy_with_nothing_to_remember_takes_one_byte() {
    let plan = plan();
    let mut state = CustomerState::new(&plan);
    let without = written_head(&plan, &mut state).len();
    state.standing.told_mut(0).end = Some(newyear());
    assert_eq!(written_head(&plan, &mut state).len(), without);
}

fn measured_plan(experiment: &str) -> Plan {
    let catalogue = Arc::new(Catalogue::segment_spec());
    let text = format!("segments: [{{key: buyer, when: 'trait.plan == \"gold\"', experiment: {experiment}}}]");
    let loaded = load_text("plan", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
    crate::plan::compile(&loaded.definitions.unwrap(), catalogue, Vec::new())
}

/// Exposed to the experiment of the plan, with rows that are no longer kept.
fn exposed(plan: &Plan) -> CustomerState {
    let mut state = CustomerState::new(plan);
    state.standing.expose(&plan.experiments[0], Arm::Control, newyear());
    state.standing.exposures[0].dropped = Dropped { goals: 3, value: Number::ratio(-1, 100), reached: 2, until: newyear() };
    state
}

#[test]
fn an_exposure_is_read_back_with_what_is_no_longer_kept() {
    let plan = measured_plan("{holdout: 50%, goal: orders, value: total, steps: [sessions]}");
    let mut state = exposed(&plan);
    let head = written_head(&plan, &mut state);
    assert_eq!(read_head(&plan, &head).unwrap().standing.exposures, state.standing.exposures);
}

#[test]
fn under_another_goal_an_exposure_stays_and_what_was_counted_does_not() {
    let before = measured_plan("{holdout: 50%, goal: orders, value: total}");
    let head = written_head(&before, &mut exposed(&before));
    for after in ["{holdout: 20%, goal: orders}", "{holdout: 50%}", "{holdout: 50%, goal: orders, value: total, within: 30d}"] {
        let [exposure] = &read_head(&measured_plan(after), &head).unwrap().standing.exposures[..] else { panic!("{after}") };
        assert_eq!((exposure.arm, exposure.at), (Arm::Control, newyear()));
        assert!(exposure.recounted && exposure.dropped == Dropped::NOTHING, "{after}");
    }
    // Another salt is another experiment; the old exposure is kept in case it comes back.
    let mut state = read_head(&measured_plan("{holdout: 50%, salt: other, goal: orders, value: total}"), &head).unwrap();
    state.standing.expose(&measured_plan("{holdout: 50%, salt: other}").experiments[0], Arm::Treatment, newyear());
    assert_eq!(state.standing.exposures.len(), 2);
}

#[test]
fn a_customer_without_exposures_takes_no_byte_and_an_unknown_section_is_passed_over() {
    let plan = measured_plan("{holdout: 50%, goal: orders}");
    let mut state = exposed(&plan);
    let with = written_head(&plan, &mut state);
    let exposures = std::mem::take(&mut state.standing.exposures);
    let without = written_head(&plan, &mut state);
    assert!(with.starts_with(&without));
    let unknown = [&without[..], b"?\x02ab", &with[without.len()..]].concat();
    assert_eq!(read_head(&plan, &unknown).unwrap().standing.exposures, exposures);
    assert_eq!(read_head(&plan, &[&without[..], b"?\x09ab"].concat()).unwrap_err(), FormatError::Damaged);
}

/// A head of format 1, laid out by hand after docs/stored-format.md as it was: a membership and a trait, no histories.
const FORMAT_1: &[u8] = &[
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, // version, timer, plan
    0x80, 0xa0, 0xd5, 0xed, 0xee, 0x66, // instant
    0x01, 0xff, 0x6f, 0x09, 0x7f, 0xbc, 0xe3, 0x41, 0xb2, 0x01, 0x80, 0xa0, 0xd5, 0xed, 0xee, 0x66, // a membership
    0x01, 0x3c, 0x31, 0x2a, 0xc5, 0xfd, 0xb8, 0xc1, 0x02, 0x80, 0xa0, 0xd5, 0xed, 0xee, 0x66, 0x04, 0x04, b'g', b'o', b'l',
    b'd', // a trait
    0x00,
];

#[test]
fn a_head_of_format_1_is_read_as_it_was_written() {
    let state = read_head(&plan(), FORMAT_1).unwrap();
    assert_eq!(state.standing.at, newyear());
    assert_eq!(state.standing.memberships, [Membership { sequence: 1, changed_at: newyear() }]);
    assert_eq!(state.facts.traits, [Some((newyear(), Value::Text("gold".into())))]);
    assert_eq!(state.standing.told, []);
}

#[test]
fn a_head_of_a_newer_format_is_refused_and_a_cut_one_is_damaged() {
    let plan = plan();
    let newer = [&[VERSION + 1], &FORMAT_1[1..]].concat();
    assert_eq!(read_head(&plan, &newer).unwrap_err(), FormatError::Newer(VERSION + 1));
    for length in 0..FORMAT_1.len() {
        assert_eq!(read_head(&plan, &FORMAT_1[..length]).unwrap_err(), FormatError::Damaged, "{length}");
    }
}

/// A customer of whom only so many ids are known.
fn with_ids(plan: &Plan, ids: usize) -> CustomerState {
    let mut state = CustomerState::new(plan);
    let history = &mut state.facts.histories[0];
    history.retired = (1..=ids as u64).map(|id| id << 32).collect();
    history.ids = history.retired.iter().copied().collect();
    state
}

#[test]
fn ids_are_read_back_however_many_stand_in_blocks() {
    let plan = plan();
    for ids in [0, 7, 8, 63, 64, 65, 72, 129, 200] {
        let mut state = with_ids(&plan, ids);
        let mut stored = std::collections::HashMap::new();
        // Written in two goes: the second rewrites the last block of the first.
        state.facts.histories[0].retired.truncate(ids / 2);
        write(&plan, &"c".into(), &mut state, EventTime::MAX, &mut |key, value| drop(stored.insert(key, value)));
        written(&mut state);
        state.facts.histories[0].retired = with_ids(&plan, ids).facts.histories[0].retired.clone();
        write(&plan, &"c".into(), &mut state, EventTime::MAX, &mut |key, value| drop(stored.insert(key, value)));
        let head = stored[&head_key(&"c".into())].clone().unwrap();
        let part = |key: &[u8]| Ok::<_, FormatError>(stored.get(key).cloned().flatten());
        let read = read(&plan, &"c".into(), &head, part).unwrap();
        assert_eq!(read.facts.histories[0].retired, state.facts.histories[0].retired, "{ids}");
        assert!(head.len() < 128, "{} bytes with {ids} ids", head.len());
    }
}

/// Format 2 says in full blocks how many ids stand in them, and is otherwise the same here.
#[test]
fn full_blocks_of_ids_of_format_2_are_read() {
    let plan = plan();
    let mut parts = std::collections::HashMap::new();
    write(&plan, &"c".into(), &mut with_ids(&plan, 70), EventTime::MAX, &mut |key, value| drop(parts.insert(key, value)));
    let mut head = parts[&head_key(&"c".into())].clone().unwrap();
    let count = head.windows(2).position(|two| two == [64, 6]).unwrap();
    (head[0], head[count]) = (2, 1);
    let part = |key: &[u8]| Ok::<_, FormatError>(parts.get(key).cloned().flatten());
    assert_eq!(read(&plan, &"c".into(), &head, part).unwrap().facts.histories[0].retired.len(), 70);
}
