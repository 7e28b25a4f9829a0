//! segmentd: Kafka events in, exactly-once segment transitions out.
//!
//! Modules stand in layers (docs/architecture.md): each names only those above it in this list.

pub mod time;

pub mod id;

pub mod money;

pub mod event;
pub mod experiment;

pub mod window;

pub mod aggregate;
pub mod rank;

pub mod rule;

pub mod plan;

pub mod customer;
pub mod transition;

pub mod eval;

pub mod engine;

pub mod scenario;

pub mod audit;
pub mod metrics;

pub mod kafka;
pub mod store;

pub mod runtime;

pub mod history;
pub mod replica;

pub mod http;

pub mod config;

pub mod cli;
