//! The law (docs/semantics.md, "The law"): what the engine does step by step equals what a naive evaluator finds from
//! scratch, for random rules and random histories, at every instant at which anything could change.
//!
//! The naive evaluator is tried first: on pages written by hand and on transitions that were computed elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod law {
    mod calendar;
    mod cases;
    mod engine;
    mod eval;
    mod events;
    mod experiment;
    mod explain;
    mod golden;
    mod history;
    mod life;
    mod lists;
    mod merging;
    mod naive;
    mod pages;
    mod publication;
    mod reload;
    mod restart;
    mod rules;
    mod sequence;
    mod shrink;
    mod survey;
    mod top;
    mod value;
}
