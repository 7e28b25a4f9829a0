//! Transitions of the other processes, as each of them tells those of its own partitions.
//!
//! They are those that have partitions when the stream begins. When one of them ends, or somebody else has a partition now, the stream
//! ends too, with a word: whoever listens again listens to those that there are then.
//!
//! **Invariant:** what is heard and not told on yet is bounded. A client that is too slow makes us slow for the others, who then say
//! so and close, as they do to a client of their own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};

use crate::http::peers::{Event, Question};
use crate::http::service::Service;
use crate::http::service::together::{Others, elsewhere};
use crate::runtime::clock::Deadline;

/// Events of all of them that were heard and not told on.
const BEHIND: usize = 64;
/// How often it is looked whether somebody else has a partition now.
const LOOK: Duration = Duration::from_secs(5);
/// How long a stream goes on that began without one of them: it may be back then.
const WITHOUT_SOME: Duration = Duration::from_secs(60);

/// Those who are listened to; dropped, they are not any more.
pub struct Elsewhere {
    heard: Receiver<Option<Event>>,
    /// Where there is nobody, nothing is heard; that is no end.
    _open: Sender<Option<Event>>,
    _listening: JoinSet<()>,
    /// Who was asked, whether or not there was an answer.
    asked: BTreeSet<Arc<str>>,
    /// `None`: all have answered.
    again: Option<Deadline>,
    look: Interval,
}

impl Elsewhere {
    /// Misses nothing from when this returns; with it what each says of its partitions.
    pub async fn listen(service: &Service, path: &str, token: Option<&HeaderValue>) -> (Elsewhere, Others) {
        let processes = elsewhere(&service.partitions, &service.peers);
        let asked = processes.keys().cloned().collect();
        let (listened, unreached) = service.peers.listen(processes, Question { path, token, body: None }).await;
        let ((open, heard), mut listening, mut answers) = (channel(BEHIND), JoinSet::new(), Vec::new());
        for (answer, mut events) in listened {
            let told = open.clone();
            answers.push(answer);
            listening.spawn(async move {
                while let Some(event) = events.next().await {
                    if told.send(Some(event)).await.is_err() {
                        return;
                    }
                }
                // An error says that nobody listens any more.
                let _ = told.send(None).await;
            });
        }
        let again = (!unreached.is_empty()).then(|| Deadline::after(WITHOUT_SOME));
        (Elsewhere { heard, _open: open, _listening: listening, asked, again, look: interval(LOOK) }, Others::new(answers, unreached))
    }

    /// `None`: one of them has ended, or others have their partitions now.
    pub async fn next(&mut self, service: &Service) -> Option<Event> {
        loop {
            tokio::select! {
                heard = self.heard.recv() => return heard.flatten(),
                _ = self.look.tick() => {
                    let is_new = |address: &Arc<str>| !self.asked.contains(address);
                    let moved = elsewhere(&service.partitions, &service.peers).keys().any(is_new);
                    if moved || self.again.is_some_and(Deadline::is_past) {
                        return None;
                    }
                }
            }
        }
    }
}
