//! Other definitions, while events flow: the lane's tasks change over at one point of each partition's stream, between
//! two batches; then customers whom the old ones decided are looked at, a slice at a time between live batches.
//!
//! *Why slices:* a scan over a partition takes minutes where a batch takes a tenth of a second. A slice is so short that
//! nobody who waits for a transition notices it, and while events come they get what these leave ([`Allowance`]).
//!
//! [`Allowance`]: super::allowance::Allowance
//!
//! **Invariant:** a batch is decided by one plan: records are decoded, applied and committed under the same one. Nothing
//! waits for a scan; a task is ready, and a partition may go, in the middle of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ranks::Telling;
use super::shares::{Running, Stage};
use super::{Lane, Trouble};
use crate::id::Partition;
use crate::kafka::wire::Decoder;
use crate::metrics::TaskMetrics;
use crate::plan::Plan;
use crate::runtime::clock::{self, Deadline};
use crate::runtime::{RunError, task::Seen};
use crate::store::StoreError;

/// How long live events may wait for a slice, at most.
pub(super) const SLICE: Duration = Duration::from_millis(20);
/// Customers that a slice may decide; they all go out in one transaction.
pub(super) const SLICE_CUSTOMERS: u64 = 10_000;
/// So many looked at, and the batch is committed.
pub(super) const BATCH_CUSTOMERS: u64 = 20_000;

/// A scan under way, for those who watch it.
pub struct Scan {
    began: Instant,
    /// About how many customers there are.
    expected: u64,
    metrics: TaskMetrics,
}

impl Lane {
    /// Notes what is to be in force next. Where only lists are others, a scan that is under way goes to its end first: lists that
    /// change all the time would begin it anew all the time, and whoever stands late in it would never be decided.
    pub(super) fn asked_for(&mut self, plan: Arc<Plan>) {
        if self.scanning && plan.fingerprint == self.plan.fingerprint {
            self.relisted = Some(plan);
        } else {
            (self.next_plan, self.relisted) = (Some(plan), None);
        }
    }

    /// Puts the newest plan in force, once no batch is open.
    pub(super) fn redefine(&mut self) {
        if self.has_open_share() {
            return;
        }
        let Some(plan) = self.next_plan.take() else { return };
        for share in self.shares.values_mut() {
            if let Stage::Running(running) = &mut share.stage {
                running.task.redefine(plan.clone());
                running.showing.redefined(plan.clone());
                running.scanning = None;
                running.telling = Telling::new();
            }
        }
        let running: Vec<Partition> = self.shares.keys().copied().collect();
        running.iter().for_each(|partition| self.announce(*partition));
        self.decoder = Decoder::new(&plan.catalogue, &plan.projection, self.around.settings.limits);
        self.figures.redefined(&plan);
        tracing::info!(lane = self.number, segments = plan.segments.len(), "other definitions are in force");
        self.plan = plan;
    }

    /// Says which segments do not know all that they ask for; in the log, when their definitions are new here.
    pub(super) fn announce(&mut self, partition: Partition) {
        let Some((incomplete, news)) = self.running_mut(partition).map(|running| running.task.incomplete()) else { return };
        for (segment, since) in &incomplete {
            self.around.observed.metrics.transitions.complete_since(segment, *since);
        }
        if let Some((segment, since)) = incomplete.first().filter(|_| news) {
            let (partition, segments) = (partition.0, incomplete.len());
            tracing::warn!(partition, segments, first = %segment, %since, "segments look at what was not kept; they know what happened since");
        }
    }

    /// Some task has customers to look at, and there is time for it.
    pub(super) fn may_scan(&self) -> bool {
        self.scanning && !self.slice().is_zero()
    }

    /// How long the next slice may take.
    fn slice(&self) -> Duration {
        if self.applied == 0 { SLICE } else { SLICE.min(self.allowance.left()) }
    }

    /// Looks at some customers of one task that others have decided; while events come, for as long as these leave time.
    pub(super) fn decide_slice(&mut self) -> Result<(), Trouble> {
        let wanting: Vec<Partition> = self.shares.iter().filter(|(_, share)| share.stage.is_scanning()).map(|(p, _)| *p).collect();
        self.scanning = !wanting.is_empty();
        if !self.scanning && self.next_plan.is_none() {
            self.next_plan = self.relisted.take();
        }
        let had_its_turn = self.looked_at > 0 && !self.pending.is_empty();
        let time = self.slice();
        if self.full || self.next_plan.is_some() || had_its_turn || time.is_zero() {
            return Ok(());
        }
        // In turn, so that one large partition does not keep the others waiting.
        let Some(partition) = wanting.iter().find(|p| **p > self.scanned).or(wanting.first()).copied() else { return Ok(()) };
        self.scanned = partition;
        let metrics = self.around.observed.metrics.tasks.clone();
        let Some(running) = self.running_mut(partition) else { return Ok(()) };
        let began = clock::now();
        let slice = running.decide_slice(partition, time, || metrics.task(partition)).map_err(RunError::Store)?;
        self.allowance.take(clock::now().duration_since(began));
        metrics.backfill_customers.inc_by(slice.looked_at);
        self.looked_at += slice.looked_at;
        self.full |= self.looked_at >= BATCH_CUSTOMERS;
        if self.has_open_share() {
            self.age.open(clock::now);
        }
        Ok(())
    }
}

impl Stage {
    fn is_scanning(&self) -> bool {
        matches!(self, Stage::Running(running) if running.task.backfill().is_some())
    }
}

impl Running {
    fn decide_slice(&mut self, partition: Partition, time: Duration, metrics: impl FnOnce() -> TaskMetrics) -> Result<Seen, StoreError> {
        // Before all are counted the store's own estimate stands in, which takes each stored piece of a customer for one.
        let expected = || self.showing.customers().map_or_else(|| self.task.store().estimated_values(), Ok);
        let scan = match self.scanning.take() {
            Some(scan) => scan,
            None => Scan { began: clock::now(), expected: expected()?, metrics: metrics() },
        };
        let deadline = Deadline::after(time);
        let before = self.task.backfill().unwrap_or_default();
        if before == Seen::default() && scan.expected > 0 {
            tracing::info!(
                partition = partition.0,
                about = scan.expected,
                "looking at customers that other definitions or lists have decided"
            );
        }
        let slice = self.task.decide_slice(SLICE_CUSTOMERS, clock::wall(), &|| !deadline.is_past())?;
        let seen = Seen { looked_at: before.looked_at + slice.looked_at, decided: before.decided + slice.decided };
        if self.task.backfill().is_some() {
            self.open |= slice.decided > 0;
            scan.metrics.backfill_remaining.set(i64::try_from(scan.expected.saturating_sub(seen.looked_at)).unwrap_or(i64::MAX));
            self.scanning = Some(scan);
        } else {
            // That the scan is over goes into a manifest, so that no restart begins it again.
            self.open |= seen.looked_at > 0;
            scan.metrics.backfill_remaining.set(0);
            if seen.looked_at == 0 {
                return Ok(slice);
            }
            let took = clock::now().duration_since(scan.began);
            tracing::info!(
                partition = partition.0,
                seen.looked_at,
                seen.decided,
                ?took,
                "every customer is decided by the definitions in force"
            );
        }
        Ok(slice)
    }
}
