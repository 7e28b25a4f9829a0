//! Static lists: a file each below `config/lists/`, `NAME.txt`, one customer id a line.
//!
//! Blank lines, and lines that begin with `#`, are skipped; blanks around an id are cut off. An id that comes twice
//! counts once. (An id that itself begins with `#` can only stand in a definition's `lists:`.)
//!
//! **Invariant:** an id that no event could carry is reported, not kept: it would be a member that nobody ever is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::id::{CustomerId, ListKey};
use crate::rule::diagnostic::{Diagnostic, Location, Source};

pub type Lists = BTreeMap<ListKey, BTreeSet<CustomerId>>;

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
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let key = path.file_stem().unwrap_or_default().to_string_lossy();
                let source = Source::new(path.display().to_string(), text);
                let ids = ids(&source, id_bytes, &mut diagnostics);
                lists.insert(ListKey::new(&*key), ids);
            }
            Err(error) => diagnostics.push(unreadable(&path, &error)),
        }
    }
    (lists, diagnostics)
}

fn ids(source: &Arc<Source>, id_bytes: usize, diagnostics: &mut Vec<Diagnostic>) -> BTreeSet<CustomerId> {
    let (mut ids, mut start) = (BTreeSet::new(), 0);
    for line in source.text.split_inclusive('\n') {
        let id = line.trim();
        if id.len() > id_bytes {
            let location = Location { source: source.clone(), bytes: Some(start..start) };
            let message = format!("a customer id of {} bytes; no event has one of more than {id_bytes} (limits.id_bytes)", id.len());
            diagnostics.push(Diagnostic::error("long-id", location, message));
        } else if !id.is_empty() && !id.starts_with('#') {
            ids.insert(CustomerId::new(id));
        }
        start += line.len();
    }
    ids
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let location = Location { source: Source::new(path.display().to_string(), ""), bytes: None };
    Diagnostic::error("no-list", location, format!("the list cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_its_distinct_ids() {
        let source = Source::new("staff.txt", "# staff\nann\n\n  bob \r\nann\n");
        let mut diagnostics = vec![];
        let found: Vec<_> = ids(&source, 64, &mut diagnostics).into_iter().map(|id| id.to_string()).collect();
        assert_eq!(found, ["ann", "bob"]);
        assert!(diagnostics.is_empty());
    }

    #[test]
    fn an_id_that_is_too_long_is_reported_with_its_line() {
        let source = Source::new("staff.txt", format!("ann\n{}\n", "x".repeat(65)));
        let mut diagnostics = vec![];
        assert_eq!(ids(&source, 64, &mut diagnostics).len(), 1);
        assert_eq!(diagnostics[0].location.as_ref().unwrap().to_string(), "staff.txt:2:1");
    }

    #[test]
    fn a_folder_that_is_missing_is_reported() {
        assert_eq!(load(Path::new("no/such/folder"), 64).1.len(), 1);
    }
}
