//! The law, the slow way: every rule evaluated from scratch over the whole accepted history, at every instant at which
//! anything could change. Written from the contract (docs/semantics.md) and from nothing else; with the engine it
//! shares the rule tree, the decoded values and the form of a page.
//!
//! **Invariant:** no state but the accepted inputs, the clock and the memberships (which `exit_when` and
//! `segment("x" last W)` need, since they depend on the path).

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use segmentd::event::Catalogue;
use segmentd::event::streams::StreamRole;
use segmentd::id::CustomerId;
use segmentd::rule::ast::Expr;
use segmentd::scenario::{Outcome, Page, PageEvent, PageSegment};
use segmentd::time::{EventTime, Span};
use segmentd::transition::{Cause, Direction};

use super::eval::{Memberships, View};
use super::history::History;
use super::survey::Survey;

const DAY: i64 = 86_400_000;

/// A segment as the contract defines it.
#[derive(Clone, Debug)]
pub struct Rule {
    pub key: String,
    pub zone: TimeZone,
    pub when: Expr,
    pub exit_when: Option<Expr>,
    /// ms.
    pub min_stay: Option<i64>,
}

/// A segment of a page, parsed.
pub fn rule_of(segment: &PageSegment) -> Rule {
    let parse = |text: &str| segmentd::rule::parse(text).unwrap_or_else(|found| panic!("{text}: {found:?}"));
    let zone = segment.timezone.as_deref().map_or(TimeZone::UTC, |name| TimeZone::get(name).unwrap());
    let exit_when = segment.exit_when.as_deref().map(parse);
    let min_stay = segment.min_stay.as_deref().map(|text| Span::parse(text).unwrap().millis());
    Rule { key: segment.key.to_string(), zone, when: parse(&segment.when), exit_when, min_stay }
}

/// What is the same for every customer.
pub struct World<'a> {
    catalogue: &'a Catalogue,
    /// In order of evaluation.
    rules: Vec<Rule>,
    survey: Survey,
    page: &'a Page,
    ends: Ends,
}

#[derive(Clone)]
struct Customer {
    id: CustomerId,
    lists: BTreeSet<String>,
    history: History,
    memberships: Memberships,
    /// Everything up to and including this instant has been decided.
    decided_to: i64,
}

struct Partition {
    clock: i64,
    customers: BTreeMap<CustomerId, Customer>,
}

/// Whether to find out, for every entry, when it ends by itself: that means to let time run on each time.
#[derive(Clone, Copy, PartialEq)]
pub enum Ends {
    Found,
    Ignored,
}

/// The transitions of a page, each partition's in order.
pub fn transitions(rules: &[Rule], page: &Page, catalogue: &Catalogue, ends: Ends) -> Vec<Outcome> {
    let world = World { catalogue, survey: Survey::of(rules), rules: in_order(rules), page, ends };
    let mut partitions: BTreeMap<i32, Partition> = BTreeMap::new();
    let mut out = Vec::new();
    for event in &page.events {
        let partition = partitions.entry(event.partition.0).or_insert(Partition { clock: i64::MIN, customers: BTreeMap::new() });
        partition.take(event, &world, &mut out);
    }
    for partition in partitions.values_mut() {
        let end = page.until.map_or(partition.clock, |until| until.millis().max(partition.clock));
        partition.advance(end + 1, &world, &mut out);
    }
    out
}

/// Of the rules whose segments are decided, always the first defined.
fn in_order(rules: &[Rule]) -> Vec<Rule> {
    let mut ordered: Vec<Rule> = Vec::new();
    while ordered.len() < rules.len() {
        let decided = |key: &String| ordered.iter().any(|rule| rule.key == *key);
        let next = rules.iter().find(|rule| !decided(&rule.key) && super::survey::segments_used(rule).iter().all(decided));
        ordered.push(next.unwrap_or_else(|| panic!("a cycle, or a segment that is not defined")).clone());
    }
    ordered
}

impl Partition {
    fn take(&mut self, event: &PageEvent, world: &World, out: &mut Vec<Outcome>) {
        let at = event.at.millis();
        let late = at < self.clock;
        if at > self.clock {
            self.advance(at, world, out);
            self.clock = at;
        }
        let customer = self.customers.entry(event.customer.clone()).or_insert_with(|| Customer::new(&event.customer, world, self.clock));
        let stream = world.catalogue.stream(event.stream);
        let accepted = customer.history.accept(event, world.catalogue, self.clock, world.survey.order_retention);
        if accepted || !world.survey.remembered.contains(stream.name.as_str()) {
            let cause = if late { Cause::LateEvent } else { cause_of(stream.role) };
            customer.decide(self.clock, cause, world, out);
        }
    }

    /// Fires what is due before `to`.
    fn advance(&mut self, to: i64, world: &World, out: &mut Vec<Outcome>) {
        for customer in self.customers.values_mut() {
            while let Some(due) = customer.next_due(world).filter(|due| *due < to) {
                customer.decide(due, Cause::Time, world, out);
            }
        }
    }
}

fn cause_of(role: StreamRole) -> Cause {
    match role {
        StreamRole::Refunds => Cause::Refund,
        StreamRole::Cancellations => Cause::Cancellation,
        StreamRole::Traits => Cause::Trait,
        StreamRole::Orders | StreamRole::Coupons | StreamRole::Plain => Cause::Event,
    }
}

impl Customer {
    fn new(id: &CustomerId, world: &World, clock: i64) -> Customer {
        let lists = world.page.lists.iter().filter(|(_, ids)| ids.contains(id)).map(|(key, _)| key.to_string()).collect();
        Customer { id: id.clone(), lists, history: History::default(), memberships: Memberships::new(), decided_to: clock }
    }

    /// Evaluates every rule at `now` and writes down what changed.
    fn decide(&mut self, now: i64, cause: Cause, world: &World, out: &mut Vec<Outcome>) {
        let first = out.len();
        for rule in &world.rules {
            let is = self.belongs(rule, now, world);
            let membership = self.memberships.entry(rule.key.clone()).or_default();
            if is == membership.member {
                continue;
            }
            membership.member = is;
            membership.sequence += 1;
            let direction = if is { Direction::Entered } else { Direction::Exited };
            match direction {
                Direction::Entered => {
                    membership.entry += 1;
                    membership.entered_at = now;
                }
                Direction::Exited => membership.left.push(now),
            }
            out.push(Outcome {
                customer: self.id.clone(),
                segment: rule.key.as_str().into(),
                direction,
                at: EventTime::from_millis(now),
                sequence: membership.sequence,
                entry: membership.entry,
                cause,
                valid_until: None,
            });
        }
        self.decided_to = now;
        if world.ends == Ends::Found {
            out[first..].iter_mut().filter(|o| o.direction == Direction::Entered).for_each(|o| o.valid_until = self.end_of(o, world));
        }
    }

    fn belongs(&self, rule: &Rule, now: i64, world: &World) -> bool {
        let was = self.memberships.get(&rule.key).is_some_and(|m| m.member);
        let view = View {
            catalogue: world.catalogue,
            calendars: &world.survey.calendars,
            zone: &rule.zone,
            history: &self.history,
            memberships: &self.memberships,
            lists: &self.lists,
            now,
        };
        if rule.min_stay.is_some_and(|stay| was && now < self.memberships[&rule.key].entered_at + stay) {
            return true;
        }
        match &rule.exit_when {
            Some(exit_when) => !view.holds(exit_when) && (was || view.holds(&rule.when)),
            None => view.holds(&rule.when),
        }
    }

    /// The next instant after `decided_to` at which any rule could change by time alone.
    fn next_due(&self, world: &World) -> Option<i64> {
        let survey = &world.survey;
        if !self.history.exists() {
            return None;
        }
        let leaves = self.history.times().flat_map(|time| survey.spans.iter().map(move |span| time + span));
        let days =
            self.history.times().filter(|_| survey.days_since).map(|time| time + ((self.decided_to - time).div_euclid(DAY) + 1) * DAY);
        let left = self.memberships.values().flat_map(|m| &m.left);
        let forgotten = left.flat_map(|left| survey.last_spans.iter().map(move |span| left + span));
        let boundaries = survey.calendars.iter().map(|calendar| calendar.bounds(self.decided_to).1);
        let stays = world.rules.iter().filter_map(|rule| Some((self.memberships.get(&rule.key)?, rule.min_stay?)));
        let released = stays.filter(|(m, _)| m.member).map(|(m, stay)| m.entered_at + stay);
        leaves.chain(days).chain(forgotten).chain(boundaries).chain(released).filter(|due| *due > self.decided_to).min()
    }

    /// When the membership that has just begun ends, if nothing more happens.
    fn end_of(&self, entry: &Outcome, world: &World) -> Option<EventTime> {
        let mut future = self.clone();
        let mut ignored = Vec::new();
        let quiet = World { ends: Ends::Ignored, survey: Survey::of(&world.rules), rules: world.rules.clone(), ..*world };
        while let Some(due) = future.next_due(&quiet).filter(|due| *due < self.decided_to + quiet.survey.horizon) {
            future.decide(due, Cause::Time, &quiet, &mut ignored);
            if !future.memberships[entry.segment.as_str()].member {
                return Some(EventTime::from_millis(due));
            }
        }
        None
    }
}
