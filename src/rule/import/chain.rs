//! A comparison: a chain of calls that gives a value (`event('x').within(7 days).count()`), and what it is compared with.
//!
//! **Invariant:** each call of a chain is understood or refused; none is passed over.

use super::super::ast::Literal;
use super::super::diagnostic::{Finding, nearest};
use super::super::print::TraitName;
use super::tokens::TokenKind;
use super::{Importer, Parsed};
use crate::event::StreamIndex;
use crate::event::streams::FieldDefinition;

/// Our functions for theirs, of one property.
const REDUCERS: [(&str, &str); 6] =
    [("sum", "sum"), ("avg", "avg"), ("min", "min"), ("max", "max"), ("first", "first"), ("last", "latest")];

/// The signs of a comparison and its functions, and what we write.
const COMPARISONS: [(&str, &str, &str); 6] = [
    ("=", "equals", "=="),
    ("!=", "differs", "!="),
    (">", "greater_than", ">"),
    (">=", "at_least", ">="),
    ("<", "less_than", "<"),
    ("<=", "at_most", "<="),
];

/// A stream with the filters of its chain so far.
struct Stream {
    index: StreamIndex,
    window: Option<String>,
    filters: Vec<String>,
}

impl Importer<'_> {
    pub(super) fn comparison(&mut self) -> Parsed<String> {
        let value = self.value()?;
        let sign = match self.kind() {
            TokenKind::Symbol("==") => Some("=="),
            TokenKind::Symbol(sign) => COMPARISONS.iter().find(|(theirs, ..)| theirs == sign).map(|(.., ours)| *ours),
            _ => None,
        };
        if let Some(sign) = sign {
            self.advance();
            return Ok(format!("{value} {sign} {}", self.value()?));
        }
        if !self.eat(".") {
            return Err(self.expected("a comparison, such as `>= 1` or `.exists()`,"));
        }
        self.compared_by_call(&value)
    }

    fn compared_by_call(&mut self, value: &str) -> Parsed<String> {
        let (before, name) = (self.at, self.word("a comparison")?);
        if let Some((.., sign)) = COMPARISONS.iter().find(|(_, function, _)| *function == name) {
            self.expect("(")?;
            let other = self.value()?;
            return self.expect(")").map(|()| format!("{value} {sign} {other}"));
        }
        let any = |values: Vec<String>| values.iter().map(|v| format!("{value} contains {v}")).collect::<Vec<_>>().join(" or ");
        Ok(match name.as_str() {
            "exists" => self.no_arguments().map(|()| format!("{value} is not null"))?,
            "absent" => self.no_arguments().map(|()| format!("{value} is null"))?,
            "one_of" => format!("{value} in {{{}}}", self.literals()?.join(", ")),
            "contains" => format!("({})", any(self.literals()?)),
            "omits" => format!("not ({})", any(self.literals()?)),
            _ => {
                self.at = before;
                return Err(self.no_comparison(&name));
            }
        })
    }

    fn no_comparison(&self, name: &str) -> Box<Finding> {
        match name {
            "starts_with" | "ends_with" => {
                self.refused("not-importable", format!("`{name}` has no equal here"), "`contains` finds a text anywhere in another")
            }
            "before_date" | "after_date" | "within_last" | "within_next" | "before_last" | "after_next" => {
                let help =
                    "a rule knows when events happened: use a window, as in `count(orders last 7d)` or `days_since(orders lifetime)`";
                self.refused("not-importable", format!("`{name}`: the values of traits and properties are no dates here"), help)
            }
            _ => {
                let known = COMPARISONS.iter().map(|(_, function, _)| *function).chain(["exists", "absent", "one_of", "contains", "omits"]);
                Box::new(Finding::error("syntax", self.place(), format!("there is no comparison `{name}`")).suggest(name, known))
            }
        }
    }

    /// A literal, a trait, a property, or events with what is made of them.
    fn value(&mut self) -> Parsed<String> {
        let kind = self.kind().clone();
        let word = match kind {
            TokenKind::Number(number) => return self.advanced(number),
            TokenKind::Text(text) => return self.advanced(Literal::Text(text.into()).to_string()),
            TokenKind::Word(word) => word,
            _ => return Err(self.expected("a value")),
        };
        match word.as_str() {
            "true" | "false" => self.advanced(word),
            "trait" => self.customer_trait(),
            "property" | "context" => self.field(),
            "event" => self.events(),
            "literal" => {
                self.advance();
                self.expect("(")?;
                let value = self.literal()?;
                self.expect(")").map(|()| value)
            }
            _ => Err(self.refused(
                "syntax",
                format!("`{word}` gives no value"),
                "a chain begins with `event(…)`, `trait(…)` or, in `where`, `property(…)`",
            )),
        }
    }

    fn advanced(&mut self, text: String) -> Parsed<String> {
        self.advance();
        Ok(text)
    }

    fn customer_trait(&mut self) -> Parsed<String> {
        if self.stream.is_some() {
            return Err(self.refused("not-importable", "a filter cannot look at a trait", "compare with a number, or beside the filter"));
        }
        self.advance();
        self.expect("(")?;
        let place = self.place();
        let name = self.text("the name of a trait")?;
        if name.is_empty() {
            return Err(Box::new(Finding::error("not-importable", place, "a trait has a name".to_owned())));
        }
        self.expect(")").map(|()| format!("trait.{}", TraitName(&name)))
    }

    /// `property('total')`, in a filter or a reducer.
    fn field(&mut self) -> Parsed<String> {
        let Some(stream) = self.stream else {
            return Err(self.refused("syntax", "a property belongs to an event", "use it in `where(…)`, or in `sum(…)` and the like"));
        };
        let in_context = self.is_word("context");
        self.advance();
        self.expect("(")?;
        if self.is_word("parent") {
            return Err(self.refused(
                "not-importable",
                "one event cannot be compared with another",
                "`sequence(…)` says what follows what",
            ));
        }
        let place = self.place();
        let name = self.text("the name of a property")?;
        self.expect(")")?;
        let pointer = format!("/{}/{}", if in_context { "context" } else { "properties" }, name.replace('.', "/"));
        let definition = self.catalogue.stream(stream);
        let first = |field: &&FieldDefinition| field.paths.first().is_some_and(|path| *path == *pointer);
        let any = |field: &&FieldDefinition| !in_context && field.name == name || field.paths.iter().any(|path| *path == *pointer);
        let found = definition.fields.iter().find(first).or_else(|| definition.fields.iter().find(any));
        found.map(|field| field.name.to_string()).ok_or_else(|| {
            let finding = Finding::error("unknown-field", place, format!("the stream `{}` has no field for `{name}`", definition.name));
            let finding = finding.suggest(&name, definition.fields.iter().map(|field| field.name.as_str()));
            Box::new(finding.help("map it in your streams, and name them with --streams"))
        })
    }

    /// `event('x')` with its filters, up to what is made of it.
    fn events(&mut self) -> Parsed<String> {
        self.advance();
        self.expect("(")?;
        let place = self.place();
        let name = self.text("the name of an event")?;
        let mut stream = Stream { index: self.stream_of(&name, place)?, window: None, filters: Vec::new() };
        if self.stream.is_some() {
            let finding = Finding::error("not-importable", place, "a filter looks at one event, not at others");
            return Err(Box::new(finding.help("`sequence(…)` says what follows what")));
        }
        self.expect(")")?;
        loop {
            if !self.eat(".") {
                return Err(self.expected("what is to be made of the events, such as `.count()`,"));
            }
            let (before, call) = (self.at, self.word("a function")?);
            match call.as_str() {
                "where" => stream.filters.push(self.filter(stream.index)?),
                "within" | "between" if stream.window.is_some() => {
                    self.at = before;
                    return Err(self.refused("not-importable", "a stream has one window", "write the narrower of them"));
                }
                "within" => stream.window = Some(self.within()?),
                "between" => stream.window = Some(self.between()?),
                _ => {
                    self.at = before;
                    return self.reduced(&call, &stream);
                }
            }
        }
    }

    fn stream_of(&self, event: &str, place: super::super::ast::Place) -> Parsed<StreamIndex> {
        let streams = &self.catalogue.streams;
        let takes = |name: &str| streams.iter().position(|stream| stream.events.iter().any(|known| known == name));
        let found = takes(event).map(|index| StreamIndex(index as u16));
        found.filter(|index| self.catalogue.stream(*index).role.is_named()).ok_or_else(|| {
            let known: Vec<&str> = streams.iter().flat_map(|stream| &stream.events).map(|event| event.as_str()).collect();
            let mut finding = Finding::error("unknown-event", place, format!("no stream takes the event `{event}`"));
            finding.label = nearest(event, known).map(|near| format!("did you mean `{near}`?"));
            Box::new(finding.help("add a stream for it, and name your streams with --streams"))
        })
    }

    fn filter(&mut self, stream: StreamIndex) -> Parsed<String> {
        self.expect("(")?;
        self.stream = Some(stream);
        let filter = self.or()?;
        self.stream = None;
        self.expect(")").map(|()| format!("({filter})"))
    }

    fn within(&mut self) -> Parsed<String> {
        self.expect("(")?;
        let span = self.span()?;
        self.expect(")").map(|()| format!("last {span}"))
    }

    /// `between(7 days, 10 days)`: from ten days ago to seven.
    fn between(&mut self) -> Parsed<String> {
        self.expect("(")?;
        let near = self.span()?;
        self.expect(",")?;
        let far = self.span()?;
        self.expect(")").map(|()| format!("from {far} to {near} ago"))
    }

    fn span(&mut self) -> Parsed<String> {
        if self.is_word("parent") {
            return Err(self.refused("not-importable", "one event cannot be the clock of another", "`sequence(…)` says what follows what"));
        }
        let TokenKind::Number(number) = self.kind().clone() else { return Err(self.expected("a number of hours or days")) };
        self.advance();
        for (unit, ours) in [("hour", "h"), ("day", "d")] {
            if self.eat_word(unit) || self.eat_word(&format!("{unit}s")) {
                return Ok(format!("{number}{ours}"));
            }
        }
        Err(self.expected("`hours` or `days`"))
    }

    /// The call that makes one value of a stream.
    fn reduced(&mut self, call: &str, stream: &Stream) -> Parsed<String> {
        let name = &self.catalogue.stream(stream.index).name;
        let window = stream.window.as_deref().unwrap_or("lifetime");
        let filter = if stream.filters.is_empty() { String::new() } else { format!(" where {}", stream.filters.join(" and ")) };
        let function = REDUCERS.iter().find(|(theirs, _)| *theirs == call).map(|(_, ours)| *ours);
        let (function, field) = match (call, function) {
            ("count", _) => {
                self.advance();
                self.no_arguments()?;
                ("count", String::new())
            }
            ("unique", _) => {
                self.advance();
                let field = self.property_of(stream.index)?;
                self.expect(".")?;
                if !self.eat_word("count") {
                    return Err(self.refused("not-importable", "a list of values is no value here", "count them: `.unique(…).count()`"));
                }
                self.no_arguments()?;
                ("distinct", field)
            }
            (_, Some(function)) => {
                self.advance();
                (function, self.property_of(stream.index)?)
            }
            _ => return Err(self.no_reducer(call)),
        };
        Ok(format!("{function}({name}{field} {window}{filter})"))
    }

    fn no_reducer(&self, call: &str) -> Box<Finding> {
        match call {
            "mode" => self.refused("not-importable", "the most frequent value has no equal here", "`latest(…)` gives the newest one"),
            "sources" => {
                self.refused("not-importable", "events do not say from which source they came", "leave it out, or map a field for it")
            }
            _ => {
                let known = REDUCERS.iter().map(|(theirs, _)| *theirs).chain(["count", "unique", "where", "within", "between"]);
                Box::new(Finding::error("syntax", self.place(), format!("`{call}` makes nothing of events")).suggest(call, known))
            }
        }
    }

    /// `(property('x'))`, as `.x`; `as number` says what it is here anyway.
    fn property_of(&mut self, stream: StreamIndex) -> Parsed<String> {
        self.expect("(")?;
        self.stream = Some(stream);
        let field = self.field();
        self.stream = None;
        let field = field?;
        if self.eat_word("as") && !self.eat_word("number") {
            return Err(self.refused("not-importable", "texts have no order here", "leave `as` out for numbers"));
        }
        self.expect(")").map(|()| format!(".{field}"))
    }

    fn no_arguments(&mut self) -> Parsed<()> {
        self.expect("(")?;
        self.expect(")")
    }

    fn literals(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut found = vec![self.literal()?];
        while self.eat(",") {
            found.push(self.literal()?);
        }
        self.expect(")").map(|()| found)
    }

    fn literal(&mut self) -> Parsed<String> {
        let is_literal = matches!(self.kind(), TokenKind::Number(_) | TokenKind::Text(_)) || self.is_word("true") || self.is_word("false");
        if is_literal { self.value() } else { Err(self.expected("a number or a text")) }
    }

    fn text(&mut self, what: &str) -> Parsed<String> {
        let TokenKind::Text(text) = self.kind().clone() else { return Err(self.expected(&format!("{what} in quotes"))) };
        self.advance();
        Ok(text)
    }

    fn word(&mut self, what: &str) -> Parsed<String> {
        let TokenKind::Word(word) = self.kind().clone() else { return Err(self.expected(what)) };
        self.advance();
        Ok(word)
    }
}
