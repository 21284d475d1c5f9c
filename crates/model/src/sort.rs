//! The standard sort, compiled once for all types.
//!
//! The standard sort is compiled for each type: 14 KB gzipped for the eight types here, of the module's 360 KB. So positions are
//! sorted instead, by one comparison through a pointer. No list is long, and none is sorted on an L1 hit.

use core::cmp::Ordering;

/// `items` from the least to the greatest.
#[must_use]
pub fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let mut positions: Vec<usize> = (0..items.len()).collect();
    sort_positions(&mut positions, &|left, right| items.get(left).cmp(&items.get(right)));
    positions.into_iter().filter_map(|position| items.get_mut(position)?.take()).collect()
}

fn sort_positions(positions: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    positions.sort_unstable_by(|&left, &right| compare(left, right));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_standard_sort(items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort();
            prop_assert_eq!(sorted(items), expected);
        }
    }
}
