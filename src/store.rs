//! One partition's state on this machine: a RocksDB that says what the changelog said, up to a known offset.
//!
//! The truth is the changelog topic; a store is its materialisation. States, timers, the manifest and the changelog
//! offset that they stand for change together, in one atomic [`Batch`], after the transaction that carries the same
//! change is known to be committed. So a store is never ahead of the changelog, and a process that is killed at any
//! instant leaves a store that is exactly right for the offset that it names.
//!
//! ```text
//! state/                    StateDir: one process at a time
//! ├── lock  instance
//! ├── 0/                    Store of partition 0
//! │   ├── default           format, origin, changelog offset, manifest
//! │   ├── state             changelog key → value, opaque here
//! │   └── timers            (due, customer) → nothing
//! └── 1/ …
//! ```
//!
//! **Invariant:** nothing here knows Kafka, and nothing here looks inside a value. Every write goes through
//! [`Store::write`] or [`Store::clear`]; both move the offset with what it stands for.

mod batch;
mod error;
mod folder;
mod keys;
mod open;
mod read;
mod shared;
mod stats;
mod view;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rocksdb::{ColumnFamily, DB};

pub use batch::Batch;
pub use error::StoreError;
pub use folder::{StateDir, secret};
pub use keys::Timer;
pub use open::discard;
pub use shared::Shared;
pub use stats::{SharedStats, StoreStats};
pub use view::{Values, View};

/// The format that this version writes, and the newest that it reads (docs/stored-format.md).
pub const FORMAT: u8 = 4;

/// A value where RocksDB holds it, without a copy; dereferences to its bytes.
pub type Pinned<'a> = rocksdb::DBPinnableSlice<'a>;

/// The state of one partition. One writer; reading is safe from any thread.
pub struct Store {
    db: DB,
    path: PathBuf,
}

/// The column families. The default one holds what is not a customer's.
#[derive(Clone, Copy)]
enum Family {
    Meta,
    State,
    Timers,
}

impl Family {
    const ALL: [Family; 3] = [Family::Meta, Family::State, Family::Timers];

    fn name(self) -> &'static str {
        match self {
            Family::Meta => rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
            Family::State => "state",
            Family::Timers => "timers",
        }
    }
}

impl Store {
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(family.name()).ok_or_else(|| StoreError::Corrupt {
            path: self.path.clone(),
            reason: format!("the column family `{}` is missing", family.name()),
        })
    }

    fn error(&self, error: rocksdb::Error) -> StoreError {
        StoreError::from_rocksdb(&self.path, error)
    }
}
