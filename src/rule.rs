//! The rule language: text in, a checked tree out, every problem as data.
//!
//! ```text
//! file ─yaml→ nodes ─definition→ SegmentDefinition { when: Expr, … } ─check, order→ Definitions
//!                        └ lexer → parser → Expr → print, json
//! ```
//!
//! [`load`] is the way in for definitions, [`parse`] for a single rule.
//!
//! **Invariant:** what [`load`] returns is complete and true: every name in it exists, every type fits, no segment
//! refers to itself, and no problem was dropped.

pub mod ast;
pub mod check;
pub mod definition;
pub mod diagnostic;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod import;
pub mod json;
pub mod lexer;
pub mod order;
pub mod parser;
pub mod print;
pub mod walk;
pub mod word;
pub mod yaml;

pub use definition::{
    Definitions, EntryPolicy, LadderDefinition, Loaded, Names, OnCreate, Publication, SegmentDefinition, Stage, load, load_node,
    load_sources, load_text,
};
pub use diagnostic::{Diagnostic, Severity};
pub use parser::parse;
