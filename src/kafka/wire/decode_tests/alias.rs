//! Aliases as records: whose they are, and who that customer is from then on.

use super::*;
use crate::event::streams::StreamRole;

#[test]
fn an_alias_is_the_previous_ids_and_says_who_it_is_now() {
    let aliases = Catalogue::segment_spec().with_role(StreamRole::Aliases).unwrap();
    for (json, id) in [
        (r#"{"type":"alias","previousId":"p","userId":"u","timestamp":"2026-01-01T00:00:00Z","messageId":"m"}"#, "m"),
        (r#"{"type":"alias","previousId":"p","anonymousId":"a","userId":"u","timestamp":"2026-01-01T00:00:00Z"}"#, ""),
        (r#"{"type":"alias","anonymousId":"p","userId":"u","timestamp":"2026-01-01T00:00:00Z","messageId":17}"#, ""),
    ] {
        let Decoded::Event(event) = decode(json) else { panic!("{json}") };
        let into = event.into_whom();
        let found = (event.stream, event.customer.as_str(), into.as_ref().map(|into| into.as_str()), event.id.as_str());
        assert_eq!(found, (aliases, "p", Some("u"), id));
    }
}

#[test]
fn an_alias_without_one_of_its_ids_is_refused() {
    let alias = |ids: &str| format!(r#"{{"type":"alias",{ids}"timestamp":"2026-01-01T00:00:00Z"}}"#);
    check_rejected(&alias(r#""userId":"u","#), Code::MissingCustomer, "previousId");
    check_rejected(&alias(r#""previousId":"p","#), Code::MissingCustomer, "userId");
    check_rejected(&alias(r#""previousId":"p","userId":"","#), Code::BadCustomer, "empty");
    check_rejected(&alias(&format!(r#""previousId":"{}","userId":"u","#, "p".repeat(513))), Code::BadCustomer, "513 bytes");
    check_rejected(&alias(r#""previousId":"p","userId":7,"#), Code::WrongType, "userId");
}
