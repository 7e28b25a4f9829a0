//! Streams, fields and aggregates: what the catalogue knows.

use smol_str::SmolStr;

use super::super::ast::{Aggregate, Expr, ExprKind, Function, Name, Place, Selection, Window};
use super::super::diagnostic::Finding;
use super::super::print::TraitName;
use super::{Checker, Scalar, Scope, Type};
use crate::event::streams::{StreamDefinition, StreamRole};
use crate::event::{FieldType, StreamIndex};

impl Checker<'_> {
    /// Traits and erasures come through streams that rules cannot name.
    pub fn stream(&mut self, name: &Name) -> Option<StreamIndex> {
        let named = |stream: &&StreamDefinition| stream.role.is_named();
        let found = self.catalogue.find(&name.text).filter(|index| named(&self.catalogue.stream(*index)));
        if found.is_none() {
            let known = self.catalogue.streams.iter().filter(named).map(|stream| stream.name.as_str());
            let finding = Finding::error("unknown-stream", name.place, format!("there is no stream `{}`", name.text));
            self.findings.push(finding.suggest(&name.text, known).help("streams are listed by `segmentd schema streams`"));
        }
        found
    }

    pub fn only_in_rule(&mut self, place: Place, scope: Scope, what: &str) {
        if scope != Scope::Rule {
            let finding = Finding::error("not-in-filter", place, format!("{what} cannot stand in a filter"));
            self.findings.push(finding.help("a filter looks at one event: its fields and literals"));
        }
    }

    /// A bare name: a field of the event that a filter looks at.
    pub fn field_in(&mut self, name: &Name, scope: Scope) -> Type {
        match scope {
            Scope::Filter(Some(stream)) => self.field_of(name, stream),
            Scope::Filter(None) => Type::Any,
            Scope::Rule => {
                let finding = Finding::error("field-outside-filter", name.place, format!("`{}` is no value of a customer", name.text));
                let help = "a field belongs to an event: use it in an aggregate or a filter; a customer's own values are `trait.…`, and a text stands in quotes";
                self.findings.push(finding.help(help));
                Type::Any
            }
        }
    }

    /// `trait.first-name` without a blank: no customer has a value `name` that could be subtracted.
    pub fn hyphenated(&mut self, left: &Expr, right: &Expr) -> bool {
        let (ExprKind::Trait(first), ExprKind::Field(second)) = (&left.kind, &right.kind) else { return false };
        let found = left.place.end + 1 == right.place.start;
        if found {
            let message = format!("`-` subtracts here, and `{}` is no value of a customer", second.text);
            let finding = Finding::error("field-outside-filter", Place { start: left.place.start, end: right.place.end }, message);
            self.findings.push(
                finding.help(format!("a trait of that name is written `trait.{}`", TraitName(&format!("{}-{}", first.text, second.text)))),
            );
        }
        found
    }

    /// The type of a stream's field, in a filter.
    pub fn field_of(&mut self, name: &Name, stream: StreamIndex) -> Type {
        let stream = self.catalogue.stream(stream);
        if let Some(index) = stream.field(&name.text) {
            let field = &stream.fields[usize::from(index.0)];
            let scalar = scalar(field.field_type);
            return if field.array { Type::List(scalar) } else { scalar.into() };
        }
        if stream.role == StreamRole::Orders && name.text == StreamDefinition::REDEEMED {
            return Type::Boolean;
        }
        let finding = unknown_field(name, stream);
        self.findings.push(finding);
        Type::Any
    }

    pub fn selection(&mut self, selection: &Selection) -> Option<StreamIndex> {
        let stream = self.stream(&selection.stream);
        if let Window::FromTo { from, to } = selection.window
            && from <= to
        {
            let finding = Finding::error("window-order", selection.window_place, format!("the window from {from} to {to} ago is empty"));
            self.findings.push(finding.help("the longer time comes first: `from 60d to 30d ago`"));
        }
        if let Some(filter) = &selection.filter {
            self.condition(filter, Scope::Filter(stream));
        }
        stream
    }

    /// The type of an aggregate's value. An array field gives it every element.
    pub fn aggregate(&mut self, aggregate: &Aggregate, place: Place) -> Type {
        let stream = self.selection(&aggregate.over);
        let field = match (&aggregate.over.field, stream) {
            (Some(name), Some(stream)) => Some(match self.field_of(name, stream) {
                Type::List(element) => element.into(),
                other => other,
            }),
            (Some(_), None) => Some(Type::Any),
            (None, _) => None,
        };
        match field {
            Some(field) => self.of_field(aggregate, field),
            None => self.of_events(aggregate, place),
        }
    }

    fn of_field(&mut self, aggregate: &Aggregate, field: Type) -> Type {
        match aggregate.function {
            Function::First | Function::Latest => field,
            Function::Sum | Function::Avg | Function::Min | Function::Max if !field.fits(Type::Number) => {
                let name = aggregate.over.field.as_ref();
                let text = name.map_or(SmolStr::default(), |name| name.text.clone());
                let message = format!("`{}` needs a field of numbers, and `{text}` is {}", aggregate.function.as_str(), field.describe());
                self.error("not-a-number", name.map_or_else(Place::default, |name| name.place), message);
                Type::Any
            }
            _ => Type::Number,
        }
    }

    fn of_events(&mut self, aggregate: &Aggregate, place: Place) -> Type {
        if !matches!(aggregate.function, Function::Count | Function::DaysSince | Function::DaysSinceFirst) {
            let (function, stream) = (aggregate.function.as_str(), &aggregate.over.stream.text);
            let finding = Finding::error("missing-field", place, format!("`{function}` needs a field"));
            self.findings.push(finding.help(format!("name one behind the stream: `{function}({stream}.FIELD …)`")));
            return Type::Any;
        }
        Type::Number
    }
}

fn scalar(field_type: FieldType) -> Scalar {
    match field_type {
        FieldType::String => Scalar::Text,
        FieldType::Decimal | FieldType::Integer => Scalar::Number,
        FieldType::Boolean => Scalar::Boolean,
    }
}

fn unknown_field(name: &Name, stream: &StreamDefinition) -> Finding {
    let finding = Finding::error("unknown-field", name.place, format!("the stream `{}` has no field `{}`", stream.name, name.text))
        .help(format!("fields of `{}` are listed by `segmentd schema streams`", stream.name));
    // In a filter the stream is known: its name is not written again.
    let prefixed = name.text.strip_prefix(stream.name.as_str()).and_then(|rest| rest.strip_prefix('.'));
    let written = prefixed.unwrap_or(&name.text);
    let redeemed = (stream.role == StreamRole::Orders).then_some(StreamDefinition::REDEEMED);
    finding.suggest(written, stream.fields.iter().map(|field| field.name.as_str()).chain(redeemed))
}
