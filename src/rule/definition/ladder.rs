//! Ladders: stages in order of priority, of which every customer is on exactly one (semantics §4).
//!
//! A stage becomes a segment that knows its place; what is said of a segment holds for it too.
//!
//! **Invariant:** on success the last stage of a ladder, and no other, takes everybody, and no stage is hidden behind
//! one above it as far as the texts of their rules show.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::super::ast::{Expr, ExprKind, Literal, Place};
use super::super::diagnostic::{Diagnostic, Source};
use super::super::yaml::Node;
use super::entry::{self, Entries};
use super::loader::{Draft, Loader, Own, Written};
use super::pin::{self, Pins};
use super::{LadderDefinition, Stage, publication};
use crate::id::LadderKey;
use crate::time::Zone;

const LADDER_KEYS: [&str; 8] = ["key", "name", "description", "owner", "tags", "timezone", "stages", "tests"];
const STAGE_KEYS: [&str; 8] = ["key", "name", "description", "owner", "tags", "when", "exit_when", "min_stay"];

/// The first that holds is sought from the top: more are a generated mistake.
const MAX_STAGES: usize = 100;

impl Loader<'_> {
    pub(super) fn ladder(&mut self, source: &Arc<Source>, node: &Node) {
        let Some(entries) = Entries::of(source, node, "a ladder", &mut self.diagnostics) else { return };
        entries.only(&LADDER_KEYS, &mut self.diagnostics);
        let key = self.ladder_key(source, &entries, node);
        let timezone = self.timezone(source, &entries);
        let stages = entries.sequence("stages", &mut self.diagnostics);
        self.count(source, node, &entries, stages.len());
        let first = self.drafts.len();
        let mut above = key.as_ref().map(LadderKey::to_string).unwrap_or_default();
        for (rank, stage) in stages.iter().enumerate().take(MAX_STAGES) {
            self.stage(source, stage, timezone.clone(), rank, rank + 1 == stages.len(), &mut above);
        }
        let hidden = self.drafts.get(first..).map_or(Vec::new(), hidden_stages);
        self.diagnostics.extend(hidden);
        let tags = entries.texts("tags", &mut self.diagnostics);
        let tests = entries.get("tests").cloned();
        let mut text = |name| entries.text(name, &mut self.diagnostics).map(|(_, text)| text.to_owned());
        let (name, description, owner) = (text("name"), text("description"), text("owner"));
        let location = entry::location(source, node);
        self.ladders.extend(key.map(|key| LadderDefinition { key, name, description, owner, tags, tests, location }));
    }

    fn ladder_key(&mut self, source: &Arc<Source>, entries: &Entries<'_>, ladder: &Node) -> Option<LadderKey> {
        let (node, text) = entries.required("key", ladder, &mut self.diagnostics)?;
        if let Some(problem) = entry::bad_key(text) {
            self.diagnostics.push(entry::error("bad-key", source, node, problem));
            return None;
        }
        if self.ladders.iter().any(|ladder| ladder.key.as_str() == text) {
            self.diagnostics.push(entry::error("duplicate-ladder", source, node, format!("the ladder `{text}` is defined twice")));
            return None;
        }
        Some(LadderKey::new(text))
    }

    fn count(&mut self, source: &Arc<Source>, ladder: &Node, entries: &Entries<'_>, stages: usize) {
        let whole = entries.get("key").unwrap_or(ladder);
        if stages == 0 {
            let diagnostic = entry::error("empty-ladder", source, whole, "a ladder needs stages");
            self.diagnostics.push(diagnostic.help("`stages: [{key: active, when: '…'}, {key: dormant}]`; the last one has no `when`"));
        } else if stages > MAX_STAGES {
            let message = format!("{stages} stages are more than the {MAX_STAGES} possible");
            self.diagnostics.push(entry::error("too-many-stages", source, whole, message));
        }
    }

    /// `above`: the ladder and the stages that go before, to which this one is added.
    fn stage(&mut self, source: &Arc<Source>, node: &Node, timezone: Option<Zone>, rank: usize, last: bool, above: &mut String) {
        let Some(entries) = Entries::of(source, node, "a stage", &mut self.diagnostics) else { return };
        let refused = pin::refuse(source, &entries, &mut self.diagnostics);
        entries.only(&[&STAGE_KEYS[..], &publication::KEYS, &refused].concat(), &mut self.diagnostics);
        let when = if last { self.of_last(source, &entries) } else { self.of_others(source, &entries, node) };
        let stage = Stage { ladder: self.ladders.len(), rank };
        self.draft(source, node, &entries, Own { timezone, when, stage: Some((stage, above.clone())), pins: Pins::default() });
        above.push(' ');
        above.push_str(entries.get("key").and_then(Node::text).unwrap_or_default());
    }

    fn of_others(&mut self, source: &Arc<Source>, entries: &Entries<'_>, stage: &Node) -> Option<(Expr, Option<Written>)> {
        if entries.get("when").is_none() {
            let diagnostic = entry::error("ladder-gap", source, stage, "only the last stage of a ladder has no `when`");
            self.diagnostics.push(diagnostic.help("it takes everybody whom those above it leave: nobody would reach the stages below"));
            return None;
        }
        self.required_rule(source, entries, stage).map(|(when, written)| (when, Some(written)))
    }

    fn of_last(&mut self, source: &Arc<Source>, entries: &Entries<'_>) -> Option<(Expr, Option<Written>)> {
        for name in ["when", "exit_when"] {
            if let Some(node) = entries.get(name) {
                let message = format!("the last stage of a ladder has no `{name}`");
                let diagnostic = entry::error("ladder-end", source, node, message);
                self.diagnostics
                    .push(diagnostic.help("it takes everybody whom no other stage takes; add one below for those, with a key alone"));
            }
        }
        let always = Expr { kind: ExprKind::Literal(Literal::Bool(true)), place: Place::default() };
        Some((always, None))
    }
}

/// The stages of one ladder that nobody reaches.
fn hidden_stages(stages: &[Draft]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (rank, stage) in stages.iter().enumerate() {
        // With another way out a stage lets go of some for whom its rule holds.
        let above = stages[..rank].iter().filter(|above| above.definition.exit_when.is_none());
        let Some((when, written)) = stage.rules().next() else { continue };
        if when.kind == ExprKind::Literal(Literal::Bool(true)) && stage.definition.exit_when.is_none() {
            let message = format!("nobody reaches the stages below `{}`: its `when` is always true", stage.definition.key);
            found
                .push(Diagnostic::error("hidden-stage", written.location(when.place), message).help("only the last stage takes everybody"));
        } else if let Some(above) = above.into_iter().find(|above| covers(&above.definition.when, when)) {
            let (key, before) = (&stage.definition.key, &above.definition.key);
            let message = format!("nobody reaches the stage `{key}`: who meets its `when` meets that of `{before}`, which goes before");
            let diagnostic = Diagnostic::error("hidden-stage", written.location(when.place), message);
            found.push(diagnostic.help(format!("move `{key}` above `{before}`, or leave it out")));
        }
    }
    found
}

/// Whether the one rule holds wherever the other does, as far as their texts show.
fn covers(one: &Expr, other: &Expr) -> bool {
    let demands = |parts: &[Expr]| parts.iter().any(|part| covers(one, part));
    let allows = |parts: &[Expr]| parts.iter().any(|part| covers(part, other));
    let reaches_further = || match (&one.kind, &other.kind) {
        (ExprKind::Top { percent: wide, by }, ExprKind::Top { percent: narrow, by: same }) => wide >= narrow && by == same,
        _ => false,
    };
    one == other
        || reaches_further()
        || matches!(&other.kind, ExprKind::And(parts) if demands(parts))
        || matches!(&one.kind, ExprKind::Or(parts) if allows(parts))
}
