//! Request shapes, as the prefetch model knows them: by fingerprints that are the same in every isolate.
//!
//! Hashes of rows are seeded in each isolate, so that they cannot be predicted from outside. The prefetch model is shared among
//! isolates, so its fingerprints are not seeded. A collision costs a wrong prediction, and nothing else.

/// The fingerprints of a request shape and of what it requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestShape {
    /// The fingerprint of the whole shape.
    pub name: u32,
    /// The fingerprint of its entity columns.
    pub columns: u32,
    /// The fingerprints of its features, [`MAX_SHAPE_FEATURES`] at most.
    pub features: Vec<u32>,
    /// The numbers of views whose keys together contain all entity columns.
    pub key_views: Vec<usize>,
}

/// The most features of a shape that are distinguished; more of them add nothing to a prediction.
pub const MAX_SHAPE_FEATURES: usize = 64;

/// Source of the constants: the fractional bits of the golden ratio, and SplitMix64's multiplier.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: u64 = 0xbf58_476d_1ce4_e5b9;

/// A fingerprint of `bytes`, under `seed`.
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

/// A fingerprint in 32 bits, which is never 0: 0 stands for none.
#[inline]
#[must_use]
pub fn short_fingerprint(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_spread_and_depend_on_length_and_seed() {
        let mut names: Vec<u32> =
            (0..20_000_u32).map(|id| short_fingerprint(fingerprint(id.to_string().as_bytes(), 7))).collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() >= 19_998, "{} of 20,000 are told apart", names.len());
        let low = names.iter().filter(|&&name| name < u32::MAX / 8).count();
        assert!((2_300..2_700).contains(&low), "an eighth lies in the lowest eighth: {low}");
        assert_ne!(fingerprint(b"", 1), fingerprint(b"\0", 1));
        assert_ne!(fingerprint(b"a", 1), fingerprint(b"a", 2));
    }

    #[test]
    fn fingerprints_never_change_since_they_are_stored() {
        assert_eq!(fingerprint(b"n\x041001", 0), 16_893_766_175_386_952_006);
    }
}
