//! Erasures as records, and whose a refused record is.

use super::*;
use crate::event::streams::StreamRole;

#[test]
fn an_erasure_needs_nobody_but_its_customer() {
    let erasures = Catalogue::segment_spec().with_role(StreamRole::Erasures).unwrap();
    for json in [
        r#"{"type":"track","event":"User Deleted","userId":"u","timestamp":"2026-01-01T00:00:00Z","messageId":"m"}"#,
        r#"{"type":"track","event":"User Deleted","userId":"u","timestamp":"2026-01-01T00:00:00Z","properties":[]}"#,
        r#"{"type":"delete","userId":"u","timestamp":"2026-01-01T00:00:00Z","messageId":17}"#,
    ] {
        let Decoded::Event(event) = decode(json) else { panic!("{json}") };
        let at = EventTime::parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!((event.stream, event.customer.as_str(), event.time), (erasures, "u", at));
    }
    check_rejected(r#"{"type":"delete","timestamp":"2026-01-01T00:00:00Z"}"#, Code::MissingCustomer, "userId");
}

#[test]
fn of_a_record_that_is_refused_it_is_known_whose_it_was_but_never_said() {
    let json = order(r#""total":true"#).replace(r#""userId":"c""#, r#""userId":"zoe-17""#);
    let Decoded::Rejected(reject) = decode(&json) else { panic!("accepted") };
    assert_eq!(reject.whose.as_ref().map(|whose| whose.0.as_str()), Some("zoe-17"));
    assert!(!reject.to_string().contains("zoe-17"), "{reject}");
}
