//! A page through the engine: a partition in memory for each that the page names, simulated time, no IO.
//!
//! **Invariant:** what happens here happens in the service: the events go through the same partition and the same step.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Expectation, Outcome, Page, PageEvent, Written};
use crate::engine::{Epochs, Partition, accept_among, nobody};
use crate::event::{Catalogue, Value};
use crate::id::{CustomerId, SegmentKey};
use crate::plan::{self, Plan};
use crate::rule::{Diagnostic, Loaded, Names, load_node, load_text};
use crate::time::EventTime;

/// What stands on a page beside `segments` and `lists`.
const BESIDE: [&str; 5] = ["name", "events", "epoch", "until", "expect"];

impl Page {
    /// The page's segments, loaded and checked as a user's files are; places in diagnostics are those of the page as
    /// [`Page::to_yaml`] writes it.
    pub fn definitions(&self, catalogue: &Catalogue) -> Loaded {
        load_text(&self.name, &self.to_yaml(catalogue), Names { catalogue, lists: &[] }, &BESIDE)
    }

    /// The page's segments and lists, compiled; or all that is wrong with them.
    pub fn plan(&self, catalogue: &Arc<Catalogue>) -> Result<Arc<Plan>, Vec<Diagnostic>> {
        let Loaded { definitions, diagnostics } = self.definitions(catalogue);
        let definitions = definitions.ok_or(diagnostics)?;
        let lists = self.lists.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect())).collect();
        Ok(Arc::new(plan::compile(&definitions, catalogue.clone(), lists)))
    }

    /// The transitions and announcements that the events lead to, partition by partition, each in order.
    pub fn run(&self, plan: &Arc<Plan>) -> Vec<Outcome> {
        self.run_through(plan, &mut |_, _| {})
    }

    /// The same; `each` sees the partitions after each end of an epoch.
    pub fn run_through(&self, plan: &Arc<Plan>, each: &mut dyn FnMut(&[Partition], EventTime)) -> Vec<Outcome> {
        let numbers: BTreeSet<i32> = self.events.iter().map(|event| event.partition.0).collect();
        let mut partitions: Vec<Partition> = numbers.iter().map(|_| Partition::new(plan.clone(), EventTime::MIN)).collect();
        let mut epochs = Epochs::new(self.epoch.unwrap_or(Epochs::DEFAULT));
        let mut end_epochs = |partitions: &mut Vec<Partition>, to| {
            while epochs.end_one(partitions, to) {
                each(partitions, partitions[0].clock());
            }
        };
        for event in &self.events {
            end_epochs(&mut partitions, event.at);
            let home = |customer: &CustomerId| {
                let home = if event.customer == *customer { Some(event) } else { self.first_of(customer) };
                numbers.iter().position(|number| home.is_some_and(|home| home.partition.0 == *number)).unwrap_or(0)
            };
            accept_among(&mut partitions, home, &event.to_event(&plan.catalogue, &plan.projection));
        }
        self.until.into_iter().for_each(|until| end_epochs(&mut partitions, until));
        partitions.iter_mut().flat_map(|partition| finish(partition, self.until)).collect()
    }
}

impl Page {
    /// A customer's first event, or else the first alias that names it.
    fn first_of(&self, customer: &CustomerId) -> Option<&PageEvent> {
        let own = self.events.iter().find(|event| event.customer == *customer);
        let names = |event: &&PageEvent| matches!(event.field("into"), Some(Value::Text(id)) if *id == customer.as_str());
        own.or_else(|| self.events.iter().find(names))
    }
}

impl Written {
    /// The segments of a page that has its own, with places in its file.
    pub fn definitions(&self, catalogue: &Catalogue) -> Loaded {
        load_node(&self.source, &self.node, Names { catalogue, lists: &[] }, &BESIDE)
    }
}

impl Written {
    /// An error for each segment that the page speaks of and the plan does not have.
    pub fn unknown_segments(&self, plan: &Plan) -> Vec<Diagnostic> {
        let known = |key: &SegmentKey| plan.segments.iter().any(|segment| segment.key == *key);
        let unknown = self.page.expect.iter().enumerate().filter(|(_, expected)| !known(expected.segment()));
        let keys = || plan.segments.iter().map(|segment| segment.key.as_str());
        let message = |key: &SegmentKey| format!("there is no segment `{key}`");
        let diagnostic = |(index, expected): (usize, &Expectation)| {
            let (place, key) = (self.expectation(index)?, expected.segment());
            Some(Diagnostic::error("unknown-segment", place, message(key)).suggest(key.as_str(), keys()))
        };
        unknown.filter_map(diagnostic).collect()
    }
}

/// Sets the clock to `until`, if that is later, and fires what is due at or before it.
fn finish(partition: &mut Partition, until: Option<EventTime>) -> Vec<Outcome> {
    let end = until.map_or(partition.clock(), |until| until.max(partition.clock()));
    let just_after = EventTime::from_millis(end.millis().saturating_add(1));
    while let Ok(true) = partition.fire_next(just_after, None, &mut nobody) {}
    partition.set_clock(end);
    partition.outputs().map(Outcome::from).collect()
}
