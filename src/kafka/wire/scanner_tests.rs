//! The scanner against `serde_json`: the same texts are JSON, and they hold the same.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

fn scan(text: &str) -> Result<Token, JsonError> {
    let mut scanner = Scanner::new(text);
    let token = scanner.value().and_then(|token| scanner.finish().map(|()| token));
    token.map_err(|Malformed| scanner.fault())
}

/// What a well-formed value holds, rebuilt from tokens alone.
fn tree(text: &str) -> Value {
    let mut scanner = Scanner::new(text);
    let mut first = true;
    match scanner.peek() {
        b'{' => {
            scanner.enter(b'{').expect("an object");
            let mut members = serde_json::Map::new();
            while let Some(key) = scanner.next_key(&mut first).expect("a key") {
                let value = scanner.value().expect("a value");
                members.insert(key.text_in(text).into_owned(), tree(whole(value, text)));
            }
            Value::Object(members)
        }
        b'[' => {
            scanner.enter(b'[').expect("an array");
            let mut elements = Vec::new();
            while scanner.next_element(&mut first).expect("an element") {
                elements.push(tree(whole(scanner.value().expect("a value"), text)));
            }
            Value::Array(elements)
        }
        _ => {
            let token = scanner.value().expect("a scalar");
            match token.kind {
                Kind::Text | Kind::EscapedText => Value::String(token.text_in(text).into_owned()),
                _ => serde_json::from_str(token.raw_in(text)).expect("a scalar"),
            }
        }
    }
}

/// The text of a value, a string's quotes included.
fn whole(token: Token, text: &str) -> &str {
    let quotes = usize::from(token.is_text());
    &text[token.start as usize - quotes..token.end as usize + quotes]
}

/// `serde_json` makes no number that no float holds, but it can pass over one; here they are the fields' business.
fn is_json(text: &str) -> bool {
    match serde_json::from_str::<Value>(text) {
        Err(error) if error.to_string().starts_with("number out of range") => serde_json::from_str::<IgnoredAny>(text).is_ok(),
        outcome => outcome.is_ok(),
    }
}

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e15..1e15f64).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[ -~\\n\"\\\\]{0,20}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,12}", inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_is_read_as_serde_json_reads_it(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("writable");
        prop_assert!(scan(&text).is_ok(), "{text}");
        prop_assert_eq!(tree(&text), serde_json::from_str::<Value>(&text).expect("JSON"));
    }

    #[test]
    fn a_changed_text_is_json_for_both_or_for_neither(
        value in json(),
        at in any::<prop::sample::Index>(),
        length in 0usize..3,
        with in "[\\[\\]{},:\"\\\\/0-9eE+. \\t\\ntfnul\\x00\\x1f-]{0,3}",
    ) {
        let mut text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, with.chars());
        let text: String = text.into_iter().collect();
        prop_assert_eq!(scan(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn text_made_of_json_pieces_is_json_for_both_or_for_neither(text in "([\\[\\]{},:]|\"a\"|\"\\\\\\\\u[dD][89cC]00\"|null|true|-?0?[0-9]{1,2}|1\\.5|1e5| ){0,12}") {
        prop_assert_eq!(scan(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn escapes_are_resolved_as_serde_json_does(pieces in prop::collection::vec(
        prop_oneof![
            "[a-z\u{e9}\u{1F389}]".prop_map(|c| c),
            "\\\\[\"\\\\/bfnrt]".prop_map(|c| c),
            any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
            (0xD800u16..0xDC00, 0xDC00u16..0xE000).prop_map(|(high, low)| format!("\\u{high:04X}\\u{low:04x}")),
        ], 0..12)
    ) {
        let text = format!("\"{}\"", pieces.concat());
        let expected = serde_json::from_str::<String>(&text).ok();
        prop_assert_eq!(scan(&text).ok().map(|token| token.text_in(&text).into_owned()), expected, "{}", text);
    }
}

#[test]
fn every_byte_of_a_string_is_looked_at_wherever_it_stands() {
    for length in 0..40 {
        for byte in 0u8..0x80 {
            let mut content = vec![b'a'; length];
            content.push(byte);
            content.extend_from_slice(b"bbbbbbbbb");
            let text = format!("\"{}\"", String::from_utf8(content).expect("ASCII"));
            assert_eq!(scan(&text).is_ok(), serde_json::from_str::<String>(&text).is_ok(), "{length} {byte}");
        }
    }
}

#[test]
fn nesting_is_read_to_the_bound_and_not_beyond() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(scan(&nested(MAX_DEPTH as usize)).is_ok());
    assert_eq!(scan(&nested(MAX_DEPTH as usize + 1)), Err(JsonError::TooDeep { at: MAX_DEPTH as usize }));
}
