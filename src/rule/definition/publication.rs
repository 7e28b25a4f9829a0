//! What is told of a segment's memberships, and to whom: the options that do not decide who is a member.
//!
//! ```yaml
//! entry: after 30d
//! entry_topic: spring-campaign
//! expiring: 3d
//! on_create: silent
//! experiment: {holdout: 50%, salt: spring, goal: orders, value: total, within: 30d, steps: [sessions, product_adds]}
//! ```
//!
//! **Invariant:** nothing here is part of a segment's version: it changes what is published, never who is a member.

use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Source};
use super::super::yaml::Node;
use super::entry::{self, Entries};
use crate::event::Catalogue;
use crate::experiment::Experiment;
use crate::id::{SegmentKey, TopicName};
use crate::time::{EventTime, Span};

/// The keys that [`read`] reads.
pub const KEYS: [&str; 5] = ["entry", "entry_topic", "expiring", "on_create", "experiment"];

/// What is published of a segment beyond its transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    pub entry: EntryPolicy,
    /// Where entries go; `None`: to the entry topic of all.
    pub entry_topic: Option<TopicName>,
    /// How long before its end a membership that will end by time alone is announced.
    pub expiring: Option<Span>,
    pub on_create: OnCreate,
    pub experiment: Option<Experiment>,
}

/// Which entries go to the entry topic (semantics §4, "Entry policies").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntryPolicy {
    #[default]
    Always,
    Once,
    AtMost(u64),
    /// At least so long after the last one that went.
    After(Span),
}

/// What happens to those for whom a new segment holds from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCreate {
    /// They are members, and no entry is published.
    Silent,
    #[default]
    Emit,
}

impl EntryPolicy {
    /// Whether the `number`th entry, at `at`, goes on; `last`: when one last did.
    pub fn lets_through(self, number: u64, at: EventTime, last: Option<EventTime>) -> bool {
        match self {
            EntryPolicy::Always => true,
            EntryPolicy::Once => number == 1,
            EntryPolicy::AtMost(most) => number <= most,
            EntryPolicy::After(span) => last.is_none_or(|last| last.plus(span) <= at),
        }
    }

    fn parse(text: &str) -> Option<EntryPolicy> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["always"] => Some(EntryPolicy::Always),
            ["once"] => Some(EntryPolicy::Once),
            ["at_most", most] => most.parse().ok().filter(|most| *most > 0).map(EntryPolicy::AtMost),
            ["after", span] => Span::parse(span).map(EntryPolicy::After),
            _ => None,
        }
    }
}

/// Reads the options of one segment; what is wrong with them is reported.
pub fn read(
    source: &Arc<Source>,
    entries: &Entries<'_>,
    key: Option<&SegmentKey>,
    catalogue: &Catalogue,
    out: &mut Vec<Diagnostic>,
) -> Publication {
    let mut reading = Reading { source, catalogue, out };
    Publication {
        entry: reading.entry(entries),
        entry_topic: reading.entry_topic(entries),
        expiring: entries.duration("expiring", reading.out),
        on_create: reading.on_create(entries),
        experiment: reading.experiment(entries, key),
    }
}

/// Where options are read from, and what they may name.
pub(super) struct Reading<'a> {
    pub source: &'a Arc<Source>,
    pub catalogue: &'a Catalogue,
    pub out: &'a mut Vec<Diagnostic>,
}

impl Reading<'_> {
    fn entry(&mut self, entries: &Entries<'_>) -> EntryPolicy {
        let Some((node, text)) = entries.text("entry", self.out) else { return EntryPolicy::default() };
        EntryPolicy::parse(text).unwrap_or_else(|| {
            let help =
                "write `always`, `once`, `at_most 3` (the first three) or `after 30d` (at least so long after the last one published)";
            let first = text.split_whitespace().next().unwrap_or_default();
            let diagnostic = self.error("bad-value", node, format!("`{text}` is no entry policy"));
            self.out.push(
                diagnostic.suggest(first, ["always", "once", "at_most", "after"].into_iter().filter(|name| *name != first)).help(help),
            );
            EntryPolicy::default()
        })
    }

    fn entry_topic(&mut self, entries: &Entries<'_>) -> Option<TopicName> {
        let (node, text) = entries.text("entry_topic", self.out)?;
        if !TopicName::is_legal(text) {
            let diagnostic = self.error("bad-value", node, format!("`{}` is no name of a topic", text.escape_debug()));
            self.out.push(diagnostic.help("letters, digits, `.`, `_` and `-`, at most 249"));
        }
        Some(TopicName(text.into()))
    }

    fn on_create(&mut self, entries: &Entries<'_>) -> OnCreate {
        match entries.text("on_create", self.out) {
            None => OnCreate::default(),
            Some((_, "silent")) => OnCreate::Silent,
            Some((_, "emit")) => OnCreate::Emit,
            Some((node, other)) => {
                let diagnostic = self.error("bad-value", node, format!("`{other}` is neither `silent` nor `emit`"));
                self.out.push(diagnostic.suggest(other, ["silent", "emit"]));
                OnCreate::default()
            }
        }
    }

    pub fn error(&self, code: &'static str, node: &Node, message: impl Into<String>) -> Diagnostic {
        entry::error(code, self.source, node, message)
    }
}
