//! Files of events, a record a line, read as a stream: plain, `.zst` or `.gz` (told by their first bytes), or `-`.
//!
//! **Invariant:** memory is bounded whatever the file: a line longer than the limit is cut there, and what is left of it
//! is long enough to be rejected as too large.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use memchr::memchr;

use crate::event::Event;
use crate::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};

/// Every event of all files, in order, until `take` has enough; records that are rejected are left out and counted.
///
/// Gives how many were rejected.
pub fn each_event(
    files: &[PathBuf],
    decoder: &mut Decoder,
    bar: &ProgressBar,
    mut take: impl FnMut(&Event) -> ControlFlow<()>,
) -> anyhow::Result<u64> {
    let mut rejected = 0;
    for path in files {
        let progress = bar.clone();
        let mut lines = Lines::open(path, DecodeLimits::default().record_bytes, move |bytes| progress.inc(bytes))?;
        while let Some(line) = lines.next().with_context(|| format!("cannot read {}", path.display()))? {
            let decoded = (!line.is_empty()).then(|| decoder.decode(&RawRecord { payload: Some(line), ..RawRecord::default() }));
            match decoded {
                Some(Decoded::Event(event)) if take(&event).is_break() => return Ok(rejected),
                Some(Decoded::Rejected(_)) => rejected += 1,
                _ => {}
            }
        }
    }
    Ok(rejected)
}

const BUFFER: usize = 1 << 18;

/// RFC 8878 §3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// RFC 1952 §2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
/// What Windows writes at the beginning of a text, and no JSON may begin with. RFC 8259 §8.1.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The lines of one file.
pub struct Lines {
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    longest: usize,
}

impl Lines {
    /// `observe` is told how many bytes of the file itself were read, for a progress bar.
    pub fn open(path: &Path, longest: usize, observe: impl Fn(u64) + 'static) -> anyhow::Result<Lines> {
        let raw: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
        };
        let cannot = || format!("cannot read {}", path.display());
        let mut reader = decompressed(Box::new(Observed { inner: raw, observe })).with_context(cannot)?;
        if reader.fill_buf().with_context(cannot)?.starts_with(BYTE_ORDER_MARK) {
            reader.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Lines { reader, line: Vec::with_capacity(4096), longest })
    }

    /// The next line without its end; `None` after the last.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let mut piece = self.piece()?;
        if piece == Piece::Nothing {
            return Ok(None);
        }
        while piece == Piece::Part {
            piece = self.piece()?;
        }
        Ok(Some(self.line.strip_suffix(b"\r").unwrap_or(&self.line)))
    }

    /// Adds to the line what the buffer has of it. The standard library's `read_until` would do, but it searches a word at a time.
    fn piece(&mut self) -> io::Result<Piece> {
        let buffer = match self.reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => return self.piece(),
            filled => filled?,
        };
        let end = memchr(b'\n', buffer);
        let read = end.unwrap_or(buffer.len());
        // One byte more than is kept, for a carriage return.
        let room = (self.longest + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&buffer[..read.min(room)]);
        let piece = match end {
            Some(_) => Piece::Last,
            None if read == 0 => Piece::Nothing,
            None => Piece::Part,
        };
        self.reader.consume(read + usize::from(end.is_some()));
        Ok(piece)
    }
}

/// Of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Part,
    Last,
    /// The file has ended.
    Nothing,
}

fn decompressed(raw: Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(BUFFER, raw);
    let start = reader.fill_buf()?;
    if start.starts_with(&ZSTD_MAGIC) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(reader)?)));
    }
    if start.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader))));
    }
    Ok(Box::new(reader))
}

/// Counts what passes through.
struct Observed<F> {
    inner: Box<dyn Read>,
    observe: F,
}

impl<F: Fn(u64)> Read for Observed<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.observe)(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines_of(bytes: &[u8], longest: usize) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        std::fs::write(&path, bytes).unwrap();
        let mut lines = Lines::open(&path, longest, |_| {}).unwrap();
        let mut found = vec![];
        while let Some(line) = lines.next().unwrap() {
            found.push(String::from_utf8(line.to_vec()).unwrap());
        }
        found
    }

    #[test]
    fn lines_end_with_a_line_feed_or_the_file() {
        assert_eq!(lines_of(b"a\nb\r\n\nc", 10), ["a", "b", "", "c"]);
        assert_eq!(lines_of(b"", 10), Vec::<String>::new());
    }

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        let zst = zstd::encode_all(&b"a\nb\n"[..], 1).unwrap();
        assert_eq!(lines_of(&zst, 10), ["a", "b"]);
        let mut gz = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        gz.write_all(b"a\nb\n").unwrap();
        assert_eq!(lines_of(&gz.finish().unwrap(), 10), ["a", "b"]);
    }

    #[test]
    fn a_byte_order_mark_before_the_first_line_is_no_part_of_it() {
        assert_eq!(lines_of("\u{feff}{}\n\u{feff}b".as_bytes(), 10), ["{}", "\u{feff}b"]);
        assert_eq!(lines_of(&zstd::encode_all("\u{feff}a".as_bytes(), 1).unwrap(), 10), ["a"]);
        assert_eq!(lines_of("\u{feff}".as_bytes(), 10), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_just_beyond_the_limit() {
        assert_eq!(lines_of(b"0123456789\nb\n", 4), ["01234", "b"]);
    }
}
