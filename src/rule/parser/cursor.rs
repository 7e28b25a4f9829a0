//! The parser's hand on the tokens: look, take, expect, and count how deep it stands.
//!
//! **Invariant:** the cursor never moves past [`TokenKind::End`], so looking always finds a token.

use smol_str::SmolStr;

use super::super::ast::{Name, Place};
use super::super::diagnostic::Finding;
use super::super::lexer::{Token, TokenKind};
use super::super::word;
use super::MAX_DEPTH;
use super::hint::hint;

/// A finding ends the parse of this rule; those that do not are kept in [`Parser::findings`].
pub type Parsed<T> = Result<T, Box<Finding>>;

pub struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    pub depth: usize,
    /// Problems after which reading could go on.
    pub findings: Vec<Finding>,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str, tokens: Vec<Token>) -> Parser<'a> {
        Parser { text, tokens, at: 0, depth: 0, findings: Vec::new() }
    }

    fn kind_at(&self, at: usize) -> &TokenKind {
        self.tokens.get(at).map_or(&TokenKind::End, |token| &token.kind)
    }

    pub fn peek(&self) -> &TokenKind {
        self.kind_at(self.at)
    }

    pub fn peek_is(&self, symbol: &str) -> bool {
        matches!(self.peek(), TokenKind::Symbol(s) if *s == symbol)
    }

    pub fn peek_second_is(&self, symbol: &str) -> bool {
        matches!(self.kind_at(self.at + 1), TokenKind::Symbol(s) if *s == symbol)
    }

    pub fn peek_second(&self) -> &TokenKind {
        self.kind_at(self.at + 1)
    }

    /// `-` and a number: together one literal.
    pub fn peek_negative_number(&self) -> bool {
        self.peek_is("-") && matches!(self.peek_second(), TokenKind::Number(_))
    }

    pub fn peek_word(&self) -> Option<SmolStr> {
        match self.peek() {
            TokenKind::Word(word) => Some(word.clone()),
            _ => None,
        }
    }

    pub fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
    }

    /// Where the next token stands.
    pub fn place(&self) -> Place {
        self.tokens.get(self.at).map_or_else(Place::default, |token| token.place)
    }

    /// From the start of `start` to the end of the last token taken.
    pub fn since(&self, start: Place) -> Place {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        Place { start: start.start, end: last.map_or(start.end, |token| token.place.end) }
    }

    pub fn eat(&mut self, symbol: &str) -> bool {
        let found = self.peek_is(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(w) if w == word);
        if found {
            self.advance();
        }
        found
    }

    pub fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    pub fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    /// A name that no word of the grammar hides.
    pub fn name(&mut self, what: &str) -> Parsed<Name> {
        let place = self.place();
        match self.peek_word() {
            Some(text) if !word::RESERVED.contains(&text.as_str()) => {
                self.advance();
                Ok(Name { text, place })
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Any word: after a dot the words of the grammar are names.
    pub fn any_word(&mut self, what: &str) -> Parsed<SmolStr> {
        let word = self.peek_word().ok_or_else(|| self.expected(what))?;
        self.advance();
        Ok(word)
    }

    /// `a.b.c`, the first part no word of the grammar.
    pub fn dotted(&mut self, what: &str) -> Parsed<Name> {
        let first = self.name(what)?;
        if !self.peek_is(".") {
            return Ok(first);
        }
        let rest = self.after_dots(what)?;
        Ok(Name { text: format!("{}.{}", first.text, rest.text).into(), place: self.since(first.place) })
    }

    /// `.b.c`, as `b.c`.
    pub fn after_dots(&mut self, what: &str) -> Parsed<Name> {
        let mut parts = Vec::new();
        let mut start = None;
        while self.eat(".") {
            start.get_or_insert(self.place());
            parts.push(self.any_word(what)?);
        }
        Ok(Name { text: parts.join(".").into(), place: self.since(start.unwrap_or_default()) })
    }

    pub fn nested<T>(&mut self, inner: fn(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.deeper()?;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.too_deep()) } else { Ok(()) }
    }

    pub fn too_deep(&self) -> Box<Finding> {
        let message = format!("the rule nests more than {MAX_DEPTH} levels deep");
        Box::new(
            Finding::error("too-deep", self.place(), message).help("give parts of it their own keys and refer to them with segment(\"…\")"),
        )
    }

    pub fn expected(&self, what: &str) -> Box<Finding> {
        let finding = Finding::error("syntax", self.place(), format!("expected {what}, found {}", self.found()));
        Box::new(match hint(self.peek(), what) {
            Some(hint) => finding.help(hint),
            None => finding,
        })
    }

    /// The next token as a message names it.
    pub fn found(&self) -> String {
        let place = self.place();
        let written = self.text.get(place.start as usize..place.end as usize).unwrap_or_default();
        match self.peek() {
            TokenKind::End => "the end of the rule".to_owned(),
            TokenKind::Text(_) => "a text".to_owned(),
            TokenKind::Word(_) if written.len() > 64 => "a long name".to_owned(),
            _ => format!("`{written}`"),
        }
    }
}
