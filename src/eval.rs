//! Evaluating one predicate against one customer at one instant: its truth, how long that lasts, and why.
//!
//! Law: if `flip(p, t) = f` then the truth of `p` is the same at every instant of `t..f`, provided that no event comes.
//! `f` may be early (nothing flips there, and the engine looks again), never late.
//!
//! **Invariant:** nothing here changes facts or memberships. Cursors are advanced, which changes no value at `t`.

mod ahead;
mod distance;
mod evidence;
mod linear;
mod quorum;
mod sequence;
mod suffix;

use crate::customer::{self, Added, Facts, Standing, Truth};
use crate::event::Scalar;
use crate::id::CustomerId;
use crate::money::Number;
use crate::plan::{Band, Formula, Leaf, Measure, Plan, Predicate, Unit};
use crate::time::{EventTime, Span};
use ahead::Ahead;
pub use distance::Distance;

/// How many changes are looked through for the flip. Beyond it the engine wakes at an instant where nothing flips; a bound
/// keeps the cost of an event independent of the length of the history. After an event the next one is likely to come
/// first, and moves the flip: looking further pays only where time has come that far. (Measured with `make bench`.)
const AFTER_EVENT: usize = 4;
const AFTER_TIME: usize = 16;

/// A customer at an instant, to evaluate predicates against.
pub struct At<'a> {
    pub plan: &'a Plan,
    pub facts: &'a Facts,
    pub customer: &'a CustomerId,
    pub t: EventTime,
}

impl At<'_> {
    /// Advances the predicate's aggregates to this instant, and finds its truth and flip.
    pub fn truth(&self, standing: &mut Standing, predicate: usize) -> Truth {
        self.truth_within(standing, predicate, AFTER_TIME)
    }

    /// The same, looking through so many changes for the flip.
    fn truth_within(&self, standing: &mut Standing, predicate: usize, changes: usize) -> Truth {
        let predicate = &self.plan.predicates[predicate];
        if let Formula::Leaf(Leaf::Sequence(index)) = predicate.formula {
            return self.sequence(index, self.t);
        }
        self.advance(predicate, standing);
        self.returned(predicate, standing).unwrap_or_else(|| {
            let holds = self.holds(predicate, standing);
            Truth::new(holds, self.flip(predicate, standing, holds, changes))
        })
    }

    /// Whether a predicate holds at this instant, be it kept up or asleep.
    pub fn met(&self, standing: &mut Standing, index: usize) -> bool {
        let (predicate, kept) = (&self.plan.predicates[index], standing.predicates[index]);
        if !kept.asleep {
            return kept.holds;
        }
        self.advance(predicate, standing);
        self.holds(predicate, standing)
    }

    /// The same after an event was added and nothing else changed. Where the flip is found by a few rows, it is found anew.
    /// Elsewhere the old one is kept while the truth stays, if one more event can only put it off (the predicate is monotone)
    /// or speaks for the truth as it was: it is early, which is allowed, and costs nothing.
    pub fn truth_of_grown(&self, standing: &mut Standing, index: usize, added: Option<Added>) -> Truth {
        let (predicate, before) = (&self.plan.predicates[index], standing.predicates[index]);
        if predicate.quorum.is_some_and(|quorum| quorum.unit == Unit::Events) || self.only_falls(predicate) {
            return self.truth(standing, index);
        }
        if before.flip > self.t && added.is_some_and(|added| self.confirms(predicate, added, before.holds)) {
            return before;
        }
        if predicate.monotone && before.flip > self.t {
            self.advance(predicate, standing);
            if self.holds(predicate, standing) == before.holds {
                return before;
            }
        }
        self.truth_within(standing, index, AFTER_EVENT)
    }

    fn advance(&self, predicate: &Predicate, standing: &mut Standing) {
        for window in &predicate.windows {
            standing.advance(self.plan, self.facts, *window, self.t);
        }
    }

    #[inline]
    fn holds(&self, predicate: &Predicate, standing: &Standing) -> bool {
        if let Some((quorum, amount)) = predicate.quorum.and_then(|quorum| Some((quorum, quorum.amount(&standing.totals)?))) {
            return quorum.holds(amount);
        }
        let linear = || predicate.linear.as_ref().and_then(|linear| linear.sums(&standing.totals).map(|sums| linear.holds(&sums)));
        let band = || predicate.band.as_ref().map(|band| band.holds(&standing.totals[band.aggregate]));
        linear().or_else(band).unwrap_or_else(|| self.formula_holds(predicate, standing))
    }

    fn formula_holds(&self, predicate: &Predicate, standing: &Standing) -> bool {
        predicate.formula.holds(&|leaf| self.leaf(leaf, standing, self.t))
    }

    fn flip(&self, predicate: &Predicate, standing: &Standing, holds: bool, changes: usize) -> EventTime {
        let passing = predicate.windows.iter().map(|window| standing.cursors[*window].quiet_until()).min();
        if passing.is_none_or(|next| next == EventTime::MAX) && !predicate.counts_days {
            return self.still_change(predicate, standing, self.t);
        }
        if let Some(flip) = predicate.quorum.and_then(|quorum| self.quorum_flip(&quorum, standing)) {
            return flip;
        }
        if let Some(flip) = predicate.linear.as_ref().and_then(|linear| self.linear_flip(predicate, linear, standing, holds, changes)) {
            return flip;
        }
        if predicate.monotone {
            return self.suffix_flip(predicate, standing.cursors[predicate.windows[0]].members(), holds);
        }
        if let Some(band) = &predicate.band {
            return self.band_flip(band, standing, holds, changes);
        }
        let mut ahead = Ahead::new(self, predicate, standing);
        for _ in 0..if predicate.ranks { 1 } else { changes } {
            if !ahead.go_to_next_change() {
                return EventTime::MAX;
            }
            if ahead.holds() != holds {
                break;
            }
        }
        ahead.t()
    }

    /// The same as by [`Ahead`], for an extreme or a number of values.
    fn band_flip(&self, band: &Band, standing: &Standing, holds: bool, changes: usize) -> EventTime {
        let aggregate = &self.plan.aggregates[band.aggregate];
        let over = &self.plan.windows[aggregate.through];
        let history = &self.facts.histories[over.stream];
        let (mut cursor, mut total) = (standing.cursors[aggregate.through], standing.totals[band.aggregate].clone());
        let mut seen = 0;
        loop {
            let t = cursor.quiet_until();
            if t == EventTime::MAX {
                return t;
            }
            let one = std::iter::once((0, aggregate));
            if customer::advance(&mut cursor, &over.window, history, t, one, std::slice::from_mut(&mut total)) {
                seen += 1;
                if band.holds(&total) != holds || seen == changes {
                    return t;
                }
            }
        }
    }

    /// A bare `returned` only ever ends by time, when its newest return leaves.
    fn returned(&self, predicate: &Predicate, standing: &Standing) -> Option<Truth> {
        let Formula::Leaf(Leaf::Aggregate(index)) = predicate.formula else { return None };
        let aggregate = &self.plan.aggregates[index];
        let Measure::Returned { .. } = aggregate.measure else { return None };
        let newest = aggregate.newest_return(&standing.cursors[aggregate.through], &self.facts.histories[aggregate.stream]);
        Some(Truth::new(newest.is_some(), newest.map_or(EventTime::MAX, |time| aggregate.window.leaves_at(time))))
    }

    /// The next instant after `t` at which a `segment("x" last W)` of the predicate ends by itself, or a sequence changes.
    fn still_change(&self, predicate: &Predicate, standing: &Standing, t: EventTime) -> EventTime {
        let ends = |(segment, last): &(usize, Option<Span>)| Some(standing.left_at(*segment)?.plus((*last)?));
        let sequences = predicate.sequences.iter().map(|index| self.sequence(*index, t).flip);
        predicate.segments.iter().filter_map(ends).filter(|end| *end > t).chain(sequences).min().unwrap_or(EventTime::MAX)
    }

    fn leaf<'s>(&'s self, leaf: Leaf, standing: &'s Standing, t: EventTime) -> Scalar<'s> {
        match leaf {
            Leaf::Aggregate(index) => {
                let aggregate = &self.plan.aggregates[index];
                let cursor = &standing.cursors[aggregate.through];
                aggregate.value(cursor, &standing.totals[index], &self.facts.histories[aggregate.stream], t)
            }
            Leaf::Ranked(index) if standing.totals[index].is_empty() => Scalar::Null,
            Leaf::Ranked(index) => self.leaf(Leaf::Aggregate(index), standing, t),
            other => self.still_leaf(other, standing, t),
        }
    }

    /// The value by which the customer ranks; `None`: nowhere. The aggregate stands at this instant, as it does once its
    /// predicates are evaluated.
    pub fn rank(&self, standing: &Standing, aggregate: usize) -> Option<Number> {
        match self.leaf(Leaf::Ranked(aggregate), standing, self.t) {
            Scalar::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The leaves that have no cursor.
    fn still_leaf<'s>(&'s self, leaf: Leaf, standing: &Standing, t: EventTime) -> Scalar<'s> {
        match leaf {
            Leaf::Trait(index) => self.facts.traits[index].as_ref().map_or(Scalar::Null, |(_, value)| value.as_scalar()),
            Leaf::Segment { segment, last } => {
                let was = || last.is_some_and(|span| standing.left_at(segment).is_some_and(|left| left.plus(span) > t));
                Scalar::Bool(standing.memberships[segment].is_member() || was())
            }
            Leaf::List(index) => Scalar::Bool(self.plan.lists[index].1.contains(self.customer)),
            Leaf::Sequence(index) => Scalar::Bool(self.sequence(index, t).holds),
            Leaf::Cut(index) => standing.cuts.at(index).map_or(Scalar::Null, |cut| Scalar::Number(cut.clone())),
            Leaf::Cell(_) | Leaf::Redeemed | Leaf::Aggregate(_) | Leaf::Ranked(_) => Scalar::Null,
        }
    }
}
