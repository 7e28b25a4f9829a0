//! Where the ids of a record stand, and the record again with a suffix behind each of them.
//!
//! ```text
//! {"userId":"ann","messageId":"m1","properties":{"order_id":"o1"}}
//!               ^               ^                          ^      copy 7 has `-7` here
//! ```
//!
//! **Invariant:** everything between the ids is copied as it stands; copy 0 is the record itself.

use std::borrow::Cow;
use std::io::Write;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    anonymous_id: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<Properties<'a>>,
}

#[derive(Deserialize)]
struct Properties<'a> {
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
}

/// The ids of one record.
#[derive(Debug, PartialEq)]
pub struct Ids {
    customer: String,
    /// Bytes before which a suffix goes, ascending.
    ends: Vec<usize>,
}

impl Ids {
    /// `None`: no record of a customer.
    pub fn of(line: &[u8]) -> Option<Ids> {
        let line = std::str::from_utf8(line).ok()?;
        let record: Record<'_> = serde_json::from_str(line).ok()?;
        let text = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok()).map(Cow::into_owned);
        // An empty one is nobody's, as the decoder has it.
        let user_id = record.user_id.filter(|raw| raw.get() != r#""""#);
        let customer = text(user_id).or_else(|| text(record.anonymous_id))?;
        let order_id = record.properties.and_then(|properties| properties.order_id);
        let ids = [user_id, record.anonymous_id, record.message_id, order_id];
        let mut ends: Vec<_> = ids.into_iter().flatten().filter_map(|raw| end_of_text(line, raw.get())).collect();
        ends.sort_unstable();
        Some(Ids { customer, ends })
    }

    /// Writes copy `copy` of the line, and gives the customer's id in it.
    pub fn write_copy(&self, line: &[u8], copy: u32, out: &mut Vec<u8>) -> Cow<'_, str> {
        out.clear();
        if copy == 0 {
            out.extend_from_slice(line);
            return Cow::Borrowed(&self.customer);
        }
        let mut from = 0;
        for end in &self.ends {
            out.extend_from_slice(&line[from..*end]);
            // A `Vec` never refuses.
            let _infallible = write!(out, "-{copy}");
            from = *end;
        }
        out.extend_from_slice(&line[from..]);
        Cow::Owned(format!("{}-{copy}", self.customer))
    }
}

/// The byte of the closing quote of a JSON string that is a part of `line`.
fn end_of_text(line: &str, raw: &str) -> Option<usize> {
    let start = raw.as_ptr().addr().checked_sub(line.as_ptr().addr())?;
    raw.starts_with('"').then_some(start + raw.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(line: &str, number: u32) -> (String, String) {
        let mut out = vec![];
        let ids = Ids::of(line.as_bytes()).unwrap();
        let customer = ids.write_copy(line.as_bytes(), number, &mut out).into_owned();
        (customer, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_copy_has_a_suffix_behind_every_id_and_nowhere_else() {
        let line = r#"{"messageId":"m1", "userId":"ann","properties":{"total":5,"order_id":"o\"1","coupon":"ann"},"anonymousId":null}"#;
        let expected =
            r#"{"messageId":"m1-7", "userId":"ann-7","properties":{"total":5,"order_id":"o\"1-7","coupon":"ann"},"anonymousId":null}"#;
        assert_eq!(copy(line, 7), ("ann-7".into(), expected.into()));
        assert_eq!(copy(line, 0), ("ann".into(), line.into()));
    }

    #[test]
    fn an_anonymous_customer_is_one_too() {
        assert_eq!(copy(r#"{"anonymousId":"a"}"#, 1), ("a-1".into(), r#"{"anonymousId":"a-1"}"#.into()));
        let empty = r#"{"userId":"","anonymousId":"a"}"#;
        assert_eq!(copy(empty, 1), ("a-1".into(), r#"{"userId":"","anonymousId":"a-1"}"#.into()));
    }

    #[test]
    fn a_line_without_a_customer_has_no_ids() {
        for line in ["", "{}", "not JSON", r#"{"userId":5}"#, "[]"] {
            assert_eq!(Ids::of(line.as_bytes()), None, "{line}");
        }
    }
}
