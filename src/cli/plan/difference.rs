//! What two sets of definitions have in common and what not.
//!
//! **Invariant:** a segment whose membership could be another in the new set is never called unchanged: what it refers
//! to counts, directly or not.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::ruleset::Ruleset;
use crate::plan::Plan;
use crate::rule::SegmentDefinition;
use crate::rule::walk;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Added,
    Removed,
    /// What it means is another: its version changes.
    Changed,
    /// Its own rules stay, something that they refer to does not.
    Affected,
    /// Only what people read: name, description, owner, tags, tests; or `on_create`.
    Annotated,
    Unchanged,
}

/// Every segment of both sets by key, and how it changes.
pub fn segments(old: &Ruleset, new: &Ruleset) -> BTreeMap<String, Change> {
    let (before, after) = (by_key(old), by_key(new));
    let keys: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut changes: BTreeMap<String, Change> = keys
        .into_iter()
        .map(|key| {
            let change = match (before.get(key), after.get(key)) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                (Some(a), Some(b)) if a.version != b.version => Change::Changed,
                (Some(a), Some(b)) if annotations(a) != annotations(b) => Change::Annotated,
                _ => Change::Unchanged,
            };
            (key.to_owned(), change)
        })
        .collect();
    affected(new, &changed_lists(old, new), &mut changes);
    changes
}

fn by_key(ruleset: &Ruleset) -> BTreeMap<&str, &SegmentDefinition> {
    ruleset.definitions.segments.iter().map(|segment| (segment.key.as_str(), segment)).collect()
}

fn annotations(segment: &SegmentDefinition) -> impl PartialEq {
    let tests = segment.tests.as_ref().map(|tests| format!("{:?}", tests.content));
    (segment.name.clone(), segment.description.clone(), segment.owner.clone(), segment.tags.clone(), segment.publication.clone(), tests)
}

fn changed_lists(old: &Ruleset, new: &Ruleset) -> BTreeSet<String> {
    let lists = |ruleset: &Ruleset| ruleset.all_lists().into_iter().collect::<BTreeMap<_, _>>();
    let (old, new) = (lists(old), lists(new));
    old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key)).map(ToString::to_string).collect()
}

/// In order of evaluation whatever a segment refers to has been judged before.
fn affected(new: &Ruleset, lists: &BTreeSet<String>, changes: &mut BTreeMap<String, Change>) {
    for segment in new.definitions.evaluation_order.iter().map(|i| &new.definitions.segments[*i]) {
        let moved = |key: &str| changes.get(key).is_some_and(|change| *change <= Change::Affected);
        let by_segment = segment.rules().flat_map(walk::segments).any(|name| moved(&name.text));
        let by_list = segment.rules().flat_map(walk::lists).any(|name| lists.contains(name.text.as_str()));
        if (by_segment || by_list) && !moved(segment.key.as_str()) {
            changes.insert(segment.key.to_string(), Change::Affected);
        }
    }
}

/// The aggregates that only the new plan keeps, and those that only the old one did.
pub fn aggregates(old: &Plan, new: &Plan) -> (Vec<String>, Vec<String>) {
    let texts = |plan: &Plan| plan.aggregates.iter().map(|aggregate| aggregate.text.to_string()).collect::<BTreeSet<_>>();
    let (old, new) = (texts(old), texts(new));
    (new.difference(&old).cloned().collect(), old.difference(&new).cloned().collect())
}
