//! What the partitions of a deployment tell each other of their customers' ranks, through one small compacted topic.
//!
//! ```text
//! each task       ──its sketch, after the end of an epoch──▶ topic ──▶ board of every process
//! that of part. 0 ──cuts of all sketches──────────────────▶ topic ──▶ board ──between two batches──▶ every task
//! ```
//!
//! Both go out in the transactions of the tasks. *Why one task cuts for all:* whether a cut stays where it is depends on
//! where it was, so two who watched the sketches at different moments would cut differently, for ever.
//!
//! **Invariant:** cuts are numbered, and every task goes by the same ones under the same number. Who decides by other
//! definitions takes no part: its sketches and cuts are about other rankings.

mod board;
mod record;

pub use board::{Board, PARTITION};
pub use record::{CutRecord, SketchRecord};
