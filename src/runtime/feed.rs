//! Transitions as they are committed, for whoever listens at this moment.
//!
//! One ring for all listeners: who is too slow misses what the ring has overwritten, is told how much, and holds up nobody.
//! Nothing is kept: whoever must not miss one reads the transitions topic.
//!
//! **Invariant:** what is told is committed and stored, so that a lookup made because of it finds it. While nobody listens a
//! transition costs one load.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, Sender, channel};

use crate::id::{CustomerId, SegmentKey};
use crate::kafka::wire::encode::output_line;
use crate::transition::Output;

/// How many transitions a listener may be behind.
const BEHIND: usize = 8192;

/// Cheap to clone.
#[derive(Clone)]
pub struct Feed(Sender<Arc<Told>>);

/// One transition, or an announcement.
#[derive(Debug)]
pub struct Told {
    /// As its records have it: the same again for a repeat.
    pub id: String,
    pub segment: SegmentKey,
    pub customer: CustomerId,
    pub kind: &'static str,
    /// One line of JSON, as `segmentd replay` prints it.
    pub line: String,
}

impl Default for Feed {
    fn default() -> Feed {
        Feed(channel(BEHIND).0)
    }
}

impl Feed {
    pub fn listen(&self) -> Receiver<Arc<Told>> {
        self.0.subscribe()
    }

    /// What is to be told of a batch once it is stored; nothing while nobody listens.
    pub fn prepare<'a>(&self, outputs: impl Iterator<Item = Output<'a>>, deployment: &str) -> Vec<Arc<Told>> {
        if self.0.receiver_count() == 0 {
            return Vec::new();
        }
        outputs.map(|output| Arc::new(told(output, deployment))).collect()
    }

    pub fn tell(&self, prepared: Vec<Arc<Told>>) {
        for told in prepared {
            // An error says that the last listener has gone.
            let _ = self.0.send(told);
        }
    }
}

fn told(output: Output<'_>, deployment: &str) -> Told {
    let (id, segment, customer, kind) = match output {
        Output::Transition(transition) => (transition.id(deployment), &transition.segment, &transition.customer, "transition"),
        Output::Announcement(announcement) => (announcement.id(deployment), &announcement.segment, &announcement.customer, "announcement"),
    };
    let mut line = Vec::with_capacity(512);
    output_line(output, &mut line);
    line.pop();
    Told { id, segment: segment.clone(), customer: customer.clone(), kind, line: String::from_utf8(line).unwrap_or_default() }
}
