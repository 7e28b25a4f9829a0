//! What people bring along from other languages, and how it is said here.
//!
//! **Invariant:** a hint only stands beside a syntax error: nothing is read otherwise for it.

use super::super::lexer::TokenKind;
use super::super::word;

const RETURNED: &str = "a stream stands here alone: `returned(orders after 60d within 14d)`";

/// A way out for who wrote `found` where `expected` had to stand; none where no usual slip looks like it.
pub fn hint(found: &TokenKind, expected: &str) -> Option<String> {
    let duration = expected.starts_with("a duration");
    match found {
        TokenKind::Number(n) if duration => Some(format!("a number and its unit are one word: `{n}d`")),
        TokenKind::Symbol(".") => dot_hint(expected).map(str::to_owned),
        TokenKind::Symbol(",") if expected == "the end of the rule" => Some("a large number is written `5_000`".to_owned()),
        TokenKind::Symbol(",") if expected == "`]` or `)`" => {
            Some("some values stand in braces: `x in {1, 2}`; a range has two ends: `[1, 2)`".to_owned())
        }
        TokenKind::Word(word) if expected == "`after`" && word == "where" => Some(RETURNED.to_owned()),
        TokenKind::Word(word) if expected.ends_with(" in quotes") => Some(format!("write `\"{word}\"`")),
        TokenKind::Word(word) if expected == "`%`" && word == "by" => Some("a share of all customers is meant: `top 5% by …`".to_owned()),
        TokenKind::Word(word) if expected.starts_with("a window") && word == "within" => Some("`last 30d` looks back from now".to_owned()),
        TokenKind::Number(_) if expected == "`null`" => Some("`==` compares: `x == 3`".to_owned()),
        TokenKind::Word(word) if duration && word::calendar_unit(word).is_some() => {
            Some(format!("`previous {word}` is the whole one before, `this {word}` the one that runs"))
        }
        TokenKind::Word(word) => word_hint(word),
        _ => None,
    }
}

fn dot_hint(expected: &str) -> Option<&'static str> {
    match expected {
        "a value" => Some("a number begins with a digit: `0.5`"),
        "`after`" => Some(RETURNED),
        _ if expected.starts_with("an aggregate") => {
            Some("one value a customer is needed: how are those of all events to be put together?")
        }
        _ => None,
    }
}

fn word_hint(word: &str) -> Option<String> {
    let small = word.to_ascii_lowercase();
    Some(match word {
        "null" => "`x is null` and `x is not null` ask for it".to_owned(),
        "not" => "`not` stands before the whole condition: `not x in {…}`".to_owned(),
        "true" | "false" => format!("`x == {word}` asks for it"),
        "like" | "matches" | "includes" => "`x contains \"…\"` looks for a part of a text".to_owned(),
        _ if small != word && is_word(&small) => format!("the language is written in small letters: `{small}`"),
        _ => return None,
    })
}

fn is_word(small: &str) -> bool {
    word::RESERVED.iter().chain(&word::WINDOW_STARTS).any(|known| *known == small)
}
