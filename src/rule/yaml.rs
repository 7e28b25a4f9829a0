//! YAML as nodes that remember where they stand, down to the byte inside a scalar.
//!
//! `serde` stops at the first problem and forgets places; a file of definitions is read in one go and every problem
//! in it is shown with its place, so the parser's events become a tree of our own.
//!
//! **Invariant:** a tree is at most [`MAX_DEPTH`] deep, and no alias is expanded but that of a scalar: the tree is
//! never larger than the file.

mod place;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, options};
use smol_str::SmolStr;

use super::diagnostic::{Diagnostic, Location, Source};
pub use place::TextMap;

const MAX_DEPTH: usize = 64;

/// How a scalar was written; it decides how its text maps back to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    Plain,
    Single,
    Double,
    /// `|` or `>`
    Block,
}

#[derive(Clone, Debug)]
pub enum Content {
    Scalar(SmolStr, ScalarKind),
    Sequence(Vec<Node>),
    /// Keys are scalars, in the order of the file; none comes twice.
    Mapping(Vec<(Node, Node)>),
}

#[derive(Clone, Debug)]
pub struct Node {
    pub content: Content,
    /// Of the file.
    pub bytes: Range<usize>,
}

impl Node {
    /// The text of a scalar that says something; `None` for collections, an empty plain scalar, `null` and `~`.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, ScalarKind::Plain) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => None,
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing was written: `key:` and no more.
    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(..)) && self.text().is_none()
    }

    /// What a message calls it.
    pub fn describe(&self) -> &'static str {
        match self.content {
            Content::Scalar(..) if self.is_null() => "nothing",
            Content::Scalar(..) => "a text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

/// Reads a file of one document. `None` as the node: the file holds nothing but comments.
///
/// The diagnostics are what could be found before the text made no sense any more; duplicate keys do not stop it.
pub fn read(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    let (mut documents, diagnostics) = build(source, false);
    (documents.pop(), diagnostics)
}

/// Reads a file of documents that `---` separates; none, if one of them makes no sense.
pub fn read_documents(source: &Arc<Source>) -> (Vec<Node>, Vec<Diagnostic>) {
    build(source, true)
}

fn build(source: &Arc<Source>, many: bool) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut builder = Builder { source, many, open: Vec::new(), documents: Vec::new(), anchors: HashMap::new(), diagnostics: Vec::new() };
    for event in Parser::new_from_str_with_options(&source.text, parser_options()) {
        let stop = match event {
            Ok((event, span)) => builder.take(event, span).err(),
            Err(error) => Some(Box::new(builder.syntax(&error))),
        };
        if let Some(diagnostic) = stop {
            builder.diagnostics.push(*diagnostic);
            return (Vec::new(), builder.diagnostics);
        }
    }
    (builder.documents, builder.diagnostics)
}

fn parser_options() -> Options {
    options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH as _, block_nesting_limit: MAX_DEPTH as _ }
}

/// A collection that has begun and not ended.
struct Open {
    content: Content,
    /// Of a mapping: the key whose value comes next.
    key: Option<Node>,
    seen: HashMap<SmolStr, Range<usize>>,
    start: usize,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    /// Whether a second document is welcome.
    many: bool,
    open: Vec<Open>,
    documents: Vec<Node>,
    /// Scalars only.
    anchors: HashMap<usize, Node>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Diagnostic>> {
        let bytes = byte_range(&span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = Node { content: Content::Scalar(text.into(), kind(style)), bytes };
                if anchor > 0 {
                    self.anchors.insert(anchor, node.clone());
                }
                self.place(node);
            }
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned();
                let node = target.ok_or_else(|| self.error("yaml-alias", bytes, "only a text can be referred to with `*`"))?;
                self.place(node);
            }
            Event::SequenceStart(..) => self.begin(Content::Sequence(Vec::new()), bytes)?,
            Event::MappingStart(..) => self.begin(Content::Mapping(Vec::new()), bytes)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(bytes.end),
            Event::DocumentStart(..) if !self.many && !self.documents.is_empty() => {
                return Err(Box::new(self.error("yaml-documents", bytes, "a file holds one document")));
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, content: Content, bytes: Range<usize>) -> Result<(), Box<Diagnostic>> {
        let is_key = self.open.last().is_some_and(|open| open.key.is_none() && matches!(open.content, Content::Mapping(_)));
        if is_key {
            return Err(Box::new(self.error("yaml-key", bytes, "a key must be a text")));
        }
        self.open.push(Open { content, key: None, seen: HashMap::new(), start: bytes.start });
        Ok(())
    }

    fn end(&mut self, end: usize) {
        if let Some(Open { content, start, .. }) = self.open.pop() {
            self.place(Node { content, bytes: start..end.max(start) });
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, node)),
                None => self.place_key(node),
            },
            Content::Scalar(..) => {}
        }
    }

    fn place_key(&mut self, key: Node) {
        let (Content::Scalar(text, _), Some(open)) = (&key.content, self.open.last_mut()) else { return };
        let first = open.seen.insert(text.clone(), key.bytes.clone());
        let (text, bytes) = (text.clone(), key.bytes.clone());
        open.key = Some(key);
        if let Some(first) = first {
            let (line, column) = self.source.line_and_column(first.start);
            let diagnostic = self.error("duplicate-key", bytes, &format!("the key `{text}` comes twice in one mapping"));
            self.diagnostics.push(diagnostic.help(format!("it came first at line {line}, column {column}")));
        }
    }

    fn error(&self, code: &'static str, bytes: Range<usize>, message: &str) -> Diagnostic {
        Diagnostic::error(code, Location { source: self.source.clone(), bytes: Some(bytes) }, message)
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker().byte_offset().unwrap_or(self.source.text.len());
        self.error("yaml-syntax", at..at, &format!("this is not YAML: {}", error.info()))
    }
}

fn byte_range(span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or_default();
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

fn kind(style: ScalarStyle) -> ScalarKind {
    match style {
        ScalarStyle::Plain => ScalarKind::Plain,
        ScalarStyle::SingleQuoted => ScalarKind::Single,
        ScalarStyle::DoubleQuoted => ScalarKind::Double,
        _ => ScalarKind::Block,
    }
}
