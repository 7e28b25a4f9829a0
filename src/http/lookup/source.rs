//! What lookups are answered from: a replica's copies, or the stores of a service's own partitions.
//!
//! **Invariant:** both say what is committed, in the same form; who does not know says so, and never "no member".

use std::sync::Arc;

use crate::http::problem::Problem;
use crate::http::room::{later, unreadable};
use crate::http::service::Partitions;
use crate::id::{CustomerId, Partition};
use crate::replica::{LookupError, Memberships};
use crate::runtime::committed::Unread;
use crate::runtime::task;
use crate::time::EventTime;

/// The two that there are.
#[derive(Clone)]
pub enum Source {
    Replica(Arc<Memberships>),
    Service(Partitions),
}

/// What is known of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its record of the membership topic; `None`: it holds no membership, or was never seen.
    pub record: Option<Vec<u8>>,
    /// Everything that was committed by then is in the answer.
    pub as_of: EventTime,
    /// Of a replica: offsets of the customer's partition that are not in the answer. Of a service: records of the partition's
    /// inputs that it has not committed yet.
    pub lag: u64,
    /// Of a service: how far time has passed in the customer's partition; `None` there: it has seen nothing.
    pub task_clock: Option<EventTime>,
}

impl Source {
    /// Reads a disk: off the threads that serve.
    pub fn lookup(&self, customer: &str) -> Result<Standing, Unread> {
        match self {
            Source::Replica(memberships) => {
                let found = memberships.lookup(customer).map_err(|error| match error {
                    LookupError::NotYet => Unread::NotYet,
                    LookupError::Store(error) => Unread::Store(error),
                })?;
                Ok(Standing { record: found.record, as_of: found.as_of, lag: found.lag, task_clock: None })
            }
            Source::Service(partitions) => {
                let customer = CustomerId::new(customer);
                let read = partitions.committed.read_of(&customer, |reading| task::membership(&reading.plan, &reading.view, &customer))?;
                let (record, fresh) = read;
                let task_clock = Some(fresh.task_clock).filter(|clock| *clock != EventTime::MIN);
                Ok(Standing { record, as_of: fresh.as_of, lag: fresh.lag, task_clock })
            }
        }
    }

    /// The same for several customers: `elsewhere` are those of other processes, by position.
    pub fn problem_of_many(&self, unread: Unread, elsewhere: &[(usize, Partition)]) -> Problem {
        let problem = self.problem(unread);
        match self {
            Source::Service(partitions) if !elsewhere.is_empty() => problem.with("elsewhere", partitions.places(elsewhere)),
            _ => problem,
        }
    }

    pub fn problem(&self, unread: Unread) -> Problem {
        match (self, unread) {
            (Source::Service(partitions), unread) => partitions.problem(unread),
            (Source::Replica(_), Unread::NotYet | Unread::Elsewhere(_)) => later(LookupError::NotYet.to_string()),
            (Source::Replica(_), Unread::Store(error)) => {
                tracing::error!(%error, "a lookup failed");
                unreadable()
            }
        }
    }
}
