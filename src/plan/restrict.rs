//! The part of a plan that decides one segment: what [`Outlook`] looks ahead in.
//!
//! **Invariant:** over the same facts the part decides its segments exactly as the whole does, until its target is left;
//! only positions differ.

use std::collections::BTreeSet;

use super::{LadderPlan, Leaf, Logic, Outlook, Plan, Predicate, SegmentPlan};

impl Plan {
    /// The part for a segment and all that it rests on.
    pub(super) fn restrict(&self, segment: usize) -> Outlook {
        let segments = self.closure(segment);
        let predicates = self.predicates_of(&segments);
        let aggregates: Vec<usize> =
            predicates.iter().flat_map(|p| self.predicates[*p].aggregates.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        let part = Part { segments: &segments, predicates: &predicates, aggregates: &aggregates };
        let mut plan = Plan {
            catalogue: self.catalogue.clone(),
            projection: self.projection.clone(),
            streams: self.streams.clone(),
            windows: Vec::new(),
            over_stream: Vec::new(),
            sequences: self.sequences.clone(),
            watches: Vec::new(),
            aggregates: aggregates.iter().map(|a| self.aggregates[*a].clone()).collect(),
            predicates: predicates.iter().map(|p| part.predicate(&self.predicates[*p])).collect(),
            segments: segments.iter().map(|s| part.segment(&self.segments[*s])).collect(),
            ranked: Vec::new(),
            stays: Vec::new(),
            ladders: self.ladders.iter().map(|ladder| part.ladder(ladder)).collect(),
            order: self.order_of(&segments),
            lists: self.lists.clone(),
            expiring: Vec::new(),
            experiments: Vec::new(),
            rankings: Vec::new(),
            cuts: Vec::new(),
            fingerprint: self.fingerprint,
        };
        plan.link();
        let windows = plan.windows.iter().map(|w| self.aggregates[aggregates[w.aggregates[0]]].through).collect();
        Outlook { plan, target: position(&segments, segment).unwrap_or(0), windows, aggregates, predicates, segments }
    }

    /// The segment and all that its membership rests on, directly or not, ascending.
    fn closure(&self, segment: usize) -> Vec<usize> {
        let (mut found, mut open) = (BTreeSet::new(), vec![segment]);
        while let Some(next) = open.pop() {
            if found.insert(next) {
                let predicates = self.predicates_of(&[next]);
                open.extend(predicates.iter().flat_map(|p| self.predicates[*p].segments.iter().map(|(s, _)| *s)));
                open.extend(self.stages_before(next, segment));
            }
        }
        found.into_iter().collect()
    }

    /// A stage is taken by those above it. A lower one has a say as long as somebody must stay there, and a stage of
    /// another ladder that is looked at for its own sake needs all of its ladder.
    fn stages_before(&self, segment: usize, target: usize) -> &[usize] {
        let Some(stage) = self.segments[segment].stage else { return &[] };
        let stages = &self.ladders[stage.ladder].stages;
        let own = self.segments[target].stage.is_some_and(|own| own.ladder == stage.ladder);
        let held_below = stages[stage.rank..].iter().skip(1).any(|below| self.segments[*below].min_stay.is_some());
        if own && !held_below { &stages[..stage.rank] } else { stages }
    }

    /// As the whole decides them.
    fn order_of(&self, segments: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..segments.len()).collect();
        order.sort_by_key(|part| self.segments[segments[*part]].position);
        order
    }

    fn predicates_of(&self, segments: &[usize]) -> Vec<usize> {
        let found: BTreeSet<usize> = segments.iter().flat_map(|segment| self.segments[*segment].predicates.iter().copied()).collect();
        found.into_iter().collect()
    }
}

/// The indexes that are kept, ascending; the position in them is the new index.
struct Part<'a> {
    segments: &'a [usize],
    predicates: &'a [usize],
    aggregates: &'a [usize],
}

impl Part<'_> {
    fn predicate(&self, predicate: &Predicate) -> Predicate {
        let segment = |s: usize| position(self.segments, s).unwrap_or(s);
        let aggregate = |a: usize| position(self.aggregates, a).unwrap_or(a);
        Predicate {
            formula: predicate.formula.with_leaves(&|leaf| match leaf {
                Leaf::Aggregate(index) => Leaf::Aggregate(aggregate(index)),
                Leaf::Ranked(index) => Leaf::Ranked(aggregate(index)),
                Leaf::Segment { segment: index, last } => Leaf::Segment { segment: segment(index), last },
                other => other,
            }),
            quorum: predicate.quorum.map(|quorum| quorum.at(aggregate(quorum.aggregate))),
            linear: predicate.linear.as_ref().map(|linear| linear.with_aggregates(&aggregate)),
            band: predicate.band.as_ref().map(|band| band.at(aggregate(band.aggregate))),
            subject: predicate.subject.clone(),
            monotone: predicate.monotone,
            falling: predicate.falling,
            counts_days: predicate.counts_days,
            ranks: predicate.ranks,
            aggregates: predicate.aggregates.iter().map(|a| aggregate(*a)).collect(),
            windows: Vec::new(),
            traits: predicate.traits.clone(),
            sequences: predicate.sequences.clone(),
            segments: predicate.segments.iter().map(|(s, last)| (segment(*s), *last)).collect(),
            users: Vec::new(),
        }
    }

    fn segment(&self, segment: &SegmentPlan) -> SegmentPlan {
        SegmentPlan {
            key: segment.key.clone(),
            hash: segment.hash,
            version: segment.version.clone(),
            when: self.logic(&segment.when),
            exit_when: segment.exit_when.as_ref().map(|logic| self.logic(logic)),
            min_stay: segment.min_stay,
            pin: segment.pin.and_then(|predicate| position(self.predicates, predicate)),
            ban: segment.ban.and_then(|predicate| position(self.predicates, predicate)),
            stage: segment.stage,
            publication: segment.publication.clone(),
            predicates: Vec::new(),
            dependents: Vec::new(),
            position: 0,
            outlook: None,
        }
    }

    /// Its first stages, or all of them: ranks stay.
    fn ladder(&self, ladder: &LadderPlan) -> LadderPlan {
        LadderPlan { key: ladder.key.clone(), stages: ladder.stages.iter().filter_map(|s| position(self.segments, *s)).collect() }
    }

    fn logic(&self, logic: &Logic) -> Logic {
        match logic {
            Logic::Predicate(index) => Logic::Predicate(position(self.predicates, *index).unwrap_or(*index)),
            Logic::Not(inner) => Logic::Not(Box::new(self.logic(inner))),
            Logic::And(parts) => Logic::And(parts.iter().map(|part| self.logic(part)).collect()),
            Logic::Or(parts) => Logic::Or(parts.iter().map(|part| self.logic(part)).collect()),
        }
    }
}

fn position(sorted: &[usize], index: usize) -> Option<usize> {
    sorted.binary_search(&index).ok()
}
