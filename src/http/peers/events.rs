//! What another process goes on telling: server-sent events, as the service writes them (`service/live.rs`).
//!
//! **Invariant:** a line is bounded, and so is the silence between two.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::{Incoming, Why};

/// A transition has a kilobyte, and its evidence perhaps a hundred.
const LONGEST_LINE: u64 = 1 << 20;
/// A process that has nothing to tell gives a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// One event; what it does not have is empty.
#[derive(Debug, Default)]
pub struct Event {
    pub kind: String,
    pub id: String,
    pub data: String,
}

/// The events of one process, from the first on.
pub struct Events(BufReader<Incoming>);

impl Events {
    /// Of an answer, behind its head. Errors: why there are none.
    pub(super) async fn of(answer: Incoming) -> Result<Events, Why> {
        let mut events = Events(BufReader::new(answer));
        let status = events.line().await.ok_or_else(|| "its answer is no HTTP".to_owned())?;
        while !events.line().await.ok_or_else(|| "its answer broke off".to_owned())?.is_empty() {}
        let code = status.split(' ').nth(1).unwrap_or_default();
        if code == "200" {
            return Ok(events);
        }
        let mut problem = Vec::new();
        // Whatever was read of it says what there is to say.
        let _ = events.0.take(LONGEST_LINE).read_to_end(&mut problem).await;
        let problem: Value = serde_json::from_slice(&problem).unwrap_or_default();
        Err(Why::told(code, &problem))
    }

    /// `None`: it has ended, or says something else.
    pub async fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = tokio::time::timeout(SILENCE, self.line()).await.ok()??;
            match line.split_once(": ") {
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.data = data.to_owned(),
                None if line.is_empty() && !event.data.is_empty() => return Some(event),
                _ => {}
            }
        }
    }

    /// `None`: there is none that is whole.
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        (&mut self.0).take(LONGEST_LINE).read_until(b'\n', &mut line).await.ok()?;
        line.pop_if(|last| *last == b'\n')?;
        line.pop_if(|last| *last == b'\r');
        String::from_utf8(line).ok()
    }
}
