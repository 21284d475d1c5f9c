//! Inputs made from other inputs: by the byte, and for JSON by the token and the value too.
//!
//! It knows no target. Its invariant: what it makes follows from the state of its generator alone, so a run can be repeated.

/// A generator of pseudo-random numbers. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators".
#[derive(Clone, Debug)]
pub struct Random(
    /// Its state.
    pub u64,
);

impl Random {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Texts that mean something to readers of JSON, and numbers at the edges of their types.
const WORDS: [&[u8]; 30] = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\"\\ud83d\\ude00\"",
    b"\\u0000",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"0",
    b"-0",
    b"-1",
    b"1e999",
    b"1e-400",
    b"0.1",
    b"1.0",
    b"255",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"9007199254740993",
    b"9223372036854775808",
    b"18446744073709551616",
    b"\"1970-01-01T00:00:00Z\"",
    b"\"2026-11-23T08:00:00.123456+01:00\"",
    b"\"PRESENT\"",
    b"\"OUTSIDE_MAX_AGE\"",
    b"[[[[",
    b",",
];

/// Single bytes at the edges of their ranges.
const EDGES: [u8; 12] = [0, 1, 7, 8, 0x20, 0x22, 0x5c, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

/// An input made from `input`, with parts of `others`, of at most `max` bytes.
pub fn mutated(input: &[u8], others: &[Vec<u8>], is_json: bool, max: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let most = 2 << random.below(4);
    for _ in 0..=random.below(most) {
        if is_json && random.below(10) < 6 {
            change_tokens(&mut bytes, others, random);
        } else {
            change_bytes(&mut bytes, others, random);
        }
        bytes.truncate(max);
    }
    bytes
}

fn change_bytes(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let most = 1 << random.below(7);
    let end = (at + 1 + random.below(most)).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.number() as u8,
        2 if at < bytes.len() => bytes[at] = *random.pick(&EDGES),
        3 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.below(17) as u8).wrapping_sub(8),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        6 => {
            let word = *random.pick(&WORDS);
            bytes.splice(at..at, word.iter().copied());
        }
        7 => bytes.insert(at, random.number() as u8),
        _ if !others.is_empty() => {
            let other = random.pick(others);
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            let replaced = if random.below(2) == 0 { at..end } else { at..bytes.len() };
            bytes.splice(replaced, other[from..to].iter().copied());
        }
        _ => {}
    }
}

fn change_tokens(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let (start, end) = span(bytes, random);
    match random.below(6) {
        0 => drop(bytes.drain(start..end)),
        1 => {
            // Twice, as one more element.
            let mut piece = vec![b','];
            piece.extend_from_slice(&bytes[start..end]);
            bytes.splice(end..end, piece);
        }
        2 => {
            bytes.splice(start..end, random.pick(&WORDS).iter().copied());
        }
        3 => {
            let (from, to) = span(bytes, random);
            let piece = bytes[from..to].to_vec();
            bytes.splice(start..end, piece);
        }
        _ if !others.is_empty() => {
            let other = random.pick(others);
            let (from, to) = span(other, random);
            bytes.splice(start..end, other[from..to].iter().copied());
        }
        _ => {}
    }
}

/// A token, or a whole value where it opens one.
fn span(bytes: &[u8], random: &mut Random) -> (usize, usize) {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        tokens.push((at, end));
        at = end;
    }
    if tokens.is_empty() {
        return (0, 0);
    }
    let first = random.below(tokens.len());
    let (start, mut end) = tokens[first];
    if matches!(bytes[start], b'[' | b'{') && random.below(4) > 0 {
        let mut depth = 0_usize;
        for &(from, to) in &tokens[first..] {
            depth += usize::from(matches!(bytes[from], b'[' | b'{'));
            depth -= usize::from(matches!(bytes[from], b']' | b'}')).min(depth);
            end = to;
            if depth == 0 {
                break;
            }
        }
    }
    (start, end)
}

fn token_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 1..];
    let length = match bytes[start] {
        b'"' => {
            let mut is_escaped = false;
            rest.iter()
                .position(|&byte| {
                    let ends = byte == b'"' && !is_escaped;
                    is_escaped = byte == b'\\' && !is_escaped;
                    ends
                })
                .map_or(rest.len(), |quote| quote + 1)
        }
        b'[' | b']' | b'{' | b'}' | b',' | b':' => 0,
        _ => rest.iter().position(|byte| b"[]{},:\"".contains(byte)).unwrap_or(rest.len()),
    };
    start + 1 + length
}
