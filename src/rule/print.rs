//! A tree as its canonical text: one spelling for one meaning, with no parenthesis too many.
//!
//! Law: `parse(print(x)) == x` for every tree that a parser made, and printing is idempotent. The fingerprint of a
//! segment's definition and the names of aggregates in published evidence stand on it: changing a spelling here
//! changes the version of every segment.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};

use super::ast::{Aggregate, ArithmeticOp, Expr, ExprKind, Literal, Selection, Sequence, Step, Window};
use super::word::calendar_word;
use crate::event::streams::is_identifier;

/// How tightly an expression holds together; a looser one below a tighter one needs parentheses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Predicate,
    Sum,
    Term,
    Atom,
    /// What may stand after a minus without becoming something else (`-5` is a literal).
    Named,
}

fn level(kind: &ExprKind) -> Level {
    match kind {
        ExprKind::Or(_) => Level::Or,
        ExprKind::And(_) => Level::And,
        ExprKind::Not(_) => Level::Not,
        ExprKind::Arithmetic { op: ArithmeticOp::Add | ArithmeticOp::Subtract, .. } => Level::Sum,
        ExprKind::Arithmetic { op: ArithmeticOp::Multiply | ArithmeticOp::Divide, .. } => Level::Term,
        ExprKind::Literal(_) | ExprKind::Negate(_) => Level::Atom,
        ExprKind::Aggregate(_) | ExprKind::Field(_) | ExprKind::Trait(_) => Level::Named,
        _ => Level::Predicate,
    }
}

/// The canonical text, broken before each part of the outermost `and` or `or`.
pub fn lines(expr: &Expr) -> Vec<String> {
    let (all, word, at) = match &expr.kind {
        ExprKind::Or(all) => (all, "or", Level::And),
        ExprKind::And(all) => (all, "and", Level::Not),
        _ => return vec![expr.to_string()],
    };
    let line = |(i, part)| if i == 0 { At(at, part).to_string() } else { format!("{word} {}", At(at, part)) };
    all.iter().enumerate().map(line).collect()
}

/// An expression where at least `at` is wanted.
struct At<'a>(Level, &'a Expr);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if level(&self.1.kind) >= self.0 { write!(f, "{}", self.1) } else { write!(f, "({})", self.1) }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sum = |e| At(Level::Sum, e);
        match &self.kind {
            ExprKind::Or(all) => joined(f, all, " or ", Level::And),
            ExprKind::And(all) => joined(f, all, " and ", Level::Not),
            ExprKind::Not(inner) => write!(f, "not {}", At(Level::Not, inner)),
            ExprKind::Compare { op, left, right } => write!(f, "{} {} {}", sum(left), op.as_str(), sum(right)),
            ExprKind::Between { value, low, high } => write!(f, "{} between {} and {}", sum(value), sum(low), sum(high)),
            ExprKind::InRange { value, low, low_included, high, high_included } => {
                let (open, close) = (if *low_included { '[' } else { '(' }, if *high_included { ']' } else { ')' });
                write!(f, "{} in {open}{}, {}{close}", sum(value), sum(low), sum(high))
            }
            ExprKind::InSet { value, set } => {
                write!(f, "{} in {{", sum(value))?;
                list(f, set, ", ")?;
                f.write_str("}")
            }
            ExprKind::Contains { value, element } => write!(f, "{} contains {element}", sum(value)),
            ExprKind::IsNull { value, negated } => write!(f, "{} is {}null", sum(value), if *negated { "not " } else { "" }),
            ExprKind::Arithmetic { op, left, right } => arithmetic(f, *op, left, right),
            _ => self.fmt_leaf(f),
        }
    }
}

impl Expr {
    fn fmt_leaf(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Negate(inner) => write!(f, "-{}", At(Level::Named, inner)),
            ExprKind::Literal(literal) => literal.fmt(f),
            ExprKind::Field(name) => f.write_str(&name.text),
            ExprKind::Trait(name) => write!(f, "trait.{}", TraitName(&name.text)),
            ExprKind::Aggregate(aggregate) => aggregate.fmt(f),
            ExprKind::Quantified { quantifier, over, condition } => write!(f, "{}({over}: {condition})", quantifier.as_str()),
            ExprKind::Segment { key, last: None } => write!(f, "segment({})", Quoted(&key.text)),
            ExprKind::Segment { key, last: Some(span) } => write!(f, "segment({} last {span})", Quoted(&key.text)),
            ExprKind::List(name) => write!(f, "list({})", Quoted(&name.text)),
            ExprKind::Returned { stream, after, within } => write!(f, "returned({} after {after} within {within})", stream.text),
            ExprKind::Sequence(sequence) => sequence.fmt(f),
            ExprKind::Top { percent, by } => write!(f, "top {percent}% by {by}"),
            _ => Ok(()),
        }
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: impl IntoIterator<Item = T>, separator: &str) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if i > 0 { separator } else { "" })?;
    }
    Ok(())
}

fn joined(f: &mut Formatter<'_>, all: &[Expr], separator: &str, at: Level) -> fmt::Result {
    list(f, all.iter().map(|e| At(at, e)), separator)
}

/// Operators of one level group to the left: `a - (b - c)` keeps its parentheses, `(a - b) - c` does not.
fn arithmetic(f: &mut Formatter<'_>, op: ArithmeticOp, left: &Expr, right: &Expr) -> fmt::Result {
    let (left_at, right_at) = match op {
        ArithmeticOp::Add | ArithmeticOp::Subtract => (Level::Sum, Level::Term),
        ArithmeticOp::Multiply | ArithmeticOp::Divide => (Level::Term, Level::Atom),
    };
    write!(f, "{} {} {}", At(left_at, left), op.as_str(), At(right_at, right))
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Number(number) => number.fmt(f),
            Literal::Text(text) => Quoted(text).fmt(f),
            Literal::Bool(value) => value.fmt(f),
        }
    }
}

struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// The name of a trait after its dot: bare where it is a word, since most are.
pub(super) struct TraitName<'a>(pub &'a str);

impl Display for TraitName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_identifier(self.0) { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function.as_str(), self.over)
    }
}

impl Display for Selection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stream.text)?;
        if let Some(field) = &self.field {
            write!(f, ".{}", field.text)?;
        }
        write!(f, " {}", self.window)?;
        where_filter(f, self.filter.as_deref())
    }
}

fn where_filter(f: &mut Formatter<'_>, filter: Option<&Expr>) -> fmt::Result {
    filter.map_or(Ok(()), |filter| write!(f, " where {filter}"))
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Window::Last(span) => write!(f, "last {span}"),
            Window::OlderThan(span) => write!(f, "older than {span}"),
            Window::FromTo { from, to } => write!(f, "from {from} to {to} ago"),
            Window::Since(date) => write!(f, "since {date}"),
            Window::This(unit) => write!(f, "this {}", calendar_word(*unit)),
            Window::Previous(unit) => write!(f, "previous {}", calendar_word(*unit)),
            Window::Lifetime => f.write_str("lifetime"),
        }
    }
}

impl Display for Sequence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("sequence(")?;
        list(f, &self.steps, " then ")?;
        if let Some(span) = self.last {
            write!(f, " last {span}")?;
        }
        f.write_str(")")
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.absent { "no " } else { "" }, self.stream.text)?;
        where_filter(f, self.filter.as_deref())?;
        if let Some(field) = &self.same {
            write!(f, " same {}", field.text)?;
        }
        self.within.map_or(Ok(()), |span| write!(f, " within {span}"))
    }
}
