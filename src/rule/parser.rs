//! Tokens as a tree: recursive descent, one function a line of the grammar (semantics §3).
//!
//! ```text
//! expr = and { "or" and }        and = not { "and" not }        not = "not" not | pred
//! pred = sum [ comparison ] | condition                          sum = term { ("+"|"-") term }
//! ```
//!
//! **Invariant:** a text of any length and shape ends in a tree at most [`MAX_DEPTH`] deep or in findings; a megabyte
//! of parentheses never reaches the end of the stack, here or in anything that walks the tree later.

mod call;
mod cursor;
mod hint;
mod selection;
#[cfg(test)]
mod tests;

use super::ast::{ArithmeticOp, CompareOp, Expr, ExprKind, Literal, Name};
use super::diagnostic::Finding;
use super::{lexer, walk, word};
use cursor::{Parsed, Parser};
use lexer::TokenKind;

/// How deep a rule may nest. Each level is at most three of JSON's, of which `serde_json` reads 128.
pub const MAX_DEPTH: usize = 40;

/// The longest rule, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Reads one rule. The findings are in the order of the text.
pub fn parse(text: &str) -> Result<Expr, Vec<Finding>> {
    if text.len() > MAX_BYTES {
        return Err(vec![too_long(text)]);
    }
    let tokens = lexer::tokens(text).map_err(|finding| vec![finding])?;
    let mut parser = Parser::new(text, tokens);
    match parser.whole() {
        Ok(expr) if parser.findings.is_empty() => Ok(expr),
        Ok(_) => Err(parser.findings),
        Err(last) => {
            parser.findings.push(*last);
            Err(parser.findings)
        }
    }
}

fn too_long(text: &str) -> Finding {
    let message = format!("the rule is {} bytes long, the longest possible has {MAX_BYTES}", text.len());
    Finding::error("too-long", Default::default(), message).help("give parts of it their own keys and refer to them with segment(\"…\")")
}

impl Parser<'_> {
    fn whole(&mut self) -> Parsed<Expr> {
        if *self.peek() == TokenKind::End {
            return Err(Box::new(Finding::error("empty-rule", self.place(), "the rule is empty")));
        }
        let expr = self.or()?;
        if *self.peek() != TokenKind::End {
            return Err(self.expected("the end of the rule"));
        }
        if walk::depth(&expr) > MAX_DEPTH {
            return Err(self.too_deep());
        }
        Ok(expr)
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.chain("or", Parser::and, ExprKind::Or)
    }

    fn and(&mut self) -> Parsed<Expr> {
        self.chain("and", Parser::not, ExprKind::And)
    }

    fn chain(&mut self, word: &str, operand: fn(&mut Self) -> Parsed<Expr>, make: fn(Vec<Expr>) -> ExprKind) -> Parsed<Expr> {
        let start = self.place();
        let mut all = vec![operand(self)?];
        while self.eat_word(word) {
            all.push(operand(self)?);
        }
        if all.len() > 1 {
            return Ok(Expr { kind: make(all), place: self.since(start) });
        }
        all.pop().ok_or_else(|| self.expected("a condition"))
    }

    fn not(&mut self) -> Parsed<Expr> {
        let start = self.place();
        if !self.eat_word("not") {
            return self.predicate();
        }
        let inner = self.nested(Parser::not)?;
        Ok(Expr { kind: ExprKind::Not(Box::new(inner)), place: self.since(start) })
    }

    fn predicate(&mut self) -> Parsed<Expr> {
        let start = self.place();
        let condition = self.condition()?;
        let stands_alone = condition.is_some();
        let expr = match condition {
            Some(kind) => Expr { kind, place: self.since(start) },
            None => {
                let left = self.sum()?;
                self.comparison(left)?
            }
        };
        if self.peek_compare_op().is_some() {
            return Err(self.chained(stands_alone));
        }
        Ok(expr)
    }

    /// `a < b < c` would be read by a person as a range: say how to write one.
    fn chained(&self, after_condition: bool) -> Box<Finding> {
        Box::new(match after_condition {
            true => Finding::error("syntax", self.place(), "a condition is not compared as it stands").help("put it in parentheses"),
            false => Finding::error("syntax", self.place(), "comparisons do not chain")
                .help("write `x between a and b`, `x in [a, b)`, or two comparisons with `and`"),
        })
    }

    /// A comparison, if one follows the sum.
    fn comparison(&mut self, left: Expr) -> Parsed<Expr> {
        let start = left.place;
        let value = Box::new(left);
        let kind = if let Some(op) = self.peek_compare_op() {
            self.advance();
            ExprKind::Compare { op, left: value, right: Box::new(self.sum()?) }
        } else if self.eat_word("between") {
            let low = Box::new(self.sum()?);
            self.expect_word("and")?;
            ExprKind::Between { value, low, high: Box::new(self.sum()?) }
        } else if self.eat_word("in") {
            self.range_or_set(value)?
        } else if self.eat_word("contains") {
            ExprKind::Contains { value, element: self.literal()? }
        } else if self.eat_word("is") {
            let negated = self.eat_word("not");
            self.expect_word("null")?;
            ExprKind::IsNull { value, negated }
        } else {
            return Ok(*value);
        };
        Ok(Expr { kind, place: self.since(start) })
    }

    fn peek_compare_op(&self) -> Option<CompareOp> {
        match self.peek() {
            TokenKind::Symbol(sign) => CompareOp::from_word(sign),
            _ => None,
        }
    }

    /// `[low, high)` in its four forms, or `{a, b}`.
    fn range_or_set(&mut self, value: Box<Expr>) -> Parsed<ExprKind> {
        if self.eat("{") {
            let mut set = vec![self.literal()?];
            while self.eat(",") {
                set.push(self.literal()?);
            }
            self.expect("}")?;
            return Ok(ExprKind::InSet { value, set });
        }
        let low_included = self.eat("[");
        if !low_included && !self.eat("(") {
            return Err(self.expected("`[`, `(` or `{` after `in`"));
        }
        let low = Box::new(self.sum()?);
        self.expect(",")?;
        let high = Box::new(self.sum()?);
        let high_included = self.eat("]");
        if !high_included && !self.eat(")") {
            return Err(self.expected("`]` or `)`"));
        }
        Ok(ExprKind::InRange { value, low, low_included, high, high_included })
    }

    fn sum(&mut self) -> Parsed<Expr> {
        self.arithmetic(&[ArithmeticOp::Add, ArithmeticOp::Subtract], Parser::term)
    }

    fn term(&mut self) -> Parsed<Expr> {
        self.arithmetic(&[ArithmeticOp::Multiply, ArithmeticOp::Divide], Parser::atom)
    }

    /// A chain of operators grows the tree to the left, a level each: it counts as nesting.
    fn arithmetic(&mut self, ops: &[ArithmeticOp], operand: fn(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        let outer = self.depth;
        let start = self.place();
        let mut left = operand(self)?;
        while let Some(op) = ops.iter().copied().find(|op| self.eat(op.as_str())) {
            self.deeper()?;
            let right = operand(self)?;
            let kind = ExprKind::Arithmetic { op, left: Box::new(left), right: Box::new(right) };
            left = Expr { kind, place: self.since(start) };
        }
        self.depth = outer;
        Ok(left)
    }

    /// `-5` is the literal; any other minus negates what follows.
    fn atom(&mut self) -> Parsed<Expr> {
        let start = self.place();
        let negated = self.peek_is("-") && !self.peek_negative_number();
        if negated {
            self.advance();
        }
        let inner = self.operand()?;
        if !negated {
            return Ok(inner);
        }
        Ok(Expr { kind: ExprKind::Negate(Box::new(inner)), place: self.since(start) })
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let start = self.place();
        if self.eat("(") {
            let inner = self.nested(Parser::or)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let kind = match self.peek().clone() {
            TokenKind::Number(_) | TokenKind::Text(_) | TokenKind::Symbol("-") => ExprKind::Literal(self.literal()?),
            TokenKind::Word(word) if word == "true" || word == "false" => ExprKind::Literal(self.literal()?),
            TokenKind::Word(word) if word == "trait" => self.trait_name()?,
            TokenKind::Word(word) if self.peek_second_is("(") => self.aggregate_named(&word)?,
            TokenKind::Word(word) if !word::RESERVED.contains(&word.as_str()) => ExprKind::Field(self.dotted("a field")?),
            _ => return Err(self.expected("a value")),
        };
        Ok(Expr { kind, place: self.since(start) })
    }

    fn trait_name(&mut self) -> Parsed<ExprKind> {
        self.advance();
        if !self.eat(".") {
            return Err(self.expected("`.` and the name of a trait, as in `trait.country`"));
        }
        let what = "the name of a trait";
        Ok(ExprKind::Trait(match self.peek() {
            TokenKind::Text(text) if !text.is_empty() => self.quoted_name(what)?,
            _ => Name { place: self.place(), text: self.any_word(what)? },
        }))
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let negative = self.peek_negative_number();
        if negative {
            self.advance();
        }
        let literal = match self.peek().clone() {
            // Zero has no sign: `-0` would print as another text than it was read from.
            TokenKind::Number(n) if negative && !n.is_zero() => Literal::Number(-n),
            TokenKind::Number(n) => Literal::Number(n),
            TokenKind::Text(text) => Literal::Text(text),
            TokenKind::Word(word) if word == "true" || word == "false" => Literal::Bool(word == "true"),
            _ => return Err(self.expected("a number, a \"text\", `true` or `false`")),
        };
        self.advance();
        Ok(literal)
    }
}
