//! A JSON object written member by member into a buffer.
//!
//! **Invariant:** commas and braces are placed here and nowhere else; text that needs an escape is written by `serde_json`.

use serde::Serialize;

use super::scanner::plain_length;
use crate::time::EventTime;

/// An object that has been begun and not yet ended.
pub(super) struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> ObjectWriter<'a> {
    pub fn begin(out: &'a mut Vec<u8>) -> ObjectWriter<'a> {
        out.push(b'{');
        ObjectWriter { out, first: true }
    }

    pub fn end(self) {
        self.out.push(b'}');
    }

    /// A name is our own word or the key of a segment: letters, digits, `_` and `-`, which need no escape.
    #[inline(always)]
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.quoted(name.as_bytes());
        self.out.push(b':');
    }

    #[inline(always)]
    pub fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.string(text);
    }

    /// A word of ours: letters and signs that need no escape, as a name's.
    #[inline(always)]
    pub fn word(&mut self, name: &str, word: &'static str) {
        self.name(name);
        self.quoted(word.as_bytes());
    }

    #[inline(always)]
    pub fn text_or_null(&mut self, name: &str, text: Option<&str>) {
        self.name(name);
        match text {
            Some(text) => self.string(text),
            None => self.raw("null"),
        }
    }

    #[inline(always)]
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.raw(if value { "true" } else { "false" });
    }

    #[inline(always)]
    pub fn number(&mut self, name: &str, number: impl Serialize) {
        self.name(name);
        // Cannot fail: a buffer takes every byte, and integers are all that is written here. Cheaper than `write!` is.
        let _written = serde_json::to_writer(&mut *self.out, &number);
    }

    #[inline(always)]
    pub fn instant(&mut self, name: &str, instant: EventTime) {
        self.name(name);
        self.time(instant);
    }

    #[inline(always)]
    pub fn instant_or_null(&mut self, name: &str, instant: Option<EventTime>) {
        self.name(name);
        match instant {
            Some(instant) => self.time(instant),
            None => self.raw("null"),
        }
    }

    pub fn object(&mut self, name: &str, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.name(name);
        let mut object = ObjectWriter::begin(self.out);
        members(&mut object);
        object.end();
    }

    pub fn object_or_null<T>(&mut self, name: &str, value: Option<&T>, members: impl FnOnce(&T, &mut ObjectWriter<'_>)) {
        match value {
            Some(value) => self.object(name, |object| members(value, object)),
            None => self.text_or_null(name, None),
        }
    }

    pub fn objects<T>(&mut self, name: &str, values: &[T], members: impl Fn(&T, &mut ObjectWriter<'_>)) {
        self.name(name);
        self.raw("[");
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            let mut object = ObjectWriter::begin(self.out);
            members(value, &mut object);
            object.end();
        }
        self.raw("]");
    }

    fn string(&mut self, text: &str) {
        if plain_length(text.as_bytes()) == text.len() {
            return self.quoted(text.as_bytes());
        }
        // Cannot fail: a buffer takes every byte, and text is always JSON.
        let _written = serde_json::to_writer(&mut *self.out, text);
    }

    fn time(&mut self, instant: EventTime) {
        match instant.rfc3339() {
            Some(text) => self.quoted(&text),
            None => self.string(&instant.to_string()),
        }
    }

    /// Text that needs no escape.
    #[inline(always)]
    fn quoted(&mut self, plain: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(plain);
        self.out.push(b'"');
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}
