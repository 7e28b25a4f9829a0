//! What has been read of the topic so far: the last sketch of each partition and ranking, and the last cuts.
//!
//! One thread reads for all lanes, from the first plan on that ranks anybody.
//!
//! **Invariant:** only what transactions committed is on the board. Nobody waits for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::record::{CutRecord, Read, SketchRecord};
use crate::id::{Partition, TopicName};
use crate::kafka::follower::{Followed, Follower, followed};
use crate::kafka::settings::Isolation;
use crate::kafka::{self, Failure, Reader};
use crate::plan::Plan;
use crate::rank::Sketch;

/// How long one wait for records takes at most; also how soon the thread sees that nobody needs it.
const WAIT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);
/// Before a reader that failed is replaced.
const PAUSE: Duration = Duration::from_secs(1);
/// All records are in one partition, so that they have one order.
pub const PARTITION: Partition = Partition(0);

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Board(Arc<Shared>);

#[derive(Default)]
struct Shared {
    followed: AtomicBool,
    written: Mutex<Chalk>,
}

#[derive(Default)]
struct Chalk {
    /// Everything has been read that was there at some moment since reading began.
    whole: bool,
    /// Counts the records.
    changes: u64,
    sketches: BTreeMap<(i32, String), (String, Sketch)>,
    cuts: Option<Arc<CutRecord>>,
}

impl Board {
    /// Starts to read, unless somebody did.
    pub fn follow(&self, settings: &kafka::Settings, topic: &TopicName) {
        if self.0.followed.swap(true, Ordering::SeqCst) {
            return;
        }
        let (board, settings, topic) = (Arc::downgrade(&self.0), settings.clone(), topic.clone());
        let thread = std::thread::Builder::new().name("ranks".into()).spawn(move || follow(&board, &settings, &topic));
        if let Err(error) = thread {
            tracing::error!(%error, "no thread to read ranks; cuts stay as they are until definitions change");
            self.0.followed.store(false, Ordering::SeqCst);
        }
    }

    pub fn cuts(&self) -> Option<Arc<CutRecord>> {
        self.written().cuts.clone()
    }

    /// Changes with every record that is read.
    pub fn changes(&self) -> u64 {
        self.written().changes
    }

    /// The sketches of other partitions than `own`, each by position in the plan's rankings. `None`: not all are there.
    pub fn others(&self, plan: &Plan, definitions: &str, own: Partition, partitions: u32) -> Option<Vec<Vec<Sketch>>> {
        let written = self.written();
        let sketch = |partition: i32, text: &str| {
            let (by, sketch) = written.sketches.get(&(partition, text.to_owned()))?;
            (by == definitions).then(|| sketch.clone())
        };
        let others = (0..i32::try_from(partitions).ok()?).filter(|partition| *partition != own.0);
        let all = |partition: i32| plan.rankings.iter().map(|ranking| sketch(partition, &ranking.text)).collect::<Option<Vec<_>>>();
        others.map(all).collect::<Option<Vec<_>>>().filter(|_| written.whole)
    }

    fn written(&self) -> MutexGuard<'_, Chalk> {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chalk {
    fn write(&mut self, read: Read) {
        self.changes += 1;
        match read {
            Read::Cuts(cuts) => self.cuts = Some(Arc::new(cuts)),
            Read::Sketch(SketchRecord { definitions, partition, aggregate, counts, .. }) => {
                self.sketches.insert((partition, aggregate), (definitions, Sketch::from(&counts)));
            }
        }
    }
}

/// Reads until nobody needs the board any more.
fn follow(board: &Weak<Shared>, settings: &kafka::Settings, topic: &TopicName) {
    loop {
        match follow_once(board, settings, topic) {
            Ok(Left::NotNeeded) => return,
            Ok(Left::OffsetGone) => tracing::warn!(topic = %topic, "the topic of ranks was cut or made anew; reading it from its start"),
            Err(failure) => tracing::warn!(%failure, topic = %topic, "ranks cannot be read; trying anew"),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Why reading ended.
enum Left {
    NotNeeded,
    OffsetGone,
}

fn follow_once(board: &Weak<Shared>, settings: &kafka::Settings, topic: &TopicName) -> Result<Left, Failure> {
    let (first, _) = Reader::connect(settings, Isolation::Committed)?.watermarks(topic, PARTITION, PATIENCE)?;
    let mut follower = Follower::connect(settings, topic.clone())?;
    follower.start(PARTITION, first)?;
    let mut messages = Vec::new();
    loop {
        follower.poll(WAIT, &mut messages);
        let Some(board) = board.upgrade().map(Board) else { return Ok(Left::NotNeeded) };
        let mut written = board.written();
        for message in messages.drain(..) {
            match followed(&message) {
                Followed::Record { key: Some(key), value: Some(value) } => {
                    Read::of(&settings.deployment, key, value).into_iter().for_each(|read| written.write(read));
                }
                Followed::End => written.whole = true,
                Followed::OffsetGone => return Ok(Left::OffsetGone),
                Followed::Record { .. } | Followed::Failed(_) => {}
            }
        }
    }
}
