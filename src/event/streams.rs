//! Which streams there are, which records belong to them, and which fields they have: the Segment Spec as data.
//!
//! The built-in catalogue is [`Catalogue::segment_spec`]; a user's `config/streams.yaml` adds streams, renames events
//! and maps fields with JSON Pointers (RFC 6901, plus `/*` for every element of an array).
//!
//! **Invariant:** a stream's index never changes within one catalogue, and field positions follow declaration order.

use smol_str::SmolStr;

use crate::time::Span;

/// Position of a stream in its [`Catalogue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamIndex(pub u16);

/// Position of a field in its [`StreamDefinition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldIndex(pub u16);

/// What a field's values are. Of an array field (`array: true`) it is the type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    String,
    Decimal,
    Integer,
    Boolean,
}

/// A field: where it stands in a record, first path that is present and not null wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDefinition {
    /// As rules write it; an array's element field has dots: `products.category`.
    pub name: SmolStr,
    pub field_type: FieldType,
    pub array: bool,
    /// JSON Pointers from the root of the (unwrapped) record: `/properties/total`, `/properties/products/*/category`.
    pub paths: Vec<SmolStr>,
}

/// What the engine does with a stream beyond counting its events (semantics, "Retraction" and "Marks").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRole {
    /// Can be refunded, cancelled and marked as redeemed; has the computed field `redeemed`.
    Orders,
    /// Marks the order that it names as redeemed.
    Coupons,
    Refunds,
    Cancellations,
    /// `identify`: sets traits.
    Traits,
    /// Ends everything that is known of the customer. Rules cannot name it.
    Erasures,
    /// Says that the customer is another one, too (`alias`). Rules cannot name it.
    Aliases,
    Plain,
}

/// How long rows and ids are remembered. Never shorter than a bounded window over the stream, which has to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// The longest bounded window over the stream, at least 90 days.
    Default,
    /// As written; may be shorter than the 90 days.
    Of(Span),
    Forever,
}

/// A stream and the records that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDefinition {
    pub name: SmolStr,
    pub role: StreamRole,
    /// The `event` names of `track` records that this stream takes.
    pub events: Vec<SmolStr>,
    /// JSON Pointer of the event id: `/properties/order_id`, `/messageId`.
    pub event_id: SmolStr,
    pub fields: Vec<FieldDefinition>,
    /// The only currency that is accepted, with the path where a record names its own.
    pub currency: Option<SmolStr>,
    pub currency_path: SmolStr,
    pub retention: Retention,
}

/// Every stream, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    pub streams: Vec<StreamDefinition>,
}

impl Catalogue {
    pub fn find(&self, name: &str) -> Option<StreamIndex> {
        self.streams.iter().position(|s| s.name == name).map(|i| StreamIndex(i as u16))
    }

    pub fn stream(&self, index: StreamIndex) -> &StreamDefinition {
        &self.streams[usize::from(index.0)]
    }

    pub fn with_role(&self, role: StreamRole) -> Option<StreamIndex> {
        self.streams.iter().position(|s| s.role == role).map(|i| StreamIndex(i as u16))
    }
}

/// Whether rules can write this name as it is: a letter or `_`, then letters, digits and `_` (all ASCII).
pub fn is_identifier(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl StreamRole {
    /// Rules may name a stream of this role; traits have a form of their own, and of erasures and aliases nothing is kept.
    pub fn is_named(self) -> bool {
        !matches!(self, StreamRole::Traits | StreamRole::Erasures | StreamRole::Aliases)
    }
}

impl StreamDefinition {
    /// The name of the computed field that only orders have.
    pub const REDEEMED: &str = "redeemed";

    pub fn field(&self, name: &str) -> Option<FieldIndex> {
        self.fields.iter().position(|f| f.name == name).map(|i| FieldIndex(i as u16))
    }
}
