//! Short stretches of bytes, copied and compared by blocks of fixed size.
//!
//! A copy of a length that is not known when this is compiled is a call out of the module in most hosts, and a comparison goes
//! byte by byte; both take longer than what keys and values are worth. Two blocks that may overlap copy what is as long as
//! one, and at most as long as both.

/// Copies `bytes` to `place`, which is as long.
pub fn copy(place: &mut [u8], bytes: &[u8]) {
    match bytes.len() {
        0..4 => place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte),
        4..8 => copy_ends::<4>(place, bytes),
        8..16 => copy_ends::<8>(place, bytes),
        16..=32 => copy_ends::<16>(place, bytes),
        33..=64 => copy_ends::<32>(place, bytes),
        65..=128 => copy_ends::<64>(place, bytes),
        _ => place.copy_from_slice(bytes),
    }
}

#[inline]
fn copy_ends<const N: usize>(place: &mut [u8], bytes: &[u8]) {
    if let (Some(place), Some(block)) = (place.first_chunk_mut::<N>(), bytes.first_chunk::<N>()) {
        *place = *block;
    }
    if let (Some(place), Some(block)) = (place.last_chunk_mut::<N>(), bytes.last_chunk::<N>()) {
        *place = *block;
    }
}

/// Whether both are the same.
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

/// Appends `bytes` to `out`; `ahead` begins with the same bytes, and may go on behind them.
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8], ahead: &[u8]) {
    match ahead.first_chunk::<BLOCK>() {
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
    fn blocks_copy_and_compare_as_bytes_do() {
        let source: Vec<u8> = (0..=255).collect();
        for length in 0..200 {
            let mut place = vec![0; length];
            copy(&mut place, &source[..length]);
            assert_eq!(place, source[..length]);
            assert!(is_same(&place, &source[..length]));
            assert!(!is_same(&place, &source[..length + 1]));
            for at in 0..length {
                place[at] ^= 1;
                assert!(!is_same(&place, &source[..length]), "{at} of {length}");
                place[at] ^= 1;
            }
            append(&mut place, &source[..length], &source[..length + length % 30]);
            assert_eq!(place[length..], source[..length]);
        }
    }
}
