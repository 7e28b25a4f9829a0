//! Definitions: files of segments and lists, read, checked as a whole, and put in order (semantics §4).
//!
//! ```yaml
//! segments:
//!   - {key: loyal, when: 'count(orders last 30d) > 2'}
//! ladders:
//!   - {key: life, stages: [{key: active, when: 'count(orders last 30d) > 0'}, {key: dormant}]}
//! lists: {staff: [ann, bob]}
//! ```
//!
//! **Invariant:** all or nothing. [`Loaded::definitions`] is there only if there was no error, and then every name in
//! every rule exists; otherwise every problem of every file is reported, each at its place.

pub mod entry;
mod experiment;
mod file;
mod ladder;
mod loader;
mod pin;
mod publication;
mod resolve;
#[cfg(test)]
mod tests;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::ast::Expr;
use super::diagnostic::{Diagnostic, Location, Source};
use super::yaml;
use crate::event::Catalogue;
use crate::id::{CustomerId, LadderKey, ListKey, SegmentKey};
use crate::time::{Span, Zone};
pub use file::{MAX_FILE_BYTES, is_test};
use loader::Loader;
pub use publication::{EntryPolicy, OnCreate, Publication};

/// More is a generated mistake, not a set of campaigns.
pub const MAX_SEGMENTS: usize = 100_000;

/// A segment's place on a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Position in [`Definitions::ladders`].
    pub ladder: usize,
    /// From 0; a smaller one goes before.
    pub rank: usize,
}

/// One segment, or one stage of a ladder, as its author wrote it.
#[derive(Clone, Debug)]
pub struct SegmentDefinition {
    pub key: SegmentKey,
    pub name: Option<String>,
    pub description: Option<String>,
    pub owner: Option<String>,
    pub tags: Vec<String>,
    /// Of the calendar windows; UTC unless said otherwise.
    pub timezone: Zone,
    /// Of a ladder's last stage: `true`.
    pub when: Expr,
    pub exit_when: Option<Expr>,
    /// How long nobody who entered leaves.
    pub min_stay: Option<Span>,
    /// A static list, `list("…")`: who is on it is a member whatever the rules say.
    pub pin: Option<Expr>,
    /// A static list: who is on it is none, pinned or not. A stage of a ladder has neither.
    pub ban: Option<Expr>,
    /// What is told of its memberships; it does not decide them.
    pub publication: Publication,
    pub stage: Option<Stage>,
    /// 32 hexadecimal digits: the fingerprint of what the segment means. A name or a comment does not change it.
    pub version: Arc<str>,
    /// `tests:`, as pages that `scenario` reads.
    pub tests: Option<yaml::Node>,
    /// Where its key stands.
    pub location: Location,
}

/// Stages in order of priority, of which every customer is on exactly one.
#[derive(Clone, Debug)]
pub struct LadderDefinition {
    pub key: LadderKey,
    pub name: Option<String>,
    pub description: Option<String>,
    pub owner: Option<String>,
    pub tags: Vec<String>,
    /// `tests:`, as pages that `scenario` reads.
    pub tests: Option<yaml::Node>,
    /// Where it stands.
    pub location: Location,
}

impl SegmentDefinition {
    /// All that decides who is a member.
    pub fn rules(&self) -> impl Iterator<Item = &Expr> {
        [Some(&self.when), self.exit_when.as_ref(), self.pin.as_ref(), self.ban.as_ref()].into_iter().flatten()
    }
}

/// Everything that a set of files defines.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// In order of definition: files as given, folders by name.
    pub segments: Vec<SegmentDefinition>,
    /// Their stages stand among the segments, one behind the other.
    pub ladders: Vec<LadderDefinition>,
    /// Inline lists; those with a file of their own are the caller's.
    pub lists: BTreeMap<ListKey, BTreeSet<CustomerId>>,
    /// Positions in `segments`, each after all that it refers to; otherwise in order of definition.
    pub evaluation_order: Vec<usize>,
}

/// What came of loading. Without an error there are definitions; warnings may stand beside them.
#[derive(Debug)]
pub struct Loaded {
    pub definitions: Option<Definitions>,
    /// By file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// What rules may speak of.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub catalogue: &'a Catalogue,
    /// Static lists that are defined elsewhere, in files of their own.
    pub lists: &'a [ListKey],
}

/// Reads files, and folders with all their `*.yaml` and `*.yml` (not `*.test.yaml`, not what begins with a dot).
pub fn load(paths: &[PathBuf], names: Names<'_>) -> Loaded {
    let (sources, unreadable) = sources(paths);
    let mut loaded = load_sources(&sources, names);
    loaded.definitions = loaded.definitions.filter(|_| unreadable.is_empty());
    loaded.diagnostics.splice(..0, unreadable);
    loaded
}

/// Reads texts that belong together, as [`load`] reads files.
pub fn load_sources(sources: &[Arc<Source>], names: Names<'_>) -> Loaded {
    let mut loader = Loader::new(names, &[]);
    sources.iter().for_each(|source| loader.file(source));
    loader.finish()
}

/// The texts of all definitions among paths, and what cannot be read.
pub fn sources(paths: &[PathBuf]) -> (Vec<Arc<Source>>, Vec<Diagnostic>) {
    file::read_all(paths, file::is_definition)
}

/// The texts of all files of tests among paths: those named, and a folder's `*.test.yaml`.
pub fn test_sources(paths: &[PathBuf]) -> (Vec<Arc<Source>>, Vec<Diagnostic>) {
    let paths: Vec<PathBuf> = paths.iter().filter(|path| path.is_dir() || is_test(path)).cloned().collect();
    file::read_all(&paths, is_test)
}

/// Reads one text, `name` being what messages call it. Keys of `beside` may stand next to `segments:`; they are
/// somebody else's (a scenario's `events:`).
pub fn load_text(name: &str, text: &str, names: Names<'_>, beside: &[&str]) -> Loaded {
    let mut loader = Loader::new(names, beside);
    loader.file(&Source::new(name, text));
    loader.finish()
}

/// Reads one mapping of `source`, as [`load_text`] reads a text: a page of a file of tests.
pub fn load_node(source: &Arc<Source>, node: &yaml::Node, names: Names<'_>, beside: &[&str]) -> Loaded {
    let mut loader = Loader::new(names, beside);
    loader.root(source, node);
    loader.finish()
}

/// The fingerprint of what decides who is a member, and nothing else: the rules, and options by name where they are set.
fn version(when: &Expr, exit_when: Option<&Expr>, timezone: &Zone, options: &[(&str, Option<String>)]) -> Arc<str> {
    let exit_when = exit_when.map(Expr::to_string).unwrap_or_default();
    // NUL cannot stand in a zone's name or begin a rule: no two definitions run together.
    let mut text = format!("{when}\0{exit_when}\0{}", timezone.name());
    for (name, value) in options.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        text.push_str(&format!("\0{name} {value}"));
    }
    format!("{:032x}", xxh3_128(text.as_bytes())).into()
}
