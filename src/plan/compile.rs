//! From checked definitions to a [`Plan`].
//!
//! Two passes: the first finds which fields of which streams are named, which fixes their positions; the second
//! resolves every expression against those positions and shares what is equal.
//!
//! **Invariant:** compiling checked definitions cannot fail. A name that does not resolve here (the checker would have
//! refused it) becomes null, so that even then nothing is decided by accident.

mod needs;
mod sequence;
mod top;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::experiment::{experiments, longest_within, set_settling};
use super::{
    AggregatePlan, Band, CutPlan, ExperimentPlan, FieldRef, Formula, LadderPlan, Leaf, Linear, List, Logic, Measure, Plan, Predicate,
    Quorum, RankingPlan, SegmentPlan, SequencePlan, StreamPlan, Subject, WindowPlan, monotone,
};
use crate::event::streams::Retention;
use crate::event::{Catalogue, Value};
use crate::id::ListKey;
use crate::money::Number;
use crate::rule::ast::{Aggregate, CompareOp, Expr, ExprKind, Function, Literal, Name, Place, Quantifier, Selection, Window as WindowAst};
use crate::rule::{Definitions, SegmentDefinition};
use crate::time::{CalendarUnit, Span, Zone};
use crate::window::{Calendar, Reach, Window};
use needs::Needs;

/// Compiles all definitions together. `lists` are those of the definitions and those read from files.
pub fn compile(definitions: &Definitions, catalogue: Arc<Catalogue>, lists: Vec<(ListKey, List)>) -> Plan {
    let needs = Needs::of(definitions, &catalogue);
    let mut compiler = Compiler {
        streams: needs.streams(&catalogue),
        traits: needs.traits.iter().cloned().collect(),
        segment_index: definitions.segments.iter().enumerate().map(|(i, s)| (s.key.as_str().to_owned(), i)).collect(),
        list_index: lists.iter().enumerate().map(|(i, (key, _))| (key.as_str().to_owned(), i)).collect(),
        catalogue: &catalogue,
        ..Compiler::default_over(&catalogue)
    };
    let segments: Vec<SegmentPlan> = definitions.segments.iter().map(|s| compiler.segment(s)).collect();
    compiler.mark_sequenced();
    let mut experiments = experiments(definitions, &catalogue, &mut compiler.streams);
    compiler.set_retentions(&experiments);
    set_settling(&mut experiments, &compiler.streams);
    let mut plan = Plan {
        projection: Arc::new(needs.projection(&catalogue, compiler.traits)),
        streams: Arc::new(compiler.streams),
        windows: Vec::new(),
        over_stream: Vec::new(),
        sequences: Arc::new(compiler.sequences),
        watches: Vec::new(),
        aggregates: compiler.aggregates,
        rankings: compiler.rankings,
        cuts: compiler.cuts,
        predicates: compiler.predicates,
        ranked: Vec::new(),
        segments,
        order: definitions.evaluation_order.clone(),
        stays: Vec::new(),
        ladders: ladders(definitions),
        lists: Arc::new(lists),
        expiring: expiring(definitions),
        experiments,
        fingerprint: fingerprint(definitions),
        catalogue: catalogue.clone(),
    };
    plan.link();
    for segment in 0..plan.segments.len() {
        plan.segments[segment].outlook = Some(Box::new(plan.restrict(segment)));
    }
    plan
}

fn expiring(definitions: &Definitions) -> Vec<usize> {
    definitions.segments.iter().enumerate().filter(|(_, s)| s.publication.expiring.is_some()).map(|(i, _)| i).collect()
}

/// Other announcements need other timers, so they make another plan though they make no other segment.
fn fingerprint(definitions: &Definitions) -> u64 {
    let expiring = |s: &SegmentDefinition| s.publication.expiring.map(|span| format!(",{span}")).unwrap_or_default();
    let versions: Vec<String> = definitions.segments.iter().map(|s| format!("{}={}{}", s.key, s.version, expiring(s))).collect();
    xxh3_64(versions.join("\n").as_bytes())
}

fn ladders(definitions: &Definitions) -> Vec<LadderPlan> {
    let mut ladders: Vec<_> = definitions.ladders.iter().map(|l| LadderPlan { key: l.key.clone(), stages: Vec::new() }).collect();
    for (index, segment) in definitions.segments.iter().enumerate() {
        if let Some(stage) = segment.stage {
            ladders[stage.ladder].stages.push(index);
        }
    }
    ladders
}

struct Compiler<'c> {
    catalogue: &'c Catalogue,
    streams: Vec<StreamPlan>,
    traits: Vec<smol_str::SmolStr>,
    segment_index: HashMap<String, usize>,
    list_index: HashMap<String, usize>,
    aggregates: Vec<AggregatePlan>,
    aggregate_index: HashMap<String, usize>,
    rankings: Vec<RankingPlan>,
    cuts: Vec<CutPlan>,
    sequences: Vec<SequencePlan>,
    predicates: Vec<Predicate>,
    predicate_index: HashMap<String, usize>,
    condition_index: HashMap<(usize, String), usize>,
    calendars: HashMap<(CalendarUnit, String), Arc<Calendar>>,
    zone: Zone,
}

impl<'c> Compiler<'c> {
    fn default_over(catalogue: &'c Catalogue) -> Compiler<'c> {
        Compiler {
            catalogue,
            streams: Vec::new(),
            traits: Vec::new(),
            segment_index: HashMap::new(),
            list_index: HashMap::new(),
            aggregates: Vec::new(),
            aggregate_index: HashMap::new(),
            rankings: Vec::new(),
            cuts: Vec::new(),
            sequences: Vec::new(),
            predicates: Vec::new(),
            predicate_index: HashMap::new(),
            condition_index: HashMap::new(),
            calendars: HashMap::new(),
            zone: Zone::UTC,
        }
    }

    fn segment(&mut self, definition: &SegmentDefinition) -> SegmentPlan {
        self.zone = definition.timezone.clone();
        SegmentPlan {
            key: definition.key.clone(),
            hash: xxh3_64(definition.key.as_str().as_bytes()),
            version: definition.version.clone(),
            when: self.logic(&definition.when),
            exit_when: definition.exit_when.as_ref().map(|expr| self.logic(expr)),
            min_stay: definition.min_stay,
            pin: definition.pin.as_ref().map(|list| self.predicate(list)),
            ban: definition.ban.as_ref().map(|list| self.predicate(list)),
            stage: definition.stage,
            publication: Arc::new(definition.publication.clone()),
            predicates: Vec::new(),
            dependents: Vec::new(),
            position: 0,
            outlook: None,
        }
    }

    /// `and`, `or` and `not` stay a tree; everything below is a predicate.
    fn logic(&mut self, expr: &Expr) -> Logic {
        match &expr.kind {
            ExprKind::And(parts) => Logic::And(parts.iter().map(|part| self.logic(part)).collect()),
            ExprKind::Or(parts) => Logic::Or(parts.iter().map(|part| self.logic(part)).collect()),
            ExprKind::Not(inner) => Logic::Not(Box::new(self.logic(inner))),
            ExprKind::Literal(Literal::Bool(true)) => Logic::And(Vec::new()),
            _ => Logic::Predicate(self.predicate(expr)),
        }
    }

    fn predicate(&mut self, expr: &Expr) -> usize {
        let text = format!("{expr}@{}", self.zone.name());
        if let Some(index) = self.predicate_index.get(&text) {
            return *index;
        }
        let formula = self.formula(expr, None);
        let mut predicate = Predicate {
            subject: Subject::of(expr),
            quorum: None,
            linear: None,
            band: None,
            monotone: false,
            falling: false,
            counts_days: false,
            ranks: false,
            aggregates: Vec::new(),
            windows: Vec::new(),
            traits: Vec::new(),
            sequences: Vec::new(),
            segments: Vec::new(),
            users: Vec::new(),
            formula: Formula::And(vec![]),
        };
        formula.each_leaf(&mut |leaf| match leaf {
            Leaf::Aggregate(index) | Leaf::Ranked(index) => {
                predicate.ranks |= leaf == Leaf::Ranked(index);
                if !predicate.aggregates.contains(&index) {
                    predicate.aggregates.push(index);
                }
            }
            Leaf::Trait(index) if !predicate.traits.contains(&index) => predicate.traits.push(index),
            Leaf::Segment { segment, last } => predicate.segments.push((segment, last)),
            Leaf::Sequence(index) => predicate.sequences.push(index),
            _ => {}
        });
        predicate.formula = formula;
        predicate.quorum = Quorum::of(&predicate.formula, &self.aggregates);
        predicate.linear = Linear::of(&predicate.formula, &self.aggregates);
        predicate.band = Band::of(&predicate.formula, &self.aggregates);
        predicate.counts_days = predicate.aggregates.iter().any(|a| self.aggregates[*a].counts_days());
        predicate.monotone = monotone::is_monotone(&predicate.formula, &self.aggregates);
        predicate.falling = predicate.linear.as_ref().is_some_and(|linear| monotone::is_falling(linear, &self.aggregates));
        self.predicates.push(predicate);
        self.predicate_index.insert(text, self.predicates.len() - 1);
        self.predicates.len() - 1
    }

    /// An expression with its names resolved: fields against `row_of` (inside a filter), everything else outside one.
    fn formula(&mut self, expr: &Expr, row_of: Option<usize>) -> Formula {
        let boxed = |this: &mut Self, e: &Expr| Box::new(this.formula(e, row_of));
        match &expr.kind {
            ExprKind::And(parts) => Formula::And(parts.iter().map(|part| self.formula(part, row_of)).collect()),
            ExprKind::Or(parts) => Formula::Or(parts.iter().map(|part| self.formula(part, row_of)).collect()),
            ExprKind::Not(inner) => Formula::Not(boxed(self, inner)),
            ExprKind::Compare { op, left, right } => Formula::Compare { op: *op, left: boxed(self, left), right: boxed(self, right) },
            ExprKind::Arithmetic { op, left, right } => Formula::Arithmetic { op: *op, left: boxed(self, left), right: boxed(self, right) },
            ExprKind::Negate(inner) => Formula::Negate(boxed(self, inner)),
            ExprKind::Between { value, low, high } => {
                Formula::Range { value: boxed(self, value), low: (boxed(self, low), true), high: (boxed(self, high), true) }
            }
            ExprKind::InRange { value, low, low_included, high, high_included } => Formula::Range {
                value: boxed(self, value),
                low: (boxed(self, low), *low_included),
                high: (boxed(self, high), *high_included),
            },
            ExprKind::InSet { value, set } => Formula::InSet { value: boxed(self, value), set: set.iter().map(literal).collect() },
            ExprKind::Contains { value, element } => Formula::Contains { value: boxed(self, value), element: literal(element) },
            ExprKind::IsNull { value, negated } => Formula::IsNull { value: boxed(self, value), negated: *negated },
            ExprKind::Literal(Literal::Number(n)) => Formula::Number(n.into()),
            ExprKind::Literal(value) => Formula::Literal(literal(value)),
            ExprKind::Field(name) => row_of.map_or(NULL, |stream| self.field_leaf(stream, &name.text)),
            ExprKind::Quantified { quantifier, over, condition } => self.quantified(*quantifier, over, condition),
            ExprKind::Top { percent, by } => self.top(*percent, by).unwrap_or(NULL),
            _ => self.leaf(expr).map_or(NULL, Formula::Leaf),
        }
    }

    /// The leaves that only a predicate has.
    fn leaf(&mut self, expr: &Expr) -> Option<Leaf> {
        Some(match &expr.kind {
            ExprKind::Trait(name) => Leaf::Trait(self.traits.binary_search(&name.text).ok()?),
            ExprKind::Aggregate(aggregate) => {
                Leaf::Aggregate(self.aggregate(Measure::Function(aggregate.function), &aggregate.over, expr)?)
            }
            ExprKind::Segment { key, last } => Leaf::Segment { segment: *self.segment_index.get(key.text.as_str())?, last: *last },
            ExprKind::List(name) => Leaf::List(*self.list_index.get(name.text.as_str())?),
            ExprKind::Returned { stream, after, within } => {
                let over = selection(stream, WindowAst::Last(*within));
                Leaf::Aggregate(self.aggregate(Measure::Returned { after: *after }, &over, expr)?)
            }
            ExprKind::Sequence(sequence) => Leaf::Sequence(self.sequence(sequence)?),
            _ => return None,
        })
    }

    fn field_leaf(&self, stream: usize, name: &str) -> Formula {
        match self.field_ref(stream, Some(name)) {
            Some(FieldRef::Cell(cell)) => Formula::Leaf(Leaf::Cell(cell)),
            Some(FieldRef::Redeemed) => Formula::Leaf(Leaf::Redeemed),
            _ => NULL,
        }
    }

    fn field_ref(&self, stream: usize, name: Option<&str>) -> Option<FieldRef> {
        let Some(name) = name else { return Some(FieldRef::Event) };
        if needs::is_redeemed(&self.catalogue.streams[stream], name) {
            return Some(FieldRef::Redeemed);
        }
        self.streams[stream].cells.iter().position(|(cell, _)| cell == name).map(FieldRef::Cell)
    }

    /// `every` compares two counts, `any` and `none` look at one: of the events that meet filter and condition.
    fn quantified(&mut self, quantifier: Quantifier, over: &Selection, condition: &Expr) -> Formula {
        let met = Selection { filter: Some(Box::new(both(over.filter.as_deref(), condition))), ..over.clone() };
        let met = self.count_of(&met);
        let (op, right) = match quantifier {
            Quantifier::Every => (CompareOp::Equal, self.count_of(over)),
            Quantifier::Any => (CompareOp::Greater, Formula::Number(Number::ZERO)),
            Quantifier::None => (CompareOp::Equal, Formula::Number(Number::ZERO)),
        };
        Formula::Compare { op, left: Box::new(met), right: Box::new(right) }
    }

    fn count_of(&mut self, over: &Selection) -> Formula {
        let aggregate = Aggregate { function: Function::Count, over: over.clone() };
        let expr = Expr { kind: ExprKind::Aggregate(Box::new(aggregate)), place: Place::default() };
        self.formula(&expr, None)
    }

    fn aggregate(&mut self, measure: Measure, over: &Selection, expr: &Expr) -> Option<usize> {
        let window = self.window(&over.window);
        let zoned = matches!(over.window, WindowAst::Since(_) | WindowAst::This(_) | WindowAst::Previous(_));
        let text = if zoned { format!("{expr} in {}", self.zone.name()) } else { expr.to_string() };
        if let Some(index) = self.aggregate_index.get(&text) {
            return Some(*index);
        }
        let stream = usize::from(self.catalogue.find(&over.stream.text)?.0);
        let aggregate = AggregatePlan {
            measure,
            stream,
            field: self.field_ref(stream, over.field.as_ref().map(|f| f.text.as_str()))?,
            window,
            through: 0,
            condition: over.filter.as_ref().map(|filter| self.condition(stream, filter)),
            key: xxh3_64(text.as_bytes()),
            text: text.as_str().into(),
            predicates: Vec::new(),
        };
        self.aggregates.push(aggregate);
        self.aggregate_index.insert(text, self.aggregates.len() - 1);
        Some(self.aggregates.len() - 1)
    }

    fn condition(&mut self, stream: usize, filter: &Expr) -> usize {
        let key = (stream, filter.to_string());
        if let Some(index) = self.condition_index.get(&key) {
            return *index;
        }
        let formula = self.formula(filter, Some(stream));
        self.streams[stream].conditions.push(formula);
        let index = self.streams[stream].conditions.len() - 1;
        self.condition_index.insert(key, index);
        index
    }

    fn window(&mut self, window: &WindowAst) -> Window {
        match window {
            WindowAst::Last(span) => Window::Last(*span),
            WindowAst::OlderThan(span) => Window::OlderThan(*span),
            WindowAst::FromTo { from, to } => Window::FromTo { from: *from, to: *to },
            WindowAst::Since(date) => Window::Since(self.zone.start_of_day(*date)),
            WindowAst::This(unit) => Window::This(self.calendar(*unit)),
            WindowAst::Previous(unit) => Window::Previous(self.calendar(*unit)),
            WindowAst::Lifetime => Window::Lifetime,
        }
    }

    fn calendar(&mut self, unit: CalendarUnit) -> Arc<Calendar> {
        let key = (unit, self.zone.name().to_owned());
        self.calendars.entry(key).or_insert_with(|| Arc::new(Calendar::new(unit, self.zone.clone()))).clone()
    }

    /// Semantics §1, "Retention": the longest bounded window over the stream, at least 90 days, or what the stream says. The rows of a
    /// window are kept in any case, so a retention that is shorter than a window is as long as the window.
    fn set_retentions(&mut self, experiments: &[ExperimentPlan]) {
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let reaches = self.aggregates.iter().filter(|a| a.stream == index).filter_map(|a| match a.window.reach() {
                Reach::Bounded(span) => Some(span),
                Reach::Unbounded { enters_within } => enters_within,
            });
            let others = [sequence::longest_reach(&self.sequences, index), longest_within(experiments, index)];
            let longest = reaches.chain(others.into_iter().flatten()).max();
            let at_least = |span: Span| longest.map_or(span, |longest| longest.max(span));
            stream.retention = match self.catalogue.streams[index].retention {
                Retention::Default => Some(at_least(Span::from_days(90))),
                Retention::Of(span) => Some(at_least(span)),
                Retention::Forever => None,
            };
        }
    }
}

const NULL: Formula = Formula::Literal(Value::Null);

fn literal(literal: &Literal) -> Value {
    match literal {
        Literal::Number(n) => Value::Number(*n),
        Literal::Text(text) => Value::Text(text.clone()),
        Literal::Bool(b) => Value::Bool(*b),
    }
}

fn both(filter: Option<&Expr>, condition: &Expr) -> Expr {
    let parts = filter.into_iter().chain([condition]).cloned().collect::<Vec<_>>();
    match <[Expr; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => Expr { kind: ExprKind::And(parts), place: Place::default() },
    }
}

fn selection(stream: &Name, window: WindowAst) -> Selection {
    Selection { stream: stream.clone(), field: None, window, window_place: Place::default(), filter: None }
}

impl Plan {
    /// Fills in who looks at whom.
    pub(super) fn link(&mut self) {
        self.watches = self.watches();
        self.link_windows();
        self.link_predicates();
        self.stays = (0..self.segments.len()).filter(|segment| self.segments[*segment].min_stay.is_some()).collect();
        for (position, segment) in self.order.iter().enumerate() {
            let plan = &mut self.segments[*segment];
            plan.position = position;
            plan.link();
            for predicate in &plan.predicates {
                self.predicates[*predicate].users.push(position);
            }
        }
    }

    /// Tells aggregates and segments which predicates look at them, in one pass: plans have tens of thousands of both.
    fn link_predicates(&mut self) {
        self.ranked = (0..self.predicates.len()).filter(|index| self.predicates[*index].ranks).collect();
        self.aggregates.iter_mut().for_each(|aggregate| aggregate.predicates.clear());
        for (index, predicate) in self.predicates.iter().enumerate() {
            let looked_at = predicate.segments.iter().map(|(segment, _)| *segment).collect::<BTreeSet<_>>();
            looked_at.into_iter().for_each(|segment| self.segments[segment].dependents.push(index));
            predicate.aggregates.iter().for_each(|aggregate| self.aggregates[*aggregate].predicates.push(index));
        }
    }

    /// Finds the windows that aggregates share.
    fn link_windows(&mut self) {
        for (index, aggregate) in self.aggregates.iter_mut().enumerate() {
            let same = |w: &WindowPlan| w.stream == aggregate.stream && w.window == aggregate.window;
            aggregate.through = self.windows.iter().position(same).unwrap_or_else(|| {
                self.windows.push(WindowPlan { stream: aggregate.stream, window: aggregate.window.clone(), aggregates: Vec::new() });
                self.windows.len() - 1
            });
            self.windows[aggregate.through].aggregates.push(index);
        }
        self.over_stream = vec![Vec::new(); self.streams.len()];
        for (index, window) in self.windows.iter().enumerate() {
            self.over_stream[window.stream].push(index);
        }
        for predicate in &mut self.predicates {
            let windows: BTreeSet<usize> = predicate.aggregates.iter().map(|a| self.aggregates[*a].through).collect();
            predicate.windows = windows.into_iter().collect();
        }
    }
}
