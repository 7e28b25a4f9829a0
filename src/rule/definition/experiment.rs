//! `experiment:` as it is written: the share that is held out, and what counts as success.
//!
//! **Invariant:** an experiment that was read names streams and fields that exist, and its salt can stand in a hash.

use smol_str::SmolStr;

use super::super::yaml::Node;
use super::entry::Entries;
use super::publication::Reading;
use crate::event::FieldType;
use crate::event::streams::{FieldDefinition, StreamDefinition};
use crate::experiment::{Experiment, Goal, Holdout};
use crate::id::SegmentKey;

const KEYS: [&str; 6] = ["holdout", "salt", "goal", "value", "within", "steps"];

const MAX_SALT_BYTES: usize = 128;

/// A longer funnel is a list of something else.
const MAX_STEPS: usize = 20;

impl<'a> Reading<'a> {
    /// `key`: of the segment, and the salt where none is written.
    pub fn experiment(&mut self, entries: &Entries<'_>, key: Option<&SegmentKey>) -> Option<Experiment> {
        let node = entries.get("experiment")?;
        let entries = Entries::of(self.source, node, "`experiment`", self.out)?;
        entries.only(&KEYS, self.out);
        let holdout = self.holdout(&entries, node);
        let salt = self.salt(&entries).or_else(|| key.map(|key| key.as_str().into()));
        let goal = self.goal(&entries);
        Some(Experiment { holdout: holdout?, salt: salt?, goal })
    }

    fn holdout(&mut self, entries: &Entries<'_>, experiment: &Node) -> Option<Holdout> {
        let (node, text) = entries.required("holdout", experiment, self.out)?;
        let holdout = Holdout::parse(text);
        if holdout.is_none() {
            let diagnostic = self.error("bad-value", node, format!("`{}` is no share of the customers", text.escape_debug()));
            self.out.push(diagnostic.help("a holdout is more than 0% and less than 100%, with up to four digits after the point: `50%`"));
        }
        holdout
    }

    fn salt(&mut self, entries: &Entries<'_>) -> Option<SmolStr> {
        let (node, text) = entries.text("salt", self.out)?;
        if text.is_empty() || text.len() > MAX_SALT_BYTES || text.chars().any(char::is_control) {
            let message = format!("a salt has 1 to {MAX_SALT_BYTES} bytes, and no control characters");
            self.out.push(self.error("bad-value", node, message));
        }
        Some(text.into())
    }

    fn goal(&mut self, entries: &Entries<'_>) -> Option<Goal> {
        let within = entries.duration("within", self.out);
        let steps = self.steps(entries);
        let Some((node, name)) = entries.text("goal", self.out) else {
            self.nothing_without_a_goal(entries);
            return None;
        };
        let stream = self.stream(node, name)?;
        Some(Goal { stream: stream.name.clone(), value: self.value(entries, stream), within, steps })
    }

    fn nothing_without_a_goal(&mut self, entries: &Entries<'_>) {
        for (key, _) in entries.all() {
            let name = key.text().unwrap_or_default();
            if ["value", "within", "steps"].contains(&name) {
                let diagnostic = self.error("missing-key", key, format!("`{name}` speaks of a goal, and there is none"));
                self.out.push(diagnostic.help("name the stream whose events are the goal: `goal: orders`"));
            }
        }
    }

    fn steps(&mut self, entries: &Entries<'_>) -> Vec<SmolStr> {
        let steps = entries.sequence("steps", self.out);
        if steps.len() > MAX_STEPS {
            let message = format!("{} steps are more than the {MAX_STEPS} possible", steps.len());
            self.out.extend(steps.get(MAX_STEPS).map(|node| self.error("too-many-steps", node, message)));
        }
        let mut names = Vec::new();
        for node in steps.iter().take(MAX_STEPS) {
            match node.text() {
                Some(name) => names.extend(self.stream(node, name).map(|stream| stream.name.clone())),
                None => self.out.push(self.error(
                    "wrong-type",
                    node,
                    format!("a step is the name of a stream, and this is {}", node.describe()),
                )),
            }
        }
        names
    }

    /// A stream that is named; traits come through one that cannot be.
    fn stream(&mut self, node: &Node, name: &str) -> Option<&'a StreamDefinition> {
        let named = |stream: &&StreamDefinition| stream.role.is_named();
        let found = self.catalogue.streams.iter().filter(named).find(|stream| stream.name == name);
        if found.is_none() {
            let known = self.catalogue.streams.iter().filter(named).map(|stream| stream.name.as_str());
            let diagnostic = self.error("unknown-stream", node, format!("there is no stream `{}`", name.escape_debug()));
            self.out.push(diagnostic.suggest(name, known).help("streams are listed by `segmentd schema streams`"));
        }
        found
    }

    /// The field of the goal that is its revenue.
    fn value(&mut self, entries: &Entries<'_>, stream: &StreamDefinition) -> Option<SmolStr> {
        let (node, name) = entries.text("value", self.out)?;
        let Some(field) = stream.fields.iter().find(|field| field.name == name) else {
            let message = format!("the stream `{}` has no field `{}`", stream.name, name.escape_debug());
            let numbers = stream.fields.iter().filter(|field| is_number(field)).map(|field| field.name.as_str());
            let help = format!("fields of `{}` are listed by `segmentd schema streams`", stream.name);
            self.out.push(self.error("unknown-field", node, message).suggest(name, numbers).help(help));
            return None;
        };
        if !is_number(field) {
            let message = format!("the value of an experiment is a number, and `{}.{name}` is none", stream.name);
            self.out.push(self.error("type-mismatch", node, message));
        }
        Some(name.into())
    }
}

fn is_number(field: &FieldDefinition) -> bool {
    !field.array && matches!(field.field_type, FieldType::Decimal | FieldType::Integer)
}
