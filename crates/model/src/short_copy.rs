//! Copies and compares short byte strings, in blocks of fixed size.
//!
//! In wasm, a copy of variable length is a call out of the module on most hosts, and a comparison goes byte by byte. For keys and
//! values both take too long. So a string is copied as its first and its last block, which may overlap.

/// Copies `bytes` to `target`, which must be of the same length.
pub fn copy(target: &mut [u8], bytes: &[u8]) {
    match bytes.len() {
        0..4 => target.iter_mut().zip(bytes).for_each(|(target, byte)| *target = *byte),
        4..8 => copy_ends::<4>(target, bytes),
        8..16 => copy_ends::<8>(target, bytes),
        16..=32 => copy_ends::<16>(target, bytes),
        33..=64 => copy_ends::<32>(target, bytes),
        65..=128 => copy_ends::<64>(target, bytes),
        _ => target.copy_from_slice(bytes),
    }
}

#[inline]
fn copy_ends<const N: usize>(target: &mut [u8], bytes: &[u8]) {
    if let (Some(target), Some(block)) = (target.first_chunk_mut::<N>(), bytes.first_chunk::<N>()) {
        *target = *block;
    }
    if let (Some(target), Some(block)) = (target.last_chunk_mut::<N>(), bytes.last_chunk::<N>()) {
        *target = *block;
    }
}

/// Whether both are equal.
#[must_use]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(last), Some(others)) => {
            let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
            u64::from_le_bytes(*last) == u64::from_le_bytes(*others)
                && words.into_iter().all(|(word, others)| u64::from_le_bytes(*word) == u64::from_le_bytes(*others))
        }
        _ => one.iter().zip(other).all(|(byte, others)| byte == others),
    }
}

/// Appends `bytes` to `out`; `following` begins with the same bytes, and may continue after them.
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8], following: &[u8]) {
    match following.first_chunk::<BLOCK>() {
        Some(block) if bytes.len() <= BLOCK => {
            let end = out.len() + bytes.len();
            out.extend_from_slice(block);
            out.truncate(end);
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// Most keys are shorter, in bytes.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_comparisons_are_those_of_the_standard_library() {
        let source: Vec<u8> = (0..=255).collect();
        for length in 0..200 {
            let mut target = vec![0; length];
            copy(&mut target, &source[..length]);
            assert_eq!(target, source[..length]);
            assert!(is_same(&target, &source[..length]));
            assert!(!is_same(&target, &source[..length + 1]));
            for at in 0..length {
                target[at] ^= 1;
                assert!(!is_same(&target, &source[..length]), "{at} of {length}");
                target[at] ^= 1;
            }
            append(&mut target, &source[..length], &source[..length + length % 30]);
            assert_eq!(target[length..], source[..length]);
        }
    }
}
