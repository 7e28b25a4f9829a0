//! Opening a store: made if it is missing, refused if it is somebody else's or newer than we are.

use std::fs;
use std::io;
use std::path::Path;

use rocksdb::{ColumnFamilyDescriptor, DB};

use super::{FORMAT, Family, Shared, Store, StoreError, keys};

/// A week.
const OLDEST_FILE_SECONDS: &str = "604800";

impl Store {
    /// Opens the store in the folder `path`, or makes an empty one there.
    ///
    /// `origin` says whose state it is (deployment, changelog topic, partition): an offset means nothing in another
    /// changelog. It is recorded when the store is made and compared ever after.
    ///
    /// Errors: every variant of [`StoreError`]; nothing was changed if it is `InUse`, `Newer` or `Foreign`.
    pub fn open(shared: &Shared, path: &Path, origin: &str) -> Result<Store, StoreError> {
        fs::create_dir_all(path).map_err(|e| StoreError::inaccessible(path, e))?;
        let families = families_to_open(shared, path)?;
        let db = DB::open_cf_descriptors(&shared.database_options(), path, families).map_err(|e| StoreError::from_rocksdb(path, e))?;
        let store = Store { db, path: path.into() };
        store.check_format()?;
        store.check_origin(origin)?;
        store.limit_age()?;
        Ok(store)
    }

    /// Has every file rewritten in time, also where nothing changes: what was removed is then out of it.
    fn limit_age(&self) -> Result<(), StoreError> {
        for family in Family::ALL {
            let age = [("periodic_compaction_seconds", OLDEST_FILE_SECONDS)];
            self.db.set_options_cf(self.family(family)?, &age).map_err(|e| self.error(e))?;
        }
        Ok(())
    }

    /// Opens a store that is there, to read it: nothing in its folder is changed, and writing fails. Whose state it is, is
    /// not asked. No process may have it open to write (hold the [`StateDir`](super::StateDir)): what it had not flushed
    /// would be missing.
    ///
    /// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
    pub fn open_to_read(shared: &Shared, path: &Path) -> Result<Store, StoreError> {
        let families = families_to_open(shared, path)?;
        let mut options = shared.database_options();
        options.create_if_missing(false);
        options.create_missing_column_families(false);
        let db = DB::open_cf_descriptors_read_only(&options, path, families, false).map_err(|e| StoreError::from_rocksdb(path, e))?;
        let store = Store { db, path: path.into() };
        match store.meta(keys::FORMAT)?.as_deref() {
            Some([found, ..]) if *found > FORMAT => Err(StoreError::Newer { path: path.into(), found: *found, known: FORMAT }),
            _ => Ok(store),
        }
    }

    /// A store without a format is one whose making was interrupted: nothing else was ever written to it.
    fn check_format(&self) -> Result<(), StoreError> {
        match self.meta(keys::FORMAT)?.as_deref() {
            Some([FORMAT]) => Ok(()),
            None => self.db.put(keys::FORMAT, [FORMAT]).map_err(|e| self.error(e)),
            // From now on it holds values that its own version cannot read.
            Some([found]) if *found < FORMAT => self.db.put(keys::FORMAT, [FORMAT]).map_err(|e| self.error(e)),
            Some(found) => {
                let found = found.first().copied().unwrap_or(u8::MAX);
                Err(StoreError::Newer { path: self.path.clone(), found, known: FORMAT })
            }
        }
    }

    fn check_origin(&self, expected: &str) -> Result<(), StoreError> {
        match self.meta(keys::ORIGIN)? {
            None => self.db.put(keys::ORIGIN, expected).map_err(|e| self.error(e)),
            Some(found) if found == expected.as_bytes() => Ok(()),
            Some(found) => Err(StoreError::Foreign {
                path: self.path.clone(),
                found: String::from_utf8_lossy(&found).into_owned(),
                expected: expected.into(),
            }),
        }
    }
}

/// Our column families, and any that a newer version has added: RocksDB opens all or none, and the format can only be
/// read from an open database.
fn families_to_open(shared: &Shared, path: &Path) -> Result<Vec<ColumnFamilyDescriptor>, StoreError> {
    let mut families: Vec<_> =
        Family::ALL.iter().map(|family| ColumnFamilyDescriptor::new(family.name(), shared.family_options(*family))).collect();
    if path.join("CURRENT").exists() {
        let stored = DB::list_cf(&shared.database_options(), path).map_err(|e| StoreError::from_rocksdb(path, e))?;
        let unknown = stored.into_iter().filter(|name| Family::ALL.iter().all(|family| family.name() != name));
        families.extend(unknown.map(|name| ColumnFamilyDescriptor::new(name, shared.family_options(Family::State))));
    }
    Ok(families)
}

/// Removes the files of a store that is damaged, so that [`Store::open`] makes an empty one. It must not be open.
///
/// The folder is renamed first: a removal that is interrupted must not leave half a store behind under its name.
pub fn discard(path: &Path) -> Result<(), StoreError> {
    let discarded = path.with_extension("discarded");
    remove(&discarded)?;
    match fs::rename(path, &discarded) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StoreError::inaccessible(path, e)),
        Ok(()) => remove(&discarded),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::inaccessible(path, e)),
        _ => Ok(()),
    }
}
