//! Both sets of definitions over the same events: who is a member at the end, and what happened on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::input::each_event;
use crate::cli::replay::progress;
use crate::engine::{Epochs, Partition, accept_among, nobody};
use crate::id::CustomerId;
use crate::kafka::wire::{DecodeLimits, Decoder};
use crate::plan::Plan;
use crate::time::{EventTime, Span};
use crate::transition::{Direction, Transition};

/// What became of one segment over the events.
#[derive(Default)]
pub struct Course {
    pub members: BTreeSet<CustomerId>,
    /// Transitions by direction and cause: `entered by event`.
    pub transitions: BTreeMap<(&'static str, &'static str), u64>,
}

/// Every segment's course, by key.
pub fn courses(plan: &Arc<Plan>, files: &[PathBuf], epoch: Span) -> anyhow::Result<BTreeMap<String, Course>> {
    let mut partition = Partition::new(plan.clone(), EventTime::MIN);
    let mut epochs = Epochs::new(epoch);
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let mut courses: BTreeMap<String, Course> = plan.segments.iter().map(|s| (s.key.to_string(), Course::default())).collect();
    let bar = progress(files);
    let rejected = each_event(files, &mut decoder, &bar, |event| {
        while epochs.end_one(std::slice::from_mut(&mut partition), event.time) {
            settle(&mut partition, &mut courses);
        }
        accept_among(std::slice::from_mut(&mut partition), |_| 0, event);
        settle(&mut partition, &mut courses);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    if rejected > 0 {
        eprintln!("{rejected} records were rejected; `segmentd replay` says why");
    }
    let end = EventTime::from_millis(partition.clock().millis().saturating_add(1));
    while let Ok(true) = partition.fire_next(end, None, &mut nobody) {}
    settle(&mut partition, &mut courses);
    Ok(courses)
}

fn settle(partition: &mut Partition, courses: &mut BTreeMap<String, Course>) {
    for Transition { customer, segment, direction, cause, .. } in partition.transitions() {
        let Some(course) = courses.get_mut(segment.as_str()) else { continue };
        match direction {
            Direction::Entered => drop(course.members.insert(customer.clone())),
            Direction::Exited => drop(course.members.remove(customer)),
        }
        *course.transitions.entry((direction.as_str(), cause.as_str())).or_default() += 1;
    }
    partition.settled();
}
