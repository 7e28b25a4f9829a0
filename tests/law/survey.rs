//! What a set of rules looks at, as far as time is concerned: every length after which an event, an exit or a day could
//! change something.
//!
//! **Invariant:** may name too many instants, never too few.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use segmentd::event::streams::StreamDefinition;
use segmentd::rule::ast::{Aggregate, Expr, ExprKind, Function, Selection, Sequence, Step, Window};
use segmentd::time::{CalendarUnit, Span};

use super::calendar::Calendar;
use super::naive::Rule;
use super::publication::Goal;

const DAY: i64 = 86_400_000;

#[derive(Default)]
pub struct Survey {
    /// An event may change something this long after its time, ms.
    pub spans: Vec<i64>,
    /// An exit may change something this long after it.
    pub last_spans: Vec<i64>,
    /// All `min_stay` together.
    pub stays: i64,
    pub calendars: Vec<Calendar>,
    /// Every whole day after an event may change something.
    pub days_since: bool,
    /// How long an order can be refunded, cancelled or marked, ms.
    pub order_retention: i64,
    /// The streams that matter to some rule. Of the others no ids are kept: a repeat there cannot be told.
    pub remembered: BTreeSet<String>,
    /// A membership that has not ended by itself after this long never will.
    pub horizon: i64,
}

impl Survey {
    pub fn of(rules: &[Rule]) -> Survey {
        let mut survey = Survey { order_retention: 90 * DAY, ..Survey::default() };
        for rule in rules {
            each_of(rule, &mut |expr| survey.note(expr, &rule.zone));
            survey.stays += rule.min_stay.unwrap_or(0);
        }
        rules.iter().filter_map(|rule| rule.publication.goal.as_ref()).for_each(|goal| survey.experiment(goal));
        if survey.remembered.contains("orders") {
            survey.remembered.extend(["refunds", "cancellations"].map(String::from));
        }
        let all: i64 = survey.spans.iter().chain(&survey.last_spans).chain([&survey.stays]).sum();
        let slack = if survey.calendars.is_empty() { 0 } else { 800 * DAY } + if survey.days_since { 400 * DAY } else { 0 };
        survey.horizon = all + slack + 1;
        survey
    }

    fn note(&mut self, expr: &Expr, zone: &TimeZone) {
        match &expr.kind {
            ExprKind::Aggregate(aggregate) | ExprKind::Top { by: aggregate, .. } => {
                self.days_since |= matches!(aggregate.function, Function::DaysSince | Function::DaysSinceFirst);
                self.window(&aggregate.over, zone);
            }
            ExprKind::Quantified { over, condition, .. } => {
                self.window(over, zone);
                self.filter(condition);
            }
            ExprKind::Returned { stream, within, .. } => {
                self.remembered.insert(stream.text.to_string());
                self.bounded(&stream.text, &[within.millis()]);
            }
            ExprKind::Sequence(sequence) => self.sequence(sequence),
            ExprKind::Segment { last: Some(span), .. } => self.last_spans.push(span.millis()),
            ExprKind::Trait(_) => drop(self.remembered.insert("traits".into())),
            _ => {}
        }
    }

    /// A match is completed by an event, or so long after it as the last steps ask for silence; and so long after that it
    /// no longer counts.
    fn sequence(&mut self, sequence: &Sequence) {
        let silence =
            |steps: &[Step]| steps.iter().rev().take_while(|step| step.absent).filter_map(|step| step.within).map(Span::millis).sum();
        let (silence, last): (i64, i64) = (silence(&sequence.steps), sequence.last.map_or(0, Span::millis));
        self.spans.extend([silence, silence + last]);
        for (place, step) in sequence.steps.iter().enumerate() {
            self.remembered.insert(step.stream.text.to_string());
            step.filter.iter().for_each(|filter| self.filter(filter));
            if step.same.as_ref().is_some_and(|name| name.text == StreamDefinition::REDEEMED) {
                self.remembered.insert("coupons".into());
            }
            // Semantics §6, "Reach of a sequence".
            let later = &sequence.steps[place + usize::from(!step.absent)..];
            if sequence.last.is_some() && later.iter().all(|step| step.absent || step.within.is_some()) {
                let within: i64 = later.iter().filter_map(|step| step.within).map(Span::millis).sum();
                self.retain(&step.stream.text, last + within);
            }
        }
    }

    fn window(&mut self, over: &Selection, zone: &TimeZone) {
        let stream = over.stream.text.as_str();
        self.remembered.insert(stream.into());
        over.filter.iter().for_each(|filter| self.filter(filter));
        match &over.window {
            Window::Last(span) | Window::OlderThan(span) => self.bounded(stream, &[span.millis()]),
            Window::FromTo { from, to } => self.bounded(stream, &[from.millis(), to.millis()]),
            Window::This(unit) => self.calendar(stream, *unit, 1, zone),
            Window::Previous(unit) => self.calendar(stream, *unit, 2, zone),
            Window::Since(_) | Window::Lifetime => {}
        }
    }

    fn filter(&mut self, filter: &Expr) {
        each(filter, &mut |expr| {
            if matches!(&expr.kind, ExprKind::Field(name) if name.text == StreamDefinition::REDEEMED) {
                self.remembered.insert("coupons".into());
            }
        });
    }

    fn bounded(&mut self, stream: &str, spans: &[i64]) {
        self.spans.extend(spans);
        self.retain(stream, spans.iter().copied().max().unwrap_or(0));
    }

    fn calendar(&mut self, stream: &str, unit: CalendarUnit, units: i64, zone: &TimeZone) {
        if !self.calendars.iter().any(|calendar| calendar.is(zone, unit)) {
            self.calendars.push(Calendar::new(zone.clone(), unit));
        }
        self.retain(stream, units * longest(unit));
    }

    fn retain(&mut self, stream: &str, span: i64) {
        if stream == "orders" {
            self.order_retention = self.order_retention.max(span);
        }
    }

    /// What is counted is remembered, as long as it counts.
    fn experiment(&mut self, goal: &Goal) {
        for stream in goal.steps.iter().chain([&goal.stream]) {
            self.remembered.insert(stream.clone());
            self.retain(stream, goal.within.unwrap_or(0));
        }
    }
}

fn longest(unit: CalendarUnit) -> i64 {
    DAY * match unit {
        CalendarUnit::Day => 2,
        CalendarUnit::Week => 8,
        CalendarUnit::Month => 32,
        CalendarUnit::Quarter => 93,
        CalendarUnit::Year => 367,
    }
}

/// What a rule ranks customers by: each `top`, with its share and its aggregate.
pub fn tops(rule: &Rule) -> Vec<(Expr, Decimal, Aggregate)> {
    let mut found = Vec::new();
    each_of(rule, &mut |expr| {
        if let ExprKind::Top { percent, by } = &expr.kind {
            found.push((expr.clone(), *percent, (**by).clone()));
        }
    });
    found
}

/// The segments that a rule refers to.
pub fn segments_used(rule: &Rule) -> Vec<String> {
    let mut keys = Vec::new();
    each_of(rule, &mut |expr| {
        if let ExprKind::Segment { key, .. } = &expr.kind {
            keys.push(key.text.to_string());
        }
    });
    keys
}

fn each_of(rule: &Rule, visit: &mut dyn FnMut(&Expr)) {
    each(&rule.when, visit);
    rule.exit_when.iter().for_each(|expr| each(expr, visit));
}

/// The expression and all within it; filters hold nothing that depends on time.
fn each(expr: &Expr, visit: &mut dyn FnMut(&Expr)) {
    visit(expr);
    match &expr.kind {
        ExprKind::Or(parts) | ExprKind::And(parts) => parts.iter().for_each(|part| each(part, visit)),
        ExprKind::Not(inner) | ExprKind::Negate(inner) => each(inner, visit),
        ExprKind::Compare { left, right, .. } | ExprKind::Arithmetic { left, right, .. } => {
            each(left, visit);
            each(right, visit);
        }
        ExprKind::Between { value, low, high } | ExprKind::InRange { value, low, high, .. } => {
            [value, low, high].into_iter().for_each(|part| each(part, visit));
        }
        ExprKind::InSet { value, .. } | ExprKind::Contains { value, .. } | ExprKind::IsNull { value, .. } => each(value, visit),
        _ => {}
    }
}

/// The parts of a rule and its way out that `and`, `or` and `not` join, each once, in the order of the text; then the
/// lists of who is in and who is not.
pub fn predicates(rule: &Rule) -> Vec<Expr> {
    let mut found = Vec::new();
    // The last stage of a ladder takes everybody: nothing was written.
    if rule.ladder.is_none() || rule.when.to_string() != "true" {
        parts(&rule.when, &mut found);
    }
    [&rule.exit_when, &rule.pin, &rule.ban].into_iter().flatten().for_each(|expr| parts(expr, &mut found));
    found
}

fn parts(expr: &Expr, found: &mut Vec<Expr>) {
    match &expr.kind {
        ExprKind::Or(all) | ExprKind::And(all) => all.iter().for_each(|part| parts(part, found)),
        ExprKind::Not(inner) => parts(inner, found),
        // Sharing is by what is written: 10 and 10.00 are two texts.
        _ if found.iter().any(|seen| seen.to_string() == expr.to_string()) => {}
        _ => found.push(expr.clone()),
    }
}
