//! Experiments whose arms a change of definitions deals otherwise: the accident that no figure shows afterwards.
//!
//! **Invariant:** silent where every customer keeps the arm. An experiment that begins or ends takes no arm away.

use std::collections::BTreeMap;

use crate::config::ruleset::Ruleset;
use crate::experiment::Experiment;

/// What happens to the arms of running experiments, by segment.
pub fn dealt_otherwise(old: &Ruleset, new: &Ruleset) -> BTreeMap<String, String> {
    let after = experiments(new);
    experiments(old).into_iter().filter_map(|(key, old)| Some((key.to_owned(), difference(old, after.get(key)?)?))).collect()
}

fn experiments(ruleset: &Ruleset) -> BTreeMap<&str, &Experiment> {
    let segments = ruleset.definitions.segments.iter();
    segments.filter_map(|segment| Some((segment.key.as_str(), segment.publication.experiment.as_ref()?))).collect()
}

fn difference(old: &Experiment, new: &Experiment) -> Option<String> {
    if old.salt != new.salt {
        return Some(format!(
            "the experiment's salt changes from `{}` to `{}`: all arms are dealt anew, treated customers become control and the \
             other way round, and the figures so far cannot be continued",
            old.salt, new.salt
        ));
    }
    let who = match old.holdout.cmp(&new.holdout) {
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Less => "treated customers become control",
        std::cmp::Ordering::Greater => "control customers become treated",
    };
    Some(format!(
        "the experiment's holdout changes from {} to {}: some {who}, after what they have been sent or not",
        old.holdout, new.holdout
    ))
}
