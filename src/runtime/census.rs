//! How many customers a partition has, and how many of them are in each segment: counted once when the partition begins to run, then kept by its
//! transitions.
//!
//! The count is of a view that is taken before the first transaction, on a thread of its own: nothing waits for it. What is
//! committed meanwhile is added to it, in whatever order both come.
//!
//! **Invariant:** the gauge of a segment is the sum over the partitions that this process shows, and no partition that has gone
//! leaves anything in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::bounded;
use prometheus::IntGauge;

use super::committed::Counted;
use super::task;
use crate::customer::codec;
use crate::id::SegmentKey;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::store::{Store, StoreError, View};

/// Customers that are read at once.
const HEADS: usize = 1_000;

/// Of one partition.
#[derive(Default)]
pub struct Tally {
    members: BTreeMap<SegmentKey, (i64, IntGauge)>,
    customers: Option<(i64, IntGauge)>,
    /// The count is in it.
    pub complete: bool,
    /// The partition has gone: nothing is added any more.
    closed: bool,
}

impl Tally {
    pub fn add(&mut self, segment: &SegmentKey, by: i64, gauge: &IntGauge) {
        if self.closed {
            return;
        }
        gauge.add(by);
        match self.members.get_mut(segment) {
            Some((members, _)) => *members += by,
            None => drop(self.members.insert(segment.clone(), (by, gauge.clone()))),
        }
    }

    pub fn add_customers(&mut self, by: i64, gauge: &IntGauge) {
        if self.closed || by == 0 {
            return;
        }
        gauge.add(by);
        self.customers.get_or_insert_with(|| (0, gauge.clone())).0 += by;
    }

    pub fn members(&self, segment: &SegmentKey) -> i64 {
        self.members.get(segment).map_or(0, |(members, _)| *members)
    }

    /// `None`: they are still being counted.
    pub fn customers(&self) -> Option<u64> {
        let known = self.customers.as_ref().map_or(0, |(customers, _)| *customers);
        self.complete.then(|| u64::try_from(known).unwrap_or_default())
    }

    /// Takes everything back.
    pub fn close(&mut self) {
        self.closed = true;
        let members = std::mem::take(&mut self.members).into_values();
        members.chain(self.customers.take()).for_each(|(count, gauge)| gauge.sub(count));
    }
}

/// What was counted of a partition.
#[derive(Default)]
pub struct Counts {
    pub customers: i64,
    pub members: BTreeMap<SegmentKey, i64>,
}

/// Counts the members of a partition that nobody writes to yet; returns once later writes do not matter.
pub fn begin(counted: Counted, store: Arc<Store>, plan: Arc<Plan>, metrics: Metrics) {
    let (taken, view_taken) = bounded(1);
    let count = move || {
        let view = store.view();
        // The lane waits for it.
        let _ = taken.send(());
        match counts(&view, &plan, &counted) {
            Ok(counts) => counted.complete(counts, &metrics),
            Err(error) => tracing::warn!(%error, "customers were not counted"),
        }
    };
    match std::thread::Builder::new().name("census".into()).spawn(count) {
        // An error says that it has ended already.
        Ok(_) => drop(view_taken.recv()),
        Err(error) => tracing::warn!(%error, "no thread to count members; their numbers begin at zero"),
    }
}

fn counts(view: &View<'_>, plan: &Plan, counted: &Counted) -> Result<Counts, StoreError> {
    let mut customers = 0;
    let mut by_hash: BTreeMap<u64, i64> = BTreeMap::new();
    let mut after: Option<Box<[u8]>> = None;
    while !counted.is_hidden() {
        let heads = view.scan_state(codec::HEADS, after.as_deref(), HEADS)?;
        customers += heads.len() as i64;
        for (_, head) in &heads {
            // What cannot be read is reported by whoever needs it.
            let Ok(known) = codec::memberships_of(head) else { continue };
            known.filter(|(_, membership)| membership.is_member()).for_each(|(hash, _)| *by_hash.entry(hash).or_default() += 1);
        }
        match heads.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    let names = task::names(plan, view)?;
    let members = by_hash.into_iter().filter_map(|(hash, count)| Some((names.get(&hash)?.key.clone(), count))).collect();
    Ok(Counts { customers, members })
}
