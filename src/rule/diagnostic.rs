//! Problems as data: what is wrong, where it stands, and what would be right.
//!
//! A [`Finding`] speaks of a rule's own text; once the file around it is known it becomes a [`Diagnostic`], which
//! carries the file with it and can be shown to a person ([`render`]) or to a program (`serde`).
//!
//! **Invariant:** bad text from outside never panics and never stops at the first problem; it becomes a list of these.

mod render;

use std::ops::Range;
use std::sync::Arc;

use super::ast::Place;
pub use render::{MAX_SHOWN, Style, render, render_all};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// A problem in the text of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable, kebab-case: `unknown-field`.
    pub code: &'static str,
    pub message: String,
    pub place: Place,
    /// Stands below the marked text: ``did you mean `total`?``
    pub label: Option<String>,
    /// A way out, as a sentence.
    pub help: Option<String>,
}

impl Finding {
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, code, message: message.into(), place, label: None, help: None }
    }

    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(code, place, message) }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub fn label(mut self, label: impl Into<String>) -> Finding {
        self.label = Some(label.into());
        self
    }

    /// Adds ``did you mean `x`?`` if one of the known names is near to what was written.
    pub fn suggest<'a>(mut self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Finding {
        self.label = nearest(written, known).map(|name| format!("did you mean `{name}`?")).or(self.label);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }
}

/// The known name that a person most likely meant: at most a third of its letters differ.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name from outside may be very long, and the distance costs the product of both lengths.
    if written.len() > 128 {
        return None;
    }
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.len().max(written.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A text that was read, with the starts of its lines.
#[derive(Debug)]
pub struct Source {
    /// A path as it was given, or what a test calls its text.
    pub name: String,
    pub text: String,
    line_starts: Vec<usize>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        let text = text.into();
        let after_breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Arc::new(Source { name: name.into(), text, line_starts })
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= byte).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..byte).map_or(1, |before| before.chars().count() + 1);
        (line, column)
    }

    /// The bytes of the line that holds `byte`, without its break.
    fn line_around(&self, byte: usize) -> Range<usize> {
        let (line, _) = self.line_and_column(byte);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        start..end.max(start)
    }
}

/// A place in a file; without bytes, the file as a whole.
#[derive(Clone, Debug)]
pub struct Location {
    pub source: Arc<Source>,
    pub bytes: Option<Range<usize>>,
}

impl Location {
    /// Line and column from 1; of a whole file there are none.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        self.bytes.as_ref().map(|bytes| self.source.line_and_column(bytes.start))
    }
}

impl std::fmt::Display for Location {
    /// `loyal.yaml:4:31`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source.name)?;
        match self.line_and_column() {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A problem in a file of definitions or of configuration.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    pub location: Option<Location>,
    pub label: Option<String>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, location: Location, message: impl Into<String>) -> Diagnostic {
        Finding::error(code, Place::default(), message).at(location)
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }

    pub fn suggest<'a>(mut self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        self.label = nearest(written, known).map(|name| format!("did you mean `{name}`?")).or(self.label);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

impl Finding {
    /// The same problem, in the file where the rule stands.
    pub fn at(self, location: Location) -> Diagnostic {
        let Finding { severity, code, message, label, help, place: _ } = self;
        Diagnostic { severity, code, message, location: Some(location), label, help }
    }
}

/// For programs: the fields of [`Diagnostic`], with file, line and column flat.
impl serde::Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Flat<'a> {
            severity: Severity,
            code: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            file: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            line: Option<usize>,
            #[serde(skip_serializing_if = "Option::is_none")]
            column: Option<usize>,
            #[serde(skip_serializing_if = "Option::is_none")]
            bytes: Option<[usize; 2]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            label: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            help: Option<&'a str>,
        }
        let location = self.location.as_ref();
        let position = location.and_then(Location::line_and_column);
        Flat {
            severity: self.severity,
            code: self.code,
            message: &self.message,
            file: location.map(|l| l.source.name.as_str()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            bytes: location.and_then(|l| l.bytes.as_ref()).map(|bytes| [bytes.start, bytes.end]),
            label: self.label.as_deref(),
            help: self.help.as_deref(),
        }
        .serialize(serializer)
    }
}
