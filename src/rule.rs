//! The rule language: text in, a checked tree out, every problem as data.

pub mod ast;
