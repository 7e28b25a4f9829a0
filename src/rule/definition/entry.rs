//! The entries of one mapping, read by name, each mistake reported where it stands.
//!
//! **Invariant:** nothing that was written is ignored: a key that nobody knows is an error.

use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Location, Source};
use super::super::yaml::{Content, Node};
use crate::time::Span;

const MAX_KEY_BYTES: usize = 128;

pub fn location(source: &Arc<Source>, node: &Node) -> Location {
    Location { source: source.clone(), bytes: Some(node.bytes.clone()) }
}

pub fn error(code: &'static str, source: &Arc<Source>, node: &Node, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, location(source, node), message)
}

/// Why a text cannot be the key of a segment or the name of a list.
pub fn bad_key(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.is_empty() || text.len() > MAX_KEY_BYTES {
        return Some(format!("a key has 1 to {MAX_KEY_BYTES} characters, this one has {}", text.len()));
    }
    let wrong = text.chars().find(|c| !allowed(*c))?;
    Some(format!("a key is made of letters (a-z, A-Z), digits, `_`, `-` and `.`, and this one has `{}`", wrong.escape_debug()))
}

/// The texts of a list; anything else in it is reported.
pub fn texts<'n>(source: &Arc<Source>, name: &str, node: &'n Node, out: &mut Vec<Diagnostic>) -> Vec<&'n str> {
    let Content::Sequence(items) = &node.content else {
        out.push(wrong_type(source, name, "a list", node));
        return Vec::new();
    };
    for item in items.iter().filter(|item| item.text().is_none_or(str::is_empty)) {
        out.push(wrong_type(source, &format!("an item of {name}"), "a text", item));
    }
    items.iter().filter_map(Node::text).collect()
}

pub fn wrong_type(source: &Arc<Source>, name: &str, wanted: &str, node: &Node) -> Diagnostic {
    error("wrong-type", source, node, format!("`{name}` must be {wanted}, and this is {}", node.describe()))
}

pub struct Entries<'n> {
    source: Arc<Source>,
    /// What messages call the mapping: `a segment`.
    what: &'static str,
    entries: &'n [(Node, Node)],
}

impl<'n> Entries<'n> {
    pub fn of(source: &Arc<Source>, node: &'n Node, what: &'static str, out: &mut Vec<Diagnostic>) -> Option<Entries<'n>> {
        match &node.content {
            Content::Mapping(entries) => Some(Entries { source: source.clone(), what, entries }),
            _ => {
                out.push(error("wrong-type", source, node, format!("{what} is a mapping, and this is {}", node.describe())));
                None
            }
        }
    }

    pub fn all(&self) -> &'n [(Node, Node)] {
        self.entries
    }

    /// Reports every key that is not known.
    pub fn only(&self, known: &[&str], out: &mut Vec<Diagnostic>) {
        for (key, _) in self.entries {
            let name = key.text().unwrap_or_default();
            if !known.contains(&name) {
                let message = format!("{} has no `{}`", self.what, name.escape_debug());
                let diagnostic = error("unknown-key", &self.source, key, message);
                let help = format!("possible keys are {}", known.join(", "));
                out.push(diagnostic.suggest(name, known.iter().copied()).help(help));
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// A text; `None` if it is not there, or reported.
    pub fn text(&self, name: &str, out: &mut Vec<Diagnostic>) -> Option<(&'n Node, &'n str)> {
        let node = self.get(name)?;
        if node.text().is_none() {
            out.push(wrong_type(&self.source, name, "a text", node));
        }
        node.text().map(|text| (node, text))
    }

    /// A text that must be there; `whole` is where it is missing.
    pub fn required(&self, name: &str, whole: &Node, out: &mut Vec<Diagnostic>) -> Option<(&'n Node, &'n str)> {
        if self.get(name).is_none() {
            out.push(error("missing-key", &self.source, whole, format!("{} needs `{name}`", self.what)));
        }
        self.text(name, out)
    }

    /// A length of time; `None` if it is not there, or reported.
    pub fn duration(&self, name: &str, out: &mut Vec<Diagnostic>) -> Option<Span> {
        let (node, text) = self.text(name, out)?;
        let span = Span::parse(text);
        if span.is_none() {
            let diagnostic = error("bad-duration", &self.source, node, format!("`{}` is no duration", text.escape_debug()));
            out.push(diagnostic.help(
                "a duration is a whole number above 0 and a unit, `s`, `m`, `h`, `d` or `w`, such as `7d`; at most a thousand years",
            ));
        }
        span
    }

    pub fn texts(&self, name: &str, out: &mut Vec<Diagnostic>) -> Vec<String> {
        let node = self.get(name);
        node.map_or_else(Vec::new, |node| texts(&self.source, name, node, out).into_iter().map(str::to_owned).collect())
    }

    pub fn sequence(&self, name: &str, out: &mut Vec<Diagnostic>) -> &'n [Node] {
        match self.get(name).map(|node| (node, &node.content)) {
            None => &[],
            Some((_, Content::Sequence(items))) => items,
            Some((node, _)) => {
                out.push(wrong_type(&self.source, name, "a list", node));
                &[]
            }
        }
    }
}
