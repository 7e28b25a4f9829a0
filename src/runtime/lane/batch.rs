//! The open batch: records are decoded and applied, timers fire, until it is due.
//!
//! **Invariant:** every record of a running share moves its input offset, whatever became of it: applied, a repeat,
//! skipped, re-routed or a dead letter. What moves an offset goes out in the same transaction as the offset.

use std::time::Duration;

use super::errand::{self, ParcelLabel};
use super::figures::Figures;
use super::parts::Gathered;
use super::shares::{Running, Share, Stage};
use super::stretch::Content;
use super::unfit::contained;
use super::{Lane, Trouble};
use crate::customer;
use crate::engine::Accepted;
use crate::event::Event;
use crate::id::{CustomerId, Offset, Partition, SourcePosition, TopicName};
use crate::kafka::wire::{Decoded, Reject, RejectCode};
use crate::kafka::{Message, partitioner};
use crate::runtime::crash::fail_on;
use crate::runtime::mail::{Fed, Feed, size};
use crate::runtime::{RunError, Settings, clock};
use crate::store::StoreError;
use crate::time::EventTime;

/// Handed on by the poller, not yet applied.
pub enum Pending {
    Record(Fed),
    End { partition: Partition, feed: Feed, topic: TopicName },
}

/// A record that goes to another topic, as it came.
pub struct Letter {
    pub message: Message,
    pub fate: Fate,
}

pub enum Fate {
    Dead(Reject),
    /// Its customer belongs to this partition; it came in on another.
    Rerouted(Partition),
    /// Its customer is this one by now.
    Redirected(CustomerId),
}

/// What applying a record came to.
pub(super) enum Applied {
    Done,
    /// A slice of timers is full: commit, then apply the record again.
    TimersRemain,
    Letter(Fate),
    /// The engine panicked on the record there, and said this: the task is of no use any more.
    Failed(SourcePosition, String),
}

impl Lane {
    /// Applies what is pending until the batch is due; then lets the task clocks follow the wall.
    pub(super) fn fill(&mut self) -> Result<(), Trouble> {
        let wall = clock::wall();
        while !self.is_due() {
            if self.pending.is_empty() {
                return self.follow_wall(wall);
            }
            self.take_stretch(wall)?;
        }
        Ok(())
    }

    pub(super) fn take_up(&mut self, pending: Pending, content: Option<Content>, wall: EventTime) -> Result<(), Trouble> {
        match pending {
            Pending::End { partition, feed, topic } => {
                if let Some(running) = self.running_mut(partition).filter(|running| running.feed == feed) {
                    running.ended.insert(topic);
                }
                Ok(())
            }
            Pending::Record(fed) => self.apply(fed, content, wall),
        }
    }

    fn apply(&mut self, fed: Fed, content: Option<Content>, wall: EventTime) -> Result<(), Trouble> {
        let applied = match content {
            Some(content) => self.apply_content(content, &fed.message, wall)?,
            None => None,
        };
        if let Some(Applied::TimersRemain) = applied {
            self.full = true;
            self.age.open(clock::now);
            self.pending.push_front(Pending::Record(fed));
            return Ok(());
        }
        self.queued.taken(1, size(&fed.message));
        let letter = match applied {
            None => return Ok(()),
            Some(Applied::Failed(position, panic)) => return Err(self.set_aside(position, panic)),
            Some(Applied::Letter(fate)) => Some(fate),
            Some(Applied::Done | Applied::TimersRemain) => None,
        };
        self.pass(fed, letter);
        Ok(())
    }

    /// `None`: no share here waits for the record.
    fn apply_content(&mut self, content: Content, message: &Message, wall: EventTime) -> Result<Option<Applied>, RunError> {
        let Lane { shares, around, figures, unfit, .. } = self;
        let running = shares.get_mut(&Partition(message.partition())).and_then(Share::running_mut);
        // A pause in the midst of a batch call can make librdkafka hand out records twice; the offset tells.
        let Some(running) = running.filter(|running| !running.has_passed(message)) else { return Ok(None) };
        let applied = match content {
            Content::Parcel { to, label } => running.take_in(&to, &label, message, wall)?,
            _ if running.had(message, &around.settings) => Applied::Done,
            Content::Erasure { to, at } => {
                running.task.erase_redirect(&to, at)?;
                Applied::Done
            }
            Content::Input(read) => match unfit.judge(read, message) {
                Ok(decoded) => running.apply(decoded, message, &around.settings, figures, wall)?,
                Err(panic) => Applied::Failed(running.position(message), panic),
            },
        };
        Ok(Some(applied))
    }

    /// The record has been dealt with; what is to go to another topic goes out with the batch.
    fn pass(&mut self, Fed { message, since, .. }: Fed, letter: Option<Fate>) {
        self.figures.consumed(&message);
        self.applied += 1;
        self.age.took(since);
        self.age.open(clock::now);
        if let Some(running) = self.running_mut(Partition(message.partition())) {
            running.passed(&message);
            running.letters.extend(letter.map(|fate| Letter { message, fate }));
        }
    }

    /// The record will be a dead letter when it comes again, after a restore.
    fn set_aside(&mut self, position: SourcePosition, panic: String) -> Trouble {
        // What it said may name what is in the record: that stands in the dead letter alone.
        tracing::error!(lane = self.number, %position, "the engine failed on a record: this is a bug, please report it");
        let place = position.to_string();
        if self.unfit.note(position, panic) {
            return Trouble::Reset(format!("the engine failed on {place}, which will be a dead letter"));
        }
        Trouble::Fatal(RunError::Halted(format!(
            "the engine has failed on too many records, the last of them {place}; go back to the version before and report it"
        )))
    }

    /// At the end of a partition, time goes on by the wall clock, less a delay for what is still on its way.
    fn follow_wall(&mut self, wall: EventTime) -> Result<(), Trouble> {
        let settings = &self.around.settings;
        if !settings.clock.follow_wall {
            return Ok(());
        }
        let to = EventTime::from_millis(wall.millis() - millis(settings.clock.idle_delay));
        let inputs = settings.input_count();
        for share in self.shares.values_mut() {
            let Stage::Running(running) = &mut share.stage else { continue };
            if running.ended.len() < inputs || running.task.clock() >= to {
                continue;
            }
            self.full |= running.task.advance_clock(to, wall).map_err(RunError::Store)?;
            if !running.open && !running.task.is_changed() {
                running.showing.passed(running.task.clock());
            }
            if running.task.is_changed() {
                running.open = true;
                self.age.open(clock::now);
            }
        }
        Ok(())
    }
}

impl Running {
    fn apply(
        &mut self,
        decoded: Decoded,
        message: &Message,
        settings: &Settings,
        figures: &Figures,
        wall: EventTime,
    ) -> Result<Applied, StoreError> {
        let event = match decoded {
            Decoded::Skipped(_) => {
                figures.skipped();
                return Ok(Applied::Done);
            }
            Decoded::Rejected(reject) => return self.reject(reject, figures),
            Decoded::Event(event) => event,
        };
        if let Some(fate) = refusal(&event, message, settings, wall) {
            return Ok(Applied::Letter(fate));
        }
        if self.task.advance_clock(event.time, wall)? {
            self.open = true;
            return Ok(Applied::TimersRemain);
        }
        let before = self.task.transitions().len();
        let position = self.position(message);
        let accepted = match contained(|| self.accept(&event, &position, wall)) {
            Ok(accepted) => accepted?,
            Err(panic) => return Ok(Applied::Failed(position, panic)),
        };
        figures.accepted(event.stream, accepted);
        let led_to = self.task.transitions().len() - before;
        self.caused.extend(message.timestamp().into_iter().cycle().take(led_to));
        Ok(self.fate_of(accepted.applied, &event.customer).map_or(Applied::Done, Applied::Letter))
    }

    fn accept(&mut self, event: &Event, position: &SourcePosition, wall: EventTime) -> Result<Accepted, StoreError> {
        fail_on(|| position.to_string());
        self.task.accept(event, position, wall)
    }

    fn position(&self, message: &Message) -> SourcePosition {
        let topic = self.offsets.iter().map(|(topic, _)| topic).find(|topic| *topic.0 == *message.topic()).cloned();
        let topic = topic.unwrap_or_else(|| TopicName(message.topic().into()));
        SourcePosition { topic, partition: Partition(message.partition()), offset: Offset(message.offset()) }
    }

    /// Why a record that a task has looked at is for somebody else.
    fn fate_of(&mut self, applied: customer::Applied, whose: &CustomerId) -> Option<Fate> {
        match applied {
            customer::Applied::Redirected => self.task.successor(whose).map(Fate::Redirected),
            customer::Applied::Circular => {
                let text = "the customer is one that this id became already; an alias back would make them each other's";
                Some(Fate::Dead(Reject::new(RejectCode::CircularAlias, text)))
            }
            customer::Applied::Accepted { .. } | customer::Applied::Duplicate | customer::Applied::Erased => None,
        }
    }

    /// What was known of another id arrives, or a part of it.
    fn take_in(&mut self, to: &CustomerId, label: &ParcelLabel, message: &Message, wall: EventTime) -> Result<Applied, RunError> {
        let whole = match self.parts.gather(Offset(message.offset()), to, label, message.payload().unwrap_or_default()) {
            Gathered::Nothing => return Ok(Applied::Done),
            Gathered::Whole(values) => errand::parcel(label, &values, self.task.plan()),
            Gathered::Torn => None,
        };
        let parcel = whole.ok_or_else(|| errand::unreadable(message))?;
        if self.task.advance_clock(parcel.at, wall).map_err(RunError::Store)? {
            self.open = true;
            return Ok(Applied::TimersRemain);
        }
        self.task.receive(to, parcel, wall).map_err(RunError::Store)?;
        self.parts.taken(to, label);
        Ok(Applied::Done)
    }

    /// A record that cannot be an event is kept for a person to look at; not one of what was erased.
    fn reject(&self, reject: Reject, figures: &Figures) -> Result<Applied, StoreError> {
        if let Some((customer, time)) = reject.whose.as_deref()
            && self.task.is_erased(customer, *time)?
        {
            figures.erased();
            return Ok(Applied::Done);
        }
        Ok(Applied::Letter(Fate::Dead(reject)))
    }

    fn has_passed(&self, message: &Message) -> bool {
        self.offsets.iter().any(|(name, next)| *name.0 == *message.topic() && message.offset() < next.0)
    }

    /// Read again for a part of a parcel that waited, and taken before the task came here.
    fn had(&self, message: &Message, settings: &Settings) -> bool {
        *message.topic() == *settings.topics.repartition.0 && self.parts.had(Offset(message.offset()))
    }

    /// The record has been dealt with: the next one is due.
    fn passed(&mut self, message: &Message) {
        self.open = true;
        let topic = message.topic();
        if let Some((_, offset)) = self.offsets.iter_mut().find(|(name, _)| *name.0 == *topic) {
            *offset = Offset(message.offset() + 1);
        }
        if !self.ended.is_empty() {
            self.ended.retain(|name| *name.0 != *topic);
        }
    }
}

/// Why a decoded event is not for this task, if it is not.
fn refusal(event: &Event, message: &Message, settings: &Settings, wall: EventTime) -> Option<Fate> {
    if event.time.millis().saturating_sub(wall.millis()) > millis(settings.clock.max_future) {
        let text = format!("the event time {} is more than {:?} ahead of the clock", event.time, settings.clock.max_future);
        return Some(Fate::Dead(Reject::new(RejectCode::FutureTime, text)));
    }
    let home = partitioner::partition(event.customer.as_str().as_bytes(), settings.topics.partitions);
    (home != Partition(message.partition())).then_some(Fate::Rerouted(home))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
