//! A history in a test: one chronicle over a real store, told by hand what a topic would tell.

use std::sync::Arc;

use tempfile::TempDir;

use super::chronicle::{Chronicle, Read};
use super::{History, sweep};
use crate::id::{Offset, Partition};
use crate::kafka::wire::encode::{MoveRecord, OutputRecord};
use crate::runtime::committed::Committed;
use crate::store::Shared;
use crate::time::{EventTime, Span};
use crate::transition::Output;

/// One partition.
pub struct Kept {
    pub history: History,
    of: u32,
    chronicle: Arc<Chronicle>,
    _folder: TempDir,
}

impl Kept {
    /// Partition 0 of one.
    pub fn new(keep: Span) -> Kept {
        Kept::of(keep, Partition(0), 1)
    }

    pub fn of(keep: Span, partition: Partition, of: u32) -> Kept {
        let folder = TempDir::new().unwrap();
        let chronicle = Arc::new(Chronicle::open(&Shared::for_additions(8 << 20), folder.path(), "test").unwrap());
        let history = History::new(keep);
        history.set_partitions(of);
        history.show(partition, chronicle.clone());
        chronicle.note_end(Offset(0), EventTime::from_millis(0));
        Kept { history, of, chronicle, _folder: folder }
    }

    /// Reads what a batch has published.
    pub fn take<'a>(&self, outputs: impl Iterator<Item = Output<'a>>) {
        let records: Vec<(String, Vec<u8>)> = outputs.flat_map(records).collect();
        let next = self.chronicle.freshness().next.0;
        let reads: Vec<_> = (next..).zip(&records).map(|(at, (customer, value))| Read { offset: Offset(at), customer, value }).collect();
        let end = Offset(next + reads.len() as i64);
        self.chronicle.note_end(end, EventTime::from_millis(end.0));
        self.chronicle.apply(&reads, end, self.of).unwrap();
    }

    /// The topic has records that were not read.
    pub fn fall_behind(&self) {
        let next = self.chronicle.freshness().next;
        self.chronicle.start_over(next, None).unwrap();
        self.chronicle.note_end(Offset(next.0 + 7), EventTime::from_millis(1));
    }

    /// Passes over everything once.
    pub fn sweep(&self, committed: &Committed) {
        sweep::pass(&self.chronicle, committed, self.history.keep()).unwrap();
    }

    /// Keys and values of everything that is stored.
    pub fn stored(&self) -> Vec<Vec<u8>> {
        let rows = self.chronicle.stretch(None, usize::MAX).unwrap();
        rows.into_iter().map(|(key, value)| [key, value].concat()).collect()
    }
}

/// The records of an output, as a lane sends them.
fn records(output: Output<'_>) -> Vec<(String, Vec<u8>)> {
    let customer = match output {
        Output::Transition(transition) => &transition.customer,
        Output::Announcement(announcement) => &announcement.customer,
    };
    let mut values = vec![Vec::new()];
    OutputRecord::new(output, "test").write_value(&mut values[0]);
    if let Output::Transition(transition) = output
        && let Some(moved) = MoveRecord::of(transition, "test")
    {
        values.push(Vec::new());
        moved.write_value(&mut values[1]);
    }
    values.into_iter().map(|value| (customer.to_string(), value)).collect()
}
