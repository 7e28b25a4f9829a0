//! What a failed call to librdkafka asks of us, as a table.
//!
//! The table is librdkafka's (`rd_kafka_error_txn_requires_abort`, `_is_fatal`, `_is_retriable`) with what was seen on
//! Apache Kafka 4.1 added: timeouts leave the outcome open, a fenced producer may have committed, every rebalance
//! refuses the offsets of the open transaction.
//!
//! **Invariant:** [`verdict`] is pure and total. When in doubt it answers [`Verdict::DropProducer`]: the changelog then
//! tells what happened, whatever it was.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Which call failed: the same code means different things after `commit` and before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Connect,
    Init,
    Begin,
    Send,
    Deliver,
    Offsets,
    Commit,
    Abort,
    Consume,
    Admin,
}

/// A call that failed, with everything that librdkafka says about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {text} ({code:?})")]
pub struct Failure {
    pub call: Call,
    pub code: Code,
    /// The client handle is of no use any more.
    pub fatal: bool,
    /// The same call may be made again.
    pub retriable: bool,
    /// The transaction can only be aborted.
    pub abortable: bool,
    pub text: String,
}

/// What the caller of a transactional call does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make the same call again, until a deadline.
    Resume,
    /// Abort, wait for the current ownership, redo the batch in a new transaction.
    AbortAndRedo,
    /// The outcome is unknown or the handle is dead: new producer, and the restore routine for all tasks of the lane.
    DropProducer,
}

/// Decides from the call and the code alone.
pub fn verdict(failure: &Failure) -> Verdict {
    if failure.fatal {
        return Verdict::DropProducer;
    }
    if failure.abortable {
        return Verdict::AbortAndRedo;
    }
    match failure.call {
        Call::Offsets if lost_membership(failure.code) => Verdict::AbortAndRedo,
        Call::Init | Call::Offsets | Call::Commit | Call::Abort if failure.retriable || timed_out(failure.code) => Verdict::Resume,
        // Nothing of a refused or undelivered record is in the transaction's committed part: it can be aborted.
        Call::Send | Call::Deliver => Verdict::AbortAndRedo,
        _ => Verdict::DropProducer,
    }
}

/// The broker no longer knows this member in this generation (KIP-447, "Fencing").
fn lost_membership(code: Code) -> bool {
    matches!(code, Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress | Code::FencedInstanceId)
}

fn timed_out(code: Code) -> bool {
    matches!(code, Code::OperationTimedOut | Code::RequestTimedOut | Code::MessageTimedOut | Code::InProgress | Code::PreviousInProgress)
}

impl Failure {
    /// A failure of a safe call of rdkafka.
    pub fn new(call: Call, error: &KafkaError) -> Failure {
        match error {
            KafkaError::Transaction(native) => Failure {
                call,
                code: native.code(),
                fatal: native.is_fatal(),
                retriable: native.is_retriable(),
                abortable: native.txn_requires_abort(),
                text: native.string(),
            },
            // A flush that timed out inside commit: the records are still on their way.
            KafkaError::Flush(code) => Failure { retriable: true, ..Failure::plain(call, *code, error.to_string()) },
            other => Failure::plain(call, other.rdkafka_error_code().unwrap_or(Code::Fail), other.to_string()),
        }
    }

    pub(crate) fn plain(call: Call, code: Code, text: String) -> Failure {
        Failure { call, code, fatal: code == Code::Fatal, retriable: false, abortable: false, text }
    }

    /// Nobody could be reached in time: worth waiting for.
    pub fn is_unreachable(&self) -> bool {
        timed_out(self.code) || matches!(self.code, Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Connect => "connecting to Kafka",
            Call::Init => "init_transactions",
            Call::Begin => "begin_transaction",
            Call::Send => "sending a record",
            Call::Deliver => "delivering a record",
            Call::Offsets => "send_offsets_to_transaction",
            Call::Commit => "commit_transaction",
            Call::Abort => "abort_transaction",
            Call::Consume => "reading from Kafka",
            Call::Admin => "asking Kafka about topics",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(call: Call, code: Code, flags: &str, expected: Verdict) {
        let has = |flag| flags.contains(flag);
        let failure =
            Failure { call, code, fatal: has("fatal"), retriable: has("retriable"), abortable: has("abortable"), text: String::new() };
        assert_eq!(verdict(&failure), expected, "{call:?} {code:?} {flags}");
    }

    #[test]
    fn a_rebalance_during_a_transaction_is_redone_under_the_next_ownership() {
        check(Call::Offsets, Code::IllegalGeneration, "abortable", Verdict::AbortAndRedo);
        check(Call::Offsets, Code::UnknownMemberId, "abortable", Verdict::AbortAndRedo);
        check(Call::Offsets, Code::RebalanceInProgress, "", Verdict::AbortAndRedo);
    }

    #[test]
    fn a_timeout_is_asked_again() {
        check(Call::Commit, Code::OperationTimedOut, "retriable", Verdict::Resume);
        check(Call::Offsets, Code::OperationTimedOut, "", Verdict::Resume);
        check(Call::Init, Code::OperationTimedOut, "retriable", Verdict::Resume);
        check(Call::Abort, Code::RequestTimedOut, "", Verdict::Resume);
    }

    #[test]
    fn a_fenced_or_fatal_producer_is_dropped_whatever_the_call() {
        for call in [Call::Init, Call::Begin, Call::Send, Call::Offsets, Call::Commit, Call::Abort] {
            check(call, Code::Fenced, "fatal", Verdict::DropProducer);
            check(call, Code::Fatal, "fatal abortable", Verdict::DropProducer);
        }
        check(Call::Commit, Code::ProducerFenced, "fatal retriable", Verdict::DropProducer);
    }

    #[test]
    fn a_record_that_was_not_delivered_aborts() {
        check(Call::Send, Code::MessageSizeTooLarge, "", Verdict::AbortAndRedo);
        check(Call::Deliver, Code::MessageTimedOut, "", Verdict::AbortAndRedo);
        check(Call::Commit, Code::OutOfOrderSequenceNumber, "abortable", Verdict::AbortAndRedo);
    }

    #[test]
    fn what_the_table_does_not_know_drops_the_producer() {
        check(Call::Commit, Code::State, "", Verdict::DropProducer);
        check(Call::Begin, Code::State, "", Verdict::DropProducer);
    }
}
