//! What others have built on: the interfaces as they are published in `docs/schemas/`.
//!
//! **Invariant:** none changes unseen. Whoever changes one publishes it anew, and asks whether readers of the one before
//! still understand it.

use std::process::Command;

use crate::shipped;

/// What the program prints as a schema of this name; of none, the names.
fn schema(name: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_segmentd")).arg("schema").args(name).output().unwrap();
    assert!(output.status.success(), "{name:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_interface_is_the_published_one() {
    let changed: Vec<String> = schema(&[])
        .lines()
        // These follow the program: how to configure it, and what rules may name.
        .filter(|name| !["config", "streams"].contains(name))
        .filter(|name| schema(&[name]) != shipped(&format!("docs/schemas/{name}.json")))
        .map(|name| format!("segmentd schema {name} > docs/schemas/{name}.json"))
        .collect();
    assert!(changed.is_empty(), "changed; if no reader of the old one breaks, or the CHANGELOG says so:\n{}", changed.join("\n"));
}
