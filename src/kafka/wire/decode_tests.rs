//! What is accepted, as what; what is not, with which code.

#[path = "decode_tests/alias.rs"]
mod alias;
#[path = "decode_tests/cloud_events.rs"]
mod cloud_events;
#[path = "decode_tests/erasure.rs"]
mod erasure;

use super::super::reject::RejectCode as Code;
use super::*;
use crate::event::FieldIndex;
use crate::event::streams::FieldDefinition;

/// Keeps the fields that the tests look at.
fn decoder(catalogue: &Catalogue) -> Decoder {
    let keep = |stream: &str, names: &[&str]| {
        let stream = catalogue.stream(catalogue.find(stream).expect("a stream"));
        let mut fields: Vec<_> = names.iter().map(|name| stream.field(name).expect("a field")).collect();
        fields.sort();
        fields
    };
    let mut fields = vec![Vec::new(); catalogue.streams.len()];
    fields[0] = keep("orders", &["order_id", "total", "coupon", "item_count", "products.category", "ip"]);
    let projection = Projection { fields, traits: vec!["tier".into(), "tags".into(), "age".into()] };
    Decoder::new(catalogue, &projection, DecodeLimits::default())
}

fn decode_raw(record: RawRecord<'_>) -> Decoded {
    decoder(&Catalogue::segment_spec()).decode(&record)
}

fn decode(json: &str) -> Decoded {
    decode_raw(RawRecord { payload: Some(json.as_bytes()), headers: &[], timestamp_ms: Some(5) })
}

#[track_caller]
fn event(json: &str) -> Event {
    match decode(json) {
        Decoded::Event(event) => event,
        other => panic!("{other:?}: {json}"),
    }
}

/// An order with these members in its properties.
fn order(properties: &str) -> String {
    let comma = if properties.is_empty() { "" } else { "," };
    format!(
        r#"{{"type":"track","event":"Order Completed","messageId":"m","userId":"c","timestamp":"2026-01-01T00:00:00Z","properties":{{"order_id":"o"{comma}{properties}}}}}"#
    )
}

/// An order with these members beside `type`, `event` and `properties`.
fn call(members: &str) -> String {
    format!(r#"{{"type":"track","event":"Order Completed",{members},"properties":{{"order_id":"o"}}}}"#)
}

fn fields(json: &str) -> Vec<Value> {
    let Body::Fields(fields) = event(json).body else { panic!("fields") };
    fields
}

#[track_caller]
fn check_rejected(json: &str, code: Code, message: &str) {
    match decode(json) {
        Decoded::Rejected(reject) => {
            assert_eq!(reject.code, code, "{reject}: {json}");
            assert!(reject.message.contains(message), "{reject}: {json}");
        }
        other => panic!("{other:?}: {json}"),
    }
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().expect("a decimal"))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn an_order_becomes_an_event_with_the_kept_fields_in_order() {
    let json = r#"{"type":"track","event":"Order Completed","messageId":"m","userId":"hh-1","timestamp":"2017-01-27T21:30:07.123Z",
        "context":{"ip":"10.0.0.1","library":{"name":"x"}},
        "properties":{"order_id":"o-1","total":12.50,"coupon":null,"item_count":2,"unmapped":[{}],
        "products":[{"category":"a","price":1},{"price":2},{"category":"b"}]}}"#;
    let event = event(json);
    assert_eq!((event.customer.as_str(), event.id.as_str(), event.stream), ("hh-1", "o-1", StreamIndex(0)));
    assert_eq!(event.time.to_string(), "2017-01-27T21:30:07.123Z");
    let categories = Value::List([text("a"), text("b")].into());
    assert_eq!(event.body, Body::Fields(vec![text("o-1"), number("12.5"), Value::Null, number("2"), categories, text("10.0.0.1")]));
}

#[test]
fn the_order_of_members_does_not_matter() {
    let json = r#"{"properties":{"total":1,"order_id":"o"},"timestamp":"2026-01-01T00:00:00Z","userId":"c","event":"Order Completed","type":"track"}"#;
    assert_eq!(fields(json)[..2], [text("o"), number("1")]);
}

#[test]
fn missing_and_null_are_null_and_an_absent_array_is_empty() {
    for properties in
        ["", r#""total":null,"item_count":null,"products":null"#, r#""products":[]"#, r#""products":[null,{},{"category":null}]"#]
    {
        let expected = [text("o"), Value::Null, Value::Null, Value::Null, Value::List([].into()), Value::Null];
        assert_eq!(fields(&order(properties)), expected, "{properties}");
    }
}

#[test]
fn the_first_place_that_is_not_null_wins() {
    for (properties, total) in [(r#""total":1,"revenue":2"#, "1"), (r#""total":null,"revenue":2"#, "2"), (r#""revenue":"2""#, "2")] {
        assert_eq!(fields(&order(properties))[1], number(total), "{properties}");
    }
}

#[test]
fn numbers_are_exact_and_may_be_text() {
    for (json, expected) in [("0.1", "0.1"), ("\"12.30\"", "12.3"), ("-5", "-5"), ("1.5e2", "150"), ("\"1\\u0030\"", "10"), ("0e999", "0")]
    {
        assert_eq!(fields(&order(&format!(r#""total":{json}"#)))[1], number(expected), "{json}");
    }
    for json in ["3", "\"3\"", "3.0", "30e-1"] {
        assert_eq!(fields(&order(&format!(r#""item_count":{json}"#)))[3], number("3"), "{json}");
    }
}

#[test]
fn a_number_that_cannot_be_held_is_an_overflow() {
    for json in ["1e29", "79228162514264337593543950336", "1e-29", "\"1e999999999\"", "0.12345678901234567890123456789"] {
        check_rejected(&order(&format!(r#""total":{json}"#)), Code::Overflow, "`total`");
        check_rejected(&order(&format!(r#""products":[{{"price":{json}}}]"#)), Code::Overflow, "`products.price`");
    }
}

#[test]
fn a_field_of_a_wrong_type_is_refused_whether_or_not_it_is_kept() {
    for (properties, field) in [
        (r#""total":"abc""#, "total"),
        (r#""total":true"#, "total"),
        (r#""total":{}"#, "total"),
        (r#""total":"""#, "total"),
        (r#""tax":"NaN""#, "tax"),
        (r#""coupon":17"#, "coupon"),
        (r#""store_id":17"#, "store_id"),
        (r#""item_count":1.5"#, "item_count"),
        (r#""item_count":[]"#, "item_count"),
        (r#""products":{}"#, "/properties/products"),
        (r#""products":"x""#, "/properties/products"),
        (r#""products":[1]"#, "/properties/products/*"),
        (r#""products":[{"sku":"a"},{"sku":7}]"#, "products.sku"),
    ] {
        check_rejected(&order(properties), Code::WrongType, &format!("`{field}`"));
    }
    check_rejected(&order("").replace("\"o\"", "17"), Code::WrongType, "order_id");
    check_rejected(&order("").replace(r#"{"order_id":"o"}"#, "[]"), Code::WrongType, "properties");
    check_rejected(&order("").replace(r#""track""#, "1"), Code::WrongType, "`type`");
    check_rejected(&order("").replace(r#""Order Completed""#, "{}"), Code::WrongType, "`event`");
}

#[test]
fn a_place_of_a_fault_counts_from_the_start_of_the_payload() {
    let json = order(r#""total":true"#);
    let at = json.find("true").expect("there");
    check_rejected(&json, Code::WrongType, &format!("(byte {at})"));
    let wrapped = format!(r#"{{"specversion":"1.0","type":"t","data":{json}}}"#);
    check_rejected(&wrapped, Code::WrongType, &format!("(byte {})", at + wrapped.find(&json).expect("there")));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (json, code, message) in [
        ("", Code::Truncated, "byte 0"),
        ("  ", Code::Truncated, "byte 2"),
        ("hello", Code::BadJson, "byte 0"),
        ("{\"a\":1}x", Code::BadJson, "byte 7"),
        ("{\"a\":NaN}", Code::BadJson, "byte 5"),
        ("{\"a\":Infinity}", Code::BadJson, "byte 5"),
        ("{\"a\":-Infinity}", Code::BadJson, "byte 6"),
        ("{\"a\":01}", Code::BadJson, "byte 6"),
        ("{\"a\":1,}", Code::BadJson, "a key"),
        ("{'a':1}", Code::BadJson, "a key"),
        ("{\"a\" 1}", Code::BadJson, "`:`"),
        ("{\"a\":\"\n\"}", Code::BadJson, "byte 6"),
        ("{\"a\":\"\\x\"}", Code::BadJson, "an escape"),
        ("{\"a\":\"\\ud800\"}", Code::BadJson, "surrogate"),
        ("\u{feff}{}", Code::BadJson, "byte 0"),
        ("17", Code::NotAnObject, "not an object"),
        ("[]", Code::NotAnObject, "not an object"),
        ("null", Code::NotAnObject, "not an object"),
    ] {
        check_rejected(json, code, message);
    }
}

#[test]
fn every_cut_of_a_record_is_truncated() {
    let json = order(r#""total":1.5e3,"coupon":"\u00e9\ud83c\udf89","products":[{"sku":null}],"x":true"#);
    assert!(matches!(decode(&json), Decoded::Event(_)));
    for end in 0..json.len() {
        check_rejected(&json[..end], Code::Truncated, &format!("byte {end}"));
    }
}

#[test]
fn a_megabyte_of_nesting_is_refused() {
    for bracket in ["[", "{\"a\":", "{\"properties\":", "[{\"a\":"] {
        let bomb = bracket.repeat(1_000_000 / bracket.len());
        check_rejected(&bomb, Code::TooDeep, "64 levels");
    }
    let deep = |levels: usize| order(&format!(r#""x":{}{}"#, "[".repeat(levels), "]".repeat(levels)));
    assert!(matches!(decode(&deep(62)), Decoded::Event(_)));
    check_rejected(&deep(63), Code::TooDeep, "byte");
}

#[test]
fn invalid_utf8_is_refused_with_its_place() {
    let mut bytes = order(r#""coupon":"XX""#).into_bytes();
    let at = bytes.windows(2).position(|pair| pair == b"XX").expect("there");
    for bad in [[0xFF, b'a'], [0xC0, 0x80], [0xED, 0xA0]] {
        bytes[at..at + 2].copy_from_slice(&bad);
        let Decoded::Rejected(reject) = decode_raw(RawRecord { payload: Some(&bytes), ..RawRecord::default() }) else { panic!("{bad:?}") };
        assert_eq!((reject.code, reject.message), (Code::BadUtf8, format!("not UTF-8 at byte {at}")));
    }
}

#[test]
fn a_tombstone_and_a_giant_are_refused() {
    let Decoded::Rejected(reject) = decode_raw(RawRecord::default()) else { panic!("a tombstone") };
    assert_eq!(reject.code, Code::Tombstone);
    check_rejected(&order(&format!(r#""x":"{}""#, "a".repeat(1 << 20))), Code::TooLarge, "1048576");
}

#[test]
fn the_customer_is_the_user_else_the_anonymous_one() {
    for (members, customer) in [
        (r#""userId":"u","anonymousId":"a""#, "u"),
        (r#""userId":null,"anonymousId":"a""#, "a"),
        (r#""userId":"","anonymousId":"a""#, "a"),
        (r#""anonymousId":"a\u00e9""#, "aé"),
    ] {
        assert_eq!(event(&call(members)).customer.as_str(), customer, "{members}");
    }
    let long = "x".repeat(10_000);
    for (members, code) in [
        (r#""x":1"#.to_owned(), Code::MissingCustomer),
        (r#""userId":null"#.to_owned(), Code::MissingCustomer),
        (r#""userId":"""#.to_owned(), Code::BadCustomer),
        (r#""userId":"","anonymousId":null"#.to_owned(), Code::BadCustomer),
        (r#""userId":"","anonymousId":"""#.to_owned(), Code::BadCustomer),
        (r#""userId":"","anonymousId":5"#.to_owned(), Code::WrongType),
        (r#""userId":17,"anonymousId":"a""#.to_owned(), Code::WrongType),
        (format!(r#""userId":"{long}""#), Code::BadCustomer),
    ] {
        check_rejected(&call(&members), code, "");
    }
    assert_eq!(event(&call(&format!(r#""userId":"{}""#, "x".repeat(512)))).customer.as_str().len(), 512);
}

#[test]
fn the_time_is_the_timestamp_else_the_receipt_else_the_records() {
    for (members, millis) in [
        (r#""timestamp":"1970-01-01T00:00:01.5Z","receivedAt":"1970-01-01T00:00:02Z""#, 1500),
        (r#""timestamp":null,"receivedAt":"1970-01-01T01:00:02.9999+01:00""#, 2999),
        (r#""x":1"#, 5),
    ] {
        assert_eq!(event(&call(&format!(r#""userId":"c",{members}"#))).time.millis(), millis, "{members}");
    }
    for bad in
        [r#""2026-01-01T00:00:00""#, r#""2026-01-01""#, r#""""#, r#""yesterday""#, "1767225600000", "{}", r#""2026-02-30T00:00:00Z""#]
    {
        check_rejected(
            &call(&format!(r#""userId":"c","timestamp":{bad},"receivedAt":"2026-01-01T00:00:00Z""#)),
            Code::BadTime,
            "`timestamp`",
        );
    }
    let json = call(r#""userId":"c""#);
    let Decoded::Rejected(reject) = decode_raw(RawRecord { payload: Some(json.as_bytes()), ..RawRecord::default() }) else {
        panic!("no time")
    };
    assert_eq!(reject.code, Code::MissingTime);
}

#[test]
fn an_event_needs_its_id() {
    for order_id in ["null", "\"\""] {
        check_rejected(&order("").replace("\"o\"", order_id), Code::MissingId, "/properties/order_id");
    }
    let coupon = order("").replace("Order Completed", "Coupon Redeemed");
    assert_eq!(event(&coupon).id.as_str(), "m");
    check_rejected(&coupon.replace("messageId", "other"), Code::MissingId, "/messageId");
    check_rejected(&coupon.replace("\"m\"", &format!("\"{}\"", "m".repeat(513))), Code::BadId, "513 bytes");
}

#[test]
fn what_no_stream_takes_is_skipped() {
    for (from, to, reason) in [
        ("Order Completed", "Cart Viewed", SkipReason::UnknownEvent),
        ("\"event\"", "\"evnt\"", SkipReason::UnknownEvent),
        ("track", "page", SkipReason::OtherCall),
        ("track", "group", SkipReason::OtherCall),
        ("track", "purchase", SkipReason::UnknownType),
        ("\"type\"", "\"kind\"", SkipReason::UnknownType),
    ] {
        assert_eq!(decode(&order("").replace(from, to)), Decoded::Skipped(reason), "{from} -> {to}");
    }
}

#[test]
fn only_the_streams_currency_is_taken_when_it_names_one() {
    let mut catalogue = Catalogue::segment_spec();
    catalogue.streams[0].currency = Some("EUR".into());
    for (properties, accepted) in [(r#""currency":"EUR""#, true), ("", true), (r#""currency":null"#, true), (r#""currency":"USD""#, false)]
    {
        let json = order(properties);
        let decoded = decoder(&catalogue).decode(&RawRecord { payload: Some(json.as_bytes()), ..RawRecord::default() });
        match decoded {
            Decoded::Event(_) => assert!(accepted, "{properties}"),
            Decoded::Rejected(reject) => assert!(!accepted && reject.code == Code::CurrencyMismatch, "{reject}"),
            Decoded::Skipped(_) => panic!("skipped"),
        }
    }
}

#[test]
fn of_repeated_members_the_last_counts_with_all_that_it_holds() {
    assert_eq!(fields(&order(r#""total":1,"total":2"#))[1], number("2"));
    assert_eq!(fields(&order(r#""total":1,"tot\u0061l":2"#))[1], number("2"));
    assert_eq!(fields(&order(r#""total":"bad","total":2"#))[1], number("2"));
    assert_eq!(
        fields(&order(r#""products":[{"category":"a"}],"products":[{"category":"b"},{"category":"c","category":"d"}]"#))[4],
        Value::List([text("b"), text("d")].into())
    );
    let twice = order(r#""total":1"#)
        .replace(r#""properties":"#, r#""properties":{"coupon":"lost","products":[{"category":"lost"}]},"properties":"#);
    assert_eq!(fields(&twice), [text("o"), number("1"), Value::Null, Value::Null, Value::List([].into()), Value::Null]);
}

#[test]
fn a_decoder_keeps_nothing_of_an_earlier_record() {
    let mut decoder = decoder(&Catalogue::segment_spec());
    let mut decode = |json: &str| decoder.decode(&RawRecord { payload: Some(json.as_bytes()), ..RawRecord::default() });
    let full = order(r#""total":1,"coupon":"a","item_count":1,"products":[{"category":"a"}]"#);
    let bare = order("");
    let expected = decode(&bare);
    for earlier in [&full, &full[..full.len() - 5], "[", &full] {
        decode(earlier);
        assert_eq!(decode(&bare), expected);
    }
}

#[test]
fn a_confluent_prefix_is_read_past() {
    for prefix in [[0, 0, 0, 0, 7], [0, 0xFF, 0xFE, 0x7B, 0x22]] {
        let bytes = [&prefix[..], order("").as_bytes()].concat();
        assert!(matches!(decode_raw(RawRecord { payload: Some(&bytes), ..RawRecord::default() }), Decoded::Event(_)), "{prefix:?}");
    }
    check_rejected("\0\0\0\0\u{1}", Code::BadJson, "byte 0");
    let Decoded::Rejected(reject) = decode_raw(RawRecord { payload: Some(b"\0\0\0\0\x01{\"a\":x}"), ..RawRecord::default() }) else {
        panic!("bad")
    };
    assert!(reject.message.contains("byte 10"), "{reject}");
}

fn traits(json: &str) -> Vec<(usize, Value)> {
    let json = format!(r#"{{"type":"identify","messageId":"m","userId":"c","traits":{json}}}"#);
    let Body::Traits(traits) = event(&json).body else { panic!("traits") };
    traits
}

#[test]
fn traits_are_scalars_or_arrays_of_scalars() {
    assert_eq!(traits(r#"{"tier":"gold","age":31,"unknown":1}"#), [(0, text("gold")), (2, number("31"))]);
    assert_eq!(traits(r#"{"tier":null}"#), [(0, Value::Null)]);
    let mixed = Value::List([text("a"), number("1.50"), Value::Bool(true), Value::Null].into());
    assert_eq!(traits(r#"{"tags":["a",1.50,true,null]}"#), [(1, mixed)]);
    assert_eq!(traits(r#"{"tags":[],"tier":"1","tier":"2"}"#), [(1, Value::List([].into())), (0, text("2"))]);
    for ignored in [r#"{"tier":{"a":1}}"#, r#"{"tags":[[1]]}"#, r#"{"tags":[{}]}"#, r#"{"tier":1,"tier":{}}"#, "{}", "null"] {
        assert_eq!(traits(ignored), [], "{ignored}");
    }
}

#[test]
fn a_trait_that_cannot_be_held_is_refused_whether_or_not_it_is_kept() {
    for json in [r#"{"tier":1e99}"#, r#"{"unknown":1e99}"#, r#"{"tags":[1e99]}"#] {
        check_rejected(&format!(r#"{{"type":"identify","messageId":"m","userId":"c","traits":{json}}}"#), Code::Overflow, "`traits`");
    }
    check_rejected(r#"{"type":"identify","messageId":"m","userId":"c","traits":[]}"#, Code::WrongType, "`traits`");
}

#[test]
fn messages_hold_no_text_of_the_record() {
    let secret = "s3cret";
    for json in [
        order(r#""total":"s3cret""#),
        call(&format!(r#""userId":"{}""#, secret.repeat(500))),
        call(r#""userId":"s3cret","timestamp":"s3cret""#),
        format!(r#"{{"userId":"{secret}",{secret}}}"#),
        format!(r#"{{"type":"identify","messageId":"m","userId":"c","traits":{{"{secret}":1e99}}}}"#),
    ] {
        let Decoded::Rejected(reject) = decode(&json) else { panic!("{json}") };
        assert!(!reject.message.contains(secret), "{reject}");
    }
}

#[test]
fn a_field_may_be_an_array_of_scalars_or_stand_at_several_places() {
    let mut catalogue = Catalogue::segment_spec();
    let field = |name: &str, array, paths: &[&str]| FieldDefinition {
        name: name.into(),
        field_type: FieldType::String,
        array,
        paths: paths.iter().map(|path| (*path).into()).collect(),
    };
    catalogue.streams[0].fields =
        vec![field("tags", true, &["/properties/tags/*", "/properties/old_tags/*"]), field("a/b", false, &["/a~1b"])];
    let projection = Projection { fields: vec![vec![FieldIndex(0), FieldIndex(1)]], traits: Vec::new() };
    let mut decoder = Decoder::new(&catalogue, &projection, DecodeLimits::default());
    for (properties, expected) in [
        (r#""tags":["a","b"],"old_tags":["c"]"#, vec![text("a"), text("b")]),
        (r#""tags":[null],"old_tags":["c"]"#, vec![text("c")]),
        ("", vec![]),
    ] {
        let json = order(properties).replacen('{', r#"{"a/b":"x","#, 1);
        let Decoded::Event(event) = decoder.decode(&RawRecord { payload: Some(json.as_bytes()), ..RawRecord::default() }) else {
            panic!("{json}")
        };
        assert_eq!(event.body, Body::Fields(vec![Value::List(expected.into()), text("x")]), "{properties}");
    }
}
