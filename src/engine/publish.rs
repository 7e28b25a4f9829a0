//! Which entries go to the entry topic: the policy decides, then how the entry came about, then the experiment.
//!
//! **Invariant:** nothing here touches a membership. What is withheld is withheld from campaigns alone; the transition is
//! published as it is. The policy counts the entries of both arms alike, so that the arms stay comparable.

use super::{Change, Input};
use crate::customer::Standing;
use crate::eval::At;
use crate::experiment::Arm;
use crate::plan::Leaf;
use crate::rule::{EntryPolicy, OnCreate};
use crate::transition::{Direction, Withheld};

/// Adds to each change its arm, and to an entry whether it is published.
pub(super) fn publish(at: &At<'_>, standing: &mut Standing, input: &Input<'_>, changes: &mut [Change]) {
    for change in changes {
        let publication = &at.plan.segments[change.segment].publication;
        change.arm = publication.experiment.as_ref().map(|experiment| experiment.arm(at.customer));
        if change.direction == Direction::Entered && change.withheld != Some(Withheld::Merge) {
            change.withheld = withheld(at, standing, input, change);
            expose(at, standing, change);
        }
    }
}

/// An entry that the policy let through counts for its experiment, in either arm.
fn expose(at: &At<'_>, standing: &mut Standing, change: &Change) {
    let Some(arm) = change.arm.filter(|_| matches!(change.withheld, None | Some(Withheld::Experiment))) else { return };
    if let Some(experiment) = at.plan.experiments.iter().find(|experiment| experiment.segment == change.segment) {
        standing.expose(experiment, arm, at.t);
    }
}

fn withheld(at: &At<'_>, standing: &mut Standing, input: &Input<'_>, change: &Change) -> Option<Withheld> {
    let publication = &at.plan.segments[change.segment].publication;
    let last = standing.told(change.segment).and_then(|told| told.entered_at);
    if !publication.entry.lets_through(standing.entries(change.segment), at.t, last) {
        return Some(Withheld::Entry);
    }
    if is_brought_by_definition(at, standing, input, change.segment) && publication.on_create == OnCreate::Silent {
        return Some(Withheld::OnCreate);
    }
    if matches!(publication.entry, EntryPolicy::After(_)) {
        standing.told_mut(change.segment).entered_at = Some(at.t);
    }
    (change.arm == Some(Arm::Control)).then_some(Withheld::Experiment)
}

/// A first cut lets in whom a definition wants, as soon as it can know them.
fn is_brought_by_definition(at: &At<'_>, standing: &Standing, input: &Input<'_>, segment: usize) -> bool {
    let first_cut = |leaf| matches!(leaf, Leaf::Cut(index) if standing.cuts.is_first(index));
    match input {
        Input::Definitions => true,
        Input::Cuts => at.plan.segments[segment].predicates.iter().any(|predicate| {
            let mut found = false;
            at.plan.predicates[*predicate].formula.each_leaf(&mut |leaf| found |= first_cut(leaf));
            found
        }),
        Input::Event(_) | Input::Time | Input::Lists | Input::Erasure | Input::Departure(_) | Input::Merge(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use crate::customer::CustomerState;
    use crate::engine::{Carried, Loaded, Partition};
    use crate::event::{Body, Catalogue, Event};
    use crate::id::{CustomerId, EventId};
    use crate::plan::{self, Plan};
    use crate::rule::{Names, load_text};
    use crate::time::EventTime;
    use crate::transition::{Cause, Transition, Withheld};

    fn plan(options: &str) -> Arc<Plan> {
        let catalogue = Arc::new(Catalogue::segment_spec());
        let text = format!("segments: [{{key: all, when: 'count(sessions last 1d) == 0', {options}}}]");
        let loaded = load_text("plan", &text, Names { catalogue: &catalogue, lists: &[] }, &[]);
        Arc::new(plan::compile(&loaded.definitions.unwrap(), catalogue, Vec::new()))
    }

    /// The transitions of a customer whom other definitions decided, from the moment at which these take over.
    fn taken_over(options: &str, sessions: &[&str]) -> Vec<Transition> {
        let plan = plan(options);
        let mut partition = Partition::new(plan.clone(), EventTime::parse("2026-01-01T00:00:00Z").unwrap());
        let mut load = |_: &CustomerId, _: Option<Carried>| {
            let mut state = CustomerState::new(&plan);
            state.standing.at = EventTime::from_millis(0);
            Ok::<_, Infallible>(Some(Loaded { state, redecide: Some(Cause::Definition) }))
        };
        let slot = partition.slot(&"c-1".into());
        let Ok(()) = partition.ensure(slot, None, &mut load);
        for at in sessions {
            let event = Event {
                customer: "c-1".into(),
                stream: plan.catalogue.find("sessions").unwrap(),
                time: EventTime::parse(at).unwrap(),
                id: EventId::new(*at),
                body: Body::Fields(Vec::new()),
            };
            let Ok(_) = partition.accept(&event, None, None, &mut load);
        }
        let Ok(_) = partition.fire_next(EventTime::MAX, None, &mut load);
        partition.transitions().to_vec()
    }

    #[test]
    fn what_a_definition_brings_is_published_unless_it_is_to_be_silent() {
        for (options, withheld) in [("name: A", None), ("on_create: emit", None), ("on_create: silent", Some(Withheld::OnCreate))] {
            let transitions = taken_over(options, &[]);
            assert_eq!((transitions[0].cause, transitions[0].withheld), (Cause::Definition, withheld), "{options}");
        }
    }

    #[test]
    fn silence_ends_with_the_definition() {
        let transitions = taken_over("on_create: silent", &["2026-01-02T00:00:00Z"]);
        assert_eq!(transitions.iter().map(|t| t.withheld).collect::<Vec<_>>(), [Some(Withheld::OnCreate), None, None]);
        assert_eq!(transitions[2].entry, 2);
    }

    #[test]
    fn a_silent_entry_is_an_entry_but_was_not_published() {
        let last = |options: &str| taken_over(options, &["2026-01-02T00:00:00Z"])[2].withheld;
        assert_eq!(last("on_create: silent, entry: once"), Some(Withheld::Entry));
        assert_eq!(last("on_create: silent, entry: after 30d"), None);
        assert_eq!(last("on_create: emit, entry: after 30d"), Some(Withheld::Entry));
    }

    /// Both arms go by one calendar: what the policy holds back is held back from both.
    #[test]
    fn the_policy_goes_before_the_experiment_and_counts_the_control_arm() {
        let withheld = |options: &str| taken_over(options, &["2026-01-02T00:00:00Z"]).iter().map(|t| t.withheld).collect::<Vec<_>>();
        let control = "experiment: {holdout: 50%, salt: spring}";
        assert_eq!(withheld(&format!("{control}, entry: after 30d")), [Some(Withheld::Experiment), None, Some(Withheld::Entry)]);
        assert_eq!(withheld(&format!("{control}, on_create: silent"))[0], Some(Withheld::OnCreate));
    }
}
