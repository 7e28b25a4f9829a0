//! A stretch: some records of what is pending are read together, before the first of them is applied.
//!
//! *Why together:* decoder and engine are more code than a processor's first cache holds (32 KiB); in turns, record by record,
//! each would drive the other out of it. Over a replay of a year of orders a stretch takes a third of its misses away.
//!
//! **Invariant:** what was read and not applied is read again. It stays in the queue as it came, and by then other definitions
//! may be in force.

use super::batch::Pending;
use super::errand::{self, Errand, ParcelLabel};
use super::sender::position;
use super::unfit::contained;
use super::{Lane, Trouble};
use crate::id::{CustomerId, Partition};
use crate::kafka::Message;
use crate::kafka::wire::{Decoded, Decoder, RawRecord};
use crate::runtime::crash::fail_on;
use crate::runtime::mail::Fed;
use crate::runtime::{RunError, Settings};
use crate::time::EventTime;

/// How many records are read ahead, and applied between two looks at the clock.
const STRETCH: usize = 64;

/// What a record holds; of an input on which the decoder panicked, what that said.
pub(super) enum Content {
    Input(Result<Decoded, String>),
    Parcel { to: CustomerId, label: Box<ParcelLabel> },
    Erasure { to: CustomerId, at: EventTime },
}

impl Lane {
    /// Applies a stretch of what is pending.
    pub(super) fn take_stretch(&mut self, wall: EventTime) -> Result<(), Trouble> {
        for content in self.read_ahead()? {
            let Some(pending) = self.pending.pop_front() else { break };
            self.take_up(pending, content, wall)?;
            if self.full {
                break;
            }
        }
        Ok(())
    }

    /// What the next records hold, in order; `None`: no record, or nobody here waits for it.
    fn read_ahead(&mut self) -> Result<Vec<Option<Content>>, RunError> {
        let most = STRETCH.min(self.around.settings.commit.max_events.saturating_sub(self.applied));
        let Lane { pending, shares, decoder, around, .. } = self;
        let read = |pending: &Pending| match pending {
            Pending::Record(fed) if shares.get(&fed.partition()).is_some_and(|share| share.is_fed(fed.feed)) => {
                Content::of(&fed.message, decoder, &around.settings).map(Some)
            }
            Pending::Record(_) | Pending::End { .. } => Ok(None),
        };
        pending.iter().take(most).map(read).collect()
    }
}

impl Content {
    fn of(message: &Message, decoder: &mut Decoder, settings: &Settings) -> Result<Content, RunError> {
        let headers = message.headers();
        Ok(match errand::of(message, &headers, settings)? {
            None => Content::Input(decoded(message, &headers, decoder)),
            Some(Errand::Record { customer }) => {
                Content::Input(decoded(message, &headers, decoder).map(|input| readdressed(input, customer)))
            }
            Some(Errand::Parcel { to, label }) => Content::Parcel { to, label },
            Some(Errand::Erasure { to, at }) => Content::Erasure { to, at },
        })
    }
}

/// A panic is handed on: it is the record's, and no reason to read it again with the next restart.
fn decoded(message: &Message, headers: &[(&str, &[u8])], decoder: &mut Decoder) -> Result<Decoded, String> {
    let record = RawRecord { payload: message.payload(), headers, timestamp_ms: message.timestamp() };
    let decoded = contained(|| {
        fail_on(|| format!("decode {}", position(message)));
        decoder.decode(&record)
    });
    if decoded.is_err() {
        *decoder = decoder.clone(); // with scratch space of its own: nobody knows what the panic left there
    }
    decoded
}

fn readdressed(mut decoded: Decoded, to: CustomerId) -> Decoded {
    if let Decoded::Event(event) = &mut decoded {
        event.customer = to;
    }
    decoded
}

impl Fed {
    fn partition(&self) -> Partition {
        Partition(self.message.partition())
    }
}
