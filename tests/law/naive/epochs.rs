//! Epochs, the slow way: at the end of each all partitions have decided what was due before; then other cuts may come into
//! force, and everybody is decided anew.
//!
//! The cuts are those that the engine found. They are held against the values of all customers, put in order.
//!
//! **Invariant:** a cut in force at the end of an epoch is at most 2 % below the value of the last among the top, and at
//! most 1 % above it.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};
use rust_decimal::Decimal;
use segmentd::rule::ast::{Aggregate, Expr};
use segmentd::scenario::Outcome;
use segmentd::transition::Cause;

use super::super::survey::tops;
use super::super::value::exact;
use super::{Partition, Rule, World};

/// Cuts by the text of their `top`.
pub type InForce = BTreeMap<String, BigRational>;

/// Which cuts came into force, and when.
#[derive(Default)]
pub struct Cuts {
    /// How long an epoch is, ms; 0: nobody is ranked.
    pub epoch: i64,
    none: InForce,
    /// The ends of the epochs at which they changed, in order.
    pub changes: Vec<(i64, InForce)>,
}

impl Cuts {
    pub fn in_force(&self, recuts: usize) -> &InForce {
        recuts.checked_sub(1).map_or(&self.none, |last| &self.changes[last].1)
    }

    /// Lets all epochs end that do so at or before `to`. `ended`: the end of the last one.
    pub(super) fn pass(
        &self,
        ended: &mut Option<i64>,
        to: i64,
        partitions: &mut BTreeMap<i32, Partition>,
        world: &World,
        out: &mut Vec<Outcome>,
    ) {
        if self.epoch == 0 {
            return;
        }
        let last = to - to.rem_euclid(self.epoch);
        let before = *ended.get_or_insert(last);
        for (end, _) in self.changes.iter().filter(|(end, _)| before < *end && *end <= last) {
            partitions.values_mut().for_each(|partition| partition.end_epoch(*end, true, world, out));
            self.check(*end, partitions, world);
        }
        if before < last {
            partitions.values_mut().for_each(|partition| partition.end_epoch(last, false, world, out));
            self.check(last, partitions, world);
            *ended = Some(last);
        }
    }

    fn check(&self, end: i64, partitions: &BTreeMap<i32, Partition>, world: &World) {
        for rule in &world.rules {
            for (top, percent, by) in tops(rule) {
                let values = values(&by, rule, end - 1, partitions, world);
                let cut = self.changes.iter().rev().find(|(at, _)| *at <= end).and_then(|(_, cuts)| found(cuts, &top, rule));
                assert!(is_right(cut, &values, percent), "{top} at {end}: cut {cut:?} among {values:?}");
            }
        }
    }
}

fn found<'c>(cuts: &'c InForce, top: &Expr, rule: &Rule) -> Option<&'c BigRational> {
    cuts.get(&top.to_string()).or_else(|| cuts.get(&format!("{top} in {}", rule.zone.iana_name().unwrap_or("UTC"))))
}

/// Of everybody who ranks, highest first.
fn values(by: &Aggregate, rule: &Rule, now: i64, partitions: &BTreeMap<i32, Partition>, world: &World) -> Vec<BigRational> {
    let customers = partitions.values().flat_map(|partition| partition.customers.values());
    let mut values: Vec<BigRational> = customers.filter_map(|customer| customer.view(rule, now, world).rank(by)).collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    values
}

fn is_right(cut: Option<&BigRational>, values: &[BigRational], percent: Decimal) -> bool {
    let share = exact(percent) * BigRational::from_integer(values.len().into()) / BigRational::from_integer(100.into());
    let last = usize::try_from(share.ceil().to_integer()).unwrap().checked_sub(1).map(|place| &values[place]);
    let ratio = |units: i64, over: i64| BigRational::new(BigInt::from(units), BigInt::from(over));
    match (cut, last) {
        (Some(cut), Some(last)) => {
            let (below, above) = (last - cut, cut - last);
            let unit = if cut.is_zero() || last.is_zero() { ratio(1, 100_000_000) } else { BigRational::zero() };
            below <= last.abs() * ratio(203, 10_000) + &unit && above <= last.abs() * ratio(101, 10_000) + unit
        }
        (cut, last) => cut.is_none() && last.is_none(),
    }
}

impl Partition {
    /// What is due before `end` happens; by other cuts everybody is decided as of the last instant before it.
    fn end_epoch(&mut self, end: i64, recut: bool, world: &World, out: &mut Vec<Outcome>) {
        self.advance(end, world, out);
        self.clock = self.clock.max(end);
        if !recut {
            return;
        }
        self.recuts += 1;
        for customer in self.customers.values_mut() {
            customer.recuts = self.recuts;
            if customer.history.exists() {
                customer.decide((end - 1).max(customer.decided_to), Cause::Time, world, out);
            }
        }
    }
}
