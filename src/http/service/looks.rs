//! How many answers that read much are worked on at once.
//!
//! A page of a segment's members reads everybody for a fifth of a second, and a segment's past is a row for each hour and partition. The
//! room that all requests share is as wide as many small lookups need: as many of these would take every core from the lanes.
//!
//! **Invariant:** a place is taken until the reading is over, also where nobody waits for the answer any more.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::http::problem::Problem;
use crate::http::room::{later, unreadable};

/// Two pages of the console, with all that they ask for, and some room.
const AT_ONCE: usize = 8;

/// Places for those who read much. Cheap to clone.
#[derive(Clone)]
pub struct Looks(Arc<Semaphore>);

impl Default for Looks {
    fn default() -> Looks {
        Looks(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Looks {
    /// Reads off the threads that serve. Errors: no place (503), or what `look` says.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
        let place = Semaphore::try_acquire_owned(self.0.clone())
            .map_err(|_| later(format!("{AT_ONCE} answers that read much are being worked on at this moment")))?;
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            look()
        });
        looked.await.map_err(|_| unreadable())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;
    use futures_util::FutureExt;

    use super::*;

    /// Begins to look, and goes on until the end of the channel is dropped.
    fn begun(looks: &Looks) -> (Sender<()>, impl Future<Output = Result<(), Problem>>) {
        let ((hold, held), looks) = (channel::<()>(), looks.clone());
        let look = async move {
            looks
                .look(move || {
                    let _ = held.recv();
                    Ok(())
                })
                .await
        };
        (hold, look)
    }

    #[tokio::test]
    async fn who_reads_much_is_told_to_come_again_while_all_places_are_taken_also_by_those_who_have_gone_away() {
        let looks = Looks::default();
        let mut holds: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (hold, look) = begun(&looks);
                // Polled once and dropped: whoever asked has gone away.
                assert!(look.boxed().now_or_never().is_none());
                hold
            })
            .collect();
        let refused = looks.look(|| Ok(())).await.unwrap_err().into_response();
        assert_eq!((refused.status(), &refused.headers()[header::RETRY_AFTER]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
        holds.pop();
        while looks.look(|| Ok(())).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
