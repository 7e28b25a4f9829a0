//! The law of [`Batch`]: whenever the process dies, one batch is found, whole, and none that returned is missing.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{at, open, states, timers};
use crate::id::Offset;
use crate::store::Batch;

/// The child of the crash tests: every batch sets all of twenty keys, a timer, the manifest and the offset to the same
/// number, then says the number. Ends by an abort after `SEGMENTD_TEST_ABORT_AFTER` batches.
#[test]
#[ignore = "run by the crash tests, in a process of its own"]
fn child() {
    let Ok(path) = std::env::var("SEGMENTD_TEST_STATE") else { return };
    let last: i64 = std::env::var("SEGMENTD_TEST_ABORT_AFTER").unwrap().parse().unwrap();
    let store = open(Path::new(&path));
    let first = store.position().unwrap().map_or(0, |next| next.0);
    for n in first + 1..=first + last {
        let text = n.to_string();
        let keys: Vec<String> = (0..20).map(|i| format!("key{i}")).collect();
        let mut batch = Batch::new();
        keys.iter().for_each(|key| batch.put(key.as_bytes(), text.as_bytes()));
        batch.remove_timer(at(n - 1), b"c");
        batch.set_timer(at(n), b"c");
        batch.set_manifest(text.as_bytes());
        store.write(batch, Offset(n)).unwrap();
        println!("wrote {n}");
    }
    std::process::abort();
}

fn child_command(path: &Path, abort_after: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::tests::crash::child", "--ignored", "--nocapture"]);
    command.env("SEGMENTD_TEST_STATE", path).env("SEGMENTD_TEST_ABORT_AFTER", abort_after.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What the store must look like whenever the child died: one batch, whole, and at least the last that it spoke of.
fn check_whole(path: &Path, child_output: &str) -> i64 {
    let spoken = child_output.lines().filter_map(|line| line.split_once("wrote ")?.1.parse().ok()).max().unwrap_or(0);
    let store = open(path);
    let n = store.position().unwrap().map_or(0, |next| next.0);
    assert!(n >= spoken, "{spoken} was acknowledged, {n} is stored");
    if n > 0 {
        let text = n.to_string();
        let expected: Vec<String> = (0..20).map(|i| format!("key{i}={n}")).collect();
        let mut found: Vec<String> = states(&store, "").split(' ').map(String::from).collect();
        found.sort_by_key(|pair| pair.trim_start_matches("key").split('=').next().unwrap().parse::<u32>().unwrap());
        assert_eq!(found, expected);
        assert_eq!(timers(&store, i64::MIN, "", 9), [(n, "c".into())]);
        assert_eq!(store.manifest().unwrap().as_deref(), Some(text.as_bytes()));
    }
    n
}

#[test]
fn an_abort_after_any_batch_leaves_that_batch_whole() {
    let dir = TempDir::new().unwrap();
    let mut stored = 0;
    for batches in 1..=5 {
        let output = child_command(dir.path(), batches).output().unwrap();
        assert!(!output.status.success());
        stored += i64::from(batches);
        assert_eq!(check_whole(dir.path(), &String::from_utf8_lossy(&output.stdout)), stored);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_one_batch_whole() {
    let dir = TempDir::new().unwrap();
    let mut stored = 0;
    for pause_micros in [0, 300, 2_000, 7_000, 20_000] {
        let mut child = child_command(dir.path(), u32::MAX).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut spoken = String::new();
        while !spoken.contains("wrote") {
            assert!(output.read_line(&mut spoken).unwrap() > 0, "the child ended before its first batch: {spoken}");
        }
        std::thread::sleep(Duration::from_micros(pause_micros));
        child.kill().unwrap();
        child.wait().unwrap();
        output.read_to_string(&mut spoken).unwrap();
        let found = check_whole(dir.path(), &spoken);
        assert!(found > stored, "{found} follows {stored}");
        stored = found;
    }
}
