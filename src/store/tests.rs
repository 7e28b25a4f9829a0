//! What a store gives back, and every refusal of a folder.

mod crash;

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::id::{Offset, Partition};
use crate::time::EventTime;

const ORIGIN: &str = "segmentd/segmentd-changelog/0";

fn open(path: &Path) -> Store {
    try_open(path).unwrap()
}

fn try_open(path: &Path) -> Result<Store, StoreError> {
    Store::open(&Shared::new(16 << 20), path, ORIGIN)
}

fn at(millis: i64) -> EventTime {
    EventTime::from_millis(millis)
}

/// Writes `key=value` pairs (`key` alone removes it), separated by spaces.
fn write(store: &Store, text: &str, next: i64) {
    let mut batch = Batch::new();
    for part in text.split_whitespace() {
        match part.split_once('=') {
            Some((key, value)) => batch.put(key.as_bytes(), value.as_bytes()),
            None => batch.delete(part.as_bytes()),
        }
    }
    store.write(batch, Offset(next)).unwrap();
}

/// All states with a prefix as `key=value` pairs, read in pages of two.
fn states(store: &Store, prefix: &str) -> String {
    let mut pairs = Vec::new();
    let mut after: Option<Box<[u8]>> = None;
    loop {
        let page = store.scan_state(prefix.as_bytes(), after.as_deref(), 2).unwrap();
        let Some((last, _)) = page.last() else { return pairs.join(" ") };
        after = Some(last.clone());
        pairs.extend(page.iter().map(|(k, v)| format!("{}={}", String::from_utf8_lossy(k), String::from_utf8_lossy(v))));
    }
}

fn timers(store: &Store, due: i64, customer: &str, limit: usize) -> Vec<(i64, String)> {
    let found = store.timers_from(at(due), customer.as_bytes(), limit).unwrap();
    found.into_iter().map(|timer| (timer.due.millis(), String::from_utf8_lossy(&timer.customer).into_owned())).collect()
}

#[test]
fn a_new_store_stands_nowhere() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    assert_eq!((store.position().unwrap(), store.manifest().unwrap()), (None, None));
    assert_eq!(states(&store, ""), "");
}

#[test]
fn a_reopened_store_holds_the_states_timers_manifest_and_offset_of_its_last_batch() {
    let dir = TempDir::new().unwrap();
    {
        let store = open(dir.path());
        write(&store, "b=1 a=1 c=1", 3);
        let mut batch = Batch::new();
        batch.put(b"a", b"2");
        batch.delete(b"c");
        batch.set_timer(at(5), b"a");
        batch.set_manifest(b"m");
        store.write(batch, Offset(7)).unwrap();
    }
    let store = open(dir.path());
    assert_eq!(states(&store, ""), "a=2 b=1");
    assert_eq!(timers(&store, i64::MIN, "", 9), [(5, "a".into())]);
    assert_eq!(store.manifest().unwrap().as_deref(), Some(&b"m"[..]));
    assert_eq!(store.position().unwrap(), Some(Offset(7)));
}

#[test]
fn of_two_changes_of_a_key_in_one_batch_the_later_wins() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    write(&store, "x=1 y=1 x=2 y z=1 z z=3", 1);
    assert_eq!(states(&store, ""), "x=2 z=3");

    let mut batch = Batch::new();
    batch.set_timer(at(1), b"a");
    batch.remove_timer(at(1), b"a");
    batch.remove_timer(at(2), b"a");
    batch.set_timer(at(2), b"a");
    store.write(batch, Offset(2)).unwrap();
    assert_eq!(timers(&store, 0, "", 9), [(2, "a".into())]);
}

#[test]
fn many_keys_are_answered_in_the_order_asked() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    write(&store, "a=1 b=2 c=3", 1);
    for (keys, expected) in [(["a", "b", "c", "z"], "1 2 3 -"), (["c", "z", "a", "c"], "3 - 1 3")] {
        let values = store.multi_get(&keys).unwrap();
        let values: Vec<_> = values.iter().map(|v| v.as_deref().map_or("-", |v| std::str::from_utf8(v).unwrap())).collect();
        assert_eq!(values.join(" "), expected);
    }
    assert_eq!(store.get(b"b").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_view_stays_as_it_was_taken() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let mut batch = Batch::new();
    batch.put(b"a", b"1");
    batch.set_manifest(b"m1");
    store.write(batch, Offset(1)).unwrap();
    let view = store.view();
    let mut batch = Batch::new();
    batch.put(b"a", b"2");
    batch.put(b"b", b"2");
    batch.set_manifest(b"m2");
    store.write(batch, Offset(2)).unwrap();
    let value = |values: &dyn Values, key: &[u8]| values.get(key).unwrap().map(|value| value.to_vec());
    assert_eq!((value(&view, b"a"), value(&view, b"b"), view.manifest().unwrap()), (Some(b"1".into()), None, Some(b"m1".into())));
    assert_eq!(view.scan_state(b"", None, 9).unwrap().len(), 1);
    assert_eq!((value(&store, b"a"), store.view().scan_state(b"", Some(b"a"), 9).unwrap().len()), (Some(b"2".into()), 1));
}

#[test]
fn a_scan_stays_within_its_prefix() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    write(&store, "c/1=a c/2=b c/3=c d/1=d", 1);
    assert_eq!(states(&store, "c/"), "c/1=a c/2=b c/3=c");
    assert_eq!(states(&store, "e"), "");
}

#[test]
fn timers_come_in_due_order_also_before_1970_and_from_the_one_asked_for() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let mut batch = Batch::new();
    for (due, customer) in [(10, &b"b"[..]), (-5, b"z"), (10, b"a"), (i64::MIN, b"m"), (11, b"")] {
        batch.set_timer(at(due), customer);
    }
    store.write(batch, Offset(1)).unwrap();

    let named = |pairs: &[(i64, &str)]| pairs.iter().map(|(due, customer)| (*due, customer.to_string())).collect::<Vec<_>>();
    assert_eq!(timers(&store, i64::MIN, "", 9), named(&[(i64::MIN, "m"), (-5, "z"), (10, "a"), (10, "b"), (11, "")]));
    assert_eq!(timers(&store, -5, "z", 2), named(&[(-5, "z"), (10, "a")]));
    assert_eq!(timers(&store, 10, "aa", 9), named(&[(10, "b"), (11, "")]));
    assert_eq!(timers(&store, 12, "", 9), named(&[]));
}

#[test]
fn a_cleared_store_is_empty_and_can_be_filled_again() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let last = [0xff; 40];
    let mut batch = Batch::new();
    batch.put(&last, b"1");
    batch.put(b"", b"1");
    batch.set_timer(at(i64::MAX), &last);
    batch.set_manifest(b"m");
    store.write(batch, Offset(9)).unwrap();

    store.clear().unwrap();
    assert_eq!((store.position().unwrap(), store.manifest().unwrap()), (None, None));
    assert_eq!((states(&store, ""), timers(&store, i64::MIN, "", 9)), (String::new(), vec![]));

    write(&store, "a=1", 1);
    drop(store);
    assert_eq!(states(&open(dir.path()), ""), "a=1");
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).db.put(keys::FORMAT, [FORMAT + 1]).unwrap();
    for _ in 0..2 {
        let refused = try_open(dir.path()).err().unwrap();
        assert!(matches!(refused, StoreError::Newer { found, known: FORMAT, .. } if found == FORMAT + 1), "{refused}");
    }
}

/// Its own version must not meet what we write.
#[test]
fn an_older_format_is_raised_by_opening_it() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).db.put(keys::FORMAT, [1]).unwrap();
    assert_eq!(open(dir.path()).db.get(keys::FORMAT).unwrap().unwrap(), [FORMAT]);
}

#[test]
fn a_newer_format_with_more_column_families_is_refused_as_newer_not_as_damaged() {
    let dir = TempDir::new().unwrap();
    let mut store = open(dir.path());
    store.db.create_cf("histories", &rocksdb::Options::default()).unwrap();
    store.db.put(keys::FORMAT, [FORMAT + 1]).unwrap();
    drop(store);
    let refused = try_open(dir.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Newer { .. }), "{refused}");
}

#[test]
fn the_state_of_another_deployment_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    let refused = Store::open(&Shared::new(0), dir.path(), "other/changelog/0").err().unwrap();
    assert!(refused.to_string().contains("belongs to `segmentd/segmentd-changelog/0`, not to `other/changelog/0`"), "{refused}");
}

#[test]
fn a_store_that_is_open_is_refused_as_in_use() {
    let dir = TempDir::new().unwrap();
    let _held = open(dir.path());
    let refused = try_open(dir.path()).err().unwrap();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
}

#[test]
fn a_damaged_store_says_so_and_opens_empty_once_discarded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("0");
    drop(open(&path));
    std::fs::write(path.join("CURRENT"), "no manifest\n").unwrap();
    let refused = try_open(&path).err().unwrap();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");

    discard(&path).unwrap();
    discard(&path).unwrap();
    assert_eq!(open(&path).position().unwrap(), None);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_with_its_path_and_a_way_out() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for refused in [StateDir::lock(&file, None).err(), StateDir::lock(&file.join("state"), None).err(), try_open(&file.join("0")).err()] {
        let message = refused.unwrap().to_string();
        assert!(message.contains("/file") && message.contains("a file stands where a folder has to be"), "{message}");
    }
}

#[test]
fn a_status_of_rocksdb_becomes_what_the_caller_does() {
    let no_space = "IO error: No space left on device: While appending to file: /s/0/000004.log: No space left on device";
    let own_lock = "IO error: lock hold by current process, acquire time 1 acquiring thread 2: /s/0/LOCK: No locks available";
    let cases = [
        (no_space, "no space is left"),
        (own_lock, "is in use by another process"),
        ("IO error: While lock file: /s/0/LOCK: Resource temporarily unavailable", "is in use by another process"),
        ("IO error: While open a file for appending: /s/0/LOG: Permission denied", "let this process's account write there"),
        ("IO error: While open a file for appending: /s/0/LOG: Read-only file system", "the file system is read-only"),
        ("Corruption: block checksum mismatch", "is damaged"),
        ("IO error: While open a file for random read: /s/0/000012.sst: No such file or directory", "is damaged"),
        ("IO error: While fsync: /s/0/000012.sst: Input/output error", "failed: IO error"),
    ];
    for (status, expected) in cases {
        let message = error::classify(Path::new("/s/0"), status.to_owned()).to_string();
        assert!(message.contains("/s/0") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_state_folder_is_lent_to_one_at_a_time_and_keeps_its_instance() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state");
    let first = StateDir::lock(&path, None).unwrap();
    let refused = StateDir::lock(&path, None).err().unwrap();
    assert!(refused.to_string().contains(&format!("in use by process {};", std::process::id())), "{refused}");

    let instance = first.instance().to_string();
    assert_eq!(instance.len(), 16);
    drop(first);
    assert_eq!(StateDir::lock(&path, None).unwrap().instance(), instance);
    assert_eq!(StateDir::lock(&path, Some("pod-3")).unwrap().instance(), "pod-3");

    let other = TempDir::new().unwrap();
    assert_ne!(StateDir::lock(other.path(), None).unwrap().instance(), instance);
}

#[test]
fn an_instance_id_that_brokers_would_choke_on_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("instance"), "über alles\n").unwrap();
    assert!(matches!(StateDir::lock(dir.path(), None), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_state_folder_lists_its_partitions_in_order() {
    let dir = TempDir::new().unwrap();
    let state = StateDir::lock(dir.path(), None).unwrap();
    for partition in [10, 2] {
        drop(open(&state.partition(Partition(partition))));
    }
    assert_eq!(state.partitions().unwrap(), [Partition(2), Partition(10)]);
}

#[test]
fn stats_grow_with_what_is_stored() {
    let dir = TempDir::new().unwrap();
    let shared = Shared::new(64 << 20);
    let store = Store::open(&shared, dir.path(), ORIGIN).unwrap();
    let before = (store.size_bytes().unwrap(), shared.stats().write_buffer_bytes);
    let value = vec![7; 4 << 20];
    let mut batch = Batch::new();
    batch.put(b"a", &value);
    store.write(batch, Offset(1)).unwrap();
    assert!(store.size_bytes().unwrap() > before.0 + value.len() as u64);
    assert!(shared.stats().write_buffer_bytes > before.1);
    let stats = store.stats().unwrap();
    assert_eq!((stats.stopped, stats.stalls), (false, 0));
}

#[test]
fn what_was_merged_by_levels_is_there_where_rows_are_added_and_the_other_way_round() {
    let dir = TempDir::new().unwrap();
    let (leveled, added) = (Shared::new(8 << 20), Shared::for_additions(8 << 20));
    let key = |number: u32| (number.wrapping_mul(2_654_435_769)).to_be_bytes();
    let mut written = 0..;
    for (round, shared) in [&leveled, &added, &leveled].into_iter().enumerate() {
        let store = Store::open(shared, dir.path(), ORIGIN).unwrap();
        // Several memtables full, so that some of it is merged.
        for _ in 0..80 {
            let keys: Vec<_> = written.by_ref().take(200).map(key).collect();
            let (mut batch, row) = (Batch::new(), [round as u8; 1_000]);
            keys.iter().for_each(|key| batch.put(key, &row));
            store.write(batch, Offset(1)).unwrap();
        }
    }
    let store = Store::open(&added, dir.path(), ORIGIN).unwrap();
    for (number, round) in (0..48_000u32).zip((0..3).flat_map(|round| [round; 16_000])) {
        assert_eq!(store.get(&key(number)).unwrap().as_deref(), Some(&[round; 1_000][..]), "row {number}");
    }
}
