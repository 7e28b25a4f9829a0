//! Static lists: a file each below `config/lists/`, `NAME.txt`, one customer id a line.
//!
//! Blank lines, and lines that begin with `#`, are skipped; blanks around an id are cut off. An id that comes twice
//! counts once. (An id that itself begins with `#` can only stand in a definition's `lists:`.)
//!
//! A file is read as a stream: ten million ids take 160 MB, and no text of theirs is kept.
//!
//! **Invariant:** an id that no event could carry is reported, not kept: it would be a member that nobody ever is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::id::ListKey;
use crate::plan::List;
use crate::rule::diagnostic::{Diagnostic, Location, Severity, Source};

pub type Lists = BTreeMap<ListKey, List>;

/// So many bad lines of a file are reported one by one.
const SHOWN: usize = 5;

/// Every list of a folder, and what is wrong with them. Files of another ending are left alone.
pub fn load(folder: &Path, id_bytes: usize) -> (Lists, Vec<Diagnostic>) {
    let (mut lists, mut diagnostics) = (Lists::new(), vec![]);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return (lists, vec![unreadable(folder, &error)]),
    };
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    for path in files {
        let key = path.file_stem().unwrap_or_default().to_string_lossy();
        match File::open(&path).and_then(|file| Reading::of(BufReader::new(file), id_bytes)) {
            Ok(reading) => {
                diagnostics.extend(reading.diagnostics(&path, id_bytes));
                lists.insert(ListKey::new(&*key), List::of(reading.hashes));
            }
            Err(error) => diagnostics.push(unreadable(&path, &error)),
        }
    }
    (lists, diagnostics)
}

/// One file, read to its end.
#[derive(Default)]
struct Reading {
    hashes: Vec<u128>,
    /// Lines that hold no id: their numbers from 1, and why.
    bad: Vec<(u64, Bad)>,
    bad_lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    TooLong,
    NoText,
}

impl Reading {
    fn of(mut file: impl BufRead, id_bytes: usize) -> io::Result<Reading> {
        let (mut reading, mut line) = (Reading::default(), Vec::new());
        for number in 1.. {
            line.clear();
            // Room for blanks around the id; what is longer than that is no id, and is not kept.
            let room = 2 * id_bytes as u64 + 64;
            if file.by_ref().take(room).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let cut = line.len() as u64 == room && line.last() != Some(&b'\n');
            if cut {
                skip_line(&mut file)?;
            }
            reading.line(number, &line, cut, id_bytes);
        }
        Ok(reading)
    }

    fn line(&mut self, number: u64, line: &[u8], cut: bool, id_bytes: usize) {
        let bad = match std::str::from_utf8(line).map(str::trim) {
            _ if cut => Bad::TooLong,
            Err(_) => Bad::NoText,
            Ok(id) if id.is_empty() || id.starts_with('#') => return,
            Ok(id) if id.len() > id_bytes => Bad::TooLong,
            Ok(id) => return self.hashes.push(List::hash(id)),
        };
        self.bad_lines += 1;
        if self.bad.len() < SHOWN {
            self.bad.push((number, bad));
        }
    }

    fn diagnostics(&self, path: &Path, id_bytes: usize) -> Vec<Diagnostic> {
        let shown = self.bad.iter().map(|(line, bad)| match bad {
            Bad::TooLong => {
                error(path, "long-id", format!("line {line} is longer than any customer id: {id_bytes} bytes (limits.id_bytes)"))
            }
            Bad::NoText => error(path, "not-utf8", format!("line {line} is not UTF-8")),
        });
        let mut diagnostics: Vec<_> = shown.collect();
        if self.bad_lines > self.bad.len() {
            diagnostics.push(error(path, "long-id", format!("{} more lines like these", self.bad_lines - self.bad.len())));
        }
        if self.hashes.is_empty() && self.bad_lines == 0 {
            let message = "the list is empty: nobody is on it";
            let warning = Diagnostic { severity: Severity::Warning, ..error(path, "empty-list", message.into()) };
            diagnostics.push(warning.help("a file that is being written looks so too"));
        }
        diagnostics
    }
}

/// Reads over the rest of a line, in bounded memory.
fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = file.fill_buf()?;
        let end = available.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(available.len(), |end| end + 1);
        let is_over = end.is_some() || available.is_empty();
        file.consume(used);
        if is_over {
            return Ok(());
        }
    }
}

fn unreadable(path: &Path, reason: &io::Error) -> Diagnostic {
    error(path, "no-list", format!("the list cannot be read: {reason}"))
}

fn error(path: &Path, code: &'static str, message: String) -> Diagnostic {
    Diagnostic::error(code, place(path), message)
}

fn place(path: &Path) -> Location {
    Location { source: Source::new(path.display().to_string(), ""), bytes: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text, and says what is wrong with it.
    fn check(text: &[u8], ids: &[&str], problems: &[&str]) {
        let reading = Reading::of(text, 16).unwrap();
        let found: Vec<_> = reading.diagnostics(Path::new("staff.txt"), 16).into_iter().map(|d| d.message).collect();
        assert_eq!(found, problems);
        assert_eq!(List::of(reading.hashes), ids.iter().map(|id| (*id).into()).collect());
    }

    #[test]
    fn a_list_is_its_distinct_ids() {
        check(b"# staff\nann\n\n  bob \r\nann", &["ann", "bob"], &[]);
    }

    #[test]
    fn lines_that_are_no_id_are_reported_with_their_numbers() {
        let long = "x".repeat(17);
        let very_long = "y".repeat(100_000);
        let text = [format!("ann\n{long}\n{very_long}\n").as_bytes(), b"\xff\xfe\nbob\n"].concat();
        let too_long = |line| format!("line {line} is longer than any customer id: 16 bytes (limits.id_bytes)");
        check(&text, &["ann", "bob"], &[&too_long(2), &too_long(3), "line 4 is not UTF-8"]);
    }

    #[test]
    fn of_many_bad_lines_the_first_are_shown_and_the_others_counted() {
        let reading = Reading::of("0123456789abcdefg\n".repeat(1_000).as_bytes(), 16).unwrap();
        let found = reading.diagnostics(Path::new("staff.txt"), 16);
        assert_eq!((found.len(), found[5].message.as_str()), (6, "995 more lines like these"));
    }

    #[test]
    fn a_list_of_nobody_is_told_from_one_that_was_meant() {
        check(b"# nobody yet\n", &[], &["the list is empty: nobody is on it"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_reported() {
        assert_eq!(load(Path::new("no/such/folder"), 64).1.len(), 1);
    }
}
