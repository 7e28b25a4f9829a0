//! What looks like a call: aggregates, and the conditions that are not comparisons.
//!
//! **Invariant:** a word is a call only before `(` (and `top` before a number); elsewhere it may name a field.

use super::super::ast::{Aggregate, ExprKind, Function, Name, Quantifier, Sequence, Step};
use super::super::diagnostic::Finding;
use super::super::lexer::TokenKind;
use super::super::word;
use super::cursor::{Parsed, Parser};

impl Parser<'_> {
    /// A condition that stands by itself; `None`: something else begins here.
    pub fn condition(&mut self) -> Parsed<Option<ExprKind>> {
        let Some(word) = self.peek_word() else { return Ok(None) };
        if word == "top" && matches!(self.peek_second(), TokenKind::Number(_)) {
            return self.top().map(Some);
        }
        if !self.peek_second_is("(") || !word::CONDITIONS.contains(&word.as_str()) {
            return Ok(None);
        }
        self.advance();
        self.advance();
        let kind = match word.as_str() {
            "segment" => self.segment()?,
            "list" => ExprKind::List(self.quoted_name("the name of a list in quotes")?),
            "returned" => self.returned()?,
            "sequence" => self.sequence()?,
            quantifier => self.quantified(quantifier)?,
        };
        self.expect(")")?;
        Ok(Some(kind))
    }

    fn quantified(&mut self, word: &str) -> Parsed<ExprKind> {
        let quantifier = Quantifier::from_word(word).ok_or_else(|| self.expected("a condition"))?;
        let over = Box::new(self.selection()?);
        self.expect(":")?;
        let condition = Box::new(self.nested(Parser::or)?);
        Ok(ExprKind::Quantified { quantifier, over, condition })
    }

    pub(super) fn quoted_name(&mut self, what: &str) -> Parsed<Name> {
        let place = self.place();
        let TokenKind::Text(text) = self.peek().clone() else { return Err(self.expected(what)) };
        self.advance();
        Ok(Name { text, place })
    }

    fn segment(&mut self) -> Parsed<ExprKind> {
        let key = self.quoted_name("the key of a segment in quotes")?;
        let last = if self.eat_word("last") { Some(self.duration()?) } else { None };
        Ok(ExprKind::Segment { key, last })
    }

    fn returned(&mut self) -> Parsed<ExprKind> {
        let stream = self.name("a stream")?;
        self.expect_word("after")?;
        let after = self.duration()?;
        self.expect_word("within")?;
        Ok(ExprKind::Returned { stream, after, within: self.duration()? })
    }

    fn top(&mut self) -> Parsed<ExprKind> {
        self.advance();
        let TokenKind::Number(percent) = *self.peek() else { return Err(self.expected("a number")) };
        self.advance();
        self.expect("%")?;
        self.expect_word("by")?;
        let word = self.any_word("an aggregate")?;
        let function = Function::from_word(&word).ok_or_else(|| self.expected("an aggregate, such as `sum(orders.total last 365d)`"))?;
        Ok(ExprKind::Top { percent, by: Box::new(self.aggregate(function)?) })
    }

    /// A word before a parenthesis, where a value is wanted.
    pub fn aggregate_named(&mut self, word: &str) -> Parsed<ExprKind> {
        let Some(function) = Function::from_word(word) else { return Err(Box::new(self.unknown_function(word))) };
        self.advance();
        Ok(ExprKind::Aggregate(Box::new(self.aggregate(function)?)))
    }

    fn aggregate(&mut self, function: Function) -> Parsed<Aggregate> {
        self.expect("(")?;
        let over = self.selection()?;
        self.expect(")")?;
        Ok(Aggregate { function, over })
    }

    fn unknown_function(&self, word: &str) -> Finding {
        if word::CONDITIONS.contains(&word) {
            return Finding::error("syntax", self.place(), format!("`{word}(…)` is a condition, and a value is expected here"))
                .help("put it in parentheses to compare it");
        }
        let known: Vec<&str> = Function::ALL.iter().map(|f| f.as_str()).chain(word::CONDITIONS).collect();
        let finding = Finding::error("unknown-function", self.place(), format!("there is no function {}", self.found()));
        let near = finding.suggest(word, known.iter().copied());
        if near.label.is_some() { near } else { near.help(format!("there are {}", known.join(", "))) }
    }

    fn sequence(&mut self) -> Parsed<ExprKind> {
        let mut steps = vec![self.step()?];
        if let [Step { absent: true, stream, .. }] = steps.as_slice() {
            let finding = Finding::error("sequence-start", stream.place, "the first step of a sequence cannot be `no`");
            self.findings.push(finding);
        }
        while self.eat_word("then") {
            let mut step = self.step()?;
            step.within = if self.eat_word("within") { Some(self.duration()?) } else { None };
            steps.push(step);
        }
        let last = if self.eat_word("last") { Some(self.duration()?) } else { None };
        Ok(ExprKind::Sequence(Box::new(Sequence { steps, last })))
    }

    fn step(&mut self) -> Parsed<Step> {
        // A stream may be called `no`: it is the word only where a name follows.
        let name_follows = matches!(self.peek_second(), TokenKind::Word(w) if !word::RESERVED.contains(&w.as_str()));
        let absent = name_follows && self.eat_word("no");
        let stream = self.name("a stream")?;
        let filter = if self.eat_word("where") { Some(Box::new(self.nested(Parser::or)?)) } else { None };
        let same = if self.eat_word("same") { Some(self.dotted("a field")?) } else { None };
        Ok(Step { absent, stream, filter, same, within: None })
    }
}
