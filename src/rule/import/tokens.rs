//! A query's text as tokens.
//!
//! **Invariant:** total: every text gives tokens that end with [`TokenKind::End`], or one finding with its place.

use super::super::ast::Place;
use super::super::diagnostic::Finding;

#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    Word(String),
    /// As it is written.
    Number(String),
    Text(String),
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: TokenKind,
    pub place: Place,
}

/// Longer ones before those that they begin with.
const SYMBOLS: [&str; 15] = ["==", "!=", ">=", "<=", "=", ">", "<", "(", ")", "{", "}", ".", ",", ":", "$"];

/// Opening and closing, also as documents print them.
const QUOTES: [(char, char); 4] = [('\'', '\''), ('"', '"'), ('\u{2018}', '\u{2019}'), ('\u{201c}', '\u{201d}')];

pub fn tokens(text: &str) -> Result<Vec<Token>, Finding> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    loop {
        at = text.len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else { break };
        let (kind, length) = token(rest, first).map_err(|message| Finding::error("syntax", place(at, at + first.len_utf8()), message))?;
        tokens.push(Token { kind, place: place(at, at + length) });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, place: place(text.len(), text.len()) });
    Ok(tokens)
}

/// The token at the beginning of a text, and its length.
fn token(rest: &str, first: char) -> Result<(TokenKind, usize), String> {
    if let Some((_, closing)) = QUOTES.iter().find(|(opening, _)| *opening == first) {
        let inside = &rest[first.len_utf8()..];
        let end = inside.find(*closing).ok_or("this string is not closed")?;
        return Ok((TokenKind::Text(inside[..end].to_owned()), first.len_utf8() + end + closing.len_utf8()));
    }
    let negative = first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || negative {
        let length = 1 + rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len() - 1);
        return Ok((TokenKind::Number(rest[..length].to_owned()), length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((TokenKind::Word(rest[..length].to_owned()), length));
    }
    let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
    symbol.map(|symbol| (TokenKind::Symbol(symbol), symbol.len())).ok_or_else(|| format!("`{first}` is no part of the query language"))
}

fn place(start: usize, end: usize) -> Place {
    Place { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
}
