//! Which segment is decided before which.
//!
//! Of all segments whose references are decided, the one defined first comes next: the order of definition is broken
//! only where a reference asks for it. Kahn's algorithm ("Topological sorting of large networks", 1962), with a heap.
//!
//! **Invariant:** what is returned without circles holds every position once, each after all it refers to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// `references[i]`: the positions that `i` refers to. Gives the order, and one path for each circle found
/// (`[a, b, c]`: a refers to b, b to c, c to a); what stands in or behind a circle is missing from the order.
pub fn evaluation_order(references: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut users = vec![Vec::new(); references.len()];
    for (user, used) in references.iter().enumerate() {
        for position in used {
            users[*position].push(user);
        }
    }
    let mut open: Vec<usize> = references.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<_> = (0..references.len()).filter(|i| open[*i] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(references.len());
    while let Some(Reverse(next)) = ready.pop() {
        order.push(next);
        for user in &users[next] {
            open[*user] -= 1;
            if open[*user] == 0 {
                ready.push(Reverse(*user));
            }
        }
    }
    let circles = circles(references, &open);
    (order, circles)
}

/// Every undecided position refers to an undecided one: following those must come around.
fn circles(references: &[Vec<usize>], open: &[usize]) -> Vec<Vec<usize>> {
    let mut seen = vec![false; references.len()];
    let mut circles = Vec::new();
    for start in (0..references.len()).filter(|i| open[*i] > 0) {
        let mut path = Vec::new();
        let mut next = Some(start);
        while let Some(at) = next.filter(|at| !seen[*at]) {
            seen[at] = true;
            path.push(at);
            next = references[at].iter().copied().find(|used| open[*used] > 0);
        }
        if let Some(begin) = next.and_then(|at| path.iter().position(|p| *p == at)) {
            circles.push(path.split_off(begin));
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(references: &[&[usize]], order: &[usize], circles: &[&[usize]]) {
        let references: Vec<Vec<usize>> = references.iter().map(|r| r.to_vec()).collect();
        let (found_order, found_circles) = evaluation_order(&references);
        assert_eq!(found_order, order);
        assert_eq!(found_circles, circles);
    }

    #[test]
    fn without_references_the_order_of_definition_stays() {
        check(&[&[], &[], &[]], &[0, 1, 2], &[]);
    }

    #[test]
    fn a_reference_moves_only_the_one_that_makes_it() {
        check(&[&[2], &[], &[], &[]], &[1, 2, 0, 3], &[]);
    }

    #[test]
    fn the_same_reference_twice_is_one() {
        check(&[&[1, 1], &[]], &[1, 0], &[]);
    }

    #[test]
    fn a_circle_is_given_as_its_path() {
        check(&[&[1], &[2], &[0], &[]], &[3], &[&[0, 1, 2]]);
    }

    #[test]
    fn a_segment_that_refers_to_itself_is_a_circle() {
        check(&[&[0]], &[], &[&[0]]);
    }

    #[test]
    fn what_leads_into_a_circle_is_no_part_of_it() {
        check(&[&[1], &[2], &[1]], &[], &[&[1, 2]]);
    }

    #[test]
    fn each_circle_is_reported() {
        check(&[&[1], &[0], &[3], &[2]], &[], &[&[0, 1], &[2, 3]]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let references: Vec<Vec<usize>> = (0..100_000).map(|i| if i + 1 < 100_000 { vec![i + 1] } else { vec![] }).collect();
        let (order, circles) = evaluation_order(&references);
        assert_eq!((order.len(), order[0], circles.len()), (100_000, 99_999, 0));
    }
}
