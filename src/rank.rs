//! Ranks: where customers stand among all others by one value of theirs, for `top p% by …`.
//!
//! ```text
//!     values ─bucket─▶ sketch of each partition ─merge─▶ sketch of all ─top p%─▶ cut
//! ```
//!
//! Nobody keeps the values of all customers in order. They are counted in buckets of three significant decimal digits, so
//! that a cut is a number that people read (1,230), at most 1 % below the value that it stands for.
//!
//! **Invariant:** a sketch is a function of the values that are in it, never of the way they came; and so is the sum of
//! several. A cut is the low end of a bucket: all customers of a bucket are on one side of it.

mod bucket;
mod cuts;
mod sketch;

pub use bucket::Bucket;
pub use cuts::{Cuts, Written};
pub use sketch::{Counts, Sketch};
