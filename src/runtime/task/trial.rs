//! What other definitions would do to the customers of a partition, as its store has them.
//!
//! **Invariant:** the store is only read. Each customer is decided as the service would decide it after a start with these
//! definitions, and forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backfill::{Backfill, decided_by};
use super::erasures::Erasures;
use super::load::loader;
use super::look::unreadable;
use super::ranks;
use super::register::Register;
use crate::customer::codec;
use crate::engine::Partition;
use crate::id::SegmentKey;
use crate::plan::Plan;
use crate::runtime::changelog::Manifest;
use crate::store::{StoreError, Values, View};
use crate::time::EventTime;
use crate::transition::Direction;

/// Customers of one slice: with long histories some tens of milliseconds.
const SLICE: usize = 256;

/// Who would enter and leave a segment, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    pub enter: BTreeMap<&'static str, u64>,
    pub leave: BTreeMap<&'static str, u64>,
}

/// A walk over all customers, a slice at a time, so that nobody has to hold a view of the store for all of it.
#[derive(Default)]
pub struct Trial {
    /// Key of the head that was looked at last.
    after: Option<Vec<u8>>,
    pub looked_at: u64,
    pub moves: BTreeMap<SegmentKey, Moves>,
}

impl Trial {
    /// Decides the next customers by `plan`; `false`: there were none left.
    ///
    /// Errors: [`StoreError::Newer`], [`StoreError::Corrupt`], and what the disk reports.
    pub fn go_on(&mut self, plan: &Arc<Plan>, view: &View<'_>) -> Result<bool, StoreError> {
        let heads = view.scan_state(codec::HEADS, self.after.as_deref(), SLICE)?;
        let (Some((last, _)), Some(manifest)) = (heads.last(), view.manifest()?) else { return Ok(false) };
        let manifest = Manifest::decode(&manifest).map_err(|error| unreadable(view, &error))?;
        let backfill = Backfill::since(&manifest.decided, &decided_by(plan));
        let erasures = Erasures::read(view)?;
        let mut partition = Partition::new(plan.clone(), EventTime::from_millis(manifest.clock));
        partition.set_names(Register::read(view)?.names().clone());
        if !plan.rankings.is_empty() {
            partition.restore_cuts(ranks::in_force(plan, &manifest.decided), None);
        }
        let cuts = partition.cuts().clone();
        let mut load = loader(plan, &cuts, view, backfill.as_ref(), &erasures);
        for customer in heads.iter().filter_map(|(key, _)| codec::customer_of(key)) {
            let slot = partition.slot(&customer);
            partition.ensure(slot, None, &mut load)?;
            self.count(&partition);
            partition.settled();
        }
        self.looked_at += heads.len() as u64;
        self.after = Some(last.to_vec());
        Ok(true)
    }

    fn count(&mut self, partition: &Partition) {
        for transition in partition.transitions() {
            let moves = self.moves.entry(transition.segment.clone()).or_default();
            let by_cause = if transition.direction == Direction::Entered { &mut moves.enter } else { &mut moves.leave };
            *by_cause.entry(transition.cause.as_str()).or_default() += 1;
        }
    }
}
