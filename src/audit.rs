//! Who read or erased a customer: records for whoever has to answer for it later, as log lines with the target `audit`.
//!
//! A customer stands in them as HMAC-SHA-256 of its id (the first 128 bits, hexadecimal), under a key of the operator's. Who
//! has the key and an id finds the records of that customer (`segmentd audit`, or `openssl dgst` alone); who has the log alone
//! can neither read ids from it nor try them. Other keys than those of the [erased](crate::customer) do: those are a
//! partition's, and die with it.
//!
//! **Invariant:** no record holds an id, a query or a body. Without a key a record tells of a request, not of whom.

use std::fmt::Write;
use std::sync::{Arc, PoisonError, RwLock};

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;

use crate::id::{CustomerId, Partition};

/// Customers of one record: journald splits lines of 48 kB, container runtimes those of 16 kB.
const AT_ONCE: usize = 200;
/// Bytes of a hash that are shown.
const SHOWN: usize = 16;

/// What ids are hashed with.
pub struct Key(PKey<Private>);

impl Key {
    pub const BYTES: usize = 32;

    /// Of 64 hexadecimal digits, as `openssl rand -hex 32` writes them.
    pub fn parse(text: &str) -> Option<Key> {
        let text = text.trim();
        let legal = text.len() == 2 * Key::BYTES && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = |i: usize| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok();
        let bytes: Vec<u8> = (0..Key::BYTES).filter(|_| legal).map(byte).collect::<Option<_>>()?;
        let key = Key(legal.then(|| PKey::hmac(&bytes).ok()).flatten()?);
        // A system that cannot do it says so at start.
        key.sign("").map(|_| key)
    }

    /// What stands for a customer in records under this key: 32 hexadecimal digits.
    pub fn hash(&self, customer: &str) -> String {
        let signed = self.sign(customer).unwrap_or_default();
        signed.iter().take(SHOWN).fold(String::with_capacity(2 * SHOWN), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Source: RFC 2104, with SHA-256.
    fn sign(&self, customer: &str) -> Option<Vec<u8>> {
        Signer::new(MessageDigest::sha256(), &self.0).ok()?.sign_oneshot_to_vec(customer.as_bytes()).ok()
    }
}

/// A request that was answered, or turned away.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of the caller's token; `-`: it needed none, or had no good one.
    pub token: String,
    pub method: &'static str,
    /// As the router has it.
    pub route: &'static str,
}

/// Writes records under the key in force; cheap to clone, and the same for all clones.
#[derive(Clone, Default)]
pub struct Audit(Arc<RwLock<Option<Arc<Key>>>>);

impl Audit {
    /// Puts another key in force, for records from now on.
    pub fn replace(&self, key: Option<Key>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key.map(Arc::new);
    }

    /// What a request was told of these customers, or would have been.
    pub fn read<'a>(&self, request: &Request, code: u16, customers: impl Iterator<Item = &'a str>) {
        let Request { token, method, route } = request;
        for customers in self.lines(customers) {
            tracing::info!(target: "audit", token, method, route, code, customers, "customers");
        }
    }

    /// Customers who are erased from a partition: it is committed.
    pub fn erased<'a>(&self, partition: Partition, customers: impl ExactSizeIterator<Item = &'a CustomerId>) {
        let (partition, erased) = (partition.0, customers.len());
        for customers in self.lines(customers.map(CustomerId::as_str)).into_iter().filter(|_| erased > 0) {
            tracing::info!(target: "audit", partition, erased, customers, "erased");
        }
    }

    /// Hashes with a space between them, a record each line; one of none where there is no key or nobody to tell of.
    fn lines<'a>(&self, customers: impl Iterator<Item = &'a str>) -> Vec<Option<String>> {
        let Some(key) = self.0.read().unwrap_or_else(PoisonError::into_inner).clone() else { return vec![None] };
        let hashes: Vec<String> = customers.map(|customer| key.hash(customer)).collect();
        let lines: Vec<_> = hashes.chunks(AT_ONCE).map(|hashes| Some(hashes.join(" "))).collect();
        if lines.is_empty() { vec![None] } else { lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> Option<Key> {
        Key::parse(&format!("{}\n", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // RFC 4231, test case 2; a key is padded with zeros anyway.
        let jefe: Vec<u8> = b"Jefe".iter().copied().chain([0; 28]).collect();
        assert_eq!(key(&jefe).unwrap().hash("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
        assert_ne!(key(&[1; 32]).unwrap().hash("ann"), key(&[2; 32]).unwrap().hash("ann"));
    }

    #[test]
    fn anything_but_32_bytes_in_hexadecimal_is_no_key() {
        for wrong in ["", "hush-hush", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &"é".repeat(32)] {
            assert!(Key::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn many_customers_are_told_of_in_several_records_and_none_without_a_key() {
        let (audit, ids) = (Audit::default(), ["c"; 2 * AT_ONCE + 1]);
        assert_eq!(audit.lines(ids.into_iter()), [None]);
        audit.replace(key(&[1; 32]));
        let told: Vec<usize> = audit.lines(ids.into_iter()).iter().flatten().map(|line| line.split(' ').count()).collect();
        assert_eq!(told, [AT_ONCE, AT_ONCE, 1]);
        assert_eq!(audit.lines([].into_iter()), [None], "the request is told of all the same");
    }
}
