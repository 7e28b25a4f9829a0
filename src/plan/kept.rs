//! What has been kept of the past, and since when: a rule can only be right about what was kept for it.
//!
//! Rows hold the fields that some rule names, for as long as some window reaches. So a new rule may look at a stream that
//! nobody tracked, at a field that no row holds, or further back than rows were kept. It is decided by what there is; this
//! page says since when that is everything.
//!
//! **Invariant:** never says that something is known which may not be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AggregatePlan, FieldRef, Leaf, Plan, SequencePlan, StreamPlan};
use crate::event::streams::{StreamDefinition, StreamRole};
use crate::time::{EventTime, Span};
use crate::window::Reach;

/// Of one partition. Streams, fields, traits and unbounded aggregates stand by name, so that it outlives plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Milliseconds since 1970; the least value: from the first record on.
    since: BTreeMap<String, i64>,
    /// How long rows of a stream are kept, milliseconds; without an entry: for ever.
    retention: BTreeMap<String, i64>,
}

impl Kept {
    /// What is kept once a plan takes the place of others, at instant `now`; [`EventTime::MIN`]: before the first record.
    pub fn under(&self, plan: &Plan, now: EventTime) -> Kept {
        let mut kept = Kept::default();
        let streams = plan.streams.iter().enumerate().filter(|(index, stream)| stream.has_rows(&plan.over_stream[*index]));
        for (_, stream) in streams {
            self.keep_rows(&mut kept, stream, now);
        }
        if plan.catalogue.with_role(StreamRole::Coupons).is_some_and(|coupons| plan.streams[usize::from(coupons.0)].tracked) {
            self.keep(&mut kept, StreamDefinition::REDEEMED.into(), now);
        }
        plan.projection.traits.iter().for_each(|name| self.keep(&mut kept, format!("trait.{name}"), now));
        for aggregate in plan.aggregates.iter().filter(|aggregate| is_unbounded(aggregate)) {
            let rows = self.rows_reach(&plan.streams[aggregate.stream], now);
            self.keep(&mut kept, total(aggregate), rows);
        }
        kept
    }

    /// Since when everything is known that decides a segment at instant `now`; [`EventTime::MIN`]: nothing is missing.
    pub fn since(&self, plan: &Plan, segment: usize, now: EventTime) -> EventTime {
        let Some(outlook) = plan.segments[segment].outlook.as_deref() else { return EventTime::MIN };
        let traits = outlook.plan.predicates.iter().flat_map(|predicate| &predicate.traits);
        let traits = traits.map(|index| self.known(&format!("trait.{}", plan.projection.traits[*index])));
        let aggregates = outlook.plan.aggregates.iter().map(|aggregate| self.seen_by(plan, aggregate, now));
        let sequences = outlook.plan.predicates.iter().flat_map(|predicate| &predicate.sequences);
        let sequences = sequences.map(|index| self.followed_by(plan, &plan.sequences[*index], now));
        traits.chain(aggregates).chain(sequences).max().unwrap_or(EventTime::MIN)
    }

    fn followed_by(&self, plan: &Plan, sequence: &SequencePlan, now: EventTime) -> EventTime {
        let first = sequence.links.first().map(|link| link.event.stream);
        let same = first.into_iter().flat_map(|stream| sequence.same.iter().map(move |field| (stream, *field)));
        let first_fields = same.flat_map(|(stream, field)| names(&plan.streams[stream], field, None)).map(|name| self.known(&name));
        let patterns = sequence.patterns().map(|pattern| {
            let stream = &plan.streams[pattern.stream];
            let field = pattern.same.map_or(FieldRef::Event, |(field, _)| field);
            let rows = self.known(&stream.name);
            let since = names(stream, field, pattern.condition).iter().map(|name| self.known(name)).fold(rows, EventTime::max);
            if pattern.reach.is_some_and(|reach| since.plus(reach) <= now) { EventTime::MIN } else { since }
        });
        patterns.chain(first_fields).max().unwrap_or(EventTime::MIN)
    }

    fn seen_by(&self, plan: &Plan, aggregate: &AggregatePlan, now: EventTime) -> EventTime {
        let stream = &plan.streams[aggregate.stream];
        let rows = if is_unbounded(aggregate) { self.known(&total(aggregate)) } else { self.known(&stream.name) };
        let names = names(stream, aggregate.field, aggregate.condition);
        let since = names.iter().map(|name| self.known(name)).fold(rows, EventTime::max);
        match aggregate.window.reach() {
            Reach::Bounded(span) if since.plus(span) <= now => EventTime::MIN,
            _ => since,
        }
    }

    fn known(&self, name: &str) -> EventTime {
        self.since.get(name).map_or(EventTime::MAX, |since| EventTime::from_millis(*since))
    }

    fn keep(&self, kept: &mut Kept, name: String, otherwise: EventTime) {
        let since = self.since.get(&name).copied().unwrap_or(otherwise.millis());
        kept.since.insert(name, since);
    }

    fn keep_rows(&self, kept: &mut Kept, stream: &StreamPlan, now: EventTime) {
        let before = self.retention.get(stream.name.as_str());
        let longer = before.is_some_and(|before| stream.retention.is_none_or(|span| span.millis() > *before));
        let known = self.since.get(stream.name.as_str()).map(|since| EventTime::from_millis(*since));
        let since = known.filter(|_| !longer).unwrap_or(self.rows_reach(stream, now));
        kept.since.insert(stream.name.to_string(), since.millis());
        kept.retention.extend(stream.retention.map(|span| (stream.name.to_string(), span.millis())));
        stream.cells.iter().for_each(|(cell, _)| self.keep(kept, format!("{}.{cell}", stream.name), now));
    }

    /// How far back the rows go that are there at `now`.
    fn rows_reach(&self, stream: &StreamPlan, now: EventTime) -> EventTime {
        let Some(since) = self.since.get(stream.name.as_str()).map(|since| EventTime::from_millis(*since)) else { return now };
        let retention = self.retention.get(stream.name.as_str()).and_then(|millis| Span::from_millis(*millis));
        retention.map_or(since, |span| since.max(now.minus(span)))
    }
}

fn is_unbounded(aggregate: &AggregatePlan) -> bool {
    matches!(aggregate.window.reach(), Reach::Unbounded { .. })
}

/// The name of an unbounded aggregate; no stream or field has a `(` in its own.
fn total(aggregate: &AggregatePlan) -> String {
    aggregate.text.to_string()
}

/// A field and those of a filter, by name.
fn names(stream: &StreamPlan, field: FieldRef, condition: Option<usize>) -> Vec<String> {
    let mut names = Vec::new();
    let cell = |cell: usize| format!("{}.{}", stream.name, stream.cells[cell].0);
    match field {
        FieldRef::Cell(at) => names.push(cell(at)),
        FieldRef::Redeemed => names.push(StreamDefinition::REDEEMED.into()),
        FieldRef::Event => {}
    }
    if let Some(condition) = condition.and_then(|condition| stream.conditions.get(condition)) {
        condition.each_leaf(&mut |leaf| match leaf {
            Leaf::Cell(at) => names.push(cell(at)),
            Leaf::Redeemed => names.push(StreamDefinition::REDEEMED.into()),
            _ => {}
        });
    }
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Catalogue;
    use crate::plan::compile;
    use crate::rule::{Names, load_text};

    fn plan(when: &str) -> Plan {
        let catalogue = Catalogue::segment_spec();
        let text = format!("segments: [{{key: s, when: '{when}'}}]");
        let loaded = load_text("s.yaml", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
        compile(&loaded.definitions.unwrap(), Arc::new(catalogue), Vec::new())
    }

    const CHANGE: i64 = 1_000 * 86_400_000;

    /// How many days before the change the new rule knows of; `None`: of everything it asks for.
    fn check(before: &str, after: &str, expected: Option<i64>) {
        let (now, after) = (EventTime::from_millis(CHANGE), plan(after));
        let kept = Kept::default().under(&plan(before), EventTime::MIN);
        let since = kept.under(&after, now).since(&after, 0, now);
        let days = (since != EventTime::MIN).then(|| (CHANGE - since.millis()) / 86_400_000);
        assert_eq!(days, expected);
        assert_eq!(kept.under(&plan(before), now), kept, "nothing changes where the plan does not");
    }

    #[test]
    fn what_was_kept_for_other_rules_is_there_for_new_ones() {
        check("count(orders last 30d) > 1", "count(orders last 90d) > 5", None);
        check("sum(orders.total last 30d) > 1", "count(orders last 7d where total > 20) > 5", None);
        check("sum(orders.total lifetime) > 1", "sum(orders.total lifetime) > 2", None);
    }

    #[test]
    fn what_was_not_kept_is_known_from_the_change_on() {
        check("count(orders last 30d) > 1", "count(coupons last 30d) > 1", Some(0));
        check("count(orders last 30d) > 1", "sum(orders.total last 30d) > 1", Some(0));
        check("count(orders last 30d) > 1", "count(orders last 30d where coupon == \"x\") > 1", Some(0));
        check("count(orders last 30d) > 1", "trait.vip == true", Some(0));
        check("count(orders last 30d) > 1", "count(orders last 30d where redeemed) > 1", Some(0));
        check("count(orders last 30d) > 1", "sequence(product_adds then no orders within 1h last 1d)", Some(0));
    }

    #[test]
    fn a_longer_window_knows_as_much_as_was_retained() {
        check("count(orders last 30d) > 1", "count(orders last 365d) > 1", Some(90));
        check("count(orders last 200d) > 1", "count(orders lifetime) > 1", Some(200));
    }

    #[test]
    fn a_window_is_complete_once_it_has_filled() {
        let rule = plan("count(coupons last 30d) > 1");
        let kept = Kept::default().under(&plan("count(orders last 30d) > 1"), EventTime::MIN).under(&rule, EventTime::from_millis(CHANGE));
        let at = |days: i64| kept.since(&rule, 0, EventTime::from_millis(CHANGE + days * 86_400_000));
        assert_eq!((at(29), at(30)), (EventTime::from_millis(CHANGE), EventTime::MIN));
    }
}
