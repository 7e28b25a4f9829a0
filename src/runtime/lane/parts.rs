//! Parcels that do not fit one record, and their parts in the repartition topic until the last of them has come.
//!
//! ```text
//!     topic                 p1   p2   r   q1   p3        p of three parts, q of more, r anything else
//!     taken                 ·    ·    ✓   ·    ✓         with p3 all of p is taken; q1 waits
//!     next to read          p1   p1   p1  p1   q1        after each; `taken_to` in the manifest: behind p3
//! ```
//!
//! *Why they wait in the topic:* half of what was known of somebody is nobody's history; decided by it, a customer would enter and
//! leave segments for no reason. Nothing of a part is stored. The topic is read again from the first part that waits, and the
//! manifest says up to where everything else has been taken.
//!
//! **Invariant:** a parcel is taken once, and whole. All its parts are of one transaction, so that the last one is there as soon
//! as the first can be read: nothing waits for long, and no more than a parcel of each lane that there is.

use super::errand::ParcelLabel;
use crate::id::{CustomerId, Offset};

/// Of one partition of the repartition topic.
pub struct Parts {
    /// Records before it were taken before the task came here, but for parts that waited.
    taken_to: Offset,
    /// In the topic's order.
    waiting: Vec<Part>,
}

struct Part {
    offset: Offset,
    to: CustomerId,
    label: ParcelLabel,
    value: Vec<u8>,
}

/// What a part comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Gathered<'a> {
    /// There are more to come; or it was taken before the task came here.
    Nothing,
    /// The values of all parts, in order.
    Whole(Vec<&'a [u8]>),
    /// It is the last one, and others did not come.
    Torn,
}

impl Parts {
    /// `taken_to`: as the last manifest says.
    pub fn since(taken_to: Offset) -> Parts {
        Parts { taken_to, waiting: Vec::new() }
    }

    /// The record was taken before the task came here; of one that is no part of a parcel.
    pub fn had(&self, offset: Offset) -> bool {
        offset < self.taken_to
    }

    /// Takes up a part, or a parcel that is whole. What is given back is to be taken, and then [`Parts::taken`] to be told.
    pub fn gather<'a>(&'a mut self, offset: Offset, to: &CustomerId, label: &ParcelLabel, value: &'a [u8]) -> Gathered<'a> {
        let (number, count) = label.part.unwrap_or((1, 1));
        if number < count {
            let part = Part { offset, to: to.clone(), label: label.clone(), value: value.to_vec() };
            self.waiting.push(part);
            return Gathered::Nothing;
        }
        if self.had(offset) {
            self.taken(to, label);
            return Gathered::Nothing;
        }
        let before = self.waiting.iter().filter(|part| part.is_of(to, label));
        let values: Vec<&[u8]> = before.map(|part| &*part.value).chain([value]).collect();
        if values.len() == count as usize { Gathered::Whole(values) } else { Gathered::Torn }
    }

    /// Nothing of the parcel waits any more.
    pub fn taken(&mut self, to: &CustomerId, label: &ParcelLabel) {
        self.waiting.retain(|part| !part.is_of(to, label));
    }

    /// Where a task that comes after goes on reading, of records that were read up to `read_to`.
    pub fn next_to_read(&self, read_to: Offset) -> Offset {
        self.waiting.first().map_or(read_to, |part| part.offset)
    }

    /// Up to where that task finds everything taken but parts that wait; `None`: there is nothing of the kind where it begins.
    pub fn taken_to(&self, read_to: Offset) -> Option<Offset> {
        let taken_to = read_to.max(self.taken_to);
        (taken_to > self.next_to_read(read_to)).then_some(taken_to)
    }
}

impl Part {
    fn is_of(&self, to: &CustomerId, label: &ParcelLabel) -> bool {
        self.to == *to && self.label.origin == label.origin && self.label.at == label.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(origin: &str, part: Option<(u32, u32)>) -> ParcelLabel {
        ParcelLabel { format: 1, origin: origin.into(), at: 7, event_id: "m".into(), time: 7, position: None, part }
    }

    /// Reads a part; how many values come of it, -1 where it is torn.
    fn read(parts: &mut Parts, offset: i64, origin: &str, part: (u32, u32)) -> isize {
        let (to, label) = (CustomerId::new("b"), label(origin, Some(part)));
        let found = match parts.gather(Offset(offset), &to, &label, b"value") {
            Gathered::Nothing => return 0,
            Gathered::Torn => return -1,
            Gathered::Whole(values) => values.len() as isize,
        };
        parts.taken(&to, &label);
        found
    }

    #[test]
    fn a_parcel_of_one_record_waits_for_nothing() {
        let mut parts = Parts::since(Offset(0));
        assert_eq!(parts.gather(Offset(3), &"b".into(), &label("a", None), b"all"), Gathered::Whole(vec![&b"all"[..]]));
        assert_eq!((parts.next_to_read(Offset(4)), parts.taken_to(Offset(4))), (Offset(4), None));
    }

    #[test]
    fn parts_come_together_in_order_whatever_stands_between_them() {
        let mut parts = Parts::since(Offset(0));
        let (to, p, q) = (CustomerId::new("b"), |n| label("p", Some((n, 2))), |n| label("q", Some((n, 2))));
        assert_eq!(parts.gather(Offset(0), &to, &p(1), b"p1"), Gathered::Nothing);
        assert_eq!(parts.gather(Offset(1), &to, &q(1), b"q1"), Gathered::Nothing);
        assert_eq!(parts.gather(Offset(2), &to, &p(2), b"p2"), Gathered::Whole(vec![&b"p1"[..], b"p2"]));
        // Not taken yet: a slice of timers may have to be committed before.
        assert_eq!(parts.gather(Offset(2), &to, &p(2), b"p2"), Gathered::Whole(vec![&b"p1"[..], b"p2"]));
        assert_eq!((parts.next_to_read(Offset(2)), parts.taken_to(Offset(2))), (Offset(0), Some(Offset(2))));
        parts.taken(&to, &p(2));
        assert_eq!((parts.next_to_read(Offset(3)), parts.taken_to(Offset(3))), (Offset(1), Some(Offset(3))));
        assert_eq!(parts.gather(Offset(3), &to, &q(2), b"q2"), Gathered::Whole(vec![&b"q1"[..], b"q2"]));
    }

    /// A process that ends anywhere, and one that goes on from what the manifest says: each parcel is taken once.
    #[test]
    fn wherever_reading_begins_again_each_parcel_is_taken_once() {
        let topic =
            [("p", (1, 3)), ("q", (1, 3)), ("p", (2, 3)), ("q", (2, 3)), ("p", (3, 3)), ("s", (1, 1)), ("q", (3, 3)), ("s", (1, 1))];
        for first in 0..=topic.len() {
            for second in first..=topic.len() {
                let (mut from, mut taken_to, mut taken) = (0, Offset(0), Vec::new());
                for end in [first, second, topic.len()] {
                    let mut parts = Parts::since(taken_to);
                    for (offset, (origin, part)) in topic.iter().enumerate().take(end).skip(from) {
                        if read(&mut parts, offset as i64, origin, *part) > 0 {
                            taken.push(offset);
                        }
                    }
                    let read_to = Offset(end.max(from) as i64);
                    from = parts.next_to_read(read_to).0 as usize;
                    taken_to = parts.taken_to(read_to).unwrap_or(Offset(0));
                }
                assert_eq!((taken, from), (vec![4, 5, 6, 7], topic.len()), "ended at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_last_part_without_the_others_is_told_apart_from_a_whole() {
        assert_eq!(read(&mut Parts::since(Offset(0)), 5, "p", (2, 2)), -1);
    }
}
