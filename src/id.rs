//! Newtypes for every name, id, partition and offset, so that no call swaps two strings or two integers.
//!
//! **Invariant:** an id is text as it came; nothing here trims, folds case or re-encodes. Equal bytes, equal id.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

/// Declares a text newtype that shows, compares, hashes and serialises as its text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String")] SmolStr);

        impl $name {
            pub fn new(text: impl Into<SmolStr>) -> $name {
                $name(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// Whose events these are: `userId`, else `anonymousId`. Never written to a log or a metric label.
    CustomerId
);
text_id!(
    /// What makes an event count once per customer and stream (semantics, "Identity").
    EventId
);
text_id!(
    /// The key of a segment or of a ladder's stage; never reused.
    SegmentKey
);
text_id!(
    /// The key of a ladder, apart from those of segments.
    LadderKey
);
text_id!(
    /// The name of a static list.
    ListKey
);

/// A Kafka topic; cheap to copy into every record's position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(pub Arc<str>);

impl TopicName {
    /// Whether a cluster would take this text as the name of a topic. Source: Apache Kafka, `Topic.validate`.
    pub fn is_legal(text: &str) -> bool {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=249).contains(&text.len()) && text.bytes().all(legal) && text != "." && text != ".."
    }
}

/// A Kafka partition, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

/// A Kafka offset: of a record where it names one, else the *next* to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// Where a record stood. Renders itself as `shop.events/3@918273`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    pub topic: TopicName,
    pub partition: Partition,
    pub offset: Offset,
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SourcePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition.0, self.offset.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_renders_topic_partition_and_offset() {
        let position = SourcePosition { topic: TopicName("shop.events".into()), partition: Partition(3), offset: Offset(918_273) };
        assert_eq!(position.to_string(), "shop.events/3@918273");
    }
}
