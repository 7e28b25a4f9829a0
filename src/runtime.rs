//! (to be written)

pub mod clock;
pub mod footprint;
pub mod status;
