//! Strict JSON (RFC 8259), one pass, nothing allocated: every value becomes a [`Token`], a kind and a byte range.
//!
//! Speed is why this exists: a general parser costs three to six times as much on a record of which few fields are
//! wanted. What it accepts is what `serde_json` accepts (a property test holds it to that), except that a number may
//! be of any size and nesting is bounded by [`MAX_DEPTH`].
//!
//! **Invariant:** a token is returned only for a well-formed value; the caller need not check the text again.

use std::borrow::Cow;
use std::ops::Range;

use super::escapes::unescape;

/// The deepest nesting of arrays and objects that is read; a megabyte of `[` must not use up the stack.
pub const MAX_DEPTH: u32 = 64;

/// As wide as the rest of a [`Token`], which is then copied whole, and not around a gap in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Null,
    True,
    False,
    Number,
    /// A string without escapes: the range between its quotes is its text.
    Text,
    /// A string with escapes: [`unescape`] its range.
    EscapedText,
    Array,
    Object,
}

/// A value of the record: bytes `start..end`, of a string without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
}

impl Token {
    #[inline(always)]
    pub fn is_text(self) -> bool {
        matches!(self.kind, Kind::Text | Kind::EscapedText)
    }

    #[inline(always)]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes of the value as they stand in the scanned text.
    #[inline(always)]
    pub fn raw_in(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or("")
    }

    /// Likewise, where it does not matter that they are text.
    #[inline(always)]
    pub fn bytes_in(self, text: &str) -> &[u8] {
        text.as_bytes().get(self.range()).unwrap_or_default()
    }

    /// The text of a string, its escapes resolved.
    #[inline(always)]
    pub fn text_in(self, text: &str) -> Cow<'_, str> {
        let raw = self.raw_in(text);
        if self.kind == Kind::EscapedText { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }
    }
}

/// Where and why the text is not JSON. Positions are bytes from the start of the scanned text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Something else than `expected` stands at `at`.
    Syntax {
        at: usize,
        expected: &'static str,
    },
    /// The text ends inside a value.
    Truncated {
        at: usize,
    },
    TooDeep {
        at: usize,
    },
}

/// The text is not JSON; [`Scanner::fault`] says where and why. Empty, so that a token fits into registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub type Scanned<T> = Result<T, Malformed>;

/// A cursor over UTF-8 text.
pub struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    fault: Option<JsonError>,
}

impl<'a> Scanner<'a> {
    /// The text must be shorter than 4 GiB, so that a token's range fits.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0, fault: None }
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Why scanning has ended with [`Malformed`].
    pub fn fault(&self) -> JsonError {
        self.fault.unwrap_or(JsonError::Truncated { at: self.at })
    }

    /// The first byte of the next value, not consumed. 0 at the end.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        // One comparison, since most records have no white space.
        if self.byte() <= b' ' {
            self.skip_space();
        }
        self.byte()
    }

    /// Scans one value of any kind, all that it holds included.
    #[inline(always)]
    pub fn value(&mut self) -> Scanned<Token> {
        let first = self.peek();
        self.value_of(first)
    }

    /// Likewise of the value whose first byte has been peeked at.
    #[inline(always)]
    pub fn value_of(&mut self, first: u8) -> Scanned<Token> {
        match first {
            b'"' => self.string(),
            b'{' => self.object(),
            b'[' => self.array(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn object(&mut self) -> Scanned<Token> {
        let start = self.enter(b'{')?;
        let mut first = true;
        while self.next_key(&mut first)?.is_some() {
            self.value()?;
        }
        Ok(self.object_from(start))
    }

    fn array(&mut self) -> Scanned<Token> {
        let start = self.enter(b'[')?;
        let mut first = true;
        while self.next_element(&mut first)? {
            self.value()?;
        }
        Ok(self.array_from(start))
    }

    /// Consumes the opening bracket at the cursor and returns where it stood.
    pub fn enter(&mut self, bracket: u8) -> Scanned<usize> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail(JsonError::TooDeep { at: self.at }));
        }
        self.depth += 1;
        self.expect(bracket, "an opening bracket")?;
        Ok(self.at - 1)
    }

    /// The object that was entered at `start` and has just been closed.
    pub fn object_from(&self, start: usize) -> Token {
        self.token(Kind::Object, start, self.at)
    }

    /// The array that was entered at `start` and has just been closed.
    pub fn array_from(&self, start: usize) -> Token {
        self.token(Kind::Array, start, self.at)
    }

    /// The next key of the object just entered, with its colon consumed; `None` after consuming the closing brace.
    pub fn next_key(&mut self, first: &mut bool) -> Scanned<Option<Token>> {
        if !self.continues(b'}', "`,` or `}`", first)? {
            return Ok(None);
        }
        if self.peek() != b'"' {
            return Err(self.unexpected("a key"));
        }
        let key = self.string()?;
        if self.byte() != b':' {
            self.skip_space();
        }
        self.expect(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Where the cursor stands: after a value its end, after a key the byte behind its colon.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Consumes `key` if exactly that stands at the cursor: what a call of [`Scanner::next_key`] consumed at a place of the same
    /// kind, the first key of an object or a later one, comma and white space included.
    #[inline(always)]
    pub fn skip_key(&mut self, key: &[u8]) -> bool {
        let follows = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(key));
        if follows {
            self.at += key.len();
        }
        follows
    }

    /// Whether another element of the array just entered follows; consumes the closing bracket if not.
    pub fn next_element(&mut self, first: &mut bool) -> Scanned<bool> {
        self.continues(b']', "`,` or `]`", first)
    }

    #[inline(always)]
    fn continues(&mut self, close: u8, expected: &'static str, first: &mut bool) -> Scanned<bool> {
        let byte = self.peek();
        if byte == close {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !std::mem::take(first) {
            self.expect(b',', expected)?;
        }
        Ok(true)
    }

    /// Only white space is left.
    pub fn finish(&mut self) -> Scanned<()> {
        self.skip_space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.unexpected("the end of the record")) }
    }

    /// Scans the string that opens at the cursor. One with escapes elsewhere, so that what most take is short.
    fn string(&mut self) -> Scanned<Token> {
        let start = self.at + 1;
        self.at = start + plain_length(&self.bytes[start..]);
        if self.byte() != b'"' {
            return self.escaped_string(start);
        }
        self.at += 1;
        Ok(self.token(Kind::Text, start, self.at - 1))
    }

    /// The string from `start`, once the cursor is at what does not stand for itself.
    #[cold]
    fn escaped_string(&mut self, start: usize) -> Scanned<Token> {
        while self.byte() != b'"' {
            if self.byte() != b'\\' {
                return Err(self.unexpected("a character of a string"));
            }
            self.escape()?;
            self.at += plain_length(&self.bytes[self.at..]);
        }
        self.at += 1;
        Ok(self.token(Kind::EscapedText, start, self.at - 1))
    }

    /// Checks the escape at the cursor, a pair of surrogates as one.
    fn escape(&mut self) -> Scanned<()> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let unit = self.code_unit()?;
                let lone = JsonError::Syntax { at: self.at, expected: "the other half of a surrogate pair" };
                match unit {
                    0xD800..=0xDBFF => {
                        self.expect(b'\\', "the other half of a surrogate pair")?;
                        if self.byte() != b'u' {
                            return Err(self.unexpected("the other half of a surrogate pair"));
                        }
                        if !matches!(self.code_unit()?, 0xDC00..=0xDFFF) {
                            return Err(self.fail(lone));
                        }
                    }
                    0xDC00..=0xDFFF => return Err(self.fail(lone)),
                    _ => {}
                }
            }
            _ => return Err(self.unexpected("an escape")),
        }
        Ok(())
    }

    /// `uXXXX` at the cursor.
    fn code_unit(&mut self) -> Scanned<u16> {
        self.at += 1;
        let mut unit = 0u16;
        for _ in 0..4 {
            let Some(digit) = char::from(self.byte()).to_digit(16) else {
                return Err(self.unexpected("a hexadecimal digit"));
            };
            unit = unit << 4 | digit as u16;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Scanned<Token> {
        let start = self.at;
        if self.byte() == b'-' {
            self.at += 1;
        }
        if self.byte() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.token(Kind::Number, start, self.at))
    }

    /// One or more digits.
    #[inline(always)]
    fn digits(&mut self) -> Scanned<()> {
        if !self.byte().is_ascii_digit() {
            return Err(self.unexpected("a digit"));
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Scanned<Token> {
        let start = self.at;
        for byte in word {
            self.expect(*byte, "`true`, `false` or `null`")?;
        }
        Ok(self.token(kind, start, self.at))
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8, expected: &'static str) -> Scanned<()> {
        if self.byte() != byte {
            return Err(self.unexpected(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// 0 at the end: no token begins or continues with it, and a NUL in the text is refused as any stray byte is.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    #[cold]
    fn unexpected(&mut self, expected: &'static str) -> Malformed {
        let ended = self.at >= self.bytes.len();
        self.fail(if ended { JsonError::Truncated { at: self.at } } else { JsonError::Syntax { at: self.at, expected } })
    }

    #[cold]
    fn fail(&mut self, fault: JsonError) -> Malformed {
        self.fault = Some(fault);
        Malformed
    }

    fn token(&self, kind: Kind, start: usize, end: usize) -> Token {
        Token { kind, start: start as u32, end: end as u32 }
    }
}

/// How many bytes from the start are neither `"`, `\` nor a control character. Eight at a time.
#[inline(always)]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let end = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1F));
    end.map_or(bytes.len(), |end| bytes.len() - rest.len() + end)
}

/// The top bit of every byte that ends a plain run. A borrow may set a bit above the first true one, never below it.
///
/// Source: S. E. Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than n".
#[inline(always)]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let less = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & TOPS;
    let equals = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    less(word, 0x20) | equals(b'"') | equals(b'\\')
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
