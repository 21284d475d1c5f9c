//! Putting things in order in little code.
//!
//! The standard sorts are the fastest, and each type that they sort brings 9 to 14 KB of WebAssembly of its own, 98 KB in
//! all here; nothing that is sorted in this crate is long enough, or sorted often enough, to be worth that. So there is one
//! heap sort, which knows of what it sorts how to compare and to swap two.

/// `items` from the least to the greatest.
#[must_use]
pub fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    sort(items.len(), &mut items);
    items
}

/// A row of things, by their places.
trait Row {
    fn is_less(&self, left: usize, right: usize) -> bool;
    fn swap(&mut self, left: usize, right: usize);
}

impl<T: Ord> Row for Vec<T> {
    fn is_less(&self, left: usize, right: usize) -> bool {
        self.get(left) < self.get(right)
    }

    fn swap(&mut self, left: usize, right: usize) {
        self.as_mut_slice().swap(left, right);
    }
}

/// Heap sort (Williams, "Algorithm 232", Communications of the ACM 7(6), 1964).
fn sort(length: usize, row: &mut dyn Row) {
    for start in (0..length / 2).rev() {
        sink(row, start, length);
    }
    for end in (1..length).rev() {
        row.swap(0, end);
        sink(row, 0, end);
    }
}

/// Lets what stands at `at` sink to its place in the heap of the first `end`.
fn sink(row: &mut dyn Row, mut at: usize, end: usize) {
    loop {
        let left = 2 * at + 1;
        if left >= end {
            return;
        }
        let greater = if left + 1 < end && row.is_less(left, left + 1) { left + 1 } else { left };
        if !row.is_less(at, greater) {
            return;
        }
        row.swap(at, greater);
        at = greater;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_comes_first_and_twins_stay_two() {
        assert_eq!(sorted([3, 1, 2, 3]), [1, 2, 3, 3]);
        assert_eq!(sorted(Vec::<u8>::new()), Vec::<u8>::new());
    }

    #[test]
    fn any_number_of_things_comes_into_order() {
        let mut state = 7_u32;
        for length in 0..200 {
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 24
            };
            let items: Vec<u32> = (0..length).map(next).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            assert_eq!(sorted(items), expected);
        }
    }
}
