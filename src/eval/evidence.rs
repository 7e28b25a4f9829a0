//! Evidence: each predicate of a segment's rules as it stood when a transition was decided.
//!
//! **Invariant:** `met` is the truth that the decision was made with.

use super::At;
use crate::customer::Standing;
use crate::event::{Scalar, Value};
use crate::plan::{Formula, Leaf};
use crate::transition::Evidence;

impl At<'_> {
    /// Every predicate of a segment's rules, in the order of the text, each once.
    pub fn evidence(&self, standing: &mut Standing, segment: usize) -> Vec<Evidence> {
        let predicates = &self.plan.segments[segment].predicates;
        predicates.iter().map(|predicate| self.evidence_of(standing, *predicate)).collect()
    }

    /// One predicate, as it stands now.
    pub fn evidence_of(&self, standing: &mut Standing, index: usize) -> Evidence {
        let predicate = &self.plan.predicates[index];
        let met = self.met(standing, index);
        self.advance(predicate, standing);
        let shown = |formula: &Formula| show(&formula.evaluate(&|leaf| self.leaf(leaf, standing, self.t)));
        let (value, right) = sides(&predicate.formula);
        Evidence {
            aggregate: predicate.subject.aggregate.clone(),
            value: shown(value),
            op: predicate.subject.op,
            threshold: right.map_or_else(|| Some(predicate.subject.threshold.to_string()), shown),
            met,
            approximate: predicate.ranks,
        }
    }
}

impl At<'_> {
    /// A shared aggregate's value, as evidence shows it; `None`: null.
    pub fn value_of(&self, standing: &mut Standing, aggregate: usize) -> Option<String> {
        standing.advance(self.plan, self.facts, self.plan.aggregates[aggregate].through, self.t);
        show(&self.leaf(Leaf::Aggregate(aggregate), standing, self.t))
    }
}

/// What a predicate looks at, and what it compares that with where it is a comparison as it was written.
fn sides(formula: &Formula) -> (&Formula, Option<&Formula>) {
    match formula {
        Formula::Compare { left, right, .. } => (left, Some(right)),
        Formula::Range { value, .. } | Formula::InSet { value, .. } | Formula::Contains { value, .. } | Formula::IsNull { value, .. } => {
            (value, None)
        }
        other => (other, None),
    }
}

fn show(scalar: &Scalar<'_>) -> Option<String> {
    match scalar {
        Scalar::Null => None,
        Scalar::Bool(b) => Some(b.to_string()),
        Scalar::Number(n) => Some(n.to_text()),
        Scalar::Text(text) => Some((*text).to_owned()),
        Scalar::List(items) => Some(items.iter().filter_map(show_value).collect::<Vec<_>>().join(", ")),
    }
}

fn show_value(value: &Value) -> Option<String> {
    show(&value.as_scalar())
}
