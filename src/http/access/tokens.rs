//! Tokens as they are kept: by their hash.
//!
//! A token is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess, and no salt is needed.
//!
//! **Invariant:** nothing here holds a token itself, and how long a search takes does not depend on which token is nearly
//! right.

use std::fmt;

use openssl::{memcmp, sha};

use crate::time::EventTime;

/// Longer than any token of ours: the rest is not worth hashing.
const MOST_BYTES: usize = 256;

/// What a token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Segments, their definitions and figures; nobody's membership.
    ReadSegments,
    /// Whatever tells of a customer: memberships, aggregates, explanations, the stream of transitions.
    ReadCustomers,
    /// Members of lists, pins and bans.
    WriteLists,
    /// Erasing a customer.
    Erase,
    /// Figures of the process, and its version.
    Metrics,
}

impl Scope {
    pub const ALL: [Scope; 5] = [Scope::ReadSegments, Scope::ReadCustomers, Scope::WriteLists, Scope::Erase, Scope::Metrics];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::ReadSegments => "read:segments",
            Scope::ReadCustomers => "read:customers",
            Scope::WriteLists => "write:lists",
            Scope::Erase => "erase",
            Scope::Metrics => "metrics",
        }
    }

    pub fn parse(text: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    pub fn of(token: &str) -> Hash {
        Hash(sha::sha256(token.as_bytes()))
    }

    /// 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Hash> {
        let digits = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = |i: usize| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok();
        let mut bytes = [0; 32];
        for (i, place) in bytes.iter_mut().enumerate().filter(|_| digits) {
            *place = byte(i)?;
        }
        digits.then_some(Hash(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is known of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who holds it, as audit records and metrics say it.
    pub name: String,
    pub hash: Hash,
    pub scopes: Vec<Scope>,
    /// From then on it is refused; `None`: never.
    pub expires: Option<EventTime>,
    /// Requests a second, and as many at once after a silence.
    pub per_second: u32,
}

/// All that are in force.
#[derive(Clone, Debug, Default)]
pub struct Tokens(pub Vec<Token>);

impl Tokens {
    /// The token that was presented. All of them are compared, each in constant time.
    pub fn find(&self, presented: &str) -> Option<&Token> {
        if presented.len() > MOST_BYTES {
            return None;
        }
        let Hash(presented) = Hash::of(presented);
        self.0.iter().fold(None, |found, token| if memcmp::eq(&token.hash.0, &presented) { Some(token) } else { found })
    }
}
