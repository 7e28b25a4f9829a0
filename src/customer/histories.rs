//! A customer's histories by stream. There are dozens of streams, and most customers were seen in two or three: the others
//! take no room.
//!
//! **Invariant:** ascending by stream, each once. One that is not there reads as empty.

use std::ops::{Index, IndexMut};
use std::sync::LazyLock;

use super::History;

#[derive(Clone, Debug, Default)]
pub struct Histories(Vec<(usize, History)>);

static EMPTY: LazyLock<History> = LazyLock::new(History::default);

impl Histories {
    /// Those that are there, with their streams.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &History)> {
        self.0.iter().map(|(stream, history)| (*stream, history))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut History)> {
        self.0.iter_mut().map(|(stream, history)| (*stream, history))
    }

    /// Bytes of the table itself.
    pub(super) fn footprint(&self) -> usize {
        self.0.capacity() * size_of::<(usize, History)>()
    }

    fn place(&self, stream: usize) -> Result<usize, usize> {
        // So few that a search by halves would take longer.
        match self.0.iter().position(|(at, _)| *at >= stream) {
            Some(place) if self.0[place].0 == stream => Ok(place),
            Some(place) => Err(place),
            None => Err(self.0.len()),
        }
    }
}

impl Index<usize> for Histories {
    type Output = History;

    #[inline]
    fn index(&self, stream: usize) -> &History {
        self.place(stream).map_or_else(|_| &*EMPTY, |place| &self.0[place].1)
    }
}

impl IndexMut<usize> for Histories {
    #[inline]
    fn index_mut(&mut self, stream: usize) -> &mut History {
        let place = self.place(stream).unwrap_or_else(|place| {
            // Exactly one more: a history is large, and there will not be many.
            self.0.reserve_exact(1);
            self.0.insert(place, (stream, History::default()));
            place
        });
        &mut self.0[place].1
    }
}

impl IntoIterator for Histories {
    type Item = (usize, History);
    type IntoIter = std::vec::IntoIter<(usize, History)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_which_nothing_came_read_as_empty_and_take_no_room() {
        let mut histories = Histories::default();
        assert!(histories[30].is_empty() && histories.footprint() == 0);
        for stream in [9, 3, 30, 3] {
            histories[stream].retired.push(stream as u64);
        }
        let streams: Vec<_> = histories.iter().map(|(stream, history)| (stream, history.retired.len())).collect();
        assert_eq!(streams, [(3, 2), (9, 1), (30, 1)]);
        assert!(histories[10].is_empty());
    }
}
