//! What is shipped beside the program: alerts and their runbook, dashboards, units, manifests, documents of interfaces.
//!
//! **Invariant:** each is held against the program that it is for, so that none speaks of a metric, an option or a path
//! that is not there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod deploy {
    mod interfaces;
    mod monitoring;
    mod packaging;
}

/// A file of the repository.
fn shipped(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a tool that may be absent, in which case it says so and nothing is checked.
fn run(tool: &str, arguments: &[&str]) {
    let ended = std::process::Command::new(tool).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    match ended {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => eprintln!("SKIPPED: `{tool}` is not installed"),
        Err(error) => panic!("{tool}: {error}"),
        Ok(output) => {
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
            assert!(output.status.success(), "{tool} {arguments:?}:\n{said}");
        }
    }
}
