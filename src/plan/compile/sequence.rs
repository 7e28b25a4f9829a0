//! Compiling `sequence(…)`: steps become links, and each pattern learns how far back it reaches.
//!
//! **Invariant:** a reach is never too short. Counted from the end, it is `last W` and every `within` on the way to the
//! completion; one step on the way that has none makes everything before it reach back for ever.

use super::Compiler;
use crate::plan::sequence::{Link, Pattern, SequencePlan, Wait};
use crate::plan::{FieldRef, Plan, Watch};
use crate::rule::ast::{Sequence, Step};
use crate::time::Span;

impl Compiler<'_> {
    /// The position of a new sequence plan; `None`: it names what is not there.
    pub(super) fn sequence(&mut self, sequence: &Sequence) -> Option<usize> {
        let first = self.stream_of(sequence.steps.first()?)?;
        let mut plan = SequencePlan { same: Vec::new(), links: Vec::new(), forbidden_since: Vec::new(), last: sequence.last };
        let mut forbidden = Vec::new();
        for (step, reach) in sequence.steps.iter().zip(reaches(sequence)) {
            let pattern = self.pattern(step, reach, first, &mut plan.same)?;
            match (step.absent, step.within) {
                (false, within) => {
                    plan.links.push(Link { event: pattern, within, forbidden: std::mem::take(&mut forbidden), waits: Vec::new() });
                }
                (true, None) => forbidden.push(pattern),
                (true, Some(span)) => {
                    forbidden.push(pattern);
                    plan.links.last_mut()?.waits.push(Wait { span, forbidden: std::mem::take(&mut forbidden) });
                }
            }
        }
        plan.forbidden_since = forbidden;
        self.sequences.push(plan);
        Some(self.sequences.len() - 1)
    }

    fn stream_of(&self, step: &Step) -> Option<usize> {
        self.catalogue.find(&step.stream.text).map(|stream| usize::from(stream.0))
    }

    fn pattern(&mut self, step: &Step, reach: Option<Span>, first: usize, same: &mut Vec<FieldRef>) -> Option<Pattern> {
        let stream = self.stream_of(step)?;
        let condition = step.filter.as_ref().map(|filter| self.condition(stream, filter));
        let same = match &step.same {
            None => None,
            Some(field) => {
                let (own, of_first) = (self.field_ref(stream, Some(&field.text))?, self.field_ref(first, Some(&field.text))?);
                Some((own, position_of(of_first, same)))
            }
        };
        Some(Pattern { stream, condition, same, reach })
    }

    /// Marks the streams that sequences name, and keeps all rows of those that one looks at for ever.
    pub(super) fn mark_sequenced(&mut self) {
        for pattern in self.sequences.iter().flat_map(SequencePlan::patterns) {
            let stream = &mut self.streams[pattern.stream];
            stream.ordered = true;
            stream.whole |= pattern.reach.is_none();
        }
    }
}

/// The longest bounded reach of any sequence into a stream.
pub(super) fn longest_reach(sequences: &[SequencePlan], stream: usize) -> Option<Span> {
    let patterns = sequences.iter().flat_map(SequencePlan::patterns);
    patterns.filter(|pattern| pattern.stream == stream).filter_map(|pattern| pattern.reach).max()
}

fn position_of(field: FieldRef, same: &mut Vec<FieldRef>) -> usize {
    same.iter().position(|known| *known == field).unwrap_or_else(|| {
        same.push(field);
        same.len() - 1
    })
}

/// How far back each step reaches, in the order of the steps.
fn reaches(sequence: &Sequence) -> Vec<Option<Span>> {
    let mut reaches = Vec::with_capacity(sequence.steps.len());
    let mut behind = sequence.last;
    for step in sequence.steps.iter().rev() {
        let before = match (step.absent, step.within) {
            (_, Some(span)) => behind.map(|behind| Span::sum(behind, span)),
            (true, None) => behind,
            (false, None) => None,
        };
        reaches.push(if step.absent { before } else { behind });
        behind = before;
    }
    reaches.reverse();
    reaches
}

impl Plan {
    /// For each stream, which predicates look at its events through a sequence.
    pub(super) fn watches(&self) -> Vec<Vec<Watch>> {
        let mut watches = vec![Vec::new(); self.streams.len()];
        for (predicate, plan) in self.predicates.iter().enumerate() {
            for pattern in plan.sequences.iter().flat_map(|sequence| self.sequences[*sequence].patterns()) {
                let watch = Watch { condition: pattern.condition, predicate };
                if !watches[pattern.stream].contains(&watch) {
                    watches[pattern.stream].push(watch);
                }
            }
        }
        watches
    }
}
