//! How a long history is cut into stored pieces, so that adding one event never rewrites the others.
//!
//! ```text
//!     rows   [ block 0 ][ block 1 ][ block 4 ] tail
//!               8 rows     9 rows     8 rows    0..16 rows, stored with the customer's head
//! ```
//!
//! **Invariant:** the blocks' lengths, in order, cover the oldest rows; what is left is the tail. A block whose rows
//! changed is dirty until it is written.

use std::collections::VecDeque;

/// The tail is cut when it has this many rows; what is left of it is rewritten with each of the customer's events.
pub(super) const TAIL_ROWS: usize = 16;
/// Rows of a new block.
const BLOCK_ROWS: usize = 8;
/// Late events may fill a block up to this; then it is cut in two.
const LONGEST_BLOCK: usize = 64;

#[derive(Clone, Debug, Default)]
pub struct Blocks {
    sealed: VecDeque<Block>,
    /// Of all blocks together.
    rows: usize,
    next_number: u32,
    /// Numbers of blocks that are gone and still stand in the store.
    pub dropped: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub number: u32,
    pub rows: usize,
    pub dirty: bool,
}

impl Blocks {
    /// As read from a customer's head.
    pub fn stored(blocks: impl Iterator<Item = (u32, usize)>, next_number: u32) -> Blocks {
        let sealed: VecDeque<Block> = blocks.map(|(number, rows)| Block { number, rows, dirty: false }).collect();
        Blocks { rows: sealed.iter().map(|block| block.rows).sum(), sealed, next_number, dropped: Vec::new() }
    }

    pub fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Bytes in memory, about.
    pub(super) fn footprint(&self) -> usize {
        self.sealed.capacity() * size_of::<Block>() + self.dropped.capacity() * size_of::<u32>()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.sealed.iter()
    }

    /// How many rows stand in blocks.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A row was inserted at `at`.
    pub fn inserted(&mut self, at: usize) {
        if let Some(index) = self.block_of(at) {
            self.sealed[index].rows += 1;
            self.rows += 1;
            self.sealed[index].dirty = true;
            self.cut(index);
        }
    }

    /// The row at `at` changed.
    pub fn changed(&mut self, at: usize) {
        if let Some(index) = self.block_of(at) {
            self.sealed[index].dirty = true;
        }
    }

    /// The row at `at` was removed.
    pub fn removed(&mut self, at: usize) {
        let Some(index) = self.block_of(at) else { return };
        self.sealed[index].rows -= 1;
        self.rows -= 1;
        self.sealed[index].dirty = true;
        if self.sealed[index].rows == 0 {
            let block = self.sealed.remove(index);
            self.dropped.extend(block.map(|b| b.number));
        }
    }

    /// How many rows go when the oldest may: the whole oldest block, or one row of the tail.
    pub fn oldest(&self) -> usize {
        self.sealed.front().map_or(1, |block| block.rows)
    }

    /// The oldest block (or row of the tail) was dropped.
    pub fn dropped_oldest(&mut self) {
        if let Some(block) = self.sealed.pop_front() {
            self.rows -= block.rows;
            self.dropped.push(block.number);
        }
    }

    /// Cuts a tail that has grown too long.
    pub fn seal(&mut self, rows: usize) {
        let mut tail = rows - self.rows;
        while tail >= TAIL_ROWS {
            let number = self.take_number();
            self.sealed.push_back(Block { number, rows: BLOCK_ROWS, dirty: true });
            self.rows += BLOCK_ROWS;
            tail -= BLOCK_ROWS;
        }
    }

    /// All is stored as it stands.
    pub fn written(&mut self) {
        self.sealed.iter_mut().for_each(|block| block.dirty = false);
        self.dropped.clear();
    }

    fn take_number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn cut(&mut self, index: usize) {
        let rows = self.sealed[index].rows;
        if rows <= LONGEST_BLOCK {
            return;
        }
        let number = self.take_number();
        self.sealed[index].rows = rows / 2;
        self.sealed.insert(index + 1, Block { number, rows: rows - rows / 2, dirty: true });
    }

    /// The block that holds row `at`; `None`: the tail does.
    fn block_of(&self, at: usize) -> Option<usize> {
        // Most changes are to the tail, and a long history has many blocks.
        let mut end = 0;
        let holds = |block: &Block| {
            end += block.rows;
            at < end
        };
        if at < self.rows { self.sealed.iter().position(holds) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(blocks: &Blocks) -> Vec<usize> {
        blocks.iter().map(|block| block.rows).collect()
    }

    #[test]
    fn a_long_tail_is_cut_and_the_new_block_is_dirty() {
        let mut blocks = Blocks::default();
        blocks.seal(15);
        assert_eq!(lengths(&blocks), Vec::<usize>::new());
        blocks.seal(16);
        assert_eq!(lengths(&blocks), [8]);
        assert!(blocks.iter().all(|block| block.dirty));
    }

    #[test]
    fn a_change_makes_only_its_own_block_dirty() {
        let mut blocks = Blocks::stored([(0, 16), (1, 16)].into_iter(), 2);
        blocks.changed(20);
        assert_eq!(blocks.iter().map(|block| block.dirty).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn late_rows_fill_a_block_until_it_is_cut_in_two() {
        let mut blocks = Blocks::stored([(0, 64)].into_iter(), 1);
        blocks.inserted(3);
        assert_eq!(lengths(&blocks), [32, 33]);
    }

    #[test]
    fn an_emptied_block_is_dropped_from_the_store() {
        let mut blocks = Blocks::stored([(7, 1), (8, 16)].into_iter(), 9);
        blocks.removed(0);
        assert_eq!((lengths(&blocks), blocks.dropped), (vec![16], vec![7]));
    }
}
