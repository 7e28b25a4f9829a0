//! The JSON form of a rule, for tools that build or read rules: the tree of `ast`, a name for each kind of node.
//!
//! ```json
//! {"compare": {"op": "greater",
//!              "left": {"aggregate": {"function": "count", "over": {"stream": "orders", "window": {"last": "30d"}}}},
//!              "right": {"literal": {"number": "2"}}}}
//! ```
//! Numbers, durations and dates are strings, so that no reader rounds them.
//!
//! Law: `from_json(to_json(x)) == x` for every tree that a parser made, so text → JSON → text is lossless.
//!
//! **Invariant:** what [`from_json`] accepts is a rule that could have been written as text: same names, same bounds.

use serde::Deserialize;

use super::ast::Expr;
use super::parser::{self, MAX_DEPTH};
use super::walk;

/// A tree as JSON.
pub fn to_json(expr: &Expr) -> serde_json::Value {
    // Serialising to a `Value` fails only for maps whose keys are no text; there are none.
    serde_json::to_value(expr).unwrap_or_default()
}

/// A tree from JSON, its places those of its canonical text. The error is for a person.
pub fn from_json(json: &serde_json::Value) -> Result<Expr, String> {
    let expr = Expr::deserialize(json).map_err(|error| error.to_string())?;
    if walk::depth(&expr) > MAX_DEPTH {
        return Err(format!("the rule nests more than {MAX_DEPTH} levels deep"));
    }
    // Reading the text form holds names, numbers and lengths to the bounds of the grammar, which stand in one place.
    match parser::parse(&expr.to_string()) {
        Ok(read) if read == expr => Ok(read),
        Ok(read) => Err(format!("this is no rule that could be written: as a text it is {read}")),
        Err(findings) => Err(findings.into_iter().next().map_or_else(String::new, |finding| finding.message)),
    }
}

/// `#[serde(with = …)]` for a type that JSON holds as its text.
macro_rules! as_text {
    ($module:ident, $type:ty, $show:expr, $read:expr) => {
        pub mod $module {
            use serde::{Deserialize, Deserializer, Serializer};

            pub fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                let show: fn($type) -> String = $show;
                serializer.serialize_str(&show(*value))
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                let read: fn(&str) -> Option<$type> = $read;
                read(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no {}", stringify!($module))))
            }
        }
    };
}

as_text!(number, rust_decimal::Decimal, |n| n.to_string(), |text| rust_decimal::Decimal::from_str_exact(text).ok());
as_text!(duration, crate::time::Span, |span| span.to_string(), crate::time::Span::parse);
as_text!(date, crate::time::CalendarDate, |date| date.to_string(), crate::time::CalendarDate::parse);
as_text!(
    calendar_unit,
    crate::time::CalendarUnit,
    |unit| crate::rule::word::calendar_word(unit).to_owned(),
    crate::rule::word::calendar_unit
);

/// The same for a duration that may be absent.
pub mod some_duration {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Span;

    #[derive(Deserialize)]
    struct Text(#[serde(with = "super::duration")] Span);

    pub fn serialize<S: Serializer>(span: &Option<Span>, serializer: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::duration::serialize(span, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
        Ok(Option::<Text>::deserialize(deserializer)?.map(|text| text.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text → JSON as a text → the same tree.
    #[track_caller]
    fn check(text: &str) {
        let tree = parser::parse(text).unwrap();
        let json = serde_json::from_str(&to_json(&tree).to_string()).unwrap();
        assert_eq!(from_json(&json).unwrap(), tree);
        assert_eq!(from_json(&json).unwrap().to_string(), tree.to_string());
    }

    fn refused(json: &str) -> String {
        from_json(&serde_json::from_str(json).unwrap()).unwrap_err()
    }

    #[test]
    fn the_form_is_what_the_module_says() {
        let tree = parser::parse("count(orders last 30d) > 2").unwrap();
        let form = r#"{"compare":{"op":"greater","left":{"aggregate":{"function":"count","over":{"stream":"orders","window":{"last":"30d"}}}},"right":{"literal":{"number":"2"}}}}"#;
        assert_eq!(to_json(&tree).to_string(), form);
    }

    #[test]
    fn every_kind_of_node_survives() {
        for text in [
            "not (trait.a or trait.b == true) and -trait.c + 0.5 * 3 > 1.50",
            "trait.a between 1 and 2 or trait.a in [1, 2) or trait.a in (1, 2] or trait.a in {\"x\", -1, false}",
            "trait.a contains \"q\\\"\\\\\" and trait.b is null and trait.c is not null",
            "count(orders.total since 2026-01-31 where total > 5) > 1 and sum(orders.x this month) > sum(orders.x previous week)",
            "every(orders older than 5d: a > 1) or any(orders from 2d to 1d ago: b.c) or none(orders lifetime: d)",
            "segment(\"x\") or segment(\"y\" last 9d) or list(\"z\") or returned(orders after 1d within 2h)",
            "sequence(a where x == 1 same y then no b then c within 1d last 2d)",
            "top 5% by sum(orders.total last 365d)",
        ] {
            check(text);
        }
    }

    #[test]
    fn the_deepest_rule_survives_the_text_of_json() {
        let nest = |open: &str, close: &str| format!("{}true{}", open.repeat(MAX_DEPTH - 1), close.repeat(MAX_DEPTH - 1));
        check(&nest("any(orders lifetime where ", ": true)"));
        check(&nest("not ", ""));
        check(&format!("trait.a > 1{}", " + 1".repeat(MAX_DEPTH - 2)));
    }

    #[test]
    fn what_could_not_be_written_is_refused() {
        assert_eq!(refused(r#"{"field": "a b"}"#), "expected the end of the rule, found `b`");
        assert_eq!(refused(r#"{"and": [{"trait": "a"}]}"#), "this is no rule that could be written: as a text it is trait.a");
        assert_eq!(refused(r#"{"trait": "a", "x": 1}"#), "invalid value: map, expected map with a single key");
        assert!(refused(r#"{"segment": {"key": "a", "lats": "3d"}}"#).contains("unknown field `lats`"));
        assert!(refused(r#"{"segment": {"key": "a", "last": "3y"}}"#).contains("`3y` is no duration"));
        assert!(refused(&format!("{}{}{}", r#"{"not":"#.repeat(100), r#"{"trait":"a"}"#, "}".repeat(100))).contains("levels deep"));
    }
}
