//! A rule's text as tokens.
//!
//! **Invariant:** total: every text gives tokens that end with [`TokenKind::End`], or one finding with its place. No
//! number is rounded: what `rust_decimal` cannot hold exactly is refused here.

use rust_decimal::Decimal;
use smol_str::SmolStr;

use super::ast::Place;
use super::diagnostic::Finding;
use crate::time::{CalendarDate, Span};

#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    /// A name or a word of the grammar: which of both, the parser knows.
    Word(SmolStr),
    Number(Decimal),
    Text(SmolStr),
    Duration(Span),
    /// Only after `since`; elsewhere `2026-01-01` is a subtraction.
    Date(CalendarDate),
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: TokenKind,
    pub place: Place,
}

/// Longer ones before those that they begin with.
const SYMBOLS: [&str; 20] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", "{", "}", ",", ".", ":", "+", "-", "*", "/", "%"];

/// What other languages write, and what this one does.
const FOREIGN: [(&str, &str); 10] = [
    ("<>", "!="),
    ("&&", "and"),
    ("||", "or"),
    ("=", "=="),
    ("!", "not"),
    ("≥", ">="),
    ("≤", "<="),
    ("≠", "!="),
    ("'", "\""),
    ("\u{201c}", "\""),
];

const CURRENCIES: [&str; 4] = ["$", "€", "£", "¥"];

/// Whether there is a comment in a text that [`tokens`] can cut.
pub fn has_comment(text: &str) -> bool {
    let (mut inside, mut escaped) = (false, false);
    text.chars().any(|c| {
        let quote = c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
        inside ^= quote;
        c == '#' && !inside
    })
}

/// Cuts a text into tokens.
pub fn tokens(text: &str) -> Result<Vec<Token>, Finding> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while lexer.skip_blanks() {
        lexer.token()?;
    }
    lexer.push(TokenKind::End, text.len());
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: TokenKind, end: usize) {
        self.tokens.push(Token { kind, place: place(self.at, end) });
        self.at = end;
    }

    /// Skips blanks and comments; false at the end.
    fn skip_blanks(&mut self) -> bool {
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn token(&mut self) -> Result<(), Finding> {
        match self.rest().as_bytes().first() {
            Some(b'"') => self.string(),
            Some(b) if b.is_ascii_digit() => self.digits(),
            Some(b) if b.is_ascii_alphabetic() || *b == b'_' => {
                let word = run(self.rest(), is_word);
                self.push(TokenKind::Word(word.into()), self.at + word.len());
                Ok(())
            }
            _ => self.symbol(),
        }
    }

    fn symbol(&mut self) -> Result<(), Finding> {
        let rest = self.rest();
        let foreign = FOREIGN.iter().find(|(sign, _)| rest.starts_with(sign) && !rest.starts_with("==") && !rest.starts_with("!="));
        if let Some((sign, ours)) = foreign {
            return Err(self.unexpected(sign).label(format!("did you mean `{ours}`?")));
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.push(TokenKind::Symbol(symbol), self.at + symbol.len());
                Ok(())
            }
            None => Err(self.unknown_sign(rest)),
        }
    }

    fn unknown_sign(&self, rest: &str) -> Finding {
        let sign = rest.get(..rest.chars().next().map_or(0, char::len_utf8)).unwrap_or_default();
        let finding = self.unexpected(sign);
        if CURRENCIES.contains(&sign) { finding.help("an amount is a number alone: `total > 5`") } else { finding }
    }

    fn unexpected(&self, sign: &str) -> Finding {
        Finding::error("syntax", place(self.at, self.at + sign.len()), format!("`{sign}` is not part of the rule language"))
    }

    /// `"…"` with `\"` and `\\`.
    fn string(&mut self) -> Result<(), Finding> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.push(TokenKind::Text(text.into()), self.at + offset + 1);
                    return Ok(());
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    _ => return Err(bad_escape(self.at + offset)),
                },
                _ => text.push(c),
            }
        }
        Err(Finding::error("bad-string", place(self.at, self.at + 1), "this string is not closed").label("a closing `\"` is missing"))
    }

    /// A number, a duration, or after `since` a date: whatever begins with a digit and goes on without a break.
    fn digits(&mut self) -> Result<(), Finding> {
        if matches!(self.tokens.last(), Some(Token { kind: TokenKind::Word(word), .. }) if word == "since") {
            return self.date();
        }
        let written = run(self.rest(), |b| is_word(b) || b == b'.');
        let end = self.at + written.len();
        if written.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.') {
            let number = number(written).map_err(|finding| finding(place(self.at, end)))?;
            self.push(TokenKind::Number(number), end);
            return Ok(());
        }
        let span = Span::parse(written).ok_or_else(|| bad_duration(written, place(self.at, end)))?;
        self.push(TokenKind::Duration(span), end);
        Ok(())
    }

    fn date(&mut self) -> Result<(), Finding> {
        let written = run(self.rest(), |b| is_word(b) || b == b'-');
        let end = self.at + written.len();
        let date = CalendarDate::parse(written).ok_or_else(|| {
            Finding::error("bad-date", place(self.at, end), format!("`{}` is not a date", shortened(written)))
                .help("dates are written YYYY-MM-DD: `since 2026-01-31`")
        })?;
        self.push(TokenKind::Date(date), end);
        Ok(())
    }
}

fn place(start: usize, end: usize) -> Place {
    Place { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The longest beginning of `text` of such (ASCII) bytes.
fn run(text: &str, is: impl Fn(u8) -> bool) -> &str {
    let length = text.bytes().take_while(|b| *b < 128 && is(*b)).count();
    text.get(..length).unwrap_or_default()
}

/// Digits with single `_` between them, and a fraction.
fn number(written: &str) -> Result<Decimal, impl FnOnce(Place) -> Finding + use<>> {
    let (whole, fraction) = written.split_once('.').unwrap_or((written, "0"));
    let grouped = whole.split('_').all(|group| !group.is_empty());
    let well_formed = grouped && !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let number = well_formed.then(|| Decimal::from_str_exact(&written.replace('_', "")).ok()).flatten();
    let written = shortened(written);
    number.ok_or(move |place| match well_formed {
        true => Finding::error("bad-number", place, format!("`{written}` cannot be held exactly"))
            .help("numbers of up to 28 digits always can, the fraction included"),
        false => Finding::error("bad-number", place, format!("`{written}` is not a number")).help("numbers look like 20, 5_000 or 0.25"),
    })
}

fn bad_duration(written: &str, place: Place) -> Finding {
    let (digits, unit) = written.split_at(written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len()));
    let shown = shortened(written);
    match unit {
        "s" | "m" | "h" | "d" | "w" => Finding::error("bad-duration", place, format!("`{shown}` is not a possible duration"))
            .help("a duration is more than 0 and at most a thousand years"),
        "mo" | "mon" | "month" | "months" => {
            no_length(&shown, place).help("a month has no length of its own: `30d`, `this month` or `previous month`")
        }
        "y" | "yr" | "year" | "years" => {
            no_length(&shown, place).help("a year has no length of its own: `365d`, `this year` or `previous year`")
        }
        _ if unit.starts_with(['e', 'E']) => no_length(&shown, place).help("numbers are written out: `1000`, or `1_000`"),
        _ => no_length(&shown, place)
            .help(format!("durations are digits and one of s, m, h, d, w: `{}d`", if digits.len() > 6 { "30" } else { digits })),
    }
}

fn no_length(shown: &str, place: Place) -> Finding {
    Finding::error("bad-duration", place, format!("`{shown}` is neither a number nor a duration"))
}

/// For a message: a long text cut.
fn shortened(text: &str) -> String {
    if text.len() <= 40 { text.to_owned() } else { format!("{}…", text.chars().take(40).collect::<String>()) }
}

fn bad_escape(at: usize) -> Finding {
    Finding::error("bad-string", place(at, at + 1), "a `\\` in a string stands only before `\"` or `\\`")
        .help("write `\\\\` for one backslash")
}
