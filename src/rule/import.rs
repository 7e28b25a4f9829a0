//! Audience queries in Segment's query language, said in ours.
//!
//! ```text
//! event('Order Completed').within(30 days).count() >= 3 AND trait('plan') = 'gold'
//!   ─▶ count(orders last 30d) >= 3 and trait.plan == "gold"
//! ```
//! docs/segment-queries.md sets the two side by side. Source of the language: "Segment Query Language Reference",
//! <https://www.twilio.com/docs/segment/api/public-api/query-language>.
//!
//! **Invariant:** what comes out means what went in, or does not come out: what cannot be said is a finding at its place.

mod chain;
mod tokens;

use super::ast::{Expr, Place};
use super::check;
use super::diagnostic::Finding;
use super::parser::{self, MAX_BYTES};
use crate::event::{Catalogue, StreamIndex};
use tokens::{Token, TokenKind};

/// How deep a query may nest; below what a rule may.
const MAX_DEPTH: usize = 16;

type Parsed<T> = Result<T, Box<Finding>>;

/// Reads one query as a rule over the streams of the catalogue.
pub fn segment_query(query: &str, catalogue: &Catalogue) -> Result<Expr, Vec<Finding>> {
    if query.len() > MAX_BYTES {
        return Err(vec![Finding::error("too-long", Place::default(), format!("a query has at most {MAX_BYTES} bytes"))]);
    }
    let tokens = tokens::tokens(query).map_err(|finding| vec![finding])?;
    let mut importer = Importer { catalogue, tokens, at: 0, depth: 0, stream: None };
    let rule = importer.whole().map_err(|finding| vec![*finding])?;
    let whole = Place { start: 0, end: query.len() as u32 };
    // What was put together is read and checked like any other rule; its places mean nothing in the query.
    let at_query = |finding: Finding| Finding { place: whole, ..finding };
    let expr = parser::parse(&rule).map_err(|findings| findings.into_iter().map(at_query).collect::<Vec<_>>())?;
    let errors: Vec<Finding> = check::check(&expr, catalogue).into_iter().filter(Finding::is_error).map(at_query).collect();
    if errors.is_empty() { Ok(expr) } else { Err(errors) }
}

struct Importer<'a> {
    catalogue: &'a Catalogue,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Inside `where`: whose properties are meant.
    stream: Option<StreamIndex>,
}

impl Importer<'_> {
    fn whole(&mut self) -> Parsed<String> {
        let rule = self.or()?;
        if *self.kind() != TokenKind::End { Err(self.expected("`AND`, `OR` or the end of the query")) } else { Ok(rule) }
    }

    fn or(&mut self) -> Parsed<String> {
        let mut parts = vec![self.and()?];
        while self.eat_word("OR") {
            parts.push(self.and()?);
        }
        Ok(parts.join(" or "))
    }

    fn and(&mut self) -> Parsed<String> {
        let mut parts = vec![self.not()?];
        while self.eat_word("AND") {
            parts.push(self.not()?);
        }
        Ok(parts.join(" and "))
    }

    fn not(&mut self) -> Parsed<String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.refused(
                "too-deep",
                format!("the query nests more than {MAX_DEPTH} levels deep"),
                "divide it into several segments",
            ));
        }
        let rule = self.unit();
        self.depth -= 1;
        rule
    }

    fn unit(&mut self) -> Parsed<String> {
        for word in ["ANY", "ALL"] {
            if self.is_word(word) {
                let message = format!("`{word}` asks for the users of an account, and a segment is of customers");
                return Err(self.refused("not-importable", message, "key the events by account, and write the condition for it"));
            }
        }
        if self.eat_word("NOT") {
            return Ok(format!("not ({})", self.not()?));
        }
        if self.eat("(") {
            let inner = self.or()?;
            self.expect(")")?;
            return Ok(format!("({inner})"));
        }
        self.comparison()
    }

    fn kind(&self) -> &TokenKind {
        self.tokens.get(self.at).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn place(&self) -> Place {
        self.tokens.get(self.at).map_or_else(Place::default, |token| token.place)
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.kind(), TokenKind::Symbol(s) if *s == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), TokenKind::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> Box<Finding> {
        Box::new(Finding::error("syntax", self.place(), format!("{what} is expected here")))
    }

    /// A finding at the next token.
    fn refused(&self, code: &'static str, message: impl Into<String>, help: &str) -> Box<Finding> {
        Box::new(Finding::error(code, self.place(), message).help(help))
    }
}

#[cfg(test)]
mod tests;
