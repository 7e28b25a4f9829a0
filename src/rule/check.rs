//! Names and types of one rule, before anything runs.
//!
//! A rule that passes cannot go wrong later: every stream and field exists, every operator gets what it works on. What
//! is only known at run time, a trait's type, is let through. Doubtful but legal rules get warnings (`lint`).
//!
//! **Invariant:** one mistake, one finding: what is wrong gets the type [`Type::Any`], which fits everywhere.

mod bounds;
mod lint;
mod names;
mod nobody;
mod sequence;
#[cfg(test)]
mod tests;
mod top;

use super::ast::{ArithmeticOp, CompareOp, Expr, ExprKind, Literal, Place, Selection};
use super::diagnostic::Finding;
use crate::event::{Catalogue, StreamIndex};
pub use bounds::{Interval, demand};

/// What is known of a value before it is there. Any of them may also be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number,
    Text,
    Boolean,
    /// Of elements.
    List(Scalar),
    /// A trait, or something already found wrong.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    Number,
    Text,
    Boolean,
}

/// Where an expression stands, which decides what it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Rule,
    /// Inside `where`, `every`, `any` or `none`: an event of this stream, if the stream exists.
    Filter(Option<StreamIndex>),
}

/// Everything wrong or doubtful in a rule, in the order of its text.
pub fn check(rule: &Expr, catalogue: &Catalogue) -> Vec<Finding> {
    let mut checker = Checker { catalogue, findings: Vec::new() };
    checker.condition(rule, Scope::Rule);
    if checker.findings.is_empty() {
        checker.findings = lint::lint(rule);
        bounds::lint(rule, &mut checker.findings);
        nobody::unbounded(rule, &mut checker.findings);
        top::lint(rule, &mut checker.findings);
    }
    checker.findings.sort_by_key(|finding| finding.place.start);
    checker.findings
}

/// What is doubtful about a rule by which customers enter, beyond what [`check`] says of every rule: an `exit_when` looks
/// at members only, for whom absence needs no baseline.
pub fn check_entry(when: &Expr) -> Vec<Finding> {
    nobody::lint(when)
}

/// What is doubtful about an `exit_when` beside its `when`.
pub fn check_exit(when: &Expr, exit_when: &Expr) -> Vec<Finding> {
    let always = match (demand(when), demand(exit_when)) {
        (Some((value, entered)), Some((exit_value, left))) => value == exit_value && !entered.is_empty() && entered.is_within(left),
        _ => when == exit_when,
    };
    let finding = || {
        Finding::warning("never-holds", exit_when.place, format!("this holds whenever `{when}` does, so nobody ever enters"))
            .help("`exit_when` wins over `when`: let it begin where `when` has ended")
    };
    always.then(finding).into_iter().collect()
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    findings: Vec<Finding>,
}

impl Type {
    fn of(literal: &Literal) -> Type {
        match literal {
            Literal::Number(_) => Type::Number,
            Literal::Text(_) => Type::Text,
            Literal::Bool(_) => Type::Boolean,
        }
    }

    /// As a message calls it.
    fn describe(self) -> &'static str {
        match self {
            Type::Number => "a number",
            Type::Text => "a text",
            Type::Boolean => "true or false",
            Type::List(_) => "an array",
            Type::Any => "a value",
        }
    }

    fn fits(self, other: Type) -> bool {
        self == other || self == Type::Any || other == Type::Any
    }
}

impl From<Scalar> for Type {
    fn from(scalar: Scalar) -> Type {
        match scalar {
            Scalar::Number => Type::Number,
            Scalar::Text => Type::Text,
            Scalar::Boolean => Type::Boolean,
        }
    }
}

impl Checker<'_> {
    fn error(&mut self, code: &'static str, place: Place, message: impl Into<String>) {
        self.findings.push(Finding::error(code, place, message));
    }

    /// What must be true or false.
    fn condition(&mut self, expr: &Expr, scope: Scope) {
        let found = self.type_of(expr, scope);
        if !found.fits(Type::Boolean) {
            let message = format!("a condition is expected here, and this is {}", found.describe());
            self.findings.push(Finding::error("not-a-condition", expr.place, message).help("compare it with something"));
        }
    }

    fn number(&mut self, expr: &Expr, scope: Scope, why: &str) {
        let found = self.type_of(expr, scope);
        if !found.fits(Type::Number) {
            let message = format!("{why} works on numbers, and this is {}", found.describe());
            let finding = Finding::error("not-a-number", expr.place, message);
            let set = why == "a range" && found == Type::Text;
            self.findings.push(if set { finding.help("a set of texts stands in braces: `in {\"a\", \"b\"}`") } else { finding });
        }
    }

    fn type_of(&mut self, expr: &Expr, scope: Scope) -> Type {
        match &expr.kind {
            ExprKind::Arithmetic { op, left, right } => self.arithmetic(*op, left, right, scope),
            ExprKind::Negate(inner) => {
                self.number(inner, scope, "`-`");
                Type::Number
            }
            ExprKind::Literal(literal) => Type::of(literal),
            ExprKind::Field(name) => self.field_in(name, scope),
            ExprKind::Trait(_) => {
                self.only_in_rule(expr.place, scope, "a trait");
                Type::Any
            }
            ExprKind::Aggregate(aggregate) => {
                self.only_in_rule(expr.place, scope, "an aggregate");
                self.aggregate(aggregate, expr.place)
            }
            _ => {
                self.predicate(expr, scope);
                Type::Boolean
            }
        }
    }

    fn arithmetic(&mut self, op: ArithmeticOp, left: &Expr, right: &Expr, scope: Scope) -> Type {
        if op == ArithmeticOp::Subtract && scope == Scope::Rule && self.hyphenated(left, right) {
            return Type::Any;
        }
        let why = format!("`{}`", op.as_str());
        self.number(left, scope, &why);
        self.number(right, scope, &why);
        Type::Number
    }

    /// Everything that is true or false by itself.
    fn predicate(&mut self, expr: &Expr, scope: Scope) {
        match &expr.kind {
            ExprKind::Or(all) | ExprKind::And(all) => all.iter().for_each(|e| self.condition(e, scope)),
            ExprKind::Not(inner) => self.condition(inner, scope),
            ExprKind::Compare { op, left, right } => self.compare(*op, left, right, expr.place, scope),
            ExprKind::Between { value, low, high } | ExprKind::InRange { value, low, high, .. } => {
                [value, low, high].into_iter().for_each(|e| self.number(e, scope, "a range"));
            }
            ExprKind::InSet { value, set } => self.in_set(value, set, scope),
            ExprKind::Contains { value, element } => self.contains(value, element, scope),
            ExprKind::IsNull { value, .. } => {
                self.type_of(value, scope);
            }
            _ => self.call(expr, scope),
        }
    }

    /// The conditions that look like a call; none of them looks at a single event.
    fn call(&mut self, expr: &Expr, scope: Scope) {
        match &expr.kind {
            ExprKind::Quantified { quantifier, over, condition } => {
                self.only_in_rule(expr.place, scope, &format!("`{}`", quantifier.as_str()));
                self.quantified(over, condition);
            }
            ExprKind::Segment { .. } => self.only_in_rule(expr.place, scope, "a segment"),
            ExprKind::List(_) => self.only_in_rule(expr.place, scope, "a list"),
            ExprKind::Returned { stream, .. } => {
                self.only_in_rule(expr.place, scope, "`returned`");
                self.stream(stream);
            }
            ExprKind::Sequence(sequence) => {
                self.only_in_rule(expr.place, scope, "`sequence`");
                self.sequence(sequence);
            }
            ExprKind::Top { percent, by } => {
                self.only_in_rule(expr.place, scope, "`top`");
                self.top(*percent, by, expr.place);
            }
            _ => {}
        }
    }

    fn compare(&mut self, op: CompareOp, left: &Expr, right: &Expr, place: Place, scope: Scope) {
        let (left_type, right_type) = (self.type_of(left, scope), self.type_of(right, scope));
        let equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
        for (found, side) in [(left_type, left), (right_type, right)] {
            if matches!(found, Type::List(_)) {
                let finding = Finding::error("compared-array", side.place, "an array is not compared");
                return self.findings.push(finding.help("ask for one of its elements: `… contains \"x\"`"));
            }
            if !equality && !found.fits(Type::Number) {
                let message = format!("`{}` orders numbers, and this is {}", op.as_str(), found.describe());
                return self.error("not-ordered", side.place, message);
            }
        }
        if !left_type.fits(right_type) {
            let message = format!("{} is never equal to {}", left_type.describe(), right_type.describe());
            self.error("type-mismatch", place, message);
        }
    }

    fn in_set(&mut self, value: &Expr, set: &[Literal], scope: Scope) {
        let found = self.type_of(value, scope);
        if matches!(found, Type::List(_)) {
            let finding = Finding::error("compared-array", value.place, "an array is not compared");
            return self.findings.push(finding.help("ask for one of its elements: `… contains \"x\"`"));
        }
        if let Some(other) = set.iter().find(|literal| !found.fits(Type::of(literal))) {
            self.error("type-mismatch", value.place, format!("this is {}, and never equal to {other}", found.describe()));
        }
    }

    fn contains(&mut self, value: &Expr, element: &Literal, scope: Scope) {
        let inside = match self.type_of(value, scope) {
            Type::List(scalar) => Type::from(scalar),
            found @ (Type::Text | Type::Any) => found,
            other => {
                return self.error(
                    "not-an-array",
                    value.place,
                    format!("`contains` looks into a text or an array, and this is {}", other.describe()),
                );
            }
        };
        if !inside.fits(Type::of(element)) {
            self.error("type-mismatch", value.place, format!("this holds {}, never {element}", inside.describe()));
        }
    }

    /// With a field, the events that have it: `every(orders.total last 30d: …)`.
    fn quantified(&mut self, over: &Selection, condition: &Expr) {
        let stream = self.selection(over);
        self.condition(condition, Scope::Filter(stream));
    }
}
