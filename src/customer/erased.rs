//! What remains of somebody who was erased: not who it was, but when; and how often.
//!
//! **Invariant:** two lives of one id never share a transition's number, and so never its id, whatever was forgotten.

use crate::time::EventTime;

/// Enough to refuse what had happened by then, and to number what happens after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Nothing that happened at or before this instant is accepted any more.
    pub at: EventTime,
    /// How often something was known of this id when it was erased.
    pub lives: u32,
}

impl Erased {
    /// More transitions than a life has in any segment. A number in base ten that people recognise.
    pub const NUMBERS: u64 = 1_000_000_000;

    /// The number before the first of the present life.
    pub fn numbered_from(&self) -> u64 {
        u64::from(self.lives) * Erased::NUMBERS
    }
}
