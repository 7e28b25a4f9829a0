//! Named points at which a test makes the process die, so that crashes are enumerated and not left to chance.
//!
//! `SEGMENTD_CRASH_AT=after_offsets:3` aborts at the third passage of that point, and `SEGMENTD_FAIL_ON=shop.events/3@918273`
//! makes the engine panic on every record whose place begins so. Unset, either costs one load.
//!
//! **Invariant:** a point stands between any two steps whose order exactly-once depends on.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The steps of a transaction and of a restore, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    BeforeBegin,
    AfterBegin,
    AfterSend,
    AfterDrain,
    AfterOffsets,
    BeforeCommit,
    /// The outcome is known to the broker, not yet to the store.
    AfterCommit,
    /// Between the stores of two tasks of one transaction.
    BetweenStores,
    AfterStore,
    AfterReplay,
    AfterGroupOffsets,
    ClaimSent,
    ClaimCommitted,
    Restored,
}

impl CrashPoint {
    pub const ALL: [CrashPoint; 14] = [
        CrashPoint::BeforeBegin,
        CrashPoint::AfterBegin,
        CrashPoint::AfterSend,
        CrashPoint::AfterDrain,
        CrashPoint::AfterOffsets,
        CrashPoint::BeforeCommit,
        CrashPoint::AfterCommit,
        CrashPoint::BetweenStores,
        CrashPoint::AfterStore,
        CrashPoint::AfterReplay,
        CrashPoint::AfterGroupOffsets,
        CrashPoint::ClaimSent,
        CrashPoint::ClaimCommitted,
        CrashPoint::Restored,
    ];

    /// As the environment names it.
    pub fn as_str(self) -> &'static str {
        match self {
            CrashPoint::BeforeBegin => "before_begin",
            CrashPoint::AfterBegin => "after_begin",
            CrashPoint::AfterSend => "after_send",
            CrashPoint::AfterDrain => "after_drain",
            CrashPoint::AfterOffsets => "after_offsets",
            CrashPoint::BeforeCommit => "before_commit",
            CrashPoint::AfterCommit => "after_commit",
            CrashPoint::BetweenStores => "between_stores",
            CrashPoint::AfterStore => "after_store",
            CrashPoint::AfterReplay => "after_replay",
            CrashPoint::AfterGroupOffsets => "after_group_offsets",
            CrashPoint::ClaimSent => "claim_sent",
            CrashPoint::ClaimCommitted => "claim_committed",
            CrashPoint::Restored => "restored",
        }
    }

    fn parse(text: &str) -> Option<(CrashPoint, u32)> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let point = CrashPoint::ALL.into_iter().find(|point| point.as_str() == name)?;
        Some((point, count.parse().ok()?))
    }
}

/// The variable that names the point, and after a colon which passage of it.
pub const VARIABLE: &str = "SEGMENTD_CRASH_AT";

/// Dies here, without unwinding, if this passage was asked for.
pub fn pass(point: CrashPoint) {
    static ASKED: OnceLock<Option<(CrashPoint, u32)>> = OnceLock::new();
    static PASSAGES: AtomicU32 = AtomicU32::new(0);
    let asked = ASKED.get_or_init(|| std::env::var(VARIABLE).ok().as_deref().and_then(CrashPoint::parse));
    if let Some((asked, count)) = asked
        && *asked == point
        && PASSAGES.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        std::process::abort();
    }
}

/// The variable that names the records on which the engine is to fail, by how their place begins; the decoder, with `decode `
/// before it.
pub const FAIL_ON: &str = "SEGMENTD_FAIL_ON";

/// Panics, if this was asked for.
pub fn fail_on(place: impl FnOnce() -> String) {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    if ASKED.get_or_init(|| std::env::var(FAIL_ON).ok()).as_ref().is_some_and(|asked| place().starts_with(asked)) {
        resume_unwind(Box::new("a test asked for it"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_named_once_and_read_back() {
        for point in CrashPoint::ALL {
            assert_eq!(CrashPoint::parse(point.as_str()), Some((point, 1)));
        }
        assert_eq!(CrashPoint::parse("after_offsets:3"), Some((CrashPoint::AfterOffsets, 3)));
        assert_eq!(CrashPoint::parse("nowhere"), None);
    }
}
