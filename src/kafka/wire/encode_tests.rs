//! What goes out, byte by byte, and each record against its own schema.

use serde_json::Value;

use super::super::asyncapi::{self, Addresses};
use super::super::reject::RejectCode;
use super::super::schemas::schemas;
use super::*;
use crate::id::{EventId, Offset, Partition, TopicName};
use crate::transition::{Cause, Move, Withheld};

fn at(text: &str) -> EventTime {
    EventTime::parse(text).expect("an instant")
}

fn entered() -> Transition {
    Transition {
        customer: "hh-1".into(),
        segment: "coupon_loyalty".into(),
        direction: Direction::Entered,
        at: at("2017-01-27T21:30:07Z"),
        decided_at: at("2017-01-27T21:30:08Z"),
        sequence: 1,
        entry: 1,
        cause: Cause::Event,
        trigger: Some(Trigger {
            stream: "orders".into(),
            event_id: EventId::new("o\"1"),
            position: Some(SourcePosition { topic: TopicName("shop.events".into()), partition: Partition(0), offset: Offset(17) }),
        }),
        evidence: vec![Evidence {
            aggregate: "count(orders last 30d)".into(),
            value: Some("3".into()),
            op: ">",
            threshold: Some("2".into()),
            met: true,
            approximate: false,
        }],
        valid_until: Some(at("2017-02-26T21:30:07Z")),
        version: "abc".into(),
        since: None,
        moved: None,
        arm: None,
        withheld: None,
        entry_topic: None,
    }
}

fn held_out() -> Transition {
    Transition { arm: Some(Arm::Control), withheld: Some(Withheld::Experiment), ..entered() }
}

fn announced() -> Announcement {
    Announcement {
        customer: "hh-1".into(),
        segment: "coupon_loyalty".into(),
        at: at("2017-02-23T21:30:07Z"),
        decided_at: at("2017-02-23T21:30:08Z"),
        sequence: 1,
        entry: 1,
        since: at("2017-01-27T21:30:07Z"),
        cause: Cause::Time,
        valid_until: at("2017-02-26T21:30:07Z"),
        version: "abc".into(),
        arm: Some(Arm::Treatment),
        entry_topic: None,
    }
}

fn exited() -> Transition {
    Transition {
        direction: Direction::Exited,
        at: at("2017-02-26T21:30:07Z"),
        sequence: 2,
        cause: Cause::Time,
        trigger: None,
        evidence: vec![Evidence {
            aggregate: "avg(orders.total last 30d)".into(),
            value: None,
            op: ">",
            threshold: None,
            met: false,
            approximate: false,
        }],
        valid_until: None,
        since: Some(at("2017-01-27T21:30:07Z")),
        ..entered()
    }
}

fn line(transition: &Transition) -> String {
    line_of(Output::Transition(transition))
}

fn line_of(output: Output<'_>) -> String {
    let mut out = Vec::new();
    output_line(output, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn value(transition: &Transition) -> Value {
    value_of(Output::Transition(transition))
}

fn value_of(output: Output<'_>) -> Value {
    let mut out = Vec::new();
    OutputRecord::new(output, "segmentd").write_value(&mut out);
    serde_json::from_slice(&out).expect("JSON")
}

#[test]
fn a_line_has_the_members_of_the_contract_in_its_order() {
    let expected = r#"{"customer":"hh-1","segment":"coupon_loyalty","transition":"entered","at":"2017-01-27T21:30:07.000Z","sequence":1,"entry":1,"decided_at":"2017-01-27T21:30:08.000Z","cause":"event","trigger":{"stream":"orders","event_id":"o\"1","topic":"shop.events","partition":0,"offset":17},"evidence":[{"aggregate":"count(orders last 30d)","value":"3","op":">","threshold":"2","met":true}],"valid_until":"2017-02-26T21:30:07.000Z","version":"abc"}"#;
    assert_eq!(line(&entered()), format!("{expected}\n"));
}

#[test]
fn an_exit_by_time_has_no_trigger_and_says_what_it_ends() {
    let expected = r#"{"customer":"hh-1","segment":"coupon_loyalty","transition":"exited","at":"2017-02-26T21:30:07.000Z","sequence":2,"entry":1,"decided_at":"2017-01-27T21:30:08.000Z","cause":"time","trigger":null,"evidence":[{"aggregate":"avg(orders.total last 30d)","value":null,"op":">","threshold":null,"met":false}],"version":"abc","previous":{"since":"2017-01-27T21:30:07.000Z"}}"#;
    assert_eq!(line(&exited()), format!("{expected}\n"));
}

#[test]
fn an_entry_that_is_held_out_says_its_arm_and_what_withholds_it() {
    let (plain, held_out) = (line(&entered()), line(&held_out()));
    let (beginning, _) = plain.split_once("}\n").expect("a line");
    assert_eq!(held_out, format!("{beginning},\"experiment\":{{\"arm\":\"control\"}},\"withheld\":\"experiment\"}}\n"));
}

#[test]
fn an_announcement_is_no_transition_and_says_when_the_membership_ends() {
    let announced = announced();
    let expected = r#"{"customer":"hh-1","segment":"coupon_loyalty","announcement":"expiring","at":"2017-02-23T21:30:07.000Z","sequence":1,"entry":1,"decided_at":"2017-02-23T21:30:08.000Z","cause":"time","since":"2017-01-27T21:30:07.000Z","valid_until":"2017-02-26T21:30:07.000Z","version":"abc","experiment":{"arm":"treatment"}}"#;
    assert_eq!(line_of(Output::Announcement(&announced)), format!("{expected}\n"));
    let record = OutputRecord::new(Output::Announcement(&announced), "segmentd");
    let value = value_of(Output::Announcement(&announced));
    assert_eq!((&value["event"], &value["timestamp"]), (&"Audience Expiring".into(), &"2017-02-23T21:30:07.000Z".into()));
    assert_eq!(value["properties"]["coupon_loyalty"], true);
    let headers = record.headers();
    assert_eq!((headers[3].1.as_ref(), headers[7].clone()), ("segmentd.audience.expiring", ("announcement", "expiring".into())));
}

/// Readers drop what they have seen, by id: a repeat must be the same, and a new end must not be.
#[test]
fn the_id_of_an_announcement_is_that_of_its_membership_and_end() {
    let (id, entry) = (announced().id("segmentd"), entered().id("segmentd"));
    assert_eq!(id, Announcement { at: at("2017-02-25T00:00:00Z"), ..announced() }.id("segmentd"));
    assert_ne!(id, Announcement { valid_until: at("2017-02-27T00:00:00Z"), ..announced() }.id("segmentd"));
    assert_ne!(id, entry);
}

#[test]
fn ids_of_any_text_survive_escaping() {
    for id in ["\"\\\n\u{1}", "naïve 🎉", "</script>"] {
        let transition = Transition { customer: id.into(), ..entered() };
        let parsed: Value = serde_json::from_str(&line(&transition)).expect("JSON");
        assert_eq!(parsed["customer"], id);
        assert_eq!(value(&transition)["userId"], id);
    }
}

#[test]
fn a_record_is_a_track_call_with_all_members_in_its_properties() {
    let transition = entered();
    let record = value(&transition);
    assert_eq!(record["event"], "Audience Entered");
    assert_eq!(record["messageId"], transition.id("segmentd"));
    assert_eq!(record["properties"]["coupon_loyalty"], true);
    assert_eq!(record["properties"]["audience_key"], "coupon_loyalty");
    assert_eq!(value(&exited())["properties"]["coupon_loyalty"], false);
    let Value::Object(members) = serde_json::from_str(&line(&transition)).expect("JSON") else { panic!("an object") };
    for (name, member) in members {
        assert_eq!(record["properties"][&name], member, "{name}");
    }
}

#[test]
fn a_segment_named_like_a_member_does_not_make_it_twice() {
    for name in OUTPUT_FIELDS.into_iter().chain([AUDIENCE_KEY]) {
        let mut out = Vec::new();
        OutputRecord::new(Output::Transition(&Transition { segment: name.into(), ..exited() }), "d").write_value(&mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(!text.contains(&format!("\"{name}\":false")), "{name}: {text}");
    }
}

#[test]
fn headers_make_it_a_cloud_event_of_the_same_id() {
    let transition = entered();
    let record = OutputRecord::new(Output::Transition(&transition), "segmentd");
    let shown: Vec<String> = record.headers().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let id = transition.id("segmentd");
    let expected = format!(
        "ce_specversion=1.0 ce_id={id} ce_source=segmentd ce_type=segmentd.audience.entered ce_subject=hh-1 \
         ce_time=2017-01-27T21:30:07.000Z segment=coupon_loyalty transition=entered content-type=application/json"
    );
    assert_eq!(shown.join(" "), expected);
    assert_eq!(record.key(), b"hh-1");
}

fn moved() -> Transition {
    Transition { moved: Some(Move { ladder: "life".into(), from: "active".into() }), segment: "dormant".into(), ..entered() }
}

fn moved_line(entry: &Transition) -> String {
    let mut out = Vec::new();
    move_line(entry, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn move_value(entry: &Transition) -> Value {
    let mut out = Vec::new();
    MoveRecord::of(entry, "segmentd").expect("a move").write_value(&mut out);
    serde_json::from_slice(&out).expect("JSON")
}

#[test]
fn a_move_is_a_line_of_its_own_beside_its_entry() {
    let expected = r#"{"customer":"hh-1","ladder":"life","transition":"moved","from":"active","to":"dormant","at":"2017-01-27T21:30:07.000Z","entry":1,"decided_at":"2017-01-27T21:30:08.000Z","cause":"event","trigger":{"stream":"orders","event_id":"o\"1","topic":"shop.events","partition":0,"offset":17},"version":"abc"}"#;
    assert_eq!(moved_line(&moved()), format!("{expected}\n"));
    assert_eq!(line(&moved()), line(&Transition { moved: None, ..moved() }));
    assert_eq!(moved_line(&entered()), "");
    assert!(MoveRecord::of(&entered(), "segmentd").is_none());
}

#[test]
fn the_record_of_a_move_has_an_id_of_its_own() {
    let (entry, record) = (moved(), move_value(&moved()));
    assert_eq!(record["event"], "Stage Changed");
    assert_eq!(record["messageId"].as_str().expect("an id").len(), 32);
    assert_ne!(record["messageId"], entry.id("segmentd"));
    let again = Transition { sequence: 3, ..moved() };
    assert_ne!(record["messageId"], move_value(&again)["messageId"]);
    let headers = MoveRecord::of(&entry, "segmentd").expect("a move");
    let headers: Vec<String> = headers.headers().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let id = record["messageId"].as_str().expect("an id");
    let expected = format!(
        "ce_specversion=1.0 ce_id={id} ce_source=segmentd ce_type=segmentd.stage.changed ce_subject=hh-1 \
         ce_time=2017-01-27T21:30:07.000Z ladder=life transition=moved content-type=application/json"
    );
    assert_eq!(headers.join(" "), expected);
}

fn membership(segment: &SegmentKey) -> Membership<'_> {
    Membership { segment, since: at("2017-01-27T21:30:07Z"), entry: 1, sequence: 1, valid_until: None, version: "abc" }
}

#[test]
fn memberships_are_listed_and_none_is_a_tombstone() {
    let (a, b) = (SegmentKey::new("a"), SegmentKey::new("b"));
    let customer = CustomerId::new("hh-1");
    let bytes = membership_value(&customer, [membership(&a), membership(&b)], at("2017-01-28T00:00:00Z")).expect("something holds");
    let one = r#"{"since":"2017-01-27T21:30:07.000Z","entry":1,"sequence":1,"valid_until":null,"version":"abc"}"#;
    let expected = format!(r#"{{"customer":"hh-1","segments":{{"a":{one},"b":{one}}},"updated_at":"2017-01-28T00:00:00.000Z"}}"#);
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), expected);
    assert_eq!(membership_value(&customer, [], at("2017-01-28T00:00:00Z")), None);
}

#[test]
fn a_dead_letter_says_why_and_whence() {
    let reject = Reject::new(RejectCode::BadJson, "not JSON");
    let source = SourcePosition { topic: TopicName("shop.events".into()), partition: Partition(3), offset: Offset(9) };
    let shown: Vec<String> = dead_letter_headers(&reject, &source).iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown.join(" "), "error_code=bad_json error_message=not JSON source_topic=shop.events source_partition=3 source_offset=9");
}

#[test]
fn what_goes_out_is_valid_under_its_schema_and_the_schema_refuses_less() {
    let (a, customer) = (SegmentKey::new("a"), CustomerId::new("hh-1"));
    let held = membership_value(&customer, [membership(&a)], at("2017-01-28T00:00:00Z")).expect("something holds");
    let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("JSON");
    let replayed = Trigger { position: None, ..entered().trigger.expect("a trigger") };
    let replayed = Transition { trigger: Some(replayed), ..entered() };
    for (name, schema) in schemas() {
        let outputs = match name {
            "transition" => [entered(), exited(), held_out(), replayed.clone()].iter().map(|t| parse(line(t).as_bytes())).collect(),
            "transition-record" => [entered(), exited(), held_out(), replayed.clone()].iter().map(value).collect(),
            "announcement" => vec![parse(line_of(Output::Announcement(&announced())).as_bytes())],
            "announcement-record" => vec![value_of(Output::Announcement(&announced()))],
            "move" => vec![parse(moved_line(&moved()).as_bytes())],
            "move-record" => vec![move_value(&moved())],
            "membership-record" => vec![parse(&held)],
            other => panic!("no output for the schema {other}"),
        };
        for output in outputs {
            assert_eq!(violation(&schema, &output), None, "{name}: {output}");
            for required in schema["required"].as_array().expect("required members") {
                let mut less = output.clone();
                less.as_object_mut().expect("an object").remove(required.as_str().expect("a name"));
                assert!(violation(&schema, &less).is_some(), "{name} does not miss {required}");
            }
        }
    }
}

#[test]
fn headers_are_those_that_the_asyncapi_document_names() {
    let addresses = Addresses { input: "i", transitions: "t", entries: "e", membership: "m", dead_letters: "d" };
    let document = asyncapi::document(&addresses);
    let (reject, transition, expiring, entry) = (Reject::new(RejectCode::BadJson, "not JSON"), entered(), announced(), moved());
    let source = SourcePosition { topic: TopicName("shop.events".into()), partition: Partition(3), offset: Offset(9) };
    let moved = MoveRecord::of(&entry, "shop").expect("a move");
    let (transition, expiring) =
        (OutputRecord::new(Output::Transition(&transition), "shop"), OutputRecord::new(Output::Announcement(&expiring), "shop"));
    for (message, headers) in [
        ("/components/messages/transition", transition.headers().to_vec()),
        ("/components/messages/announcement", expiring.headers().to_vec()),
        ("/components/messages/move", moved.headers().to_vec()),
        ("/channels/dead-letters/messages/letter", dead_letter_headers(&reject, &source).to_vec()),
    ] {
        let written: Value = headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.to_string()))).collect();
        let schema = &document.pointer(message).expect(message)["headers"];
        assert_eq!(violation(schema, &written), None, "{message}");
    }
}

/// The first thing about a value that a schema forbids. Knows the keywords that our schemas use.
fn violation(schema: &Value, value: &Value) -> Option<String> {
    if let Some(expected) = schema.get("const") {
        return (expected != value).then(|| format!("{value} is not {expected}"));
    }
    if let Some(Value::Array(allowed)) = schema.get("enum") {
        return (!allowed.contains(value)).then(|| format!("{value} is none of {allowed:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    if !types.contains(&type_of(value)) {
        return Some(format!("{value} is no {types:?}"));
    }
    match value {
        Value::Array(elements) => elements.iter().find_map(|element| violation(&schema["items"], element)),
        Value::Object(members) => {
            let missing =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).find(|name| !members.contains_key(*name));
            missing.map(|name| format!("{name} is missing")).or_else(|| {
                members.iter().find_map(|(name, member)| match schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]) {
                    Value::Object(inner) => violation(&Value::Object(inner.clone()), member),
                    _ => Some(format!("{name} is not declared")),
                })
            })
        }
        Value::Number(number) => (number.as_i64() < schema["minimum"].as_i64()).then(|| format!("{number} is too small")),
        _ => None,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
