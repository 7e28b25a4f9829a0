//! A sketch: how many customers have a value in each bucket.
//!
//! Laws (tested below): adding and removing the same value leaves a sketch as it was; several sketches together have the
//! cuts of all their values, in whatever order they came and however they are divided.
//!
//! **Invariant:** counts are exact. Only where within its bucket a value lies is not known: the cut of the top p % is at
//! most a hundredth below the value of the last customer among them, and never above it.

use std::collections::VecDeque;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Bucket;

/// Counts by bucket, from the lowest to the highest that was ever used: some thousands for amounts of money.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    /// The bucket of the first count.
    first: i32,
    counts: VecDeque<u64>,
    total: u64,
}

/// The counts that are not 0, lowest bucket first: how a sketch is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(Vec<(Bucket, u64)>);

impl Sketch {
    pub fn add(&mut self, bucket: Bucket) {
        self.add_many(bucket, 1);
    }

    /// Removes a value that had been added.
    pub fn remove(&mut self, bucket: Bucket) {
        if let Some(count) = self.count_mut(bucket).filter(|count| **count > 0) {
            *count -= 1;
            self.total -= 1;
        }
    }

    /// How many values there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Of all sketches together, for each share: the bucket of the last of the top `percent` of all values, the number of these
    /// rounded up; so many at least are in that bucket and above. `None`: there are no values.
    pub fn cuts(sketches: &[&Sketch], percents: impl Iterator<Item = Decimal>) -> Vec<Option<Bucket>> {
        let total = sketches.iter().map(|sketch| sketch.total).sum();
        let mut wanted: Vec<(u64, usize)> = percents.enumerate().map(|(place, percent)| (share(total, percent), place)).collect();
        let mut found = vec![None; wanted.len()];
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        let lowest = sketches.iter().map(|sketch| sketch.first).min().unwrap_or(0);
        let above_all = sketches.iter().map(|sketch| sketch.end()).max().unwrap_or(0);
        let mut above = 0;
        for index in (lowest..above_all).rev().take_while(|_| total > 0) {
            above += sketches.iter().map(|sketch| sketch.count(index)).sum::<u64>();
            while let Some((_, place)) = wanted.pop_if(|(share, _)| *share <= above) {
                found[place] = Some(Bucket::at(index));
            }
            if wanted.is_empty() {
                break;
            }
        }
        found
    }

    pub fn to_counts(&self) -> Counts {
        Counts(self.nonzero().collect())
    }

    fn add_many(&mut self, bucket: Bucket, count: u64) {
        self.make_room(bucket.index());
        if let Some(known) = self.count_mut(bucket) {
            *known += count;
            self.total += count;
        }
    }

    fn make_room(&mut self, index: i32) {
        if self.counts.is_empty() {
            self.first = index;
        }
        while index < self.first {
            self.counts.push_front(0);
            self.first -= 1;
        }
        let needed = index.abs_diff(self.first) as usize + 1;
        self.counts.resize(needed.max(self.counts.len()), 0);
    }

    /// Just above the highest bucket.
    fn end(&self) -> i32 {
        self.first + self.counts.len() as i32
    }

    fn count(&self, index: i32) -> u64 {
        let place = usize::try_from(index - self.first);
        place.ok().and_then(|place| self.counts.get(place)).copied().unwrap_or(0)
    }

    fn count_mut(&mut self, bucket: Bucket) -> Option<&mut u64> {
        let place = usize::try_from(bucket.index().checked_sub(self.first)?).ok()?;
        self.counts.get_mut(place)
    }

    fn bucket(&self, place: usize) -> Bucket {
        Bucket::at(self.first + place as i32)
    }

    fn nonzero(&self) -> impl Iterator<Item = (Bucket, u64)> {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(place, count)| (self.bucket(place), *count))
    }
}

/// So many are the top `percent` of `total`, rounded up: among any customers somebody is the first.
fn share(total: u64, percent: Decimal) -> u64 {
    let whole = 100 * 10_u128.pow(percent.scale());
    let part = u128::from(total) * percent.mantissa().unsigned_abs();
    u64::try_from(part.div_ceil(whole)).unwrap_or(u64::MAX).min(total)
}

impl PartialEq for Sketch {
    fn eq(&self, other: &Sketch) -> bool {
        self.nonzero().eq(other.nonzero())
    }
}

impl From<&Counts> for Sketch {
    fn from(counts: &Counts) -> Sketch {
        let mut sketch = Sketch::default();
        counts.0.iter().for_each(|(bucket, count)| sketch.add_many(*bucket, *count));
        sketch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Number;

    fn sketch(values: &[i64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(bucket(*value)));
        sketch
    }

    fn bucket(value: i64) -> Bucket {
        Bucket::of(&Number::ratio(value, 100))
    }

    fn cut(values: &[i64], percent: &str) -> Option<String> {
        cuts(&[&sketch(values)], percent.parse().unwrap()).map(|bucket| bucket.low().to_string())
    }

    fn cuts(sketches: &[&Sketch], percent: Decimal) -> Option<Bucket> {
        Sketch::cuts(sketches, std::iter::once(percent)).remove(0)
    }

    #[test]
    fn several_shares_are_found_at_once() {
        let found =
            Sketch::cuts(&[&sketch(&[100, 200]), &sketch(&[300, 400])], ["50", "100", "25", "30"].map(|p| p.parse().unwrap()).into_iter());
        assert_eq!(found, [bucket(300), bucket(100), bucket(400), bucket(300)].map(Some));
    }

    #[test]
    fn the_top_are_rounded_up_and_ties_are_all_in() {
        assert_eq!(cut(&[100, 200, 300, 400], "25").as_deref(), Some("4"));
        assert_eq!(cut(&[100, 200, 300, 400], "25.1").as_deref(), Some("3"));
        assert_eq!(cut(&[100, 400, 400, 400], "0.1").as_deref(), Some("4"));
        assert_eq!(cut(&[-500, 0], "100").as_deref(), Some("-5"));
        assert_eq!(cut(&[], "50"), None);
    }

    /// The k-th largest, k rounded up.
    fn exact(values: &[i64], percent: i64) -> Number {
        let mut values = values.to_vec();
        values.sort_unstable_by(|a, b| b.cmp(a));
        Number::ratio(values[(values.len() * percent as usize).div_ceil(1000) - 1], 100)
    }

    proptest! {
        #[test]
        fn removing_undoes_adding(kept in values(), gone in values()) {
            let mut both = sketch(&[&kept[..], &gone[..]].concat());
            gone.iter().for_each(|value| both.remove(bucket(*value)));
            prop_assert_eq!(&both, &sketch(&kept));
            prop_assert_eq!(both.total(), kept.len() as u64);
        }

        #[test]
        fn parts_have_the_cuts_of_the_whole(values in values(), at in any::<prop::sample::Index>(), tenths in 1..=1000_i64) {
            let (one, other) = values.split_at(at.index(values.len()));
            let (one, other, whole) = (sketch(one), sketch(other), sketch(&values));
            prop_assert_eq!(cuts(&[&one, &other], Decimal::new(tenths, 1)), cuts(&[&whole], Decimal::new(tenths, 1)));
            prop_assert_eq!(&Sketch::from(&whole.to_counts()), &whole);
        }

        #[test]
        fn a_cut_is_at_most_a_hundredth_below_the_last_of_the_top(values in values(), tenths in 1..=1000_i64) {
            let cut = cuts(&[&sketch(&values)], Decimal::new(tenths, 1)).unwrap().low();
            let exact = exact(&values, tenths);
            let size = if exact < Number::ZERO { exact.negated() } else { exact.clone() };
            prop_assert!(cut <= exact && exact.minus(&cut).times(&Number::integer(100)) <= size, "{cut} for {exact}");
        }
    }

    fn values() -> impl Strategy<Value = Vec<i64>> {
        prop::collection::vec(prop_oneof![-1000..1000_i64, -10_000_000..10_000_000_i64], 1..60)
    }
}
