//! One pass over a record: notes the token of every place that the [`PathTree`] knows, skips the rest.
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
    /// What stood at repeated nodes, in order of the record.
    elements: Vec<Element>,
    /// The record, or the element of an array, that is being walked. Never reused, so that slots need no clearing.
    instance: u64,
    /// The instance of the record's own nodes.
    record: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    instance: u64,
    token: Option<Token>,
}

#[derive(Clone, Copy, Debug)]
struct Element {
    node: NodeIndex,
    instance: u64,
    token: Token,
}

impl Notes {
    /// What stands at a node that is not repeated.
    #[inline(always)]
    pub fn at(&self, node: NodeIndex) -> Option<Token> {
        let slot = &self.slots[node.at()];
        if slot.instance == self.record { slot.token } else { None }
    }

    /// Everything that stands at a repeated node, in order.
    pub fn each(&self, node: NodeIndex) -> impl Iterator<Item = Token> {
        self.elements.iter().filter(move |element| element.node == node).map(|element| element.token)
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
        Walk { tree, notes, scanner: Scanner::new(text) }
    }

    /// Walks the whole text, which is one JSON value. Its token is returned; notes are taken of an object only.
    pub fn record(mut self) -> Result<Token, JsonError> {
        self.notes.elements.clear();
        self.notes.instance += 1;
        self.notes.record = self.notes.instance;
        let root = self.visit(NodeIndex::ROOT, self.notes.record);
        let whole = root.and_then(|root| self.scanner.finish().map(|()| root));
        whole.map_err(|_| self.scanner.fault())
    }

    /// Walks the value of a node and notes it.
    fn visit(&mut self, index: NodeIndex, instance: u64) -> Scanned<Token> {
        if self.notes.slots[index.at()].instance == instance {
            self.forget(index, instance);
        }
        self.notes.slots[index.at()] = Slot { instance, token: None };
        let node = self.tree.node(index);
        let token = match self.scanner.peek() {
            b'{' if !node.keys.is_empty() => self.object(index, instance)?,
            b'[' if node.each.is_some() => self.array(index)?,
            _ => self.scanner.value()?,
        };
        self.notes.slots[index.at()].token = Some(token);
        if node.repeated {
            self.notes.elements.push(Element { node: index, instance, token });
        }
        Ok(token)
    }

    fn object(&mut self, index: NodeIndex, instance: u64) -> Scanned<Token> {
        let tree = self.tree;
        let keys = &tree.node(index).keys;
        let start = self.scanner.enter(b'{')?;
        let mut first = true;
        while let Some(key) = self.scanner.next_key(&mut first)? {
            let text = self.scanner.text();
            let child =
                if key.kind == Kind::Text { keys.find_in(text.as_bytes(), key.range()) } else { keys.find(key.text_in(text).as_bytes()) };
            match child {
                Some(child) => self.visit(child, instance)?,
                None => self.scanner.value()?,
            };
        }
        Ok(self.scanner.object_from(start))
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
        let family = index..node.end;
        for slot in &mut self.notes.slots[index.at()..node.end.at()] {
            *slot = Slot::default();
        }
        // Other elements of the same array keep theirs.
        self.notes.elements.retain(|e| !family.contains(&e.node) || (node.repeated && e.instance != instance));
    }
}
