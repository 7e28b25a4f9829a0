//! Customers in memory under other definitions: as if they had been stored by the ones before and read back, without a store.
//!
//! *Why:* a change of definitions concerns everybody who is in memory. Read back one by one, each with its first event after
//! the change, they cost the store as much as all events of some seconds.
//!
//! **Invariant:** the same as `codec::write` by the one plan and `codec::read` by the other (the law changes definitions
//! both ways). Cursors, truths and flips are found anew (`engine::rebuild`).

use std::sync::Arc;

use smol_str::SmolStr;

use super::{CustomerState, Former, Inherited, Membership, Standing, Told};
use crate::plan::{Plan, StreamPlan};

/// From one plan to the next, where rows keep the same fields.
#[derive(Debug)]
pub struct Succession {
    before: Arc<Plan>,
    /// By segment of the plan before: which one of the next it is.
    segments: Vec<Option<usize>>,
    /// By stream: its rows meet other conditions, or the same with other totals.
    reconditioned: Vec<bool>,
}

impl Succession {
    /// `None`: rows would have to be read again, for fields that they do not hold.
    pub fn new(before: Arc<Plan>, plan: &Plan) -> Option<Succession> {
        let same_rows = || before.streams.iter().zip(&*plan.streams).all(|(a, b)| keep_the_same(a, b));
        if before.streams.len() != plan.streams.len() || !same_rows() || before.projection.traits != plan.projection.traits {
            return None;
        }
        let place = |hash: u64| plan.segments.iter().position(|segment| segment.hash == hash);
        let segments = before.segments.iter().map(|segment| place(segment.hash)).collect();
        let differ = |(a, b): (&StreamPlan, &StreamPlan)| a.conditions != b.conditions || a.total_cell != b.total_cell;
        let reconditioned = before.streams.iter().zip(&*plan.streams).map(differ).collect();
        Some(Succession { before, segments, reconditioned })
    }

    /// Of the plan before.
    pub fn fingerprint(&self) -> u64 {
        self.before.fingerprint
    }

    /// A state that was decided by the plan before, as the next one finds it.
    pub fn carry(&self, plan: &Plan, state: CustomerState) -> CustomerState {
        let CustomerState { mut facts, standing: before, erased, kin } = state;
        for (stream, history) in facts.histories.iter_mut() {
            history.total_cell = plan.streams[stream].total_cell;
            if self.reconditioned[stream] {
                history.rows.iter_mut().for_each(|row| row.set_conditions(&plan.streams[stream].conditions, history.total_cell));
            }
        }
        let mut standing = Standing { at: before.at, former: self.former(plan, &before), ..Standing::new(plan) };
        self.carry_memberships(plan, &before, &mut standing);
        self.carry_policies(&before, &mut standing);
        standing.exposures = before.exposures.into_iter().map(|exposure| exposure.under(plan)).collect();
        standing.begin_totals(plan, &facts);
        CustomerState { facts, standing, erased, kin }
    }

    fn carry_memberships(&self, plan: &Plan, before: &Standing, standing: &mut Standing) {
        for (segment, membership) in self.segments.iter().zip(&before.memberships) {
            segment.iter().for_each(|segment| standing.memberships[*segment] = *membership);
        }
        for former in &before.former {
            let defined = plan.segments.iter().position(|segment| segment.hash == former.segment);
            defined.iter().for_each(|segment| standing.memberships[*segment] = former.membership);
        }
    }

    /// What was told of memberships, and what other ids did in them.
    fn carry_policies(&self, before: &Standing, standing: &mut Standing) {
        for told in before.told.iter().filter(|told| told.entered_at.is_some() || told.announced.is_some()) {
            if let Some(segment) = self.segments[told.segment] {
                *standing.told_mut(segment) = Told { segment, end: None, ..*told };
            }
        }
        for inherited in &before.inherited {
            if let Some(segment) = self.segments[inherited.segment] {
                *standing.inherited_mut(segment) = Inherited { segment, ..*inherited };
            }
        }
    }

    /// Memberships in segments that the next plan does not have.
    fn former(&self, plan: &Plan, before: &Standing) -> Vec<Former> {
        let gone = self.segments.iter().enumerate().filter(|(_, segment)| segment.is_none());
        let gone = gone.map(|(at, _)| Former { segment: self.before.segments[at].hash, membership: before.memberships[at] });
        let were = before.former.iter().copied().filter(|former| plan.segments.iter().all(|segment| segment.hash != former.segment));
        gone.filter(|former| former.membership != Membership::NONE).chain(were).collect()
    }
}

fn keep_the_same(a: &StreamPlan, b: &StreamPlan) -> bool {
    let names = |(name, _): &(SmolStr, usize)| name.clone();
    a.name == b.name && a.cells.iter().map(names).eq(b.cells.iter().map(names))
}
