//! An expression against a whole history at one instant, by the definitions of the contract, from scratch each time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::tz::TimeZone;
use num_rational::BigRational;
use segmentd::event::Catalogue;
use segmentd::rule::ast::{Aggregate, CompareOp, Expr, ExprKind, Function, Name, Quantifier, Selection, Window};

use super::calendar::{Calendar, start_of_date};
use super::history::{History, Row};
use super::value::Scalar;

/// A customer's memberships so far, by segment.
pub type Memberships = BTreeMap<String, Membership>;

#[derive(Clone, Default)]
pub struct Membership {
    pub member: bool,
    /// Of the last entry.
    pub entered_at: i64,
    /// The instants at which it was left.
    pub left: Vec<i64>,
    pub sequence: u64,
    pub entry: u64,
}

/// Everything that a rule may look at.
pub struct View<'a> {
    pub catalogue: &'a Catalogue,
    pub calendars: &'a [Calendar],
    pub zone: &'a TimeZone,
    pub history: &'a History,
    pub memberships: &'a Memberships,
    /// The lists that this customer is on.
    pub lists: &'a BTreeSet<String>,
    /// By the text of their `top`.
    pub cuts: &'a BTreeMap<String, BigRational>,
    pub now: i64,
}

impl View<'_> {
    pub fn holds(&self, rule: &Expr) -> bool {
        self.value(rule, None).is_true()
    }

    pub(super) fn value(&self, expr: &Expr, row: Option<&Row>) -> Scalar {
        let value = |e: &Expr| self.value(e, row);
        let holds = |e: &Expr| value(e).is_true();
        match &expr.kind {
            ExprKind::Or(parts) => Scalar::Bool(parts.iter().any(holds)),
            ExprKind::And(parts) => Scalar::Bool(parts.iter().all(holds)),
            ExprKind::Not(inner) => Scalar::Bool(!holds(inner)),
            ExprKind::Compare { op, left, right } => Scalar::Bool(value(left).compare(*op, &value(right))),
            ExprKind::Between { value: v, low, high } => Scalar::Bool(within(&value(v), &value(low), true, &value(high), true)),
            ExprKind::InRange { value: v, low, low_included, high, high_included } => {
                Scalar::Bool(within(&value(v), &value(low), *low_included, &value(high), *high_included))
            }
            ExprKind::InSet { value: v, set } => {
                let v = value(v);
                Scalar::Bool(set.iter().any(|literal| v.compare(CompareOp::Equal, &Scalar::literal(literal))))
            }
            ExprKind::Contains { value: v, element } => Scalar::Bool(value(v).contains(&Scalar::literal(element))),
            ExprKind::IsNull { value: v, negated } => Scalar::Bool((value(v) == Scalar::Null) != *negated),
            ExprKind::Arithmetic { op, left, right } => value(left).arithmetic(*op, &value(right)),
            ExprKind::Negate(inner) => Scalar::whole(0).arithmetic(segmentd::rule::ast::ArithmeticOp::Subtract, &value(inner)),
            ExprKind::Literal(literal) => Scalar::literal(literal),
            ExprKind::Field(name) => row.and_then(|row| row.fields.get(name.text.as_str())).cloned().unwrap_or(Scalar::Null),
            ExprKind::Trait(name) => self.history.trait_value(&name.text, self.catalogue),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Quantified { quantifier, over, condition } => self.quantified(*quantifier, over, condition),
            ExprKind::Segment { key, last } => Scalar::Bool(self.was_member(&key.text, last.map(|span| span.millis()))),
            ExprKind::List(name) => Scalar::Bool(self.lists.contains(name.text.as_str())),
            ExprKind::Returned { stream, after, within } => Scalar::Bool(self.returned(stream, after.millis(), within.millis())),
            ExprKind::Sequence(sequence) => Scalar::Bool(self.sequence(sequence)),
            ExprKind::Top { by, .. } => Scalar::Bool(self.cut(expr).is_some_and(|cut| self.rank(by).is_some_and(|value| value >= *cut))),
        }
    }

    /// The cut in force; that of a local window also goes by the zone.
    fn cut(&self, top: &Expr) -> Option<&BigRational> {
        let zoned = || format!("{top} in {}", self.zone.iana_name().unwrap_or("UTC"));
        self.cuts.get(&top.to_string()).or_else(|| self.cuts.get(&zoned()))
    }

    /// The value by which the customer ranks. Who has no event for the aggregate ranks nowhere.
    pub fn rank(&self, by: &Aggregate) -> Option<BigRational> {
        let all = self.rows(&by.over.stream);
        let field = by.over.field.as_ref().map(|name| name.text.as_str());
        let counts = |value: &Scalar| by.function != Function::Sum || value.number().is_some();
        let seen = self.selected(&all, &by.over).iter().any(|row| field.is_none_or(|name| elements(row, name).iter().any(counts)));
        self.aggregate(by).number().filter(|_| seen).cloned()
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Scalar {
        let all = self.rows(&aggregate.over.stream);
        let rows = self.selected(&all, &aggregate.over);
        let field = aggregate.over.field.as_ref().map(|name| name.text.as_str());
        let rows: Vec<&Row> = rows.iter().copied().filter(|row| field.is_none_or(|name| !elements(row, name).is_empty())).collect();
        let values: Vec<Scalar> = field.map_or(Vec::new(), |name| rows.iter().flat_map(|row| elements(row, name)).collect());
        let numbers = || values.iter().filter_map(Scalar::number);
        let number = |n: Option<BigRational>| n.map_or(Scalar::Null, Scalar::Number);
        let elapsed = |row: Option<&&Row>| row.map_or(Scalar::Null, |row| Scalar::whole((self.now - row.time).div_euclid(86_400_000)));
        match aggregate.function {
            Function::Count => Scalar::whole(if field.is_some() { values.len() } else { rows.len() } as i64),
            Function::Sum => Scalar::Number(numbers().sum()),
            Function::Avg => {
                let count = numbers().count();
                number((count > 0).then(|| numbers().sum::<BigRational>() / BigRational::from_integer(count.into())))
            }
            Function::Min => number(numbers().min().cloned()),
            Function::Max => number(numbers().max().cloned()),
            Function::Distinct => Scalar::whole(values.iter().collect::<BTreeSet<_>>().len() as i64),
            Function::First => values.first().cloned().unwrap_or(Scalar::Null),
            Function::Latest => values.last().cloned().unwrap_or(Scalar::Null),
            Function::DaysSince => elapsed(rows.last()),
            Function::DaysSinceFirst => elapsed(rows.first()),
        }
    }

    fn quantified(&self, quantifier: Quantifier, over: &Selection, condition: &Expr) -> Scalar {
        let all = self.rows(&over.stream);
        let mut rows = self
            .selected(&all, over)
            .into_iter()
            .filter(|row| over.field.as_ref().is_none_or(|name| !elements(row, &name.text).is_empty()));
        let satisfies = |row: &Row| self.value(condition, Some(row)).is_true();
        Scalar::Bool(match quantifier {
            Quantifier::Every => rows.all(satisfies),
            Quantifier::Any => rows.any(satisfies),
            Quantifier::None => !rows.any(satisfies),
        })
    }

    /// The rows that are in the window and pass the filter.
    fn selected<'r>(&self, rows: &'r [Row], selection: &Selection) -> Vec<&'r Row> {
        let passes = |row: &Row| selection.filter.as_ref().is_none_or(|filter| self.value(filter, Some(row)).is_true());
        rows.iter().filter(|row| self.in_window(&selection.window, row.time) && passes(row)).collect()
    }

    pub(super) fn rows(&self, stream: &Name) -> Rc<Vec<Row>> {
        self.history.rows(self.catalogue.find(&stream.text).unwrap(), self.catalogue)
    }

    fn in_window(&self, window: &Window, time: i64) -> bool {
        let now = self.now;
        match window {
            Window::Last(span) => now - span.millis() < time && time <= now,
            Window::OlderThan(span) => time <= now - span.millis(),
            Window::FromTo { from, to } => now - from.millis() < time && time <= now - to.millis(),
            Window::Since(date) => start_of_date(self.zone, date.0) <= time,
            Window::This(unit) => self.calendar(*unit).bounds(now).0 <= time,
            Window::Previous(unit) => {
                let calendar = self.calendar(*unit);
                calendar.start_of_previous(now) <= time && time < calendar.bounds(now).0
            }
            Window::Lifetime => true,
        }
    }

    fn calendar(&self, unit: segmentd::time::CalendarUnit) -> &Calendar {
        self.calendars.iter().find(|calendar| calendar.is(self.zone, unit)).unwrap()
    }

    fn was_member(&self, key: &str, last: Option<i64>) -> bool {
        let Some(membership) = self.memberships.get(key) else { return false };
        let recently = |span: i64| membership.left.iter().any(|left| self.now - span < *left && *left <= self.now);
        membership.member || last.is_some_and(recently)
    }

    fn returned(&self, stream: &Name, after: i64, within: i64) -> bool {
        let rows = self.rows(stream);
        let recent = |row: &Row| self.now - within < row.time && row.time <= self.now;
        rows.windows(2).any(|pair| recent(&pair[1]) && pair[1].time - pair[0].time >= after)
    }
}

/// What an aggregate of a field sees of one event: nothing, a value, or every element that is not null.
fn elements(row: &Row, field: &str) -> Vec<Scalar> {
    match row.fields.get(field) {
        None | Some(Scalar::Null) => Vec::new(),
        Some(Scalar::List(items)) => items.iter().filter(|item| **item != Scalar::Null).cloned().collect(),
        Some(value) => vec![value.clone()],
    }
}

fn within(value: &Scalar, low: &Scalar, low_included: bool, high: &Scalar, high_included: bool) -> bool {
    let above = if low_included { CompareOp::GreaterOrEqual } else { CompareOp::Greater };
    let below = if high_included { CompareOp::LessOrEqual } else { CompareOp::Less };
    value.compare(above, low) && value.compare(below, high)
}
