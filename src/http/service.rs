//! The routes of a running service: what its own partitions have committed.
//!
//! **Invariant:** a customer of a partition that is not here is never answered for; whoever asks is told where to ask, if that
//! is known.

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use super::room::{later, unreadable};
use crate::id::Partition;
use crate::runtime::committed::{Committed, Unread};
use crate::runtime::owners::Owners;

/// The partitions of this process, and where the others are.
#[derive(Clone)]
pub struct Partitions {
    pub committed: Committed,
    pub owners: Owners,
}

impl Partitions {
    pub fn problem(&self, unread: Unread) -> Problem {
        match unread {
            Unread::NotYet => later(unread.to_string()),
            Unread::Elsewhere(partition) => self.elsewhere(partition),
            Unread::Store(error) => {
                tracing::error!(%error, "a customer cannot be read");
                unreadable()
            }
        }
    }

    /// Where each customer of a list is.
    pub fn places(&self, elsewhere: &[(usize, Partition)]) -> Value {
        let place = |(at, partition): &(usize, Partition)| match self.owners.of(*partition) {
            Some(owner) => json!({"at": at, "partition": partition.0, "owner": owner}),
            None => json!({"at": at, "partition": partition.0}),
        };
        elsewhere.iter().map(place).collect()
    }

    /// Misdirected (RFC 9110 §15.5.20): the same request, sent to the owner, will be answered.
    fn elsewhere(&self, partition: Partition) -> Problem {
        let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, Unread::Elsewhere(partition).to_string());
        let problem = problem.with("partition", json!(partition.0));
        match self.owners.of(partition) {
            Some(owner) => problem.with("owner", json!(owner)),
            None => problem,
        }
    }
}
