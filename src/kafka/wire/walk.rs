//! One pass over a record: notes the token of every place that the [`PathTree`] knows, skips the rest.
//!
//! Records of one source have their keys in one order, so the key that followed in the last record is compared first, as
//! bytes; only where another one stands is it scanned and looked up. Source: Y. Li et al., "Mison: A Fast JSON Parser for
//! Data Analytics", VLDB 2017, on speculative parsing.
//!
//! **Invariant:** after [`Walk::record`] the notes are those of a parsed tree in which the last of equal keys won, as
//! `serde_json` has it: what an earlier value of a repeated key held is forgotten, all its descendants included.

use super::paths::{NodeIndex, PathTree};
use super::scanner::{JsonError, Kind, Scanned, Scanner, Token};

/// What the last record held, reused from record to record: no allocation once it has grown.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// For each node, what stood there in the instance that it is stamped with.
    slots: Vec<Slot>,
    /// For each repeated node, what stood there, in order of the record.
    elements: Vec<Elements>,
    /// The record, or the element of an array, that is being walked. Never reused, so that slots need no clearing.
    instance: u64,
    /// The instance of the record's own nodes.
    record: u64,
    /// For each node, the key that stood first in its object, then the one that stood after it in its parent's.
    foreseen: Vec<Foreseen>,
}

/// A key as an earlier record had it.
#[derive(Clone, Debug, Default)]
struct Foreseen {
    /// From the end of the value before it to behind its colon, so that no other grammar fits it. Empty: nothing is foreseen.
    bytes: Vec<u8>,
    child: Option<NodeIndex>,
}

/// Longer keys are always looked up: what a record makes us remember is bounded.
const FORESEEN_BYTES: usize = 64;

/// After which key another one is foreseen: a position among [`Notes::foreseen`].
#[derive(Clone, Copy)]
struct Place(usize);

impl Place {
    /// After a key that the tree does not know.
    const UNKNOWN: Place = Place(usize::MAX);

    #[inline(always)]
    fn first_in(object: NodeIndex) -> Place {
        Place(object.at() * 2)
    }

    #[inline(always)]
    fn after(key: NodeIndex) -> Place {
        Place(key.at() * 2 + 1)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    instance: u64,
    token: Option<Token>,
}

/// Of the record that it is stamped with; of any other it is empty.
#[derive(Clone, Debug, Default)]
struct Elements {
    record: u64,
    /// With the instance of the element that each stood in.
    tokens: Vec<(u64, Token)>,
}

impl Notes {
    /// What stands at a node that is not repeated.
    #[inline(always)]
    pub fn at(&self, node: NodeIndex) -> Option<Token> {
        let slot = &self.slots[node.at()];
        if slot.instance == self.record { slot.token } else { None }
    }

    fn add_element(&mut self, node: NodeIndex, instance: u64, token: Token) {
        let elements = &mut self.elements[node.at()];
        if elements.record != self.record {
            elements.record = self.record;
            elements.tokens.clear();
        }
        elements.tokens.push((instance, token));
    }

    /// Everything that stands at a repeated node, in order.
    pub fn each(&self, node: NodeIndex) -> impl Iterator<Item = Token> {
        let elements = &self.elements[node.at()];
        let tokens = if elements.record == self.record { &elements.tokens[..] } else { &[] };
        tokens.iter().map(|(_, token)| *token)
    }
}

/// A walk of one text.
pub struct Walk<'a> {
    tree: &'a PathTree,
    notes: &'a mut Notes,
    scanner: Scanner<'a>,
}

impl<'a> Walk<'a> {
    pub fn new(tree: &'a PathTree, notes: &'a mut Notes, text: &'a str) -> Walk<'a> {
        notes.slots.resize(tree.len(), Slot::default());
        notes.elements.resize(tree.len(), Elements::default());
        notes.foreseen.resize(tree.len() * 2, Foreseen::default());
        Walk { tree, notes, scanner: Scanner::new(text) }
    }

    /// Walks the whole text, which is one JSON value. Its token is returned; notes are taken of an object only.
    pub fn record(mut self) -> Result<Token, JsonError> {
        self.notes.instance += 1;
        self.notes.record = self.notes.instance;
        let root = self.visit(NodeIndex::ROOT, self.notes.record);
        let whole = root.and_then(|root| self.scanner.finish().map(|()| root));
        whole.map_err(|_| self.scanner.fault())
    }

    /// Walks the value of a node and notes it. Into the loops that call it, since most values are short: a call costs as much.
    #[inline(always)]
    fn visit(&mut self, index: NodeIndex, instance: u64) -> Scanned<Token> {
        if self.notes.slots[index.at()].instance == instance {
            self.forget(index, instance);
        }
        let node = self.tree.node(index);
        let token = match self.scanner.peek() {
            b'{' if !node.keys.is_empty() => self.object(index, instance)?,
            b'[' if node.each.is_some() => self.array(index)?,
            first => self.scanner.value_of(first)?,
        };
        self.notes.slots[index.at()] = Slot { instance, token: Some(token) };
        if node.repeated {
            self.notes.add_element(index, instance, token);
        }
        Ok(token)
    }

    fn object(&mut self, index: NodeIndex, instance: u64) -> Scanned<Token> {
        let start = self.scanner.enter(b'{')?;
        let (mut place, mut first) = (Place::first_in(index), true);
        while let Some(child) = self.key(index, place, &mut first)? {
            match child {
                Some(child) => self.visit(child, instance)?,
                None => self.scanner.value()?,
            };
            place = child.map_or(Place::UNKNOWN, Place::after);
        }
        Ok(self.scanner.object_from(start))
    }

    /// The next key of an object, `None` at its end: the child that it names, if the tree knows it.
    #[inline(always)]
    fn key(&mut self, object: NodeIndex, place: Place, first: &mut bool) -> Scanned<Option<Option<NodeIndex>>> {
        if let Some(foreseen) = self.notes.foreseen.get(place.0)
            && !foreseen.bytes.is_empty()
            && self.scanner.skip_key(&foreseen.bytes)
        {
            *first = false;
            return Ok(Some(foreseen.child));
        }
        self.unforeseen_key(object, place, first)
    }

    fn unforeseen_key(&mut self, object: NodeIndex, place: Place, first: &mut bool) -> Scanned<Option<Option<NodeIndex>>> {
        let tree = self.tree;
        let keys = &tree.node(object).keys;
        let from = self.scanner.position();
        let Some(key) = self.scanner.next_key(first)? else { return Ok(None) };
        let text = self.scanner.text();
        if key.kind != Kind::Text {
            return Ok(Some(keys.find(key.text_in(text).as_bytes())));
        }
        let child = keys.find_in(text.as_bytes(), key.range());
        let bytes = text.as_bytes().get(from..self.scanner.position()).filter(|bytes| bytes.len() <= FORESEEN_BYTES);
        if let (Some(foreseen), Some(bytes)) = (self.notes.foreseen.get_mut(place.0), bytes) {
            foreseen.bytes.clear();
            foreseen.bytes.extend_from_slice(bytes);
            foreseen.child = child;
        }
        Ok(Some(child))
    }

    /// Every element is an instance of its own: equal keys of two elements are not a repetition.
    fn array(&mut self, index: NodeIndex) -> Scanned<Token> {
        let each = self.tree.node(index).each.unwrap_or(NodeIndex::ROOT);
        let start = self.scanner.enter(b'[')?;
        let mut first = true;
        while self.scanner.next_element(&mut first)? {
            self.notes.instance += 1;
            let instance = self.notes.instance;
            self.visit(each, instance)?;
        }
        Ok(self.scanner.array_from(start))
    }

    /// Drops what an earlier value of a repeated key held.
    #[cold]
    fn forget(&mut self, index: NodeIndex, instance: u64) {
        let node = self.tree.node(index);
        for slot in &mut self.notes.slots[index.at()..node.end.at()] {
            *slot = Slot::default();
        }
        // Other elements of the same array keep theirs.
        for elements in &mut self.notes.elements[index.at()..node.end.at()] {
            elements.tokens.retain(|(of, _)| node.repeated && *of != instance);
        }
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
