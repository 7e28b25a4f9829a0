//! (to be written)

pub mod footprint;
pub mod status;
