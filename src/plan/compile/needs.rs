//! What the rules need of the input: which streams, which of their fields, which traits.
//!
//! **Invariant:** positions follow the catalogue, so that the same definitions always give the same projection.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::StreamPlan;
use crate::event::streams::{StreamDefinition, StreamRole};
use crate::event::{Catalogue, FieldIndex, Projection};
use crate::experiment::Goal;
use crate::rule::ast::{Expr, ExprKind, Selection, Sequence};
use crate::rule::walk;
use crate::rule::{Definitions, SegmentDefinition};

#[derive(Default)]
pub(super) struct Needs {
    /// Stream index → fields that rules name.
    named: BTreeMap<usize, BTreeSet<FieldIndex>>,
    /// Stream index → fields that the engine reads at arrival.
    read: BTreeMap<usize, BTreeSet<FieldIndex>>,
    pub(super) traits: BTreeSet<SmolStr>,
    redeemed: bool,
}

impl Needs {
    pub(super) fn of(definitions: &Definitions, catalogue: &Catalogue) -> Needs {
        let mut needs = Needs::default();
        let rules = definitions.segments.iter().flat_map(SegmentDefinition::rules);
        for rule in rules {
            walk::every(rule, &mut |expr| needs.visit(expr, catalogue));
        }
        for goal in definitions.segments.iter().filter_map(|s| s.publication.experiment.as_ref()?.goal.as_ref()) {
            needs.goal(goal, catalogue);
        }
        needs.add_roles(catalogue);
        needs
    }

    fn visit(&mut self, expr: &Expr, catalogue: &Catalogue) {
        match &expr.kind {
            ExprKind::Trait(name) => {
                self.traits.insert(name.text.clone());
            }
            ExprKind::Aggregate(aggregate) | ExprKind::Top { by: aggregate, .. } => self.selection(&aggregate.over, None, catalogue),
            ExprKind::Quantified { over, condition, .. } => self.selection(over, Some(condition), catalogue),
            ExprKind::Returned { stream, .. } => {
                self.stream(&stream.text, catalogue);
            }
            ExprKind::Sequence(sequence) => self.sequence(sequence, catalogue),
            _ => {}
        }
    }

    fn selection(&mut self, over: &Selection, condition: Option<&Expr>, catalogue: &Catalogue) {
        let Some(stream) = self.stream(&over.stream.text, catalogue) else { return };
        for name in over.field.iter().chain(over.filter.as_deref().into_iter().chain(condition).flat_map(walk::fields)) {
            self.field(stream, &name.text, catalogue);
        }
    }

    /// A step's filter, and the field that it has in common with the first step.
    fn sequence(&mut self, sequence: &Sequence, catalogue: &Catalogue) {
        let Some(first) = sequence.steps.first().and_then(|step| self.stream(&step.stream.text, catalogue)) else { return };
        for step in &sequence.steps {
            let Some(stream) = self.stream(&step.stream.text, catalogue) else { continue };
            for name in step.filter.as_deref().into_iter().flat_map(walk::fields) {
                self.field(stream, &name.text, catalogue);
            }
            for (stream, name) in [stream, first].into_iter().zip(step.same.iter().cycle()) {
                self.field(stream, &name.text, catalogue);
            }
        }
    }

    /// What an experiment counts.
    fn goal(&mut self, goal: &Goal, catalogue: &Catalogue) {
        if let (Some(stream), Some(value)) = (self.stream(&goal.stream, catalogue), &goal.value) {
            self.field(stream, value, catalogue);
        }
        for step in &goal.steps {
            self.stream(step, catalogue);
        }
    }

    fn stream(&mut self, name: &str, catalogue: &Catalogue) -> Option<usize> {
        let stream = usize::from(catalogue.find(name)?.0);
        self.named.entry(stream).or_default();
        Some(stream)
    }

    fn field(&mut self, stream: usize, name: &str, catalogue: &Catalogue) {
        let definition = &catalogue.streams[stream];
        self.redeemed |= is_redeemed(definition, name);
        if let Some(field) = definition.field(name) {
            self.named.entry(stream).or_default().insert(field);
        }
    }

    /// Whoever looks at orders also depends on what changes orders.
    fn add_roles(&mut self, catalogue: &Catalogue) {
        let orders = catalogue.with_role(StreamRole::Orders).map(|s| usize::from(s.0));
        if orders.is_some_and(|orders| self.named.contains_key(&orders)) {
            self.read_fields(StreamRole::Orders, &["order_id", "coupon"], catalogue);
            self.read_fields(StreamRole::Refunds, &["order_id", "total"], catalogue);
            self.read_fields(StreamRole::Cancellations, &["order_id"], catalogue);
        }
        if self.redeemed {
            self.read_fields(StreamRole::Coupons, &["order_id"], catalogue);
        }
        if !self.traits.is_empty() {
            self.read_fields(StreamRole::Traits, &[], catalogue);
        }
    }

    fn read_fields(&mut self, role: StreamRole, names: &[&str], catalogue: &Catalogue) {
        let Some(stream) = catalogue.with_role(role) else { return };
        let fields = names.iter().filter_map(|name| catalogue.stream(stream).field(name));
        self.read.entry(usize::from(stream.0)).or_default().extend(fields);
    }

    fn fields(&self, stream: usize) -> Vec<FieldIndex> {
        let all: BTreeSet<FieldIndex> = [&self.named, &self.read].into_iter().filter_map(|m| m.get(&stream)).flatten().copied().collect();
        all.into_iter().collect()
    }

    pub(super) fn projection(&self, catalogue: &Catalogue, traits: Vec<SmolStr>) -> Projection {
        let fields = |(stream, definition): (usize, &StreamDefinition)| match definition.role {
            // Nothing of an alias is kept, but who the customer is has to be read.
            StreamRole::Aliases => (0..definition.fields.len()).map(|field| FieldIndex(field as u16)).collect(),
            _ => self.fields(stream),
        };
        Projection { fields: catalogue.streams.iter().enumerate().map(fields).collect(), traits }
    }

    /// The streams' plans, still without conditions and retention.
    pub(super) fn streams(&self, catalogue: &Catalogue) -> Vec<StreamPlan> {
        catalogue.streams.iter().enumerate().map(|(index, definition)| self.stream_plan(index, definition)).collect()
    }

    fn stream_plan(&self, index: usize, definition: &StreamDefinition) -> StreamPlan {
        let fields = self.fields(index);
        let at = |name: &str| definition.field(name).and_then(|field| fields.iter().position(|f| *f == field));
        let named = self.named.get(&index);
        let cells: Vec<_> = named
            .into_iter()
            .flatten()
            .filter_map(|field| {
                let name = definition.fields[usize::from(field.0)].name.clone();
                Some((name, fields.iter().position(|f| f == field)?))
            })
            .collect();
        StreamPlan {
            name: definition.name.clone(),
            tracked: named.is_some() || self.read.contains_key(&index),
            total_cell: cells.iter().position(|(name, _)| name == "total"),
            order_id: at("order_id"),
            total: at("total"),
            coupon: at("coupon"),
            cells,
            ..StreamPlan::default()
        }
    }
}

/// `redeemed` is computed, and only for orders.
pub(super) fn is_redeemed(stream: &StreamDefinition, name: &str) -> bool {
    stream.role == StreamRole::Orders && name == StreamDefinition::REDEEMED
}
