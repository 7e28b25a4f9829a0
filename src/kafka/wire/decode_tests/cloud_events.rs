//! CloudEvents: the record that stands in them, and what they lend it.

use super::*;

#[test]
fn a_structured_cloud_event_stands_around_its_record() {
    let json = format!(r#"{{"data":{},"specversion":"1.0","type":"com.shop.order","id":"e","source":"s"}}"#, order(r#""total":1"#));
    assert_eq!(fields(&json)[1], number("1"));
    let bare = r#"{"type":"track","event":"Coupon Redeemed"}"#;
    let json = format!(r#"{{"specversion":"1.0","type":"t","id":"e","time":"1970-01-01T00:00:09Z","subject":"s","data":{bare}}}"#);
    let event = event(&json);
    assert_eq!((event.customer.as_str(), event.id.as_str(), event.time.millis()), ("s", "e", 9000));
}

/// A CloudEvent whose data are these bytes.
fn around_bytes(bytes: &str) -> String {
    let data = openssl::base64::encode_block(bytes.as_bytes());
    format!(r#"{{"specversion":"1.0","type":"track","id":"e","time":"1970-01-01T00:00:09Z","subject":"s","data_base64":"{data}"}}"#)
}

#[test]
fn a_structured_cloud_event_may_have_its_record_as_bytes() {
    let event = event(&around_bytes(r#"{"type":"track","event":"Coupon Redeemed"}"#));
    assert_eq!((event.customer.as_str(), event.id.as_str(), event.time.millis()), ("s", "e", 9000));
    assert_eq!(fields(&around_bytes(&format!("\0abcd{}", order(r#""total":1"#))))[1], number("1"), "as a bare record may be");
    assert_eq!(fields(&around_bytes(&around_bytes(&order(r#""total":1"#))))[1], number("1"));
    check_rejected(&around_bytes("<order/>"), Code::BadJson, "byte 0");
    check_rejected(&around_bytes(""), Code::Truncated, "byte 0");
    for data in ["17", "\"e30\"", "\"not base64!\"", "{}"] {
        let json = format!(r#"{{"specversion":"1.0","type":"t","data_base64":{data}}}"#);
        let at = json.find(data.trim_matches('"')).expect("there");
        check_rejected(&json, Code::WrongType, &format!("`data_base64` must be bytes in base64 (byte {at})"));
    }
    assert_eq!(decode(r#"{"specversion":"1.0","type":"t","data_base64":null}"#), Decoded::Skipped(SkipReason::UnknownType));
}

#[test]
fn a_binary_cloud_event_lends_what_its_record_lacks() {
    let headers: &[(&str, &[u8])] = &[("ce_id", b"e"), ("ce_time", b"1970-01-01T00:00:09Z"), ("ce_subject", b"s"), ("other", b"\xFF")];
    let decode = |json: &str| decode_raw(RawRecord { payload: Some(json.as_bytes()), headers, timestamp_ms: Some(1) });
    let Decoded::Event(event) = decode(r#"{"type":"track","event":"Coupon Redeemed"}"#) else { panic!("an event") };
    assert_eq!((event.customer.as_str(), event.id.as_str(), event.time.millis()), ("s", "e", 9000));
    let Decoded::Event(event) = decode(&order("")) else { panic!("an event") };
    assert_eq!((event.customer.as_str(), event.id.as_str()), ("c", "o"));
    let Decoded::Rejected(reject) = decode(r#"{"type":"track","event":"Order Completed","properties":{}}"#) else { panic!("no order id") };
    assert_eq!(reject.code, Code::MissingId);
}
