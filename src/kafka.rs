//! (to be written)
pub mod partitioner;
pub mod wire;
