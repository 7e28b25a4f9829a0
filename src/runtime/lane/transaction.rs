//! One transaction over the open batches of the lane's tasks.
//!
//! ```text
//! begin → transitions · entries · memberships · letters · changelog · manifest, for each task
//!       → drain → offsets of every task → drain → commit → one store write a task
//! ```
//!
//! A refusal leaves everything as it was: the batches are still in the tasks, and go out again under the next
//! ownership, without the shares that were revoked meanwhile.
//!
//! **Invariant:** a store is written only after the commit is known to have succeeded, and nothing is computed between
//! `begin` and `commit`. The offsets of every task that takes part are sent, also when none moved: they are the fence.

use std::time::Duration;

use rdkafka::topic_partition_list::TopicPartitionList;

use super::allowance::Committed;
use super::sender::{Sender, Sent};
use super::shares::Stage;
use super::{Lane, Trouble};
use crate::id::{Offset, Partition};
use crate::kafka::consumer::add_at;
use crate::kafka::{Call, Failure, Verdict, verdict};
use crate::runtime::RunError;
use crate::runtime::clock::{self, Deadline};
use crate::runtime::crash::{CrashPoint, pass};
use crate::runtime::ownership::Ownership;

/// Longer than a transaction lives: after that the broker has ended it, one way or the other.
const PATIENCE: Duration = Duration::from_secs(15);
/// One request; the lane shows that it lives between two of them.
const SLICE: Duration = Duration::from_millis(500);
/// How long the group may refuse us before it is worth an alarm: a member that dies while joining costs 6–9 s.
const ALARM: Duration = Duration::from_secs(15);
/// How often a refused batch is tried again while no rebalance is seen.
const RETRY: Duration = Duration::from_millis(100);

impl Lane {
    /// Commits what the shares have that we own at this moment.
    pub(super) fn commit_batch(&mut self) -> Result<(), Trouble> {
        if !self.age.is_open() {
            return Ok(());
        }
        let ownership = self.around.published.current();
        let partitions = self.committable(&ownership);
        if partitions.is_empty() {
            if !self.has_open_share() {
                self.close_batch();
                return Ok(());
            }
            return self.wait_for_ownership(&ownership);
        }
        match self.transact(&ownership, &partitions) {
            Err(Trouble::Redo(failure)) if never_accepted(&failure) => Err(Trouble::Fatal(RunError::Halted(failure.to_string()))),
            Err(Trouble::Redo(failure)) => {
                tracing::info!(lane = self.number, %failure, "the transaction was refused; its batch goes out again");
                self.figures.aborted();
                self.abort()?;
                self.wait_for_ownership(&ownership)
            }
            Ok(()) => {
                self.close_batch();
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn committable(&self, ownership: &Ownership) -> Vec<Partition> {
        if ownership.metadata.is_none() {
            return Vec::new();
        }
        let open = |stage: &Stage| matches!(stage, Stage::Running(running) if running.open);
        self.shares.iter().filter(|(p, share)| open(&share.stage) && ownership.holds(**p, share.token)).map(|(p, _)| *p).collect()
    }

    pub(super) fn has_open_share(&self) -> bool {
        self.shares.values().any(|share| matches!(&share.stage, Stage::Running(running) if running.open))
    }

    fn close_batch(&mut self) {
        self.allowance.committed(
            self.age.oldest().map(|oldest| Committed { took: clock::now().duration_since(oldest), left_records: !self.pending.is_empty() }),
        );
        self.clear_batch();
        self.refused_since = None;
        // A share that was not ours at this moment keeps its batch open.
        if self.has_open_share() {
            self.age.open(clock::now);
        }
    }

    pub(super) fn wait_for_ownership(&mut self, refused: &Ownership) -> Result<(), Trouble> {
        let since = *self.refused_since.get_or_insert_with(clock::now);
        if clock::now().duration_since(since) > ALARM {
            tracing::error!(lane = self.number, "the group has refused transactions for over 15 s");
            self.refused_since = None;
        }
        self.around.published.wait_newer(refused.number, RETRY);
        self.take_all_mail().map_err(Trouble::Fatal)
    }

    fn transact(&mut self, ownership: &Ownership, partitions: &[Partition]) -> Result<(), Trouble> {
        let began = clock::now();
        pass(CrashPoint::BeforeBegin);
        self.producer.begin()?;
        pass(CrashPoint::AfterBegin);
        let (offsets, sent) = self.send_batches(partitions)?;
        pass(CrashPoint::AfterSend);
        let suspicious = self.finish(ownership, &offsets)?;
        pass(CrashPoint::AfterCommit);
        self.figures.commit_took(clock::now().duration_since(began));
        self.store(&sent)?;
        pass(CrashPoint::AfterStore);
        if suspicious {
            // A commit that was retried underneath leaves a late request that could reach the next transaction (EndTxn
            // v1 carries no number of the transaction).
            tracing::info!(lane = self.number, "a commit took longer than usual: going on with a new producer");
            self.renew_producer().map_err(Trouble::Fatal)?;
        }
        Ok(())
    }

    /// Drain, offsets, drain, commit. `true`: committed, but the handle should not be used again.
    pub(super) fn finish(&mut self, ownership: &Ownership, offsets: &TopicPartitionList) -> Result<bool, Trouble> {
        self.drain()?;
        pass(CrashPoint::AfterDrain);
        self.send_offsets(ownership, offsets)?;
        pass(CrashPoint::AfterOffsets);
        self.drain()?;
        pass(CrashPoint::BeforeCommit);
        self.commit()
    }

    /// The input offsets that go with the records, and what each changelog partition was sent.
    fn send_batches(&mut self, partitions: &[Partition]) -> Result<(TopicPartitionList, Vec<Sent>), Trouble> {
        let mut offsets = TopicPartitionList::new();
        let mut sent = Vec::with_capacity(partitions.len());
        let Lane { producer, around, shares, .. } = self;
        let sender = Sender { producer, settings: &around.settings };
        for partition in partitions {
            if let Some(Stage::Running(running)) = shares.get_mut(partition).map(|share| &mut share.stage) {
                sent.push(sender.send(*partition, running)?);
                running.showing.committing();
                add_at(&mut offsets, *partition, &running.next_to_read(&around.settings))?;
            }
        }
        Ok((offsets, sent))
    }

    fn drain(&self) -> Result<(), Trouble> {
        let deadline = Deadline::after(PATIENCE);
        while !self.producer.drain()? {
            self.heartbeat.beat();
            if deadline.is_past() {
                return Err(Trouble::Reset("records were not delivered in time".into()));
            }
        }
        Ok(())
    }

    fn send_offsets(&self, ownership: &Ownership, offsets: &TopicPartitionList) -> Result<(), Trouble> {
        let Some(metadata) = &ownership.metadata else { return Err(Trouble::Reset("a transaction was begun without ownership".into())) };
        self.until_done("the offsets were not taken in time", || self.producer.send_offsets(offsets, metadata, SLICE)).map(|_| ())
    }

    fn commit(&mut self) -> Result<bool, Trouble> {
        let began = clock::now();
        let outcome = self.until_done("the outcome of a commit is unknown", || self.producer.commit(SLICE));
        if let Err(Trouble::Reset(_)) = &outcome {
            self.figures.outcome_unknown();
        }
        let calls = outcome?;
        let took = clock::now().duration_since(began);
        let slow = self.pace.took(took);
        Ok(slow || calls > 1)
    }

    /// Aborts, drained first: an abort with records in flight purges them, and the next transaction fails for it.
    pub(super) fn abort(&self) -> Result<(), Trouble> {
        let deadline = Deadline::after(PATIENCE);
        // A record that failed is no news any more; only that nothing is in flight.
        while !matches!(self.producer.drain(), Ok(true)) {
            self.heartbeat.beat();
            if deadline.is_past() || self.producer.is_fatal() {
                return Err(Trouble::Reset("records were still in flight when the transaction had to be aborted".into()));
            }
        }
        match self.until_done("an abort was not answered in time", || self.producer.abort(SLICE)) {
            Ok(_) => Ok(()),
            Err(Trouble::Redo(failure)) => Err(Trouble::Reset(failure.to_string())),
            Err(trouble) => Err(trouble),
        }
    }

    /// Makes a call again while it may be made again. How often it was made.
    fn until_done(&self, late: &str, call: impl Fn() -> Result<(), Failure>) -> Result<u32, Trouble> {
        let deadline = Deadline::after(PATIENCE);
        for calls in 1.. {
            self.heartbeat.beat();
            match call() {
                Ok(()) => return Ok(calls),
                Err(failure) if verdict(&failure) != Verdict::Resume => return Err(failure.into()),
                Err(failure) if deadline.is_past() => return Err(Trouble::Reset(format!("{late}: {failure}"))),
                Err(_) => {}
            }
        }
        Ok(0)
    }

    /// Writes each task's batch to its store.
    fn store(&mut self, sent: &[Sent]) -> Result<(), Trouble> {
        for (index, sent) in sent.iter().enumerate() {
            if index > 0 {
                pass(CrashPoint::BetweenStores);
            }
            let Some(Stage::Running(running)) = self.shares.get_mut(&sent.partition).map(|share| &mut share.stage) else { continue };
            self.figures.committed(running.task.transitions(), &running.letters, &running.caused, clock::wall(), &running.showing);
            running.showing.came(running.task.came(), &self.around.observed.metrics.state.customers);
            self.around.observed.metrics.state.reads.inc_by(running.task.reads());
            let told = self.around.observed.feed.prepare(running.task.outputs(), &self.around.settings.kafka.deployment);
            let erased = running.task.erased();
            if !erased.is_empty() {
                let (partition, erased) = (sent.partition.0, erased.len());
                tracing::info!(partition, erased, "customers were erased; `segmentd erase --receipt` says what is left until when");
            }
            self.around.observed.audit.erased(sent.partition, erased.into_iter());
            // The marker of the transaction takes an offset too.
            let changelog_next = Offset(running.changelog_next.0 + sent.records + 1);
            if let Err(error) = running.task.commit(&sent.manifest, changelog_next) {
                // Committed, but not stored: the changelog has it, and the routine brings it back.
                return Err(Trouble::Reset(error.to_string()));
            }
            running.committed(changelog_next);
            self.around.observed.feed.tell(told);
        }
        Ok(())
    }
}

/// A record that the broker will refuse however often it is sent: a person has to change a topic or a permission.
fn never_accepted(failure: &Failure) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    let deterministic = [
        Code::MessageSizeTooLarge,
        Code::InvalidMessageSize,
        Code::TopicAuthorizationFailed,
        Code::UnknownTopic,
        Code::UnknownPartition,
        Code::UnknownTopicOrPartition,
        Code::PolicyViolation,
    ];
    matches!(failure.call, Call::Send | Call::Deliver) && deterministic.contains(&failure.code)
}
