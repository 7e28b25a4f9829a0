//! `stream[.field] window [where filter]`: what an aggregate or a quantifier looks at.
//!
//! **Invariant:** no window is ever assumed: one that is missing is a finding, after which reading goes on.

use super::super::ast::{Name, Selection, Window};
use super::super::diagnostic::{Finding, nearest};
use super::super::lexer::TokenKind;
use super::super::word;
use super::cursor::{Parsed, Parser};
use crate::time::Span;

impl Parser<'_> {
    pub fn selection(&mut self) -> Parsed<Selection> {
        let stream = self.name("a stream")?;
        let field = if self.peek_is(".") { Some(self.after_dots("a field")?) } else { None };
        let start = self.place();
        let window = self.window(&stream)?;
        let window_place = self.since(start);
        let filter = if self.eat_word("where") { Some(Box::new(self.nested(Parser::or)?)) } else { None };
        Ok(Selection { stream, field, window, window_place, filter })
    }

    fn window(&mut self, stream: &Name) -> Parsed<Window> {
        let Some(first) = self.peek_word().filter(|w| word::WINDOW_STARTS.contains(&w.as_str())) else {
            return self.no_window(stream);
        };
        self.advance();
        Ok(match first.as_str() {
            "last" => Window::Last(self.duration()?),
            "older" => {
                self.expect_word("than")?;
                Window::OlderThan(self.duration()?)
            }
            "from" => {
                let from = self.duration()?;
                self.expect_word("to")?;
                let to = self.duration()?;
                self.expect_word("ago")?;
                Window::FromTo { from, to }
            }
            "since" => self.since_date()?,
            "this" => Window::This(self.calendar_unit()?),
            "previous" => Window::Previous(self.calendar_unit()?),
            _ => Window::Lifetime,
        })
    }

    /// Where the selection ends without a window, reading can go on; anything else that stands there stops it.
    fn no_window(&mut self, stream: &Name) -> Parsed<Window> {
        let message = format!("`{}` has no window, and there is none by default", stream.text);
        let finding = Finding::error("missing-window", self.since(stream.place), message)
            .help("for example `last 30d`, `this month`, `since 2026-01-31` or `lifetime`");
        match self.peek().clone() {
            TokenKind::Symbol(")" | ":") => self.findings.push(finding.label("a window is missing after this")),
            TokenKind::Word(word) if word == "where" => self.findings.push(finding.label("a window is missing after this")),
            TokenKind::Duration(span) => {
                return Err(Box::new(Finding { place: self.place(), ..finding }.label(format!("did you mean `last {span}`?"))));
            }
            TokenKind::Word(word) => return Err(self.unknown_window(&word)),
            _ => return Err(self.expected("a window, such as `last 30d` or `lifetime`")),
        }
        Ok(Window::Lifetime)
    }

    fn unknown_window(&self, word: &str) -> Box<Finding> {
        let mut finding = self.expected("a window, such as `last 30d` or `lifetime`");
        finding.label = nearest(word, word::WINDOW_STARTS).map(|near| format!("did you mean `{near}`?"));
        finding
    }

    pub fn duration(&mut self) -> Parsed<Span> {
        let TokenKind::Duration(span) = *self.peek() else {
            return Err(self.expected("a duration, such as `30d`"));
        };
        self.advance();
        Ok(span)
    }

    fn since_date(&mut self) -> Parsed<Window> {
        let TokenKind::Date(date) = *self.peek() else {
            return Err(self.expected("a date, such as `2026-01-31`"));
        };
        self.advance();
        Ok(Window::Since(date))
    }

    fn calendar_unit(&mut self) -> Parsed<crate::time::CalendarUnit> {
        let unit = self.peek_word().and_then(|w| word::calendar_unit(&w));
        let unit = unit.ok_or_else(|| self.expected("`day`, `week`, `month`, `quarter` or `year`"))?;
        self.advance();
        Ok(unit)
    }
}
