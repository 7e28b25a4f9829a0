//! A page as YAML: how a random test shows its smallest failing case, ready to be kept under `tests/scenarios`.
//!
//! **Invariant:** parsing what is printed gives the page back.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use super::{DEFAULT_CUSTOMER, Expectation, ExpectedTransition, Page, PageEvent, PageLadder, PageSegment, PageStage};
use crate::event::streams::StreamRole;
use crate::event::{Catalogue, Value};

impl Page {
    /// Writes the page, an entry a line; ends with a newline.
    pub fn to_yaml(&self, catalogue: &Catalogue) -> String {
        let mut lines = vec![format!("name: {}", quoted(&self.name))];
        if !self.lists.is_empty() {
            lines.push("lists:".into());
            lines.extend(self.lists.iter().map(|(key, ids)| format!("  {key}: [{}]", joined(ids.iter().map(|id| quoted(id.as_str()))))));
        }
        if !self.segments.is_empty() {
            lines.push("segments:".into());
            lines.extend(self.segments.iter().map(|segment| format!("  - {segment}")));
        }
        if !self.ladders.is_empty() {
            lines.push("ladders:".into());
            lines.extend(self.ladders.iter().map(|ladder| format!("  - {ladder}")));
        }
        lines.push("events:".into());
        lines.extend(self.events.iter().map(|event| format!("  - {}", event_line(event, catalogue))));
        lines.extend(self.epoch.map(|epoch| format!("epoch: {epoch}")));
        lines.extend(self.until.map(|until| format!("until: {until}")));
        lines.push("expect:".into());
        lines.extend(self.expect.iter().map(|expected| format!("  - {expected}")));
        lines.join("\n") + "\n"
    }
}

impl fmt::Display for PageSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{key: {}", self.key)?;
        if let Some(zone) = &self.timezone {
            write!(f, ", timezone: {zone}")?;
        }
        write_rules(f, Some(&self.when), self.exit_when.as_deref(), &self.options)?;
        f.write_str("}")
    }
}

fn write_rules(f: &mut fmt::Formatter<'_>, when: Option<&str>, exit_when: Option<&str>, options: &BTreeMap<String, Json>) -> fmt::Result {
    if let Some(when) = when {
        write!(f, ", when: {}", quoted(when))?;
    }
    if let Some(exit_when) = exit_when {
        write!(f, ", exit_when: {}", quoted(exit_when))?;
    }
    // JSON is YAML.
    options.iter().try_for_each(|(name, value)| write!(f, ", {name}: {value}"))
}

impl fmt::Display for PageLadder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{key: {}", self.key)?;
        if let Some(zone) = &self.timezone {
            write!(f, ", timezone: {zone}")?;
        }
        write!(f, ", stages: [{}]}}", joined(self.stages.iter().map(PageStage::to_string)))
    }
}

impl fmt::Display for PageStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{key: {}", self.key)?;
        write_rules(f, self.when.as_deref(), self.exit_when.as_deref(), &self.options)?;
        f.write_str("}")
    }
}

fn event_line(event: &PageEvent, catalogue: &Catalogue) -> String {
    let definition = catalogue.stream(event.stream);
    let mut parts = vec![format!("at: {}", event.at)];
    if event.customer.as_str() != DEFAULT_CUSTOMER {
        parts.push(format!("customer: {}", quoted(event.customer.as_str())));
    }
    if event.partition.0 != 0 {
        parts.push(format!("partition: {}", event.partition.0));
    }
    parts.push(format!("id: {}", quoted(event.id.as_str())));
    let stream = if definition.role == StreamRole::Traits { "identify" } else { definition.name.as_str() };
    parts.push(format!("{stream}: {{{}}}", joined(event.fields.iter().map(|(name, value)| format!("{name}: {}", scalar(value))))));
    format!("{{{}}}", joined(parts.into_iter()))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => quoted(text),
        Value::List(values) => format!("[{}]", joined(values.iter().map(scalar))),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// A single-quoted scalar: YAML knows no escape in it but the doubled quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Transition(expected) => expected.fmt(f),
            Expectation::Never(segment) => write!(f, "{{never: {segment}}}"),
        }
    }
}

impl fmt::Display for ExpectedTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{at: {}, ", self.at)?;
        if self.customer.as_str() != DEFAULT_CUSTOMER {
            write!(f, "customer: {}, ", quoted(self.customer.as_str()))?;
        }
        write!(f, "{}: {}", self.happening.as_str(), self.segment)?;
        if let Some(cause) = self.cause {
            write!(f, ", cause: {}", cause.as_str())?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, ", sequence: {sequence}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, ", entry: {entry}")?;
        }
        match self.valid_until {
            None => {}
            Some(None) => f.write_str(", valid_until: null")?,
            Some(Some(until)) => write!(f, ", valid_until: {until}")?,
        }
        match &self.from {
            None => {}
            Some(None) => f.write_str(", from: null")?,
            Some(Some(from)) => write!(f, ", from: {from}")?,
        }
        if let Some(published) = self.published {
            write!(f, ", published: {published}")?;
        }
        if let Some(arm) = self.arm {
            write!(f, ", arm: {}", arm.as_str())?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_page_parses_back_to_itself() {
        let text = "name: it's a page
lists: {staff: [a, b]}
segments: [{key: s, timezone: Europe/Berlin, when: 'trait.x == \"it''s\"', exit_when: 'list(\"staff\")', min_stay: 7d, entry: at_most 2, experiment: {holdout: 50%, steps: [orders]}}]
ladders: [{key: l, timezone: Europe/Berlin, stages: [{key: a, when: trait.a, exit_when: trait.b, min_stay: 7d}, {key: b}]}]
events:
  - {at: 2026-01-01T10:00:00Z, customer: d, partition: 2, orders: {order_id: a, total: 25.5, products.category: [wine, null]}}
  - {at: 2026-01-01T10:00:00Z, identify: {x: true, y: [1, b], z: null}}
until: 2026-01-02T00:00:00Z
expect: [{at: 2026-01-01T10:00:00Z, customer: d, entered: s, cause: event, sequence: 1, entry: 1, valid_until: null, published: false, arm: control}, {at: 2026-01-01T10:00:00Z, entered: b, from: a}, {never: t}]
";
        let catalogue = Catalogue::segment_spec();
        let pages = super::super::parse("x", text, &catalogue).unwrap();
        assert_eq!(super::super::parse("x", &pages[0].to_yaml(&catalogue), &catalogue).unwrap(), pages);
    }
}
