//! What a request's shape is to those who learn from requests: short names that are the same in every isolate.
//!
//! The hashes that find rows are seeded in each isolate, so that nobody outside can foresee them; what is learned travels
//! from one isolate to the next, so its names are not. Two things of one name cost a wrong guess, and nothing else.

/// The names of a shape and of what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The name of the shape as a whole.
    pub name: u32,
    /// The name of its entity columns.
    pub columns: u32,
    /// The names of its features, [`MAX_SHAPE_FEATURES`] at most.
    pub features: Vec<u32>,
    /// The numbers of the views whose keys together hold all entity columns.
    pub carriers: Vec<usize>,
}

/// How many features of a shape are told apart; more of them say no more of what is asked together.
pub const MAX_SHAPE_FEATURES: usize = 64;

/// Source of the constants: the fractional bits of the golden ratio, and SplitMix64's multiplier.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: u64 = 0xbf58_476d_1ce4_e5b9;

/// A name for `bytes` within what `seed` names.
#[must_use]
pub fn fingerprint(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = seed ^ GOLDEN.wrapping_mul(bytes.len() as u64 + 1);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        hash = mixed(hash ^ u64::from_le_bytes(*word));
    }
    let last = tail.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    mixed(mixed(hash ^ last))
}

#[inline]
const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(MIX);
    hash ^ hash >> 29
}

/// A name in 32 bits, none of which is 0: that stands for nothing.
#[inline]
#[must_use]
pub fn short(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spread_and_tell_lengths_and_seeds_apart() {
        let mut names: Vec<u32> = (0..20_000_u32).map(|id| short(fingerprint(id.to_string().as_bytes(), 7))).collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() >= 19_998, "{} of 20,000 are told apart", names.len());
        let low = names.iter().filter(|&&name| name < u32::MAX / 8).count();
        assert!((2_300..2_700).contains(&low), "an eighth lies in the lowest eighth: {low}");
        assert_ne!(fingerprint(b"", 1), fingerprint(b"\0", 1));
        assert_ne!(fingerprint(b"a", 1), fingerprint(b"a", 2));
    }

    #[test]
    fn names_stay_as_they_are_since_they_are_stored() {
        assert_eq!(fingerprint(b"n\x041001", 0), 16_893_766_175_386_952_006);
    }
}
