//! Has a file changed? Told by what the file system says of it: nothing is opened.
//!
//! *Why looking every few seconds, and no notification:* it works on every file system, also where notifications do not
//! (NFS, and a Kubernetes ConfigMap, whose files are links to a folder that is replaced as a whole). Files that are
//! read are few, and a look costs microseconds.
//!
//! **Invariant:** a change that a reader could see changes the signature: names, lengths, times and file numbers of
//! every file below the paths.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Deeper is a circle of links.
const MAX_DEPTH: usize = 16;

/// How files stood at one moment; equal ones say that nothing has changed in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature(Vec<(PathBuf, Seen)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    length: u64,
    modified: (i64, i64),
    inode: u64,
}

impl Signature {
    /// Of files, and of folders with all that is in them. What is not there is left out.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Signature {
        let mut signature = Signature::default();
        paths.into_iter().for_each(|path| signature.add(path, 0));
        signature
    }

    fn add(&mut self, path: &Path, depth: usize) {
        let Ok(metadata) = path.metadata() else { return };
        if metadata.is_file() {
            let seen = Seen { length: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()), inode: metadata.ino() };
            self.0.push((path.into(), seen));
        } else if metadata.is_dir() && depth < MAX_DEPTH {
            // A folder's own times say only that an editor has put something there for a moment.
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut entries: Vec<PathBuf> = entries.filter(|entry| !is_hidden(entry)).collect();
            entries.sort();
            entries.iter().for_each(|entry| self.add(entry, depth + 1));
        }
    }
}

/// An editor's and Kubernetes' own; definitions are not read from there either.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whatever_a_reader_could_see_changes_the_signature() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Signature::of([folder.path()]);
        let file = folder.path().join("sub/a.yaml");
        fs::create_dir(folder.path().join("sub")).unwrap();
        let mut last = of();
        let mut changed = |what: &str, by: &dyn Fn()| {
            by();
            let now = of();
            assert_ne!(now, last, "{what}");
            last = now;
        };
        changed("a file is made", &|| fs::write(&file, "a").unwrap());
        changed("it gets longer", &|| fs::write(&file, "ab").unwrap());
        changed("another takes its place", &|| {
            fs::write(folder.path().join(".new"), "cd").unwrap();
            fs::rename(folder.path().join(".new"), &file).unwrap();
        });
        changed("it goes", &|| fs::remove_file(&file).unwrap());
        let before = of();
        fs::write(folder.path().join(".a.yaml.swp"), "an editor's").unwrap();
        assert_eq!(of(), before, "nothing changed that is read");
    }

    #[test]
    fn a_folder_behind_a_link_that_is_turned_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("a.yaml"), "same length").unwrap();
        }
        let link = folder.path().join("a.yaml");
        std::os::unix::fs::symlink(folder.path().join("..1/a.yaml"), &link).unwrap();
        let before = Signature::of([link.as_path()]);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(folder.path().join("..2/a.yaml"), &link).unwrap();
        assert_ne!(Signature::of([link.as_path()]), before);
    }
}
