//! Static lists: a file each below `config/lists/`, `NAME.txt`, one customer id a line; or `NAME.topic`, which names the compacted
//! Kafka topic that the list stands in.
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

use crate::id::{ListKey, TopicName};
use crate::plan::List;
use crate::rule::diagnostic::{Diagnostic, Location, Severity, Source};

pub type Lists = BTreeMap<ListKey, List>;

/// Everything that a folder has.
#[derive(Debug, Default)]
pub struct Folder {
    pub lists: Lists,
    /// Lists that stand in topics.
    pub topics: BTreeMap<ListKey, TopicName>,
}

/// A name, and some comments.
const TOPIC_BYTES: u64 = 16 << 10;

/// So many bad lines of a file are reported one by one.
const SHOWN: usize = 5;

/// Every list of a folder, and what is wrong with them. Files of another ending are left alone.
pub fn load(folder: &Path, id_bytes: usize) -> (Folder, Vec<Diagnostic>) {
    let (mut found, mut diagnostics) = (Folder::default(), vec![]);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return (found, vec![unreadable(folder, &error)]),
    };
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "txt" || e == "topic")).collect();
    files.sort();
    for path in files {
        let key = ListKey::new(&*path.file_stem().unwrap_or_default().to_string_lossy());
        if path.extension().is_some_and(|e| e == "topic") {
            match named(&path) {
                Ok(topic) => drop(found.topics.insert(key, topic)),
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
            continue;
        }
        if found.topics.contains_key(&key) {
            diagnostics.push(error(&path, "list-twice", format!("the list `{key}` stands in a topic already (`{key}.topic`)")));
        }
        match File::open(&path).and_then(|file| Reading::of(BufReader::new(file), id_bytes)) {
            Ok(reading) => {
                diagnostics.extend(reading.diagnostics(&path, id_bytes));
                found.lists.insert(key, List::of(reading.hashes));
            }
            Err(error) => diagnostics.push(unreadable(&path, &error)),
        }
    }
    (found, diagnostics)
}

/// The topic that a file names.
fn named(path: &Path) -> Result<TopicName, Box<Diagnostic>> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(TOPIC_BYTES).read_to_string(&mut text))
        .map_err(|error| Box::new(unreadable(path, &error)))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(name), None) if TopicName::is_legal(name) => Ok(TopicName(name.into())),
        _ => {
            let problem = error(path, "bad-topic", "the file does not hold the name of a topic".into());
            Err(Box::new(problem.help("one line of letters, digits, `.`, `_` and `-`, at most 249; beside it only comments (#)")))
        }
    }
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
        // Spreadsheets begin a file with a byte order mark: taken for a part of the first id, it would keep one customer off the list.
        let line = line.strip_prefix("\u{feff}".as_bytes()).filter(|_| number == 1).unwrap_or(line);
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
        check("\u{feff}ann\r\n\u{feff}bob\n".as_bytes(), &["ann", "\u{feff}bob"], &[]);
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

    #[test]
    fn a_list_may_stand_in_a_topic_that_a_file_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("vip.topic", "# of the CRM\ncrm.vip\n");
        write("staff.txt", "ann\n");
        let (found, problems) = load(folder.path(), 64);
        assert_eq!(problems.len(), 0);
        assert_eq!(found.topics, BTreeMap::from([(ListKey::new("vip"), TopicName("crm.vip".into()))]));
        assert_eq!(found.lists.len(), 1);
        write("vip.txt", "bob\n");
        write("odd.topic", "crm/vip\n");
        write("two.topic", "a\nb\n");
        write("none.topic", "#\n");
        let problems: Vec<String> = load(folder.path(), 64).1.into_iter().map(|d| d.message).collect();
        let no_topic = "the file does not hold the name of a topic";
        assert_eq!(problems, [no_topic, no_topic, no_topic, "the list `vip` stands in a topic already (`vip.topic`)"]);
    }
}
