//! Shared by the test binaries that need Kafka.

#![allow(dead_code)]

pub mod api;
pub mod client;
pub mod kafka;
pub mod ranks;
pub mod replica;
pub mod scene;
pub mod service;
