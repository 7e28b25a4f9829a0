//! The tools with which people write rules, as a person meets them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/command.rs"]
mod command;

mod tools {
    mod access;
    mod explain;
    mod fmt;
    mod import;
    mod plan;
    mod report;
    mod service;
    mod stopped;
    mod test;
}
