//! (to be written)
pub mod decimal;
