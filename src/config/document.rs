//! A configuration document: what the file says, with what the environment says laid over it.
//!
//! `SEGMENTD_KAFKA__BOOTSTRAP` is `kafka.bootstrap`; in `kafka.properties`, `_` stands for `.`. A variable is a value
//! like any other with a place of its own, so one check and one form of message serve both.
//!
//! **Invariant:** nothing here knows which settings exist or what they mean; that is [`super::shape`] and
//! [`super::meaning`]. Every key and value keeps its place.

use std::sync::Arc;

use crate::rule::diagnostic::{Diagnostic, Location, Source};
use crate::rule::yaml::{self, Content};

#[derive(Clone, Debug)]
pub struct Node {
    pub location: Location,
    pub tree: Tree,
}

/// Scalars are text: whether `20000` is a number is for the setting to say.
#[derive(Clone, Debug)]
pub enum Tree {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub key_location: Location,
    pub value: Node,
}

impl Node {
    /// Reads one document; an empty one is an empty map. Diagnostics are about the YAML alone.
    pub fn parse(source: &Arc<Source>) -> (Node, Vec<Diagnostic>) {
        let (root, diagnostics) = yaml::read(source);
        let empty = Node { location: Location { source: source.clone(), bytes: None }, tree: Tree::Map(vec![]) };
        let root = root.filter(|root| !root.is_null());
        (root.map_or(empty, |root| Node::from_yaml(root, source)), diagnostics)
    }

    fn from_yaml(node: yaml::Node, source: &Arc<Source>) -> Node {
        let location = |bytes| Location { source: source.clone(), bytes: Some(bytes) };
        let tree = match (node.text().map(str::to_owned), node.content) {
            (Some(text), _) => Tree::Scalar(text),
            (None, Content::Scalar(..)) => Tree::Null,
            (None, Content::Sequence(items)) => Tree::List(items.into_iter().map(|item| Node::from_yaml(item, source)).collect()),
            (None, Content::Mapping(entries)) => Tree::Map(entries.into_iter().map(|entry| Entry::from_yaml(entry, source)).collect()),
        };
        Node { location: location(node.bytes), tree }
    }

    /// The node at a path of keys, if there is one.
    pub fn get(&self, path: &[&str]) -> Option<&Node> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.tree {
            Tree::Map(entries) => entries.iter().find(|entry| entry.key == *first)?.value.get(rest),
            Tree::List(items) => items.get(first.parse::<usize>().ok()?)?.get(rest),
            Tree::Null | Tree::Scalar(_) => None,
        }
    }

    /// Sets a value from the environment, making the maps on the way.
    pub fn set(&mut self, path: &[String], variable: &str, value: &str) {
        let Some((first, rest)) = path.split_first() else {
            *self = Node::from_variable(variable, value);
            return;
        };
        if !matches!(self.tree, Tree::Map(_)) {
            self.tree = Tree::Map(vec![]);
        }
        let Tree::Map(entries) = &mut self.tree else { return };
        let at = entries.iter().position(|entry| entry.key == *first).unwrap_or_else(|| {
            let value = Node::from_variable(variable, value);
            entries.push(Entry { key: first.clone(), key_location: value.location.clone(), value });
            entries.len() - 1
        });
        entries[at].value.set(rest, variable, value);
    }

    /// The value's text is not kept as a source: it may be a secret, and a diagnostic shows its source.
    fn from_variable(variable: &str, value: &str) -> Node {
        Node { location: Location { source: Source::new(variable, ""), bytes: None }, tree: Tree::Scalar(value.to_owned()) }
    }
}

impl Entry {
    fn from_yaml((key, value): (yaml::Node, yaml::Node), source: &Arc<Source>) -> Entry {
        let key_location = Location { source: source.clone(), bytes: Some(key.bytes.clone()) };
        Entry { key: key.text().unwrap_or_default().to_owned(), key_location, value: Node::from_yaml(value, source) }
    }
}

/// The path that a variable sets, if it is one of ours: `SEGMENTD_STATE__DIR` is `state.dir`.
///
/// Without `__` only the names in `top_level` count: an orchestrator sets variables of its own after the service's
/// name (`SEGMENTD_SERVICE_HOST`), and refusing those would refuse to start.
pub fn variable_path(name: &str, top_level: &[&str]) -> Option<Vec<String>> {
    let path: Vec<String> = name.strip_prefix("SEGMENTD_")?.split("__").map(str::to_ascii_lowercase).collect();
    match path.as_slice() {
        [one] => top_level.contains(&one.as_str()).then_some(path),
        [kafka, properties, setting] if kafka == "kafka" && properties == "properties" => {
            Some(vec![kafka.clone(), properties.clone(), setting.replace('_', ".")])
        }
        _ => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse(&Source::new("c.yaml", text)).0
    }

    fn place(node: &Node) -> String {
        node.location.to_string()
    }

    #[test]
    fn values_and_keys_know_their_places() {
        let node = parse("# first\nkafka:\n  bootstrap: \"a:1\"\ninput: {topics: [x, yy]}\n");
        assert_eq!(place(node.get(&["kafka", "bootstrap"]).unwrap()), "c.yaml:3:14");
        assert_eq!(place(node.get(&["input", "topics", "1"]).unwrap()), "c.yaml:4:21");
        let Tree::Map(entries) = &node.tree else { panic!("a map") };
        assert_eq!(entries[0].key_location.to_string(), "c.yaml:2:1");
    }

    #[test]
    fn an_empty_document_is_an_empty_map() {
        for text in ["", "# nothing\n", "---\n"] {
            assert!(matches!(parse(text).tree, Tree::Map(entries) if entries.is_empty()), "{text:?}");
        }
    }

    #[test]
    fn a_variable_names_a_path() {
        let path = |name| variable_path(name, &["deployment"]).map(|path| path.join("/"));
        assert_eq!(path("SEGMENTD_KAFKA__BOOTSTRAP").as_deref(), Some("kafka/bootstrap"));
        assert_eq!(path("SEGMENTD_KAFKA__PROPERTIES__SASL_PASSWORD").as_deref(), Some("kafka/properties/sasl.password"));
        assert_eq!(path("SEGMENTD_DEPLOYMENT").as_deref(), Some("deployment"));
        assert_eq!(path("SEGMENTD_SERVICE_HOST"), None);
        assert_eq!(path("HOME"), None);
    }

    #[test]
    fn a_variable_replaces_or_adds_a_value() {
        let mut node = parse("kafka: {bootstrap: a}");
        node.set(&["kafka".into(), "bootstrap".into()], "SEGMENTD_KAFKA__BOOTSTRAP", "b");
        node.set(&["http".into(), "listen".into()], "SEGMENTD_HTTP__LISTEN", "c");
        assert!(matches!(&node.get(&["kafka", "bootstrap"]).unwrap().tree, Tree::Scalar(text) if text == "b"));
        assert_eq!(place(node.get(&["http", "listen"]).unwrap()), "SEGMENTD_HTTP__LISTEN");
    }
}
