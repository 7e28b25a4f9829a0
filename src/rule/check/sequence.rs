//! What a `sequence(…)` must have: known streams, filters that are right, and `same` fields that can be equal.
//!
//! **Invariant:** a sequence that passes is at most [`MAX_STEPS`] long, since each step is looked for at every event.

use super::super::ast::{Name, Sequence, Step};
use super::super::diagnostic::Finding;
use super::{Checker, Scope, Type};
use crate::event::StreamIndex;

/// The longest sequence.
const MAX_STEPS: usize = 16;

impl Checker<'_> {
    pub fn sequence(&mut self, sequence: &Sequence) {
        let first = sequence.steps.first().and_then(|step| self.catalogue.find(&step.stream.text));
        for step in &sequence.steps {
            let stream = self.stream(&step.stream);
            if let Some(filter) = &step.filter {
                self.condition(filter, Scope::Filter(stream));
            }
            if let (Some(field), Some(stream)) = (&step.same, stream) {
                self.same(field, stream, first);
            }
        }
        if let Some(step) = sequence.steps.get(MAX_STEPS) {
            self.too_long(sequence, step);
        }
    }

    /// `same f` compares the field `f` of the step's event with that of the first one's.
    fn same(&mut self, field: &Name, stream: StreamIndex, first: Option<StreamIndex>) {
        let own = self.same_field(field, stream);
        let Some(first) = first.filter(|first| *first != stream) else { return };
        if own == Type::Any {
            return;
        }
        let of_first = self.same_field(field, first);
        if !own.fits(of_first) {
            let (stream, first) = (&self.catalogue.stream(stream).name, &self.catalogue.stream(first).name);
            let (own, other) = (own.describe(), of_first.describe());
            let message = format!("`{}` of `{stream}` is {own} and never equal to that of `{first}`, {other}", field.text);
            self.error("type-mismatch", field.place, message);
        }
    }

    fn same_field(&mut self, field: &Name, stream: StreamIndex) -> Type {
        let found = self.field_of(field, stream);
        if !matches!(found, Type::List(_)) {
            return found;
        }
        let finding = Finding::error("compared-array", field.place, "an array is not compared");
        self.findings.push(finding.help("`same` needs a field with one value"));
        Type::Any
    }

    fn too_long(&mut self, sequence: &Sequence, step: &Step) {
        let message = format!("a sequence has at most {MAX_STEPS} steps, and this one has {}", sequence.steps.len());
        let finding = Finding::error("too-many-steps", step.stream.place, message);
        self.findings.push(finding.help("make the first steps a segment of their own: `segment(\"…\" last …)`"));
    }
}
