//! Records that the engine, or the decoder before it, has failed on: a bug of ours, which must not stop a partition for ever.
//!
//! A record whose application panics leaves its task in no state to go on from: like after any other trouble, every task of the
//! lane is restored. When the record comes again it is a dead letter, to be sent again once the bug is mended. Many such
//! records are a broken release rather than a rare case: then the process stops, and what its last batch set aside is read again.
//!
//! **Invariant:** nothing that a panic left behind is committed. What time alone leads to is not contained: no record is to
//! blame for it, and to go on without it would be to lose an exit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::id::{Offset, Partition, SourcePosition};
use crate::kafka::Message;
use crate::kafka::wire::{Decoded, Reject, RejectCode};

/// How many records of one lane may be set aside before the process stops.
const MOST: usize = 16;
/// Characters of a panic that are kept: it may print what it was working on.
const MOST_SAID: usize = 300;

/// The records of one lane that the engine failed on since the process was started, and what it said.
#[derive(Default)]
pub struct Unfit(Vec<(SourcePosition, String)>);

impl Unfit {
    /// `false`: there were too many already.
    pub fn note(&mut self, position: SourcePosition, panic: String) -> bool {
        let may = self.0.len() < MOST;
        if may {
            self.0.push((position, panic));
        }
        may
    }

    /// What a record holds, or what the decoder's panic on it said; a rejection, if the engine or the decoder failed on it before.
    pub fn judge(&self, read: Result<Decoded, String>, message: &Message) -> Result<Decoded, String> {
        let Some(panic) = self.panic_on(message) else { return read };
        let whose = match read {
            Ok(Decoded::Event(event)) => Some(Box::new((event.customer, event.time))),
            Ok(Decoded::Skipped(_) | Decoded::Rejected(_)) | Err(_) => None,
        };
        let text =
            format!("the engine failed on this record, which is a bug of segmentd's ({panic}); report it, and send the record again later");
        Ok(Decoded::Rejected(Reject { whose, ..Reject::new(RejectCode::EngineFailed, text) }))
    }

    fn panic_on(&self, message: &Message) -> Option<&str> {
        let is = |position: &SourcePosition| {
            position.offset == Offset(message.offset())
                && position.partition == Partition(message.partition())
                && *position.topic.0 == *message.topic()
        };
        self.0.iter().find(|(position, _)| is(position)).map(|(_, panic)| panic.as_str())
    }
}

/// Does some work; what its panic said, if it panicked. What it was working on must not be used again.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why").chars().take(MOST_SAID).collect()
}
