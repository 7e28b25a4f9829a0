//! From a byte of a scalar's text back to the byte of the file that it came from.
//!
//! Quotes, escapes, folded lines and indentation make the two differ. Both are walked side by side: a character that
//! is no blank is matched with its own spelling, blanks may differ in number and kind.
//!
//! **Invariant:** exact at every character that is no blank, which is where tokens begin and end; always inside the
//! scalar.

use std::ops::Range;

use super::super::ast::Place;
use super::{Content, Node, ScalarKind};

/// For each byte of a scalar's text, the byte of the file; one more for its end.
pub struct TextMap(Vec<usize>);

impl TextMap {
    /// `file`: the text that the node was read from.
    pub fn new(node: &Node, file: &str) -> TextMap {
        let Content::Scalar(text, kind) = &node.content else { return TextMap(vec![node.bytes.start]) };
        let mut spelling = Spelling { file, at: node.bytes.start, end: node.bytes.end.min(file.len()), kind: *kind };
        spelling.enter();
        let mut map = Vec::with_capacity(text.len() + 1);
        for c in text.chars() {
            let start = spelling.step(c);
            map.extend(start..start + c.len_utf8());
        }
        map.push(spelling.at);
        TextMap(map)
    }

    /// Where a place of the scalar's text stands in the file.
    pub fn bytes(&self, place: Place) -> Range<usize> {
        let at = |byte: u32| self.0.get(byte as usize).or(self.0.last()).copied().unwrap_or_default();
        let start = at(place.start);
        // The end of a place is the byte after its last character, which may be followed by a fold: stay close to it.
        let end = if place.end > place.start { at(place.end - 1) + 1 } else { start };
        start..end.max(start)
    }
}

/// How the file spells a scalar, read from left to right.
struct Spelling<'a> {
    file: &'a str,
    at: usize,
    end: usize,
    kind: ScalarKind,
}

impl Spelling<'_> {
    fn rest(&self) -> &str {
        self.file.get(self.at..self.end).unwrap_or_default()
    }

    /// Steps over the opening quote, or the line of `|` or `>`.
    fn enter(&mut self) {
        let quoted = matches!(self.kind, ScalarKind::Single | ScalarKind::Double);
        if quoted && self.rest().starts_with(['\'', '"']) {
            self.at += 1;
        } else if self.kind == ScalarKind::Block && self.rest().starts_with(['|', '>']) {
            self.at += self.rest().find('\n').map_or(0, |n| n + 1);
        }
    }

    /// Steps over the spelling of `c` and gives where it began.
    fn step(&mut self, c: char) -> usize {
        if !c.is_whitespace() {
            self.skip_blanks();
        }
        let start = self.at;
        self.at += self.length(c);
        start
    }

    fn skip_blanks(&mut self) {
        self.at = self.end - self.rest().trim_start().len();
        // In double quotes a `\` at the end of a line joins it to the next.
        while self.kind == ScalarKind::Double && self.rest().starts_with("\\\n") {
            self.at += 2;
            self.at = self.end - self.rest().trim_start().len();
        }
    }

    /// How long the spelling of `c` is here; 0 if something else stands here (a blank that a fold made).
    fn length(&self, c: char) -> usize {
        let rest = self.rest();
        match self.kind {
            ScalarKind::Double if rest.starts_with('\\') => escape_length(rest),
            ScalarKind::Single if c == '\'' && rest.starts_with("''") => 2,
            _ if rest.starts_with(c) => c.len_utf8(),
            _ => 0,
        }
    }
}

/// YAML 1.2.2, §5.7: `\xNN`, `\uNNNN`, `\UNNNNNNNN`, else one character.
fn escape_length(spelling: &str) -> usize {
    let length = match spelling.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    };
    length.min(spelling.len())
}
