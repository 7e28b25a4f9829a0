//! Formulas: a rule's expressions with every name resolved to a position, and their evaluation.
//!
//! **Invariant:** evaluation is total. Null logic is that of semantics §3: null in arithmetic gives null, a comparison
//! with null or between different types is false (`!=` too), division by zero is null.

use crate::event::{Scalar, Value};
use crate::money::Number;
use crate::rule::ast::{ArithmeticOp, CompareOp};
use crate::time::Span;

#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    Literal(Value),
    /// A literal, ready for arithmetic.
    Number(Number),
    Leaf(Leaf),
    Arithmetic {
        op: ArithmeticOp,
        left: Box<Formula>,
        right: Box<Formula>,
    },
    Negate(Box<Formula>),
    Compare {
        op: CompareOp,
        left: Box<Formula>,
        right: Box<Formula>,
    },
    /// `between`, `in [a, b)`; the flags say which end is included.
    Range {
        value: Box<Formula>,
        low: (Box<Formula>, bool),
        high: (Box<Formula>, bool),
    },
    InSet {
        value: Box<Formula>,
        set: Vec<Value>,
    },
    Contains {
        value: Box<Formula>,
        element: Value,
    },
    IsNull {
        value: Box<Formula>,
        negated: bool,
    },
    Not(Box<Formula>),
    And(Vec<Formula>),
    Or(Vec<Formula>),
}

/// What a formula reads. Cells and `redeemed` stand in row conditions, the others in predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    Cell(usize),
    Redeemed,
    Trait(usize),
    Aggregate(usize),
    /// An aggregate's value by which customers rank: null where it sees nothing.
    Ranked(usize),
    /// The value from which on customers are among the top, by position in [`super::Plan::cuts`]; null before there is one.
    Cut(usize),
    Segment {
        segment: usize,
        last: Option<Span>,
    },
    List(usize),
    Sequence(usize),
}

/// An end of an interval, and whether it belongs to it.
pub type End<'a> = (&'a Formula, bool);

impl Formula {
    pub fn evaluate<'a>(&'a self, leaf: &impl Fn(Leaf) -> Scalar<'a>) -> Scalar<'a> {
        match self {
            Formula::Literal(value) => value.as_scalar(),
            Formula::Number(n) => Scalar::Number(n.clone()),
            Formula::Leaf(at) => leaf(*at),
            Formula::Arithmetic { op, left, right } => arithmetic(*op, left.evaluate(leaf), right.evaluate(leaf)),
            Formula::Negate(value) => match value.evaluate(leaf) {
                Scalar::Number(n) => Scalar::Number(n.negated()),
                _ => Scalar::Null,
            },
            _ => Scalar::Bool(self.decide(leaf)),
        }
    }

    /// The truth of a formula: null and anything that is not a boolean is false.
    pub fn holds<'a>(&'a self, leaf: &impl Fn(Leaf) -> Scalar<'a>) -> bool {
        match self {
            Formula::Literal(_) | Formula::Number(_) | Formula::Leaf(_) | Formula::Arithmetic { .. } | Formula::Negate(_) => {
                self.evaluate(leaf) == Scalar::Bool(true)
            }
            _ => self.decide(leaf),
        }
    }

    fn decide<'a>(&'a self, leaf: &impl Fn(Leaf) -> Scalar<'a>) -> bool {
        match self {
            Formula::Compare { op, left, right } => compare(*op, &left.evaluate(leaf), &right.evaluate(leaf)),
            Formula::Range { value, low, high } => {
                let value = value.evaluate(leaf);
                let (above, below) = (
                    if low.1 { CompareOp::GreaterOrEqual } else { CompareOp::Greater },
                    if high.1 { CompareOp::LessOrEqual } else { CompareOp::Less },
                );
                compare(above, &value, &low.0.evaluate(leaf)) && compare(below, &value, &high.0.evaluate(leaf))
            }
            Formula::InSet { value, set } => {
                let value = value.evaluate(leaf);
                set.iter().any(|element| compare(CompareOp::Equal, &value, &element.as_scalar()))
            }
            Formula::Contains { value, element } => contains(&value.evaluate(leaf), element),
            Formula::IsNull { value, negated } => (value.evaluate(leaf) == Scalar::Null) != *negated,
            Formula::Not(inner) => !inner.holds(leaf),
            Formula::And(parts) => parts.iter().all(|part| part.holds(leaf)),
            Formula::Or(parts) => parts.iter().any(|part| part.holds(leaf)),
            Formula::Literal(_) | Formula::Number(_) | Formula::Leaf(_) | Formula::Arithmetic { .. } | Formula::Negate(_) => {
                self.holds(leaf)
            }
        }
    }

    /// What a comparison looks at, and the ends between which it holds. `None`: of another form, or `!=`.
    pub fn interval(&self) -> Option<(&Formula, Option<End<'_>>, Option<End<'_>>)> {
        match self {
            Formula::Compare { op, left, right } => {
                let end = |included| Some((&**right, included));
                let (low, high) = match op {
                    CompareOp::Equal => (end(true), end(true)),
                    CompareOp::Less => (None, end(false)),
                    CompareOp::LessOrEqual => (None, end(true)),
                    CompareOp::Greater => (end(false), None),
                    CompareOp::GreaterOrEqual => (end(true), None),
                    CompareOp::NotEqual => return None,
                };
                Some((left, low, high))
            }
            Formula::Range { value, low, high } => Some((value, Some((&*low.0, low.1)), Some((&*high.0, high.1)))),
            _ => None,
        }
    }

    /// Calls `f` with every leaf.
    pub fn each_leaf(&self, f: &mut impl FnMut(Leaf)) {
        if let Formula::Leaf(leaf) = self {
            f(*leaf);
        }
        self.parts().into_iter().for_each(|part| part.each_leaf(f));
    }

    /// The same formula over other positions.
    pub fn with_leaves(&self, change: &impl Fn(Leaf) -> Leaf) -> Formula {
        let mut formula = self.clone();
        formula.replace_leaves(change);
        formula
    }

    fn replace_leaves(&mut self, change: &impl Fn(Leaf) -> Leaf) {
        match self {
            Formula::Leaf(leaf) => *leaf = change(*leaf),
            Formula::Literal(_) | Formula::Number(_) => {}
            Formula::Arithmetic { left, right, .. } | Formula::Compare { left, right, .. } => {
                left.replace_leaves(change);
                right.replace_leaves(change);
            }
            Formula::Range { value, low, high } => {
                [value, &mut low.0, &mut high.0].into_iter().for_each(|part| part.replace_leaves(change))
            }
            Formula::Negate(value) | Formula::Not(value) => value.replace_leaves(change),
            Formula::InSet { value, .. } | Formula::Contains { value, .. } | Formula::IsNull { value, .. } => value.replace_leaves(change),
            Formula::And(parts) | Formula::Or(parts) => parts.iter_mut().for_each(|part| part.replace_leaves(change)),
        }
    }

    fn parts(&self) -> Vec<&Formula> {
        match self {
            Formula::Literal(_) | Formula::Number(_) | Formula::Leaf(_) => vec![],
            Formula::Arithmetic { left, right, .. } | Formula::Compare { left, right, .. } => vec![left, right],
            Formula::Range { value, low, high } => vec![value, &low.0, &high.0],
            Formula::Negate(value) | Formula::Not(value) => vec![value],
            Formula::InSet { value, .. } | Formula::Contains { value, .. } | Formula::IsNull { value, .. } => vec![value],
            Formula::And(parts) | Formula::Or(parts) => parts.iter().collect(),
        }
    }
}

fn arithmetic<'a>(op: ArithmeticOp, left: Scalar<'a>, right: Scalar<'a>) -> Scalar<'a> {
    let (Scalar::Number(a), Scalar::Number(b)) = (left, right) else { return Scalar::Null };
    let result = match op {
        ArithmeticOp::Add => Some(a.plus(&b)),
        ArithmeticOp::Subtract => Some(a.minus(&b)),
        ArithmeticOp::Multiply => Some(a.times(&b)),
        ArithmeticOp::Divide => a.divided_by(&b),
    };
    result.map_or(Scalar::Null, Scalar::Number)
}

fn compare(op: CompareOp, left: &Scalar<'_>, right: &Scalar<'_>) -> bool {
    match (left, right) {
        (Scalar::Number(a), Scalar::Number(b)) => op.accepts(a.cmp(b)),
        (Scalar::Text(a), Scalar::Text(b)) => same(op, a == b),
        (Scalar::Bool(a), Scalar::Bool(b)) => same(op, a == b),
        _ => false,
    }
}

/// Text and booleans know `==` and `!=` only.
fn same(op: CompareOp, equal: bool) -> bool {
    match op {
        CompareOp::Equal => equal,
        CompareOp::NotEqual => !equal,
        _ => false,
    }
}

fn contains(value: &Scalar<'_>, element: &Value) -> bool {
    match (value, element) {
        (Scalar::List(items), _) => items.iter().any(|item| compare(CompareOp::Equal, &item.as_scalar(), &element.as_scalar())),
        (Scalar::Text(text), Value::Text(part)) => text.contains(part.as_str()),
        _ => false,
    }
}
