//! Values of the naive evaluator: exact rationals of any size, and null wherever types do not fit.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;
use rust_decimal::Decimal;
use segmentd::event::Value;
use segmentd::rule::ast::{ArithmeticOp, CompareOp, Literal};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    Null,
    Bool(bool),
    Number(BigRational),
    Text(String),
    List(Vec<Scalar>),
}

pub fn exact(decimal: Decimal) -> BigRational {
    BigRational::new(BigInt::from(decimal.mantissa()), BigInt::from(10).pow(decimal.scale()))
}

impl Scalar {
    pub fn of(value: &Value) -> Scalar {
        match value {
            Value::Null => Scalar::Null,
            Value::Bool(flag) => Scalar::Bool(*flag),
            Value::Number(number) => Scalar::Number(exact(*number)),
            Value::Text(text) => Scalar::Text(text.to_string()),
            Value::List(values) => Scalar::List(values.iter().map(Scalar::of).collect()),
        }
    }

    pub fn literal(literal: &Literal) -> Scalar {
        match literal {
            Literal::Number(number) => Scalar::Number(exact(*number)),
            Literal::Text(text) => Scalar::Text(text.to_string()),
            Literal::Bool(flag) => Scalar::Bool(*flag),
        }
    }

    pub fn whole(number: i64) -> Scalar {
        Scalar::Number(BigRational::from_integer(number.into()))
    }

    pub fn is_true(&self) -> bool {
        *self == Scalar::Bool(true)
    }

    pub fn number(&self) -> Option<&BigRational> {
        match self {
            Scalar::Number(number) => Some(number),
            _ => None,
        }
    }

    /// False wherever a side is null, the types differ, an array takes part, or an order is asked of what has none.
    pub fn compare(&self, op: CompareOp, other: &Scalar) -> bool {
        if let (Some(left), Some(right)) = (self.number(), other.number()) {
            return match op {
                CompareOp::Equal => left == right,
                CompareOp::NotEqual => left != right,
                CompareOp::Less => left < right,
                CompareOp::LessOrEqual => left <= right,
                CompareOp::Greater => left > right,
                CompareOp::GreaterOrEqual => left >= right,
            };
        }
        let comparable = matches!((self, other), (Scalar::Text(_), Scalar::Text(_)) | (Scalar::Bool(_), Scalar::Bool(_)));
        match op {
            CompareOp::Equal => comparable && self == other,
            CompareOp::NotEqual => comparable && self != other,
            _ => false,
        }
    }

    /// Null where a side is no number, or a division is by zero.
    pub fn arithmetic(&self, op: ArithmeticOp, other: &Scalar) -> Scalar {
        let (Some(left), Some(right)) = (self.number(), other.number()) else { return Scalar::Null };
        Scalar::Number(match op {
            ArithmeticOp::Add => left + right,
            ArithmeticOp::Subtract => left - right,
            ArithmeticOp::Multiply => left * right,
            ArithmeticOp::Divide if right.is_zero() => return Scalar::Null,
            ArithmeticOp::Divide => left / right,
        })
    }

    /// An equal element of an array, or a substring.
    pub fn contains(&self, element: &Scalar) -> bool {
        match (self, element) {
            (Scalar::List(items), _) => items.iter().any(|item| item.compare(CompareOp::Equal, element)),
            (Scalar::Text(text), Scalar::Text(part)) => text.contains(part.as_str()),
            _ => false,
        }
    }
}
