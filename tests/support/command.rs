//! The binary as a person runs it: what goes to stdout, what to stderr, and the exit code.

use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// Runs `segmentd` in the repository's folder, without variables of ours.
pub fn segmentd(arguments: &[&str]) -> Output {
    with_input(arguments, "")
}

pub fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::cargo_bin("segmentd").unwrap();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEGMENTD_")) {
        command.env_remove(name);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).write_stdin(input).output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with one file in it.
pub fn file(name: &str, text: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}
