//! The JSON Pointers of a catalogue as one tree, so that a record is walked once whatever streams there are.
//!
//! A pointer is RFC 6901, with `*` as a segment for every element of an array. The nodes stand in pre-order:
//!
//! ```text
//! 0 (root) · 1 /messageId · 2 /properties · 3 /properties/products · 4 /properties/products/* · 5 …/*/sku
//! ```
//!
//! **Invariant:** the descendants of node n are exactly `n+1 .. end(n)`.

use std::collections::BTreeMap;
use std::ops::Range;

/// Position of a node in its [`PathTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeIndex(pub u16);

impl NodeIndex {
    pub const ROOT: NodeIndex = NodeIndex(0);

    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// A place in a record that some field, id or time is read from, or that leads to one.
#[derive(Clone, Debug)]
pub struct Node {
    pub keys: KeyTable<NodeIndex>,
    /// The elements of the array that stands here.
    pub each: Option<NodeIndex>,
    /// Is an array's element, or lies within one: seen once an element rather than once a record.
    pub repeated: bool,
    /// One past the last descendant.
    pub end: NodeIndex,
}

#[derive(Clone, Debug)]
pub struct PathTree {
    nodes: Vec<Node>,
}

/// The tree while it grows.
#[derive(Default)]
struct Branch {
    children: BTreeMap<String, Branch>,
}

impl PathTree {
    pub fn new<'a>(pointers: impl Iterator<Item = &'a str>) -> PathTree {
        let mut root = Branch::default();
        for pointer in pointers {
            segments(pointer).fold(&mut root, |branch, segment| branch.children.entry(segment).or_default());
        }
        let mut tree = PathTree { nodes: Vec::new() };
        tree.add(&root, false);
        tree
    }

    fn add(&mut self, branch: &Branch, repeated: bool) -> NodeIndex {
        let index = NodeIndex(self.nodes.len() as u16);
        self.nodes.push(Node { keys: KeyTable::default(), each: None, repeated, end: index });
        let (mut each, mut keys) = (None, Vec::new());
        for (segment, child) in &branch.children {
            if segment == EACH {
                each = Some(self.add(child, true));
            } else {
                keys.push((segment.as_str(), self.add(child, repeated)));
            }
        }
        let end = NodeIndex(self.nodes.len() as u16);
        let node = &mut self.nodes[index.at()];
        (node.keys, node.each, node.end) = (KeyTable::new(keys), each, end);
        index
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline(always)]
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.at()]
    }

    /// The nodes on the way to a pointer, its own last. Empty if the tree was not built with it.
    pub fn way(&self, pointer: &str) -> Vec<NodeIndex> {
        let mut way = Vec::new();
        let mut node = NodeIndex::ROOT;
        for segment in segments(pointer) {
            let next = if segment == EACH { self.node(node).each } else { self.node(node).keys.find(segment.as_bytes()) };
            let Some(next) = next else { return Vec::new() };
            node = next;
            way.push(node);
        }
        way
    }

    /// The node of a pointer that the tree was built with; the root stands for any other.
    pub fn find(&self, pointer: &str) -> NodeIndex {
        self.way(pointer).last().copied().unwrap_or(NodeIndex::ROOT)
    }
}

const EACH: &str = "*";

/// The unescaped segments of a pointer. Source: RFC 6901 §4 (`~1` is `/`, `~0` is `~`, in this order).
fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

/// A small immutable map from keys, open-addressed, in which a key of up to 16 bytes is found without a loop over them.
#[derive(Clone, Debug)]
pub struct KeyTable<T> {
    entries: Vec<Entry<T>>,
    /// 1 + the entry's position, 0 for none; a power of two, at most a quarter full.
    buckets: Box<[u32]>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    head: u128,
    key: Box<[u8]>,
    value: T,
}

impl<T> Default for KeyTable<T> {
    fn default() -> KeyTable<T> {
        KeyTable { entries: Vec::new(), buckets: Box::new([0]) }
    }
}

impl<T: Copy> KeyTable<T> {
    /// Of equal keys the first is found.
    pub fn new(keys: Vec<(&str, T)>) -> KeyTable<T> {
        let mut buckets = vec![0u32; (keys.len() * 4).next_power_of_two()];
        for (position, (key, _)) in keys.iter().enumerate() {
            let mut bucket = hash(head(key.as_bytes()), key.len()) & (buckets.len() - 1);
            while buckets[bucket] != 0 {
                bucket = (bucket + 1) & (buckets.len() - 1);
            }
            buckets[bucket] = position as u32 + 1;
        }
        let entry = |(key, value): (&str, T)| Entry { head: head(key.as_bytes()), key: key.as_bytes().into(), value };
        KeyTable { entries: keys.into_iter().map(entry).collect(), buckets: buckets.into() }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn find(&self, key: &[u8]) -> Option<T> {
        self.probe(key, head(key))
    }

    /// Finds the key that stands at a range of a text; what follows it there lets it be loaded at once.
    #[inline(always)]
    pub fn find_in(&self, text: &[u8], range: Range<usize>) -> Option<T> {
        let key = text.get(range.clone())?;
        let head = match text.get(range.start..).and_then(|rest| rest.first_chunk::<16>()) {
            Some(chunk) if key.len() < 16 => u128::from_le_bytes(*chunk) & !(u128::MAX << (key.len() * 8)),
            Some(chunk) => u128::from_le_bytes(*chunk),
            None => head(key),
        };
        self.probe(key, head)
    }

    #[inline(always)]
    fn probe(&self, key: &[u8], head: u128) -> Option<T> {
        let mut bucket = hash(head, key.len()) & (self.buckets.len() - 1);
        loop {
            let position = (self.buckets[bucket] as usize).checked_sub(1)?;
            let entry = &self.entries[position];
            if entry.head == head && entry.key.len() == key.len() && (key.len() <= 16 || *entry.key == *key) {
                return Some(entry.value);
            }
            bucket = (bucket + 1) & (self.buckets.len() - 1);
        }
    }
}

/// The first 16 bytes of a key, zeros where it is shorter.
fn head(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let length = key.len().min(16);
    bytes[..length].copy_from_slice(&key[..length]);
    u128::from_le_bytes(bytes)
}

#[inline(always)]
fn hash(head: u128, length: usize) -> usize {
    let folded = (head as u64) ^ ((head >> 64) as u64).rotate_left(29) ^ length as u64;
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_very_many_keys_finds_each() {
        let keys: Vec<String> = (0..70_000).map(|n| format!("t{n}")).collect();
        let table = KeyTable::new(keys.iter().enumerate().map(|(position, key)| (key.as_str(), position)).collect());
        assert!(keys.iter().enumerate().all(|(position, key)| table.find(key.as_bytes()) == Some(position)));
    }

    #[test]
    fn nodes_stand_in_pre_order_and_know_their_descendants() {
        let tree = PathTree::new(["/p/items/*/sku", "/p/items/*/price", "/p/total", "/id"].into_iter());
        let items = tree.find("/p/items");
        let end = tree.node(items).end;
        for inside in ["/p/items/*", "/p/items/*/sku", "/p/items/*/price"] {
            assert!((items.0 + 1..end.0).contains(&tree.find(inside).0), "{inside}");
            assert!(tree.node(tree.find(inside)).repeated, "{inside}");
        }
        assert!(!(items.0..end.0).contains(&tree.find("/p/total").0));
        assert!(!tree.node(items).repeated);
        assert_eq!(tree.len(), 8);
    }

    #[test]
    fn a_pointer_may_name_keys_with_slashes_tildes_and_no_letters() {
        let tree = PathTree::new(["/a~1b/~0c", "/"].into_iter());
        let slashed = tree.node(NodeIndex::ROOT).keys.find(b"a/b").expect("found");
        assert!(tree.node(slashed).keys.find(b"~c").is_some());
        assert_eq!(tree.node(NodeIndex::ROOT).keys.find(b""), Some(tree.find("/")));
    }

    #[test]
    fn a_key_table_finds_its_keys_and_no_others() {
        let names: Vec<String> = (0..300).map(|i| format!("key_{i}")).collect();
        let table = KeyTable::new(names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect());
        for (i, name) in names.iter().enumerate() {
            assert_eq!(table.find(name.as_bytes()), Some(i));
        }
        assert_eq!(table.find(b"key_300"), None);
        let text = b"\"key_12\":\"a_key_of_more_than_sixteen_bytes\" key_7";
        assert_eq!(table.find_in(text, 1..7), Some(12));
        assert_eq!(table.find_in(text, 1..6), Some(1));
        assert_eq!(table.find_in(text, 44..49), Some(7));
        let long = KeyTable::new(vec![("a_key_of_more_than_sixteen_bytes", 1), ("a_key_of_more_than_sixteen_other", 2)]);
        assert_eq!(long.find_in(text, 10..42), Some(1));
        assert_eq!(long.find_in(text, 10..26), None);
        assert_eq!(table.find(b""), None);
        assert_eq!(KeyTable::<u8>::default().find(b"x"), None);
    }
}
