//! The one routine by which a task gets ready: at start, after a rebalance, after fencing, after a commit whose outcome
//! is unknown, after a disk error. Always the same, so that every run of it is a test of it.
//!
//! ```text
//! 1  the lane's producer runs init_transactions                                (lane)
//! 2  replay the changelog from the stored position to where it can be read now
//! 3  ask for the group's offsets; waits while a predecessor's are pending
//! 4  commit a claim to the changelog with those offsets                        (lane, in its own transaction)
//! 5  replay until that claim itself is delivered
//! 6  if 3 or 5 stands still, fence the writer of the open transaction that blocks it
//! 7  the last manifest is the truth: inputs go on at its offsets
//! ```
//!
//! *Why 4 and 5:* "read to the end" is no proof: the last stable offset hides committed records that stand behind
//! somebody's open transaction. What we wrote ourselves after our predecessor was fenced, and then read, is one.
//!
//! **Invariant:** a store is written with whole transactions or, in between, with a prefix that only a further replay
//! reads. Steps 2, 3, 5 and 7 run on a thread of their own and touch nothing but the store that they were given.

mod fence;
mod replay;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::changelog::{Contents, Decided, Manifest, Unreadable};
use super::clock::{self, Deadline};
use super::committed::Committed;
use super::crash::{CrashPoint, pass};
use super::{Settings, Start};
use crate::id::{Offset, Partition, TopicName};
use crate::kafka::{Failure, Reader};
use crate::store::{self, Shared, StateDir, Store, StoreError};
use crate::time::EventTime;
pub use fence::Blockers;
use replay::Replay;

/// How long a step may stand still before somebody must have died inside a transaction.
const STILL: Duration = Duration::from_secs(1);
/// After this no transaction can be open that could change the group's offsets: `transaction.timeout.ms` and the broker's
/// sweep are 10 s each. Offsets that are pending even then are left over; it was seen once, after a broker's restart.
const PENDING: Duration = Duration::from_secs(25);
/// After this the routine starts again from step 1.
const PATIENCE: Duration = Duration::from_secs(60);
/// A store that is older than this may have missed tombstones, which Kafka removes after `delete.retention.ms` (7 d).
const OLDEST_STORE_MS: i64 = 6 * 86_400_000;

/// What a restore needs to know of its surroundings.
#[derive(Clone)]
pub struct Site {
    pub settings: Arc<Settings>,
    pub stores: Shared,
    /// Transactional ids that start with it are this process's: never fenced from here.
    pub own_ids: Arc<str>,
    pub partition: Partition,
    /// Shows how much of the changelog is still to be replayed.
    pub remaining: IntGauge,
    /// Set when the partition is revoked: nobody waits for the result any more.
    pub cancelled: Arc<AtomicBool>,
    /// Whoever still reads the store of the share before.
    pub committed: Committed,
    /// Of the whole process, over all runs of the routine.
    pub blockers: Blockers,
}

/// Variants say what the lane does.
#[derive(thiserror::Error, Debug)]
pub enum RestoreError {
    /// The share is gone: nothing.
    #[error("cancelled")]
    Cancelled,
    /// Begin again at step 1.
    #[error("partition {partition:?} was not restored in time: step {step} stands still")]
    Late { partition: Partition, step: u8 },
    /// Begin again at step 1.
    #[error(transparent)]
    Kafka(#[from] Failure),
    /// Begin again; the damaged files are discarded.
    #[error(transparent)]
    Store(StoreError),
    /// Stop the process: a person decides.
    #[error("{0}")]
    Halt(String),
}

/// A task after steps 2 and 3.
pub struct Replayed {
    pub store: Arc<Store>,
    /// The offsets to claim with, one an input.
    pub offsets: Vec<(TopicName, Offset)>,
    replay: Replay,
}

/// A task after step 7.
pub struct Restored {
    pub store: Arc<Store>,
    pub offsets: Vec<(TopicName, Offset)>,
    /// Records of the repartition topic before it were taken, but for parts that wait.
    pub taken_to: Offset,
    /// Of the last transaction; 0: there is none.
    pub number: u64,
    pub clock: EventTime,
    pub decided: Decided,
    /// The next changelog offset to read; everything before it is in the store.
    pub changelog_next: Offset,
}

/// Steps 2 and 3.
pub fn begin(site: &Site, store: Option<Arc<Store>>) -> Result<Replayed, RestoreError> {
    let store = match store {
        Some(store) => store,
        None => Arc::new(open(site)?),
    };
    let mut replay = Replay::begin(site, &store)?;
    replay.read_to_end(site, &store)?;
    pass(CrashPoint::AfterReplay);
    if let Some((manifest, _)) = &replay.last {
        check_deployment(site, manifest.deployment.as_str())?;
    }
    let group = group_offsets(site, &replay)?;
    pass(CrashPoint::AfterGroupOffsets);
    let offsets = starting_offsets(site, &replay, group)?;
    Ok(Replayed { store, offsets, replay })
}

/// Steps 5 and 7. `nonce`: of the claim that the lane has committed.
pub fn finish(site: &Site, replayed: Replayed, nonce: &str) -> Result<Restored, RestoreError> {
    let Replayed { store, offsets, mut replay } = replayed;
    replay.read_to_claim(site, &store, nonce)?;
    let changelog_next = replay.next;
    let Some((manifest, contents)) = &replay.last else {
        pass(CrashPoint::Restored);
        let (taken_to, clock, decided) = (Offset(0), EventTime::MIN, Decided::default());
        return Ok(Restored { store, offsets, taken_to, number: 0, clock, decided, changelog_next });
    };
    check_deployment(site, manifest.deployment.as_str())?;
    check_partitions(site, manifest)?;
    check_whole(site, manifest, *contents)?;
    let truth = site.settings.inputs().into_iter().map(|topic| {
        let claimed = offsets.iter().find(|(t, _)| *t == topic).map_or(Offset(0), |(_, offset)| *offset);
        let offset = manifest.offsets.get(&*topic.0).map_or(claimed, |offset| Offset(*offset));
        if offset != claimed {
            tracing::warn!(partition = site.partition.0, topic = %topic, group = claimed.0, manifest = offset.0, "the group's offset differs from the manifest's, which counts");
        }
        (topic, offset)
    });
    let restored = Restored {
        offsets: truth.collect(),
        taken_to: Offset(manifest.taken_to.unwrap_or(0)),
        number: manifest.number,
        clock: EventTime::from_millis(manifest.clock),
        decided: manifest.decided.clone(),
        changelog_next,
        store,
    };
    pass(CrashPoint::Restored);
    Ok(restored)
}

/// Discards the stores to which nothing was written for so long that they would be restored whole. Most likely another process has
/// the partition, so an erasure would never come to them. To be called before any store is open.
pub fn discard_old(folder: &StateDir) -> Result<(), StoreError> {
    let oldest = clock::wall().millis() - OLDEST_STORE_MS;
    for partition in folder.partitions()? {
        if folder.written_at(partition)?.is_some_and(|at| at.millis() < oldest) {
            tracing::info!(partition = partition.0, "discarding a store that is too old to go on from");
            store::discard(&folder.partition(partition))?;
        }
    }
    Ok(())
}

/// Opens the store; a damaged one is discarded, the changelog has everything.
fn open(site: &Site) -> Result<Store, RestoreError> {
    let path = site.settings.state_dir.join(site.partition.0.to_string());
    let origin = format!("{}/{}/{}", site.settings.kafka.deployment, site.settings.topics.changelog, site.partition.0);
    site.committed.await_closed(site.partition);
    match Store::open(&site.stores, &path, &origin) {
        Ok(store) => Ok(store),
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "discarding a damaged store");
            store::discard(&path).map_err(RestoreError::Store)?;
            Store::open(&site.stores, &path, &origin).map_err(RestoreError::Store)
        }
        Err(error @ (StoreError::Newer { .. } | StoreError::Foreign { .. } | StoreError::Inaccessible { .. })) => {
            Err(RestoreError::Halt(error.to_string()))
        }
        Err(error) => Err(RestoreError::Store(error)),
    }
}

impl Site {
    fn check(&self, deadline: Deadline, step: u8) -> Result<(), RestoreError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(RestoreError::Cancelled);
        }
        if deadline.is_past() {
            return Err(RestoreError::Late { partition: self.partition, step });
        }
        Ok(())
    }

    fn unreadable(&self, record: &BorrowedMessage<'_>, error: &Unreadable) -> RestoreError {
        let topic = &self.settings.topics.changelog;
        RestoreError::Halt(format!("changelog record {topic}/{}@{}: {error}", self.partition.0, record.offset()))
    }
}

/// Step 3. Nothing where the group's offsets stay pending and a manifest knows them: it is the truth in any case, and what a
/// predecessor may still commit stands before our claim, so that step 5 finds it.
fn group_offsets(site: &Site, replay: &Replay) -> Result<Vec<Option<Offset>>, RestoreError> {
    let inputs = site.settings.inputs();
    let (deadline, pending) = (Deadline::after(PATIENCE), Deadline::after(PENDING));
    let mut still = Deadline::after(STILL);
    loop {
        let failure = match replay.reader.committed(&inputs, site.partition, Duration::from_millis(500)) {
            Ok(offsets) => return Ok(offsets),
            Err(failure) => failure,
        };
        tracing::debug!(partition = site.partition.0, %failure, "the group's offsets are not there yet");
        if pending.is_past() && replay.last.is_some() {
            tracing::warn!(partition = site.partition.0, %failure, "the group's offsets stay pending; the manifest's count");
            return Ok(vec![None; inputs.len()]);
        }
        if still.is_past() {
            fence::end_blocking(site, &replay.reader)?;
            still = Deadline::after(STILL);
        }
        site.check(deadline, 3)?;
    }
}

/// The group's offsets; where there are none, the manifest's; in a new deployment, what `input.start` says.
fn starting_offsets(site: &Site, replay: &Replay, group: Vec<Option<Offset>>) -> Result<Vec<(TopicName, Offset)>, RestoreError> {
    let manifest = replay.last.as_ref().map(|(manifest, _)| manifest);
    let offset_of = |topic: &TopicName, group: Option<Offset>| {
        let recorded = manifest.and_then(|manifest| manifest.offsets.get(&*topic.0)).copied().map(Offset);
        match group.or(recorded) {
            Some(offset) => Ok(offset),
            None => first_offset(site, &replay.reader, topic),
        }
    };
    site.settings.inputs().into_iter().zip(group).map(|(topic, group)| Ok((topic.clone(), offset_of(&topic, group)?))).collect()
}

fn first_offset(site: &Site, reader: &Reader, topic: &TopicName) -> Result<Offset, RestoreError> {
    let (low, high) = reader.watermarks(topic, site.partition, Duration::from_secs(10))?;
    Ok(if site.settings.start == Start::Earliest { low } else { high })
}

/// Two deployments with one changelog would each go on from what the other has written.
fn check_deployment(site: &Site, theirs: &str) -> Result<(), RestoreError> {
    let own = site.settings.kafka.deployment.as_str();
    if theirs.is_empty() || theirs == own {
        return Ok(());
    }
    Err(RestoreError::Halt(format!(
        "{} holds the state of the deployment `{theirs}`, and this one is `{own}`: give it topics of its own (state.changelog, \
         state.repartition, state.ranks, and those of output) and an empty state folder",
        site.settings.topics.changelog
    )))
}

/// State is bound to the number of partitions: with another one, a customer's events would go to another task.
fn check_partitions(site: &Site, manifest: &Manifest) -> Result<(), RestoreError> {
    let now = site.settings.topics.partitions as usize;
    if manifest.partitions == now {
        return Ok(());
    }
    Err(RestoreError::Halt(format!(
        "the state was built over {} partitions, the inputs have {now}; use another deployment and changelog, or restore the count",
        manifest.partitions
    )))
}

/// Step 7: is the last transaction in the changelog whole?
fn check_whole(site: &Site, manifest: &Manifest, read: Option<Contents>) -> Result<(), RestoreError> {
    let Some(read) = read else { return Ok(()) };
    let said = manifest.contents;
    // Once `delete.retention.ms` has passed, compaction may have taken tombstones.
    let tombstones_may_lack = clock::wall().millis() - manifest.committed_at > OLDEST_STORE_MS;
    let whole = read.puts == said.puts && read.hash == said.hash && (read.tombstones == said.tombstones || tombstones_may_lack);
    if whole {
        return Ok(());
    }
    Err(RestoreError::Halt(format!(
        "the changelog of partition {} is torn: transaction {} holds {} states and {} tombstones, its manifest says {} and {}; \
         restore the changelog, or start anew under another deployment",
        site.partition.0, manifest.number, read.puts, read.tombstones, said.puts, said.tombstones
    )))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::UNIX_EPOCH;

    use tempfile::TempDir;

    use super::*;

    fn write(folder: &TempDir, name: &str, age_ms: i64) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let at = Duration::from_millis(u64::try_from(clock::wall().millis() - age_ms).unwrap());
        File::create(path).unwrap().set_modified(UNIX_EPOCH + at).unwrap();
    }

    #[test]
    fn a_store_is_discarded_once_nothing_was_written_to_it_for_so_long_that_it_would_be_restored_whole() {
        let folder = TempDir::new().unwrap();
        write(&folder, "0/CURRENT", OLDEST_STORE_MS + 1_000);
        write(&folder, "1/CURRENT", OLDEST_STORE_MS + 1_000);
        write(&folder, "1/000007.log", OLDEST_STORE_MS - 60_000);
        write(&folder, "history/0/CURRENT", OLDEST_STORE_MS + 1_000);
        let state = StateDir::lock(folder.path(), None).unwrap();
        discard_old(&state).unwrap();
        assert_eq!(state.partitions().unwrap(), [Partition(1)]);
        assert!(folder.path().join("history/0").exists() && !folder.path().join("0.discarded").exists());
    }
}
