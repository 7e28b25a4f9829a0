//! The words and signs of the language, each in one table, so that parser, printer and JSON form cannot disagree.
//!
//! **Invariant:** every table is a bijection: `from_word(x.as_str()) == Some(x)`.

use super::ast::{ArithmeticOp, CompareOp, Function, Quantifier};
use crate::time::CalendarUnit;

/// Words that cannot begin a name. All others of the grammar mean something only where a name cannot stand
/// (`count` before a parenthesis, `month` after `this`); after a dot every word is a name.
pub const RESERVED: [&str; 16] =
    ["and", "or", "not", "between", "in", "contains", "is", "null", "true", "false", "where", "then", "within", "same", "last", "trait"];

/// How a window begins.
pub const WINDOW_STARTS: [&str; 7] = ["last", "older", "from", "since", "this", "previous", "lifetime"];

/// Conditions that look like a call.
pub const CONDITIONS: [&str; 7] = ["every", "any", "none", "segment", "list", "returned", "sequence"];

const CALENDAR_UNITS: [(&str, CalendarUnit); 5] = [
    ("day", CalendarUnit::Day),
    ("week", CalendarUnit::Week),
    ("month", CalendarUnit::Month),
    ("quarter", CalendarUnit::Quarter),
    ("year", CalendarUnit::Year),
];

/// The word of a calendar unit: `month`.
pub fn calendar_word(unit: CalendarUnit) -> &'static str {
    CALENDAR_UNITS.iter().find(|(_, u)| *u == unit).map_or("", |(word, _)| word)
}

pub fn calendar_unit(word: &str) -> Option<CalendarUnit> {
    CALENDAR_UNITS.iter().find(|(w, _)| *w == word).map(|(_, unit)| *unit)
}

/// `as_str` and `from_word` over one table of (word, value).
macro_rules! words {
    ($type:ident, $count:literal, [$(($word:literal, $variant:ident)),+ $(,)?]) => {
        impl $type {
            pub const ALL: [$type; $count] = [$($type::$variant),+];

            /// As rules write it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $word,)+
                }
            }

            pub fn from_word(word: &str) -> Option<$type> {
                match word {
                    $($word => Some($type::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words!(
    Function,
    10,
    [
        ("count", Count),
        ("sum", Sum),
        ("avg", Avg),
        ("min", Min),
        ("max", Max),
        ("distinct", Distinct),
        ("first", First),
        ("latest", Latest),
        ("days_since", DaysSince),
        ("days_since_first", DaysSinceFirst),
    ]
);
words!(Quantifier, 3, [("every", Every), ("any", Any), ("none", None)]);
words!(CompareOp, 6, [("==", Equal), ("!=", NotEqual), ("<", Less), ("<=", LessOrEqual), (">", Greater), (">=", GreaterOrEqual)]);
words!(ArithmeticOp, 4, [("+", Add), ("-", Subtract), ("*", Multiply), ("/", Divide)]);
