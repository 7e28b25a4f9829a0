//! The state folder: one process at a time, and a name for this place that outlives the process.
//!
//! The lock is the operating system's, so a killed process never leaves it behind; the process id in the file is for
//! the message alone. The instance id is part of the transactional ids: a process that comes back to the same folder
//! fences its own past at once.
//!
//! **Invariant:** the lock is held as long as a [`StateDir`] lives. A copied folder has a copied instance id: two
//! machines must never run on copies of one folder, they would fence each other for ever.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::StoreError;
use crate::id::Partition;
use crate::time::EventTime;

/// The longest instance id: it becomes part of transactional ids, which brokers keep in memory.
const INSTANCE_BYTES: usize = 64;

/// Where the system gives random bytes.
const RANDOM: &str = "/dev/urandom";

/// A locked state folder.
pub struct StateDir {
    path: PathBuf,
    instance: String,
    _lock: File,
}

impl StateDir {
    /// Makes the folder if it is missing, takes its lock, and reads its instance id, or sets it: `instance` if one is
    /// given, else a random one.
    ///
    /// Errors: [`StoreError::InUse`] with the process id of the holder, [`StoreError::Inaccessible`],
    /// [`StoreError::Full`], [`StoreError::Corrupt`] for an instance id that is not one.
    pub fn lock(path: &Path, instance: Option<&str>) -> Result<StateDir, StoreError> {
        fs::create_dir_all(path).map_err(|e| StoreError::inaccessible(path, e))?;
        let lock = take_lock(path)?;
        let instance = match instance {
            Some(given) => given.to_string(),
            None => instance_of(path)?,
        };
        Ok(StateDir { path: path.into(), instance, _lock: lock })
    }

    /// Takes the lock of a folder that is there, to look at it while no process writes: nothing in it is changed.
    ///
    /// Errors: [`StoreError::InUse`], [`StoreError::Inaccessible`].
    pub fn lock_to_look(path: &Path) -> Result<StateDir, StoreError> {
        let lock = path.join("lock");
        let mut file = File::open(&lock).map_err(|e| StoreError::inaccessible(&lock, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.into(), pid: read_pid(&mut file) }),
            Err(TryLockError::Error(e)) => return Err(StoreError::inaccessible(&lock, e)),
        }
        let instance = fs::read_to_string(path.join("instance")).unwrap_or_default();
        Ok(StateDir { path: path.into(), instance, _lock: file })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lower-case letters, digits and dashes, unless the caller gave another.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The folder of a partition's store.
    pub fn partition(&self, partition: Partition) -> PathBuf {
        self.path.join(partition.0.to_string())
    }

    /// The partitions that have a store here, ascending, whether or not they are ours at this moment.
    pub fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        let entries = fs::read_dir(&self.path).map_err(|e| StoreError::inaccessible(&self.path, e))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut found: Vec<Partition> = names.filter_map(|name| name.parse().ok().map(Partition)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// When a file of a partition's store was last written to, by the clock of the file system; `None`: there is none.
    pub fn written_at(&self, partition: Partition) -> Result<Option<EventTime>, StoreError> {
        let path = self.partition(partition);
        let files = fs::read_dir(&path).map_err(|e| StoreError::inaccessible(&path, e))?;
        let modified = files.filter_map(|file| file.ok()?.metadata().ok()?.modified().ok());
        let since_epoch = modified.max().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Ok(since_epoch.map(|at| EventTime::from_millis(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))))
    }
}

fn take_lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let refused = |e| StoreError::inaccessible(&path, e);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => write_pid(&mut file).map(|()| file).map_err(refused),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.into(), pid: read_pid(&mut file) }),
        Err(TryLockError::Error(e)) => Err(refused(e)),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The instance id that the folder has, or a new one, written so that a crash leaves none or a whole one.
fn instance_of(folder: &Path) -> Result<String, StoreError> {
    let path = folder.join("instance");
    match fs::read_to_string(&path) {
        Ok(text) => check_instance(&path, text.trim()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let instance = random_instance().map_err(|e| StoreError::inaccessible(&path, e))?;
            let fresh = folder.join("instance.new");
            fs::write(&fresh, &instance).and_then(|()| fs::rename(&fresh, &path)).map_err(|e| StoreError::inaccessible(&path, e))?;
            Ok(instance)
        }
        Err(e) => Err(StoreError::inaccessible(&path, e)),
    }
}

fn check_instance(path: &Path, text: &str) -> Result<String, StoreError> {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || text.len() > INSTANCE_BYTES || !text.bytes().all(valid) {
        let reason = format!("an instance id is 1 to {INSTANCE_BYTES} lower-case letters, digits and dashes");
        return Err(StoreError::Corrupt { path: path.into(), reason });
    }
    Ok(text.into())
}

/// 64 random bits: enough that no two folders of a deployment ever share an id.
fn random_instance() -> io::Result<String> {
    random().map(|bytes| format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// Bytes that nobody can guess.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A secret that nobody can guess.
///
/// Errors: [`StoreError::Inaccessible`], where the system gives none.
pub fn secret<const N: usize>() -> Result<[u8; N], StoreError> {
    random().map_err(|e| StoreError::inaccessible(Path::new(RANDOM), e))
}
