//! The rule language as a tree: what the parser makes, the checker reads, the printer writes back and the plan compiles.
//!
//! **Invariant:** two trees are equal when they mean the same text; where it stood ([`Place`]) takes no part in
//! equality or hashing, so that shared aggregates are found by comparing trees.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::json::{calendar_unit, date, duration, number, some_duration};
use crate::time::{CalendarDate, CalendarUnit, Span};

/// Bytes `start..end` of the rule's text. Equal to every other place, by design.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub start: u32,
    pub end: u32,
}

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A name and where it stood.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name {
    pub text: SmolStr,
    #[serde(skip)]
    pub place: Place,
}

/// An expression: logic, comparison, arithmetic and atoms are one type, since parentheses mix them freely.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expr {
    pub kind: ExprKind,
    #[serde(skip)]
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExprKind {
    /// Two or more.
    Or(Vec<Expr>),
    /// Two or more.
    And(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        op: CompareOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// Both ends included.
    Between {
        value: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
    },
    /// `in [low, high)`: `low_included` for `[`, `high_included` for `]`.
    InRange {
        value: Box<Expr>,
        low: Box<Expr>,
        low_included: bool,
        high: Box<Expr>,
        high_included: bool,
    },
    /// One or more literals, as written.
    InSet {
        value: Box<Expr>,
        set: Vec<Literal>,
    },
    Contains {
        value: Box<Expr>,
        element: Literal,
    },
    IsNull {
        value: Box<Expr>,
        negated: bool,
    },
    Arithmetic {
        op: ArithmeticOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Negate(Box<Expr>),
    Literal(Literal),
    /// A field of the event; only inside a filter. Dotted as rules write it: `products.category`.
    Field(Name),
    /// `trait.NAME`
    Trait(Name),
    Aggregate(Box<Aggregate>),
    /// `every|any|none (stream: condition)`
    Quantified {
        quantifier: Quantifier,
        over: Box<Selection>,
        condition: Box<Expr>,
    },
    /// `segment("x")` or `segment("x" last W)`
    Segment {
        key: Name,
        #[serde(default, with = "some_duration", skip_serializing_if = "Option::is_none")]
        last: Option<Span>,
    },
    /// `list("x")`
    List(Name),
    /// `returned(stream after GAP within WITHIN)`
    Returned {
        stream: Name,
        #[serde(with = "duration")]
        after: Span,
        #[serde(with = "duration")]
        within: Span,
    },
    Sequence(Box<Sequence>),
    /// `top PERCENT% by aggregate`
    Top {
        #[serde(with = "number")]
        percent: Decimal,
        by: Box<Aggregate>,
    },
}

/// `fn(selection)`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    pub function: Function,
    pub over: Selection,
}

/// `stream[.field] window [where filter]`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    pub stream: Name,
    /// The dotted rest: `total`, `products.category`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Name>,
    pub window: Window,
    #[serde(skip)]
    pub window_place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Box<Expr>>,
}

/// Which events of a stream an aggregate sees (semantics, "Windows").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Window {
    /// `last W`: `t − W < time ≤ t`
    Last(#[serde(with = "duration")] Span),
    /// `older than W`: `time ≤ t − W`
    OlderThan(#[serde(with = "duration")] Span),
    /// `from A to B ago`, A > B: `t − A < time ≤ t − B`
    FromTo {
        #[serde(with = "duration")]
        from: Span,
        #[serde(with = "duration")]
        to: Span,
    },
    Since(#[serde(with = "date")] CalendarDate),
    This(#[serde(with = "calendar_unit")] CalendarUnit),
    Previous(#[serde(with = "calendar_unit")] CalendarUnit),
    Lifetime,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// One or more.
    pub steps: Vec<Step>,
    #[serde(default, with = "some_duration", skip_serializing_if = "Option::is_none")]
    pub last: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `no STREAM`
    #[serde(default)]
    pub absent: bool,
    pub stream: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Box<Expr>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<Name>,
    /// Never on the first step.
    #[serde(default, with = "some_duration", skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// Compared by value: 10 equals 10.00; printed as written.
    Number(#[serde(with = "number")] Decimal),
    Text(SmolStr),
    Bool(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl CompareOp {
    /// Whether the comparison holds of a left side that stands so to the right one.
    pub fn accepts(self, ordering: Ordering) -> bool {
        match self {
            CompareOp::Equal => ordering.is_eq(),
            CompareOp::NotEqual => ordering.is_ne(),
            CompareOp::Less => ordering.is_lt(),
            CompareOp::LessOrEqual => ordering.is_le(),
            CompareOp::Greater => ordering.is_gt(),
            CompareOp::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantifier {
    Every,
    Any,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Distinct,
    First,
    Latest,
    DaysSince,
    DaysSinceFirst,
}
