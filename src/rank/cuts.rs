//! Cuts: the values from which on customers are among the top p %, as they are in force.
//!
//! *Why a cut stays where it hardly moves:* the values of all customers move all the time, and a cut by a bucket now and
//! then. Who stands at the cut would enter and leave for nothing but the width of a bucket. So a cut stays in force while
//! the one just found is in the same bucket or in a neighbour of it.
//!
//! **Invariant:** cuts never change: others take their place, as a plan takes the place of a plan. A cut in force is at
//! most 2 % below the value of the last customer among the top, and at most 1 % above it, as of the end of the last epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Bucket;
use crate::money::Number;

/// The cuts of a plan's `top …`, by position in it. Cheap to clone; none before the first epoch has ended.
#[derive(Clone, Debug, Default)]
pub struct Cuts(Option<Arc<Points>>);

#[derive(Debug, PartialEq)]
struct Points {
    version: u64,
    points: Vec<Option<Point>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Point {
    bucket: Bucket,
    low: Number,
    first: bool,
}

/// How cuts are written down: the bucket that each begins with, by the text of its `top …`.
pub type Written = BTreeMap<String, Bucket>;

impl Cuts {
    /// From what was written down. `texts`: of the plan's `top …`, by position.
    pub fn read<'t>(version: u64, written: &Written, texts: impl Iterator<Item = &'t str>) -> Cuts {
        let points = texts.map(|text| written.get(text).map(|bucket| Point::new(*bucket))).collect();
        Cuts(Some(Arc::new(Points { version, points })))
    }

    /// As it is written down.
    pub fn write<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Written {
        texts.enumerate().filter_map(|(index, text)| Some((text.to_owned(), self.bucket(index)?))).collect()
    }

    /// The same as what comes into force after others: a cut where there was none is a first one.
    pub fn after(&self, before: &Cuts) -> Cuts {
        let Some(these) = &self.0 else { return self.clone() };
        let point = |(index, point): (usize, &Option<Point>)| {
            point.as_ref().map(|point| Point { first: before.point(index).is_none(), ..point.clone() })
        };
        let points = these.points.iter().enumerate().map(point).collect();
        Cuts(Some(Arc::new(Points { version: these.version, points })))
    }

    /// Counts the changes of cuts; 0: there were none.
    pub fn version(&self) -> u64 {
        self.0.as_ref().map_or(0, |points| points.version)
    }

    /// The value from which on a customer is in; `None`: nobody is.
    pub fn at(&self, index: usize) -> Option<&Number> {
        self.point(index).map(|point| &point.low)
    }

    pub fn bucket(&self, index: usize) -> Option<Bucket> {
        self.point(index).map(|point| point.bucket)
    }

    /// There was no cut before these: whom it lets in comes in by the definition, and not by what others did.
    pub fn is_first(&self, index: usize) -> bool {
        self.point(index).is_some_and(|point| point.first)
    }

    /// What takes their place where these buckets were found; `None`: they stay.
    pub fn redrawn(&self, found: &[Option<Bucket>]) -> Option<Cuts> {
        let moved = |(index, found): (usize, &Option<Bucket>)| match (self.bucket(index), found) {
            (Some(is), Some(found)) => !is.is_next_to(*found),
            (is, found) => is.is_some() != found.is_some(),
        };
        if !found.iter().enumerate().any(moved) {
            return None;
        }
        let point = |(index, found): (usize, &Option<Bucket>)| match self.point(index) {
            Some(is) if found.is_some() && !moved((index, found)) => Some(is.clone()),
            _ => found.map(Point::new),
        };
        let points = found.iter().enumerate().map(point).collect();
        Some(Cuts(Some(Arc::new(Points { version: self.version() + 1, points }))))
    }

    /// They are the very same.
    pub fn is(&self, other: &Cuts) -> bool {
        match (&self.0, &other.0) {
            (Some(these), Some(those)) => Arc::ptr_eq(these, those),
            (these, those) => these.is_none() && those.is_none(),
        }
    }

    fn point(&self, index: usize) -> Option<&Point> {
        self.0.as_ref()?.points.get(index)?.as_ref()
    }
}

impl Point {
    fn new(bucket: Bucket) -> Point {
        Point { bucket, low: bucket.low(), first: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(value: i64) -> Option<Bucket> {
        Some(Bucket::of(&Number::integer(value)))
    }

    fn lows(cuts: &Cuts) -> [Option<i64>; 2] {
        [0, 1].map(|index| cuts.at(index).and_then(Number::small).map(|(units, over)| units / over))
    }

    #[test]
    fn a_cut_stays_while_the_one_found_is_beside_it() {
        let cuts = Cuts::default().redrawn(&[bucket(100), None]).unwrap();
        assert!(cuts.redrawn(&[bucket(101), None]).is_none() && cuts.redrawn(&[bucket(100), None]).is_none());
        let moved = cuts.redrawn(&[bucket(102), None]).unwrap();
        assert_eq!((lows(&moved), moved.version()), ([Some(102), None], 2));
    }

    #[test]
    fn only_the_cut_that_moved_moves() {
        let cuts = Cuts::default().redrawn(&[bucket(100), bucket(200)]).unwrap();
        assert_eq!(lows(&cuts.redrawn(&[bucket(101), bucket(300)]).unwrap()), [Some(100), Some(300)]);
        assert_eq!(lows(&cuts.redrawn(&[bucket(100), None]).unwrap()), [Some(100), None]);
    }

    #[test]
    fn a_cut_is_first_until_the_next_change() {
        let first = |cuts: &Cuts| [0, 1].map(|index| cuts.is_first(index));
        let cuts = Cuts::default().redrawn(&[bucket(100), None]).unwrap();
        assert_eq!(first(&cuts.after(&Cuts::default())), [true, false]);
        assert_eq!(first(&cuts.redrawn(&[bucket(100), bucket(5)]).unwrap().after(&cuts)), [false, true]);
    }

    #[test]
    fn cuts_are_found_again_by_their_texts() {
        let texts = ["top 1% by a", "top 5% by b"];
        let cuts = Cuts::default().redrawn(&[bucket(100), bucket(200)]).unwrap();
        let written = cuts.write(texts.into_iter());
        let read = Cuts::read(cuts.version(), &written, [texts[1], "top 9% by c"].into_iter());
        assert_eq!((lows(&read), read.version(), read.is(&cuts)), ([Some(200), None], 1, false));
    }
}
