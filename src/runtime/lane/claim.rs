//! Step 4 of the routine: a claim on each partition that has been replayed, in a transaction of its own.
//!
//! The claim goes out with the group's offsets, so the broker refuses it unless we are the group's member in its current
//! generation; and by then our predecessor's transactions are over: its offsets were pending when step 3 asked, or its
//! next ones will be refused.
//!
//! **Invariant:** the offsets of a claim are those that step 3 found: a claim never moves the group.

use rdkafka::topic_partition_list::TopicPartitionList;

use super::shares::Stage;
use super::{Lane, Trouble};
use crate::id::Partition;
use crate::kafka::Record;
use crate::kafka::consumer::add_at;
use crate::runtime::changelog::{Claim, WRITER};
use crate::runtime::clock;
use crate::runtime::crash::{CrashPoint, pass};
use crate::runtime::ownership::Ownership;

impl Lane {
    pub(super) fn claim(&mut self) -> Result<(), Trouble> {
        let ownership = self.around.published.current();
        let due = self.claimable(&ownership);
        if due.is_empty() {
            return Ok(());
        }
        match self.transact_claims(&ownership, &due) {
            Err(Trouble::Redo(failure)) => {
                tracing::info!(lane = self.number, %failure, "a claim was refused; it is made again under the next ownership");
                self.abort()?;
                self.wait_for_ownership(&ownership)
            }
            other => other,
        }
    }

    fn claimable(&self, ownership: &Ownership) -> Vec<Partition> {
        if ownership.metadata.is_none() {
            return Vec::new();
        }
        let due = self.shares.iter().filter(|(p, share)| matches!(share.stage, Stage::Claiming(_)) && ownership.holds(**p, share.token));
        due.map(|(partition, _)| *partition).collect()
    }

    fn transact_claims(&mut self, ownership: &Ownership, due: &[Partition]) -> Result<(), Trouble> {
        let nonce = format!("{}-{}-{}", self.around.instance, ownership.number, clock::wall().millis());
        self.producer.begin()?;
        let mut offsets = TopicPartitionList::new();
        for partition in due {
            let Some(Stage::Claiming(replayed)) = self.shares.get(partition).map(|share| &share.stage) else { continue };
            self.send_claim(*partition, &nonce)?;
            add_at(&mut offsets, *partition, &replayed.offsets)?;
        }
        pass(CrashPoint::ClaimSent);
        let suspicious = self.finish(ownership, &offsets)?;
        pass(CrashPoint::ClaimCommitted);
        self.refused_since = None;
        for partition in due {
            self.send_to_confirm(*partition, &nonce);
        }
        if suspicious { self.renew_producer().map_err(Trouble::Fatal) } else { Ok(()) }
    }

    fn send_claim(&self, partition: Partition, nonce: &str) -> Result<(), Trouble> {
        let claim = Claim { instance: self.around.instance.to_string(), nonce: nonce.into() }.encode();
        let headers = [(WRITER, self.producer.id().as_bytes())];
        let topic = &*self.around.settings.topics.changelog.0;
        let record =
            Record { topic, partition: partition.0, key: Some(Claim::KEY), value: Some(&claim), headers: &headers, timestamp: None };
        Ok(self.producer.send(&record)?)
    }

    fn send_to_confirm(&mut self, partition: Partition, nonce: &str) {
        let Some(share) = self.shares.get_mut(&partition) else { return };
        match std::mem::replace(&mut share.stage, Stage::Waiting) {
            Stage::Claiming(replayed) => self.confirm(partition, *replayed, nonce.into()),
            other => share.stage = other,
        }
    }
}
