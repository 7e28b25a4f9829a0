//! Which partition a key belongs to, as Java's default partitioner has it: our output is co-partitioned with what
//! Java, Kafka Streams and Flink read and write.
//!
//! **Invariant:** `partition(key, n)` equals Kafka's `Utils.toPositive(Utils.murmur2(key)) % n`, for every key.

use crate::id::Partition;

/// The partition of a key among `count` partitions; partition 0 if there is none to choose from.
///
/// Source: Apache Kafka, `BuiltInPartitioner.partitionForKey`.
pub fn partition(key: &[u8], count: u32) -> Partition {
    let positive = murmur2(key) & 0x7FFF_FFFF;
    Partition(positive.checked_rem(count).unwrap_or(0) as i32)
}

/// MurmurHash2, 32 bits, with Kafka's seed. Source: Apache Kafka, `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = SEED ^ key.len() as u32;
    for word in words {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ (mixed >> R)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Apache Kafka's `UtilsTest.testMurmur2`, and the empty key.
    #[test]
    fn the_hash_is_the_one_of_kafka() {
        let vectors: [(&str, i32); 7] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ];
        for (key, expected) in vectors {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key:?}");
        }
    }

    #[test]
    fn a_negative_hash_still_gives_a_partition() {
        assert_eq!(partition(b"21", 4), Partition((-973_932_308_i32 & 0x7FFF_FFFF) % 4));
        assert_eq!(partition(b"abc", 1), Partition(0));
        assert_eq!(partition(b"abc", 0), Partition(0));
    }
}
