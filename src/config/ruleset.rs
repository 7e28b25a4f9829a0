//! Everything that rules need, loaded together: streams, static lists, and the definitions that speak of both.
//!
//! **Invariant:** a [`Ruleset`] that exists has no error in any of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Config;
use super::lists::{self, Lists};
use crate::event::Catalogue;
use crate::event::streams_file::StreamProblem;
use crate::id::{ListKey, TopicName};
use crate::plan::{self, List, Plan};
use crate::rule::definition::{self, Definitions, Names};
use crate::rule::diagnostic::{Diagnostic, Location, Source};

/// Where the parts stand.
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    /// `None`: only the built-in streams.
    pub streams: Option<&'a Path>,
    pub segments: &'a [PathBuf],
    pub lists: Option<&'a Path>,
}

impl Paths<'_> {
    /// As a configuration names them.
    pub fn of(config: &Config) -> Paths<'_> {
        Paths { streams: config.streams.as_deref(), segments: &config.segments, lists: config.lists.as_deref() }
    }
}

#[derive(Debug)]
pub struct Ruleset {
    pub catalogue: Catalogue,
    pub definitions: Definitions,
    /// Those of the folder; the definitions have their own.
    pub lists: Lists,
    /// Lists of the folder that stand in topics: what is on them only a service knows.
    pub list_topics: BTreeMap<ListKey, TopicName>,
}

impl Ruleset {
    /// All of it compiled together; nobody is on a list that stands in a topic.
    pub fn plan(&self) -> Plan {
        self.plan_with(&Lists::new())
    }

    /// The same with what stands in topics.
    pub fn plan_with(&self, read: &Lists) -> Plan {
        let of_topic = |key: &ListKey| (key.clone(), read.get(key).cloned().unwrap_or_default());
        let lists = self.all_lists().into_iter().chain(self.list_topics.keys().map(of_topic));
        plan::compile(&self.definitions, Arc::new(self.catalogue.clone()), lists.collect())
    }

    /// The lists of the folder's files and those of the definitions.
    pub fn all_lists(&self) -> Vec<(ListKey, List)> {
        let inline = self.definitions.lists.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect::<List>()));
        self.lists.iter().map(|(key, list)| (key.clone(), list.clone())).chain(inline).collect()
    }
}

/// Loads and checks all that a configuration names, and holds both against each other.
pub fn load_for(config: &Config) -> (Option<Ruleset>, Vec<Diagnostic>) {
    let (ruleset, mut diagnostics) = load(Paths::of(config), config.limits.id_bytes);
    let taken = |ruleset: &Ruleset| taken_topics(config, &ruleset.definitions).chain(taken_lists(config, ruleset)).collect::<Vec<_>>();
    let taken: Vec<Diagnostic> = ruleset.iter().flat_map(taken).collect();
    let sound = taken.is_empty();
    diagnostics.extend(taken);
    (ruleset.filter(|_| sound), diagnostics)
}

/// A segment's own entries among the inputs would be read back, and among other outputs be taken for something else.
fn taken_topics<'a>(config: &'a Config, definitions: &'a Definitions) -> impl Iterator<Item = Diagnostic> + 'a {
    definitions.segments.iter().filter_map(|segment| {
        let own = segment.publication.entry_topic.as_ref()?;
        let (setting, _) = config.topics().find(|(setting, topic)| *topic == own && setting != "output.entries")?;
        let message = format!("the entry topic `{own}` of the segment `{}` is {setting} already", segment.key);
        let diagnostic = Diagnostic::error("topic-taken", segment.location.clone(), message);
        Some(diagnostic.help("each topic has one purpose; several segments may share an entry topic"))
    })
}

/// A list in a topic of the service's own would be of records that are no list.
fn taken_lists<'a>(config: &'a Config, ruleset: &'a Ruleset) -> impl Iterator<Item = Diagnostic> + 'a {
    ruleset.list_topics.iter().filter_map(|(key, topic)| {
        let (setting, _) = config.topics().find(|(_, known)| *known == topic)?;
        let location = Location { source: Source::new(format!("{key}.topic"), ""), bytes: None };
        Some(Diagnostic::error("topic-taken", location, format!("the topic `{topic}` of the list `{key}` is {setting} already")))
    })
}

/// Loads and checks all of it. The diagnostics may hold warnings beside a ruleset, and hold an error without one.
pub fn load(paths: Paths<'_>, id_bytes: usize) -> (Option<Ruleset>, Vec<Diagnostic>) {
    let (catalogue, mut diagnostics) = catalogue(paths.streams);
    let (folder, problems) = paths.lists.map(|folder| lists::load(folder, id_bytes)).unwrap_or_default();
    diagnostics.extend(problems);
    let lists::Folder { lists, topics: list_topics } = folder;
    let keys: Vec<ListKey> = lists.keys().chain(list_topics.keys()).cloned().collect();
    // Where the streams are wrong, rules are held against the built-in ones: better too many messages than two rounds.
    let loaded = definition::load(paths.segments, Names { catalogue: &catalogue, lists: &keys });
    diagnostics.extend(loaded.diagnostics);
    let sound = !diagnostics.iter().any(Diagnostic::is_error);
    let ruleset = loaded.definitions.filter(|_| sound).map(|definitions| Ruleset { catalogue, definitions, lists, list_topics });
    (ruleset, diagnostics)
}

/// Definitions that are a text in the program, over the built-in streams. `None`: they have an error.
pub fn load_text(name: &str, text: &str) -> Option<Ruleset> {
    let catalogue = Catalogue::segment_spec();
    let definitions = definition::load_text(name, text, Names { catalogue: &catalogue, lists: &[] }, &[]).definitions?;
    Some(Ruleset { catalogue, definitions, lists: Lists::new(), list_topics: BTreeMap::new() })
}

/// The built-in streams with those of a file added; without them, if the file has a problem.
pub fn catalogue(path: Option<&Path>) -> (Catalogue, Vec<Diagnostic>) {
    let built_in = Catalogue::segment_spec();
    let Some(path) = path else { return (built_in, vec![]) };
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let location = Location { source: Source::new(name, ""), bytes: None };
            return (built_in, vec![Diagnostic::error("no-file", location, format!("the streams cannot be read: {error}"))]);
        }
    };
    match built_in.extended(&text) {
        Ok(catalogue) => (catalogue, vec![]),
        Err(problems) => {
            let source = Source::new(name, text);
            (built_in, problems.into_iter().map(|problem| diagnostic(problem, &source)).collect())
        }
    }
}

fn diagnostic(problem: StreamProblem, source: &Arc<Source>) -> Diagnostic {
    let bytes = byte_at(&source.text, problem.line, problem.column).map(|at| at..at + 1);
    let diagnostic = Diagnostic::error("streams", Location { source: source.clone(), bytes }, problem.message);
    match problem.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// The byte of a line and a column, both from 1 and in characters; 0 is nowhere.
fn byte_at(text: &str, line: u64, column: u64) -> Option<usize> {
    let (line, column) = (usize::try_from(line).ok()?.checked_sub(1)?, usize::try_from(column).ok()?.checked_sub(1)?);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..)?;
    Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_becomes_a_byte() {
        assert_eq!(byte_at("ab\nçd\n", 2, 2), Some(5));
        assert_eq!(byte_at("ab\n", 0, 0), None);
        assert_eq!(byte_at("ab", 9, 9), Some(2));
    }
}
