//! Diagnostics for a person, in the form that Rust's compiler has made familiar.
//!
//! ```text
//! error[unknown-field]: the stream `orders` has no field `totl`
//!   --> config/segments/loyal.yaml:4:31
//!    |
//!  4 |     sum(orders.totl last 30d) > 100
//!    |                ^^^^ did you mean `total`?
//!    = help: fields of `orders` are listed by `segmentd schema streams`
//! ```
//!
//! **Invariant:** the work is bounded by what is shown: [`MAX_SHOWN`] diagnostics, one line of the file for each.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Location, Severity};

/// Nobody reads more; the rest is counted.
pub const MAX_SHOWN: usize = 100;

/// A longer line (a generated file) is named, not shown.
const MAX_LINE_BYTES: usize = 4096;

/// Whether the text goes to a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

/// All of them, an empty line between two; beyond [`MAX_SHOWN`], how many more there are.
pub fn render_all(diagnostics: &[Diagnostic], style: Style) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        text.push_str(&render(diagnostic, style));
        text.push_str("\n\n");
    }
    if diagnostics.len() > MAX_SHOWN {
        text.push_str(&format!("… and {} more\n", diagnostics.len() - MAX_SHOWN));
    }
    text
}

/// One diagnostic, without a line break at its end.
pub fn render(diagnostic: &Diagnostic, style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let shown = diagnostic.location.as_ref().map(|location| place(diagnostic, location));
    // A label that found no line to stand below would be lost.
    let orphan = diagnostic.label.as_deref().filter(|_| !matches!(shown, Some(Element::Cause(_))));
    let notes = [orphan, diagnostic.help.as_deref()].into_iter().flatten().map(|text| Level::HELP.message(text).into());
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let report = [title.elements(shown.into_iter().chain(notes))];
    renderer(style).render(&report)
}

fn renderer(style: Style) -> Renderer {
    match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    }
}

/// The marked line if it can be shown, else where it stands.
fn place<'a>(diagnostic: &'a Diagnostic, location: &'a Location) -> Element<'a> {
    let source = &location.source;
    let origin = Origin::path(source.name.as_str());
    let Some(bytes) = &location.bytes else { return origin.into() };
    let (line_number, column) = source.line_and_column(bytes.start);
    let line = source.line_around(bytes.start);
    let Some(shown) = source.text.get(line.clone()).filter(|text| text.len() <= MAX_LINE_BYTES) else {
        return origin.line(line_number).char_column(column).into();
    };
    let marked = AnnotationKind::Primary.span(within(bytes, &line)).label(diagnostic.label.as_deref());
    Snippet::source(shown).line_start(line_number).path(source.name.as_str()).annotation(marked).into()
}

/// The part of `bytes` on this line, relative to it.
fn within(bytes: &Range<usize>, line: &Range<usize>) -> Range<usize> {
    let start = bytes.start.clamp(line.start, line.end) - line.start;
    let end = bytes.end.clamp(line.start, line.end) - line.start;
    start..end.max(start)
}
