//! The state folder of a service that took some events and was stopped.

use std::path::Path;
use std::sync::Arc;

use segmentd::event::Catalogue;
use segmentd::id::{Offset, Partition, SourcePosition, TopicName};
use segmentd::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};
use segmentd::plan::{Plan, compile};
use segmentd::rule::{Names, load_text};
use segmentd::runtime::changelog::{Decided, Manifest};
use segmentd::runtime::task::{CustomerMemory, Task};
use segmentd::store::{Shared, StateDir, Store};
use segmentd::time::EventTime;

/// Makes it: a partition for each text of events, a record a line. One without events was opened and never written.
pub fn leave_state(folder: &Path, segments: &str, partitions: &[String]) {
    let catalogue = Catalogue::segment_spec();
    let definitions = load_text("segments.yaml", segments, Names { catalogue: &catalogue, lists: &[] }, &[]).definitions.unwrap();
    let plan = Arc::new(compile(&definitions, Arc::new(catalogue), Vec::new()));
    let state = StateDir::lock(folder, None).unwrap();
    let shared = Shared::new(16 << 20);
    for (number, events) in (0..).zip(partitions) {
        let store = Store::open(&shared, &state.partition(Partition(number)), &format!("d/c/{number}")).unwrap();
        if !events.is_empty() {
            take(&plan, store, Partition(number), events);
        }
    }
}

fn take(plan: &Arc<Plan>, store: Store, partition: Partition, events: &str) {
    let mut task = Task::new(plan.clone(), &CustomerMemory::new(1 << 20), store, EventTime::MIN, &Decided::default()).unwrap();
    let mut decoder = Decoder::new(&plan.catalogue, &plan.projection, DecodeLimits::default());
    let position = SourcePosition { topic: TopicName("t".into()), partition, offset: Offset(0) };
    for line in events.lines() {
        let Decoded::Event(event) = decoder.decode(&RawRecord { payload: Some(line.as_bytes()), ..RawRecord::default() }) else { panic!() };
        while task.advance_clock(event.time, event.time).unwrap() {}
        task.accept(&event, &position, event.time).unwrap();
    }
    let manifest = Manifest { clock: task.clock().millis(), decided: task.decided(), ..Manifest::default() };
    task.commit(&manifest.encode(), Offset(1)).unwrap();
}
