//! Configuration: a file and the environment in, a [`Config`] or every problem at once out.
//!
//! ```text
//! segmentd.yaml ─┐
//! SEGMENTD_…    ─┴→ document ─shape→ ConfigFile (what was written) ─meaning→ Config (what it means)
//! ```
//!
//! **Invariant:** a configuration is checked whole before anything is started; there is no half-understood one.

pub mod access;
mod amount;
pub mod document;
pub mod file;
pub mod lists;
pub mod meaning;
mod parts;
pub mod ruleset;
mod shape;
pub mod watch;

use std::path::Path;

use schemars::generate::SchemaSettings;

use crate::rule::diagnostic::{Diagnostic, Location, Source};
use document::Node;
pub use file::ConfigFile;
pub use meaning::Config;
use meaning::Meaning;

/// The default of `limits.id_bytes`, for commands without a configuration.
pub const ID_BYTES: usize = 512;

/// Settings at the top of the file that a variable without `__` may set.
const TOP_LEVEL: [&str; 4] = ["deployment", "streams", "lists", "watch"];

/// Reads the file at `path` and lays `variables` (all of the environment) over it.
///
/// Errors: every problem of the file and the variables, with its place.
pub fn load(path: &Path, variables: impl IntoIterator<Item = (String, String)>) -> Result<Config, Vec<Diagnostic>> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, text, variables),
        Err(error) => {
            let location = Location { source: Source::new(name, ""), bytes: None };
            let help = "give the file with --config; docs/configuration.md shows a first one";
            Err(vec![Diagnostic::error("no-file", location, format!("the configuration cannot be read: {error}")).help(help)])
        }
    }
}

/// Where a configuration is looked for when none is named.
pub const DEFAULT_PATH: &str = "config/segmentd.yaml";

/// The file that is named; else the default one, if it exists; else the defaults, with the environment over them.
pub fn load_or_default(path: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Result<Config, Vec<Diagnostic>> {
    let default = Path::new(DEFAULT_PATH);
    match path.or_else(|| default.exists().then_some(default)) {
        Some(path) => load(path, variables),
        None => parse(DEFAULT_PATH, String::new(), variables),
    }
}

/// The same for a text; `name` is what messages call it.
pub fn parse(name: &str, text: String, variables: impl IntoIterator<Item = (String, String)>) -> Result<Config, Vec<Diagnostic>> {
    let (mut document, mut diagnostics) = Node::parse(&Source::new(name, text));
    for (variable, value) in variables {
        if let Some(path) = document::variable_path(&variable, &TOP_LEVEL) {
            document.set(&path, &variable, &value);
        }
    }
    let written = shape::fit(&document, &schema(), "", &mut diagnostics).unwrap_or_default();
    let file = serde_json::from_value(written).unwrap_or_default();
    let config = Meaning { document: &document, diagnostics: &mut diagnostics }.config(file);
    if diagnostics.is_empty() { Ok(config) } else { Err(diagnostics) }
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Configuration,
    Streams,
    Definitions,
}

/// Told by the keys of the file; a folder holds definitions.
pub fn kind(path: &Path) -> Kind {
    const KEYS: [&str; 11] = ["access", "deployment", "kafka", "input", "output", "state", "commit", "clock", "limits", "http", "serve"];
    let Ok(text) = std::fs::read_to_string(path) else { return Kind::Definitions };
    let (document, _) = Node::parse(&Source::new("", text));
    let has = |key: &str| document.get(&[key]).is_some();
    if KEYS.iter().any(|key| has(key)) || path.ends_with("segmentd.yaml") {
        Kind::Configuration
    } else if has("streams") {
        Kind::Streams
    } else {
        Kind::Definitions
    }
}

/// JSON Schema (draft 2020-12) of the file.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<ConfigFile>().to_value()
}

#[cfg(test)]
mod tests;
