//! How fast each token may ask: so many requests a second, and a second's worth at once after a silence.
//!
//! Kept as one instant a token: when the requests so far would have been over had they come evenly (the generic cell rate
//! algorithm). It moves on by a share of a second with each request, and may be at most a second ahead.
//!
//! **Invariant:** within any span of t seconds a token is admitted at most `(t + 1) · per_second` times.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Hash, Token, Tokens};

const BURST: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Pace(Mutex<HashMap<Hash, Instant>>);

impl Pace {
    /// Counts a request, or says after how many whole seconds the next one is admitted.
    pub fn admit(&self, token: &Token, now: Instant) -> Result<(), u16> {
        let each = BURST / token.per_second.max(1);
        let mut over = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = over.entry(token.hash).or_insert(now);
        let after = (*over).max(now) + each;
        match (after - now).checked_sub(BURST).filter(|wait| !wait.is_zero()) {
            None => {
                *over = after;
                Ok(())
            }
            // A request costs a second at most, so the wait is one at most.
            Some(_) => Err(1),
        }
    }

    /// Tokens that are gone leave nothing behind; the others go on where they are.
    pub fn forget_others(&self, tokens: &Tokens) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|hash, _| tokens.0.iter().any(|token| token.hash == *hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    fn token(per_second: u32) -> Token {
        Token { name: "till".into(), hash: Hash::of("till"), scopes: vec![], expires: None, per_second }
    }

    /// How many of `tries` requests at each of these milliseconds are admitted.
    fn check(per_second: u32, tries: usize, at: &[u64], expected: &[usize]) {
        let (pace, token, start) = (Pace::default(), token(per_second), clock::now());
        let admitted = |ms: &u64| (0..tries).filter(|_| pace.admit(&token, start + Duration::from_millis(*ms)).is_ok()).count();
        assert_eq!(at.iter().map(admitted).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_seconds_worth_at_once_and_then_evenly() {
        check(10, 100, &[0, 50, 100, 350, 5000], &[10, 0, 1, 2, 10]);
        check(1, 3, &[0, 999, 1000, 1001], &[1, 0, 1, 0]);
    }

    #[test]
    fn one_token_does_not_use_up_another() {
        let (pace, now) = (Pace::default(), clock::now());
        let other = Token { hash: Hash::of("other"), ..token(1) };
        assert_eq!([pace.admit(&token(1), now), pace.admit(&token(1), now), pace.admit(&other, now)], [Ok(()), Err(1), Ok(())]);
        pace.forget_others(&Tokens(vec![other.clone()]));
        assert_eq!([pace.admit(&other, now), pace.admit(&token(1), now)], [Err(1), Ok(())]);
    }
}
