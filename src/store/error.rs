//! What can go wrong with a state folder, sorted by what the caller does about it.
//!
//! RocksDB reports text; [`classify`] is the one place that reads it.
//!
//! **Invariant:** no variant is answered by guessing. The changelog has everything, so the worst answer is to restore.

use std::io;
use std::path::{Path, PathBuf};

/// Variants say what the caller does.
#[derive(thiserror::Error, Debug)]
pub enum StoreError {
    /// Another process holds the folder: stop this one.
    #[error("state folder {path} is in use by {}; stop that process, or give this one its own state.dir", holder(*pid))]
    InUse { path: PathBuf, pid: Option<u32> },
    /// Written by a newer version: stop, never guess.
    #[error(
        "state in {path} has format {found}, this version reads up to {known}; upgrade, or restore from the changelog into an empty folder"
    )]
    Newer { path: PathBuf, found: u8, known: u8 },
    /// The state of something else: stop. Its offset means nothing in our changelog.
    #[error("state in {path} belongs to `{found}`, not to `{expected}`; give this deployment its own state.dir, or an empty one")]
    Foreign { path: PathBuf, found: String, expected: String },
    /// The folder cannot be made, read or written: stop, a person has to act.
    #[error("cannot use state folder {path}: {source}; {hint}")]
    Inaccessible { path: PathBuf, hint: &'static str, source: io::Error },
    /// No space is left: stop the task, reopen when there is some, replay from the changelog.
    #[error("no space is left for the state in {path}; free some, or give state.dir a larger disk")]
    Full { path: PathBuf },
    /// The files contradict themselves: [`discard`](super::discard) them and restore from the changelog.
    #[error("state in {path} is damaged: {reason}; it will be restored from the changelog")]
    Corrupt { path: PathBuf, reason: String },
    /// Anything else that the disk reports: reopen and replay; stop if it repeats.
    #[error("state in {path} failed: {reason}")]
    Failed { path: PathBuf, reason: String },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

impl StoreError {
    pub(super) fn from_rocksdb(path: &Path, error: rocksdb::Error) -> StoreError {
        classify(path, error.into_string())
    }

    /// A folder or a file of ours that the operating system refuses.
    pub(super) fn inaccessible(path: &Path, source: io::Error) -> StoreError {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return StoreError::Full { path: path.into() },
            io::ErrorKind::PermissionDenied => "let this process's account write there, or set state.dir (SEGMENTD_STATE__DIR)",
            io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: mount a volume, or set state.dir (SEGMENTD_STATE__DIR)",
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file stands where a folder has to be",
            io::ErrorKind::NotFound => "no service has kept its state there: give the folder that state.dir (SEGMENTD_STATE__DIR) names",
            _ => "see state.dir (SEGMENTD_STATE__DIR)",
        };
        StoreError::Inaccessible { path: path.into(), hint, source }
    }
}

/// Reads a status of RocksDB. The texts are those of its `Status::ToString` and of the C library's `strerror`.
pub(super) fn classify(path: &Path, status: String) -> StoreError {
    let says = |texts: &[&str]| texts.iter().any(|text| status.contains(text));
    if says(&["No space left on device", "Disk quota exceeded"]) {
        return StoreError::Full { path: path.into() };
    }
    if says(&["lock hold by current process", "While lock file"]) {
        return StoreError::InUse { path: path.into(), pid: None };
    }
    if says(&["Permission denied", "Operation not permitted"]) {
        return StoreError::inaccessible(path, io::ErrorKind::PermissionDenied.into());
    }
    if says(&["Read-only file system"]) {
        return StoreError::inaccessible(path, io::ErrorKind::ReadOnlyFilesystem.into());
    }
    if status.starts_with("Corruption") || says(&["No such file or directory"]) {
        return StoreError::Corrupt { path: path.into(), reason: status };
    }
    StoreError::Failed { path: path.into(), reason: status }
}
