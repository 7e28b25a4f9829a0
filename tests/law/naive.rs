//! The law, the slow way: every rule evaluated from scratch over the whole accepted history, at every instant at which
//! anything could change. Written from the contract (docs/semantics.md) and from nothing else; with the engine it
//! shares the rule tree, the decoded values and the form of a page.
//!
//! **Invariant:** no state but the accepted inputs, the clock and the memberships (which `exit_when` and
//! `segment("x" last W)` need, since they depend on the path). The cuts of `top` are inputs.

mod epochs;
mod merging;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use segmentd::event::Catalogue;
use segmentd::event::streams::StreamRole;
use segmentd::experiment::Arm;
use segmentd::id::{CustomerId, SegmentKey};
use segmentd::rule::ast::Expr;
use segmentd::scenario::{Happening, Outcome, Page, PageEvent, PageSegment, PageStage};
use segmentd::time::{EventTime, Span};
use segmentd::transition::Cause;
use serde_json::Value as Json;

use super::eval::{Memberships, View};
use super::history::History;
use super::publication::{self, Publication};
use super::survey::Survey;
pub use epochs::Cuts;
pub use places::places;

const DAY: i64 = 86_400_000;
/// No record can say this instant, or a later one.
const YEAR_10000: i64 = 253_402_300_800_000;

/// A segment as the contract defines it.
#[derive(Clone, Debug)]
pub struct Rule {
    pub key: String,
    pub zone: TimeZone,
    pub when: Expr,
    pub exit_when: Option<Expr>,
    /// ms.
    pub min_stay: Option<i64>,
    /// Lists of who is in, and of who is not.
    pub pin: Option<Expr>,
    pub ban: Option<Expr>,
    /// Of a stage: its ladder, and the stage above it.
    pub ladder: Option<(String, Option<String>)>,
    pub publication: Publication,
}

/// A page's segments and stages, parsed, in order of definition.
pub fn rules_of(page: &Page) -> Vec<Rule> {
    let zone = |name: &Option<String>| name.as_deref().map_or(TimeZone::UTC, |name| TimeZone::get(name).unwrap());
    let mut rules: Vec<Rule> = Vec::new();
    for PageSegment { key, timezone, when, exit_when, options } in &page.segments {
        rules.push(rule(key, zone(timezone), when, exit_when.as_deref(), options));
    }
    for ladder in &page.ladders {
        let mut above = None;
        for PageStage { key, when, exit_when, options } in &ladder.stages {
            let when = when.as_deref().unwrap_or("true");
            let stage = rule(key, zone(&ladder.timezone), when, exit_when.as_deref(), options);
            rules.push(Rule { ladder: Some((ladder.key.to_string(), above)), ..stage });
            above = Some(key.to_string());
        }
    }
    rules
}

impl Rule {
    fn ladder_key(&self) -> Option<&str> {
        self.ladder.as_ref().map(|(key, _)| key.as_str())
    }
}

fn rule(key: &SegmentKey, zone: TimeZone, when: &str, exit_when: Option<&str>, options: &BTreeMap<String, Json>) -> Rule {
    let parse = |text: &str| segmentd::rule::parse(text).unwrap_or_else(|found| panic!("{text}: {found:?}"));
    let min_stay = options.get("min_stay").map(|text| Span::parse(text.as_str().unwrap()).unwrap().millis());
    let list = |name: &str| options.get(name).map(|list| parse(&format!("list({list})")));
    let (pin, ban, publication) = (list("pin"), list("ban"), publication::of(key.as_str(), options));
    Rule { key: key.to_string(), zone, when: parse(when), exit_when: exit_when.map(parse), min_stay, pin, ban, ladder: None, publication }
}

/// What is the same for every customer.
pub struct World<'a> {
    catalogue: &'a Catalogue,
    /// In order of evaluation.
    rules: Vec<Rule>,
    survey: Survey,
    page: &'a Page,
    cuts: &'a Cuts,
    ends: Ends,
    /// Whether ends are announced.
    announces: bool,
}

#[derive(Clone)]
pub struct Customer {
    pub id: CustomerId,
    lists: BTreeSet<String>,
    pub history: History,
    memberships: Memberships,
    /// By segment: every entry with whether the policy let it through.
    pub entries: BTreeMap<String, Vec<(i64, bool)>>,
    /// By segment: when the membership ends by itself, as of the last event or entry.
    ends: BTreeMap<String, Option<EventTime>>,
    /// By segment: the transition that began the membership, and its end, that were announced last.
    announced: BTreeMap<String, (u64, i64)>,
    /// When the next announcement is due.
    next_announcement: Option<i64>,
    /// Everything up to and including this instant has been decided.
    decided_to: i64,
    /// How often somebody of this id was erased before.
    lives: u64,
    /// So many changes of cuts have come into force.
    recuts: usize,
}

struct Partition {
    clock: i64,
    recuts: usize,
    customers: BTreeMap<CustomerId, Customer>,
    /// When last, and how often somebody was known then.
    erased: BTreeMap<CustomerId, (i64, u64)>,
    /// Who became whom.
    redirects: BTreeMap<CustomerId, CustomerId>,
}

/// Whether to find out, for every entry, when it ends by itself: that means to let time run on each time.
#[derive(Clone, Copy, PartialEq)]
pub enum Ends {
    Found,
    Ignored,
}

/// The transitions of a page that ranks nobody, each partition's in order.
pub fn transitions(rules: &[Rule], page: &Page, catalogue: &Catalogue, ends: Ends) -> Vec<Outcome> {
    transitions_by(&Cuts::default(), rules, page, catalogue, ends)
}

/// The same with the cuts that came into force on the way.
pub fn transitions_by(cuts: &Cuts, rules: &[Rule], page: &Page, catalogue: &Catalogue, ends: Ends) -> Vec<Outcome> {
    run(cuts, rules, page, catalogue, ends).0
}

/// The same with everybody as they are at the end.
pub fn run(cuts: &Cuts, rules: &[Rule], page: &Page, catalogue: &Catalogue, ends: Ends) -> (Vec<Outcome>, Vec<Customer>) {
    let world = World { catalogue, survey: Survey::of(rules), rules: in_order(rules), page, cuts, ends, announces: true };
    let mut partitions: BTreeMap<i32, Partition> = page.events.iter().map(|event| (event.partition.0, Partition::NEW)).collect();
    let (mut out, mut epoch) = (Vec::new(), None);
    for event in &page.events {
        cuts.pass(&mut epoch, event.at.millis(), &mut partitions, &world, &mut out);
        partitions.get_mut(&event.partition.0).unwrap().take(event, &world, &mut out);
    }
    if let Some(until) = page.until {
        cuts.pass(&mut epoch, until.millis(), &mut partitions, &world, &mut out);
    }
    for partition in partitions.values_mut() {
        let end = page.until.map_or(partition.clock, |until| until.millis().max(partition.clock));
        partition.advance(end + 1, &world, &mut out);
    }
    (out, partitions.into_values().flat_map(|partition| partition.customers.into_values()).collect())
}

/// Of the rules whose segments are decided, always the first defined.
fn in_order(rules: &[Rule]) -> Vec<Rule> {
    let mut ordered: Vec<Rule> = Vec::new();
    while ordered.len() < rules.len() {
        let decided = |key: &String| ordered.iter().any(|rule| rule.key == *key);
        let above = |rule: &Rule| rule.ladder.as_ref().and_then(|(_, above)| above.clone());
        let needs = |rule: &Rule| super::survey::segments_used(rule).into_iter().chain(above(rule)).collect::<Vec<_>>();
        let next = rules.iter().find(|rule| !decided(&rule.key) && needs(rule).iter().all(decided));
        ordered.push(next.unwrap_or_else(|| panic!("a cycle, or a segment that is not defined")).clone());
    }
    ordered
}

impl Partition {
    const NEW: Partition =
        Partition { clock: i64::MIN, recuts: 0, customers: BTreeMap::new(), erased: BTreeMap::new(), redirects: BTreeMap::new() };

    fn take(&mut self, event: &PageEvent, world: &World, out: &mut Vec<Outcome>) {
        let at = event.at.millis();
        let late = at < self.clock;
        if at > self.clock {
            self.advance(at, world, out);
            self.clock = at;
        }
        let stream = world.catalogue.stream(event.stream);
        let Some(whose) = self.whose(event, stream.role) else { return };
        let event = &PageEvent { customer: whose, ..event.clone() };
        match stream.role {
            StreamRole::Erasures => return self.erase(&event.customer, world, out),
            StreamRole::Aliases => return self.merge(event, world, out),
            _ => {}
        }
        let lives = self.erased.get(&event.customer).map_or(0, |(_, lives)| *lives);
        let begin = || Customer { lives, recuts: self.recuts, ..Customer::new(&event.customer, world, self.clock) };
        let customer = self.customers.entry(event.customer.clone()).or_insert_with(begin);
        let accepted = customer.history.accept(event, world.catalogue, self.clock, world.survey.order_retention);
        if accepted || !world.survey.remembered.contains(stream.name.as_str()) {
            let cause = if late { Cause::LateEvent } else { cause_of(stream.role) };
            customer.decide(self.clock, cause, world, out);
        }
    }

    /// All that is kept is the instant.
    fn erase(&mut self, id: &CustomerId, world: &World, out: &mut Vec<Outcome>) {
        self.erase_redirects(id, self.clock);
        let erased = self.erased.entry(id.clone()).or_default();
        erased.0 = self.clock;
        let Some(mut customer) = self.customers.remove(id) else { return };
        erased.1 += 1;
        for rule in &world.rules {
            if customer.memberships.get(&rule.key).is_some_and(|m| m.member) {
                customer.turn(rule, self.clock, Cause::Delete, None, out);
            }
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
        StreamRole::Erasures => Cause::Delete,
        StreamRole::Aliases => Cause::Merge,
        StreamRole::Orders | StreamRole::Coupons | StreamRole::Plain => Cause::Event,
    }
}

impl Customer {
    fn new(id: &CustomerId, world: &World, clock: i64) -> Customer {
        let lists = world.page.lists.iter().filter(|(_, ids)| ids.contains(id)).map(|(key, _)| key.to_string()).collect();
        Customer {
            id: id.clone(),
            lists,
            history: History::default(),
            memberships: Memberships::new(),
            entries: BTreeMap::new(),
            ends: BTreeMap::new(),
            announced: BTreeMap::new(),
            next_announcement: None,
            decided_to: clock,
            lives: 0,
            recuts: 0,
        }
    }

    /// Evaluates every rule at `now` and writes down what changed.
    fn decide(&mut self, now: i64, cause: Cause, world: &World, out: &mut Vec<Outcome>) {
        let first = out.len();
        let on = |rule: &&Rule| self.memberships.get(&rule.key).is_some_and(|m| m.member);
        // Of each ladder: the stage that the customer is on when the decision begins.
        let stood: BTreeMap<&str, &Rule> = world.rules.iter().filter(on).filter_map(|rule| Some((rule.ladder_key()?, rule))).collect();
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        for rule in &world.rules {
            let before = rule.ladder_key().and_then(|ladder| stood.get(ladder).copied());
            let is = match (rule.ladder_key(), before) {
                (Some(_), Some(before)) if self.must_stay(before, now) => before.key == rule.key,
                (Some(ladder), _) if taken.contains(ladder) => false,
                _ => self.belongs(rule, now, world),
            };
            if is {
                taken.extend(rule.ladder_key());
                if let Some(before) = before.filter(|before| before.key != rule.key && self.memberships[&before.key].member) {
                    self.turn(before, now, cause, None, out);
                }
            }
            if is != self.memberships.get(&rule.key).is_some_and(|m| m.member) {
                self.turn(rule, now, cause, before.filter(|_| is), out);
            }
        }
        self.decided_to = now;
        if world.ends == Ends::Found {
            let entered = out[first..].iter_mut().filter(|o| o.happening == Happening::Entered);
            entered.for_each(|o| o.valid_until = self.end_of(o.segment.as_str(), world));
        }
        if world.announces {
            self.find_ends(cause, &out[first..], world);
            self.announce(now, cause, world, out);
        }
    }

    /// Notes an entry, and whether its policy lets it through.
    fn lets_through(&mut self, rule: &Rule, now: i64) -> bool {
        let before = self.entries.entry(rule.key.clone()).or_default();
        let through = rule.publication.lets_through(now, before);
        before.push((now, through));
        through
    }

    /// Time alone moves no end that it was foreseen to bring.
    fn find_ends(&mut self, cause: Cause, changes: &[Outcome], world: &World) {
        for rule in world.rules.iter().filter(|rule| rule.publication.expiring.is_some()) {
            if cause != Cause::Time || changes.iter().any(|change| change.segment.as_str() == rule.key) {
                let member = self.memberships.get(&rule.key).is_some_and(|m| m.member);
                let end = if member { self.end_of(&rule.key, world) } else { None };
                self.ends.insert(rule.key.clone(), end);
            }
        }
    }

    /// Announces the ends that are near, in order of definition, and notes when the next will be.
    fn announce(&mut self, now: i64, cause: Cause, world: &World, out: &mut Vec<Outcome>) {
        self.next_announcement = None;
        let stages = world.page.ladders.iter().flat_map(|ladder| &ladder.stages).map(|stage| &stage.key);
        for key in world.page.segments.iter().map(|segment| &segment.key).chain(stages).map(SegmentKey::as_str) {
            let rule = world.rules.iter().find(|rule| rule.key == key).unwrap();
            let membership = self.memberships.get(key).filter(|m| m.member).map(|m| (m.sequence, m.entry));
            let (Some(before), Some((sequence, entry))) = (rule.publication.expiring, membership) else { continue };
            let Some(end) = self.ends[key] else { continue };
            let told = (sequence, end.millis());
            if self.announced.get(key) == Some(&told) {
                continue;
            }
            let due = end.millis() - before;
            if due > now {
                self.next_announcement = Some(self.next_announcement.unwrap_or(due).min(due));
                continue;
            }
            self.announced.insert(key.to_owned(), told);
            let arm = rule.publication.arm(&self.id);
            out.push(Outcome {
                customer: self.id.clone(),
                segment: key.into(),
                happening: Happening::Expiring,
                at: EventTime::from_millis(now),
                sequence: self.numbered(sequence),
                entry,
                cause,
                valid_until: Some(end),
                from: None,
                published: arm != Some(Arm::Control),
                arm,
            });
        }
    }

    /// Begins a membership, or ends it.
    fn turn(&mut self, rule: &Rule, now: i64, cause: Cause, from: Option<&Rule>, out: &mut Vec<Outcome>) {
        let membership = self.memberships.entry(rule.key.clone()).or_default();
        membership.member = !membership.member;
        membership.sequence += 1;
        let is = membership.member;
        if is {
            membership.entry += 1;
            membership.entered_at = now;
        } else {
            membership.left.push(now);
        }
        let (sequence, entry) = (membership.sequence, membership.entry);
        let arm = rule.publication.arm(&self.id);
        out.push(Outcome {
            customer: self.id.clone(),
            segment: rule.key.as_str().into(),
            happening: if is { Happening::Entered } else { Happening::Exited },
            at: EventTime::from_millis(now),
            sequence: self.numbered(sequence),
            entry,
            cause,
            valid_until: None,
            from: from.map(|from| from.key.as_str().into()),
            published: is && self.lets_through(rule, now) && arm != Some(Arm::Control),
            arm,
        });
    }

    /// Semantics §6, "Erasure": each life has a thousand million numbers of its own.
    fn numbered(&self, sequence: u64) -> u64 {
        self.lives * 1_000_000_000 + sequence
    }

    fn must_stay(&self, rule: &Rule, now: i64) -> bool {
        let member = self.memberships.get(&rule.key).filter(|m| m.member);
        member.is_some_and(|m| rule.min_stay.is_some_and(|stay| now < m.entered_at + stay))
    }

    fn belongs(&self, rule: &Rule, now: i64, world: &World) -> bool {
        let was = self.memberships.get(&rule.key).is_some_and(|m| m.member);
        let view = self.view(rule, now, world);
        match &rule.exit_when {
            _ if rule.ban.as_ref().is_some_and(|ban| view.holds(ban)) => false,
            _ if rule.pin.as_ref().is_some_and(|pin| view.holds(pin)) => true,
            _ if self.must_stay(rule, now) => true,
            Some(exit_when) => !view.holds(exit_when) && (was || view.holds(&rule.when)),
            None => view.holds(&rule.when),
        }
    }

    fn view<'a>(&'a self, rule: &'a Rule, now: i64, world: &'a World) -> View<'a> {
        View {
            catalogue: world.catalogue,
            calendars: &world.survey.calendars,
            zone: &rule.zone,
            history: &self.history,
            memberships: &self.memberships,
            lists: &self.lists,
            cuts: world.cuts.in_force(self.recuts),
            now,
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
        let due = leaves.chain(days).chain(forgotten).chain(boundaries).chain(released).chain(self.next_announcement);
        due.filter(|due| *due > self.decided_to).min()
    }

    /// When the membership ends, if nothing more happens.
    fn end_of(&self, segment: &str, world: &World) -> Option<EventTime> {
        let mut future = Customer { next_announcement: None, ..self.clone() };
        let mut ignored = Vec::new();
        let quiet = World { ends: Ends::Ignored, announces: false, survey: Survey::of(&world.rules), rules: world.rules.clone(), ..*world };
        let never = (self.decided_to + quiet.survey.horizon).min(YEAR_10000);
        while let Some(due) = future.next_due(&quiet).filter(|due| *due < never) {
            future.decide(due, Cause::Time, &quiet, &mut ignored);
            if !future.memberships[segment].member {
                return Some(EventTime::from_millis(due));
            }
        }
        None
    }
}
