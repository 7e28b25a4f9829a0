//! A catalogue and a projection, compiled for decoding: which nodes of the path tree hold what.
//!
//! **Invariant:** every field of the catalogue has a route, kept or not: whether a record is accepted must not depend
//! on which rules happen to be loaded.

use smol_str::SmolStr;

use super::paths::{KeyTable, NodeIndex, PathTree};
use crate::event::streams::{FieldDefinition, StreamDefinition, StreamRole};
use crate::event::{Catalogue, FieldIndex, FieldType, Projection, StreamIndex};

pub(super) struct Routes {
    pub tree: PathTree,
    pub spec: SpecNodes,
    pub by_event: KeyTable<StreamIndex>,
    pub traits_stream: Option<StreamIndex>,
    pub erasures_stream: Option<StreamIndex>,
    pub aliases_stream: Option<StreamIndex>,
    /// Trait name to its position in the projection.
    pub trait_names: KeyTable<usize>,
    pub streams: Vec<StreamRoute>,
}

/// Where the Segment Spec and CloudEvents 1.0 (JSON format) say who, what and when.
pub(super) struct SpecNodes {
    pub call: NodeIndex,
    pub event: NodeIndex,
    pub user_id: NodeIndex,
    pub anonymous_id: NodeIndex,
    pub previous_id: NodeIndex,
    pub timestamp: NodeIndex,
    pub received_at: NodeIndex,
    pub traits: NodeIndex,
    pub version: NodeIndex,
    pub data: NodeIndex,
    /// `data` as bytes, in base64.
    pub bytes: NodeIndex,
    pub id: NodeIndex,
    pub time: NodeIndex,
    pub subject: NodeIndex,
}

pub(super) struct StreamRoute {
    pub id: NodeIndex,
    /// The id's pointer, for messages.
    pub id_pointer: SmolStr,
    /// The id is the message's, so that an envelope's id may stand in for it.
    pub id_of_message: bool,
    /// The accepted currency and where a record names its own.
    pub currency: Option<(SmolStr, NodeIndex)>,
    pub containers: Vec<Container>,
    pub fields: Vec<FieldRoute>,
    pub kept: usize,
}

/// A place on the way to a field: if there is something, it must be an object or array to be walked through.
pub(super) struct Container {
    pub node: NodeIndex,
    pub array: bool,
    /// Seen once an element.
    pub repeated: bool,
    pub pointer: SmolStr,
}

pub(super) struct FieldRoute {
    pub name: SmolStr,
    pub field_type: FieldType,
    pub array: bool,
    pub nodes: Vec<NodeIndex>,
    pub keep: bool,
}

const MESSAGE_ID: &str = "/messageId";
const SPEC: [&str; 14] = [
    "/type",
    "/event",
    "/userId",
    "/anonymousId",
    "/previousId",
    "/timestamp",
    "/receivedAt",
    "/traits",
    "/specversion",
    "/data",
    "/data_base64",
    "/id",
    "/time",
    "/subject",
];

impl Routes {
    pub fn new(catalogue: &Catalogue, projection: &Projection) -> Routes {
        let mapped = catalogue.streams.iter().flat_map(pointers);
        let tree = PathTree::new(SPEC.into_iter().chain(mapped));
        let events = catalogue.streams.iter().enumerate();
        let events = events.flat_map(|(i, s)| s.events.iter().map(move |event| (event.as_str(), StreamIndex(i as u16))));
        let kept = |i: usize| projection.fields.get(i).map_or(&[][..], |fields| fields);
        Routes {
            spec: SpecNodes::new(&tree),
            by_event: KeyTable::new(events.collect()),
            traits_stream: catalogue.with_role(StreamRole::Traits),
            erasures_stream: catalogue.with_role(StreamRole::Erasures),
            aliases_stream: catalogue.with_role(StreamRole::Aliases),
            trait_names: KeyTable::new(projection.traits.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect()),
            streams: catalogue.streams.iter().enumerate().map(|(i, s)| StreamRoute::new(s, kept(i), &tree)).collect(),
            tree,
        }
    }
}

/// Every pointer that a stream reads.
fn pointers(stream: &StreamDefinition) -> impl Iterator<Item = &str> {
    let fields = stream.fields.iter().flat_map(|field| &field.paths);
    fields.chain([&stream.event_id, &stream.currency_path]).map(SmolStr::as_str).filter(|p| !p.is_empty())
}

impl SpecNodes {
    fn new(tree: &PathTree) -> SpecNodes {
        let [call, event, user_id, anonymous_id, previous_id, timestamp, received_at, traits, version, data, bytes, id, time, subject] =
            SPEC.map(|pointer| tree.find(pointer));
        SpecNodes {
            call,
            event,
            user_id,
            anonymous_id,
            previous_id,
            timestamp,
            received_at,
            traits,
            version,
            data,
            bytes,
            id,
            time,
            subject,
        }
    }
}

impl StreamRoute {
    fn new(stream: &StreamDefinition, kept: &[FieldIndex], tree: &PathTree) -> StreamRoute {
        let field = |(i, f): (usize, &FieldDefinition)| FieldRoute {
            name: f.name.clone(),
            field_type: f.field_type,
            array: f.array,
            nodes: f.paths.iter().map(|path| tree.find(path)).collect(),
            keep: kept.contains(&FieldIndex(i as u16)),
        };
        StreamRoute {
            id: tree.find(&stream.event_id),
            id_pointer: stream.event_id.clone(),
            id_of_message: stream.event_id == MESSAGE_ID,
            currency: stream.currency.clone().map(|currency| (currency, tree.find(&stream.currency_path))),
            containers: containers(stream, tree),
            fields: stream.fields.iter().enumerate().map(field).collect(),
            kept: kept.len(),
        }
    }
}

/// The proper prefixes of a stream's field pointers, each once.
fn containers(stream: &StreamDefinition, tree: &PathTree) -> Vec<Container> {
    let mut containers: Vec<Container> = Vec::new();
    for path in stream.fields.iter().flat_map(|field| &field.paths) {
        let ends = path.match_indices('/').skip(1).map(|(at, _)| at);
        for (end, node) in ends.zip(tree.way(path)) {
            if containers.iter().all(|c| c.node != node) {
                let array = path[end..] == *"/*" || path[end..].starts_with("/*/");
                containers.push(Container { node, array, repeated: tree.node(node).repeated, pointer: path[..end].into() });
            }
        }
    }
    containers
}
