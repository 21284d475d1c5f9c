//! Parses decimal texts to the nearest binary numbers, exactly and in few instructions.
//!
//! The standard library's parser has a table of 10 KB, which does not compress. Feature values have at most 19 digits and exponents
//! near 0, for which a table of 55 powers suffices. Eight digits are read at a time. One product of integers nearly always decides
//! the rounding (Eisel and Lemire); otherwise an exact quotient does. Invariant: a text that cannot be rounded exactly here gets no
//! number.

/// The most digits that fit 64 bits whatever they are.
const MAX_DIGITS: usize = 19;
/// 5 to this power is the last that fits 64 bits.
const MAX_POWER: i64 = 27;

/// `±digits × 10^power`, or a text of more digits than that holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    is_negative: bool,
    digits: Option<u64>,
    power: i64,
}

/// Reads a JSON number; `None` where it is none.
#[must_use]
pub(crate) fn parse(text: &[u8]) -> Option<Decimal> {
    read(text).filter(|(_, rest)| rest.is_empty()).map(|(decimal, _)| decimal)
}

/// Reads the number that `text` begins with, and returns it with the rest, if it has the form of nearly all numbers of vectors: one
/// digit, a point, and one to sixteen digits. `None` for any other form.
///
/// Nothing that differs from number to number, such as the sign, decides a branch, so that the CPU predicts all of them.
#[inline(always)]
#[must_use]
pub(crate) fn read_plain(text: &[u8]) -> Option<(Decimal, &[u8])> {
    let is_negative = text.first() == Some(&b'-');
    let text = text.get(usize::from(is_negative)..)?;
    let (head, fraction) = text.first_chunk::<18>()?.split_first_chunk::<2>()?;
    let (first, second) = fraction.split_first_chunk::<8>()?;
    let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second.first_chunk()?));
    let [whole @ b'0'..=b'9', b'.'] = head else { return None };
    let whole = u64::from(whole - b'0');
    let (digits, length) = match first_digits(first) {
        8 => {
            let digits = whole * 100_000_000 + number_of(first);
            match first_digits(second) {
                0 => (digits, 8),
                count => (digits * TENS.get(count)? + number_of(last_digits(second, count)), 8 + count),
            }
        }
        0 => return None,
        count => (whole * TENS.get(count)? + number_of(last_digits(first, count)), count),
    };
    let rest = text.get(2 + length..)?;
    let is_over = matches!(rest, [b',' | b']', ..]);
    is_over.then_some((Decimal { is_negative, digits: Some(digits), power: -(length as i64) }, rest))
}

/// How many of the first bytes of `word` are digits.
#[inline(always)]
fn first_digits(word: u64) -> usize {
    // Of the first byte that is no digit, and of none before it, the highest bit is set.
    let others = (word.wrapping_add(0x4646_4646_4646_4646) | word.wrapping_sub(ZEROS)) & 0x8080_8080_8080_8080;
    others.trailing_zeros() as usize / 8
}

/// The first `count` digits of `word`, of 1 to 8, moved to its end, with zeros before them.
#[inline(always)]
fn last_digits(word: u64, count: usize) -> u64 {
    // With all eight nothing is moved, and a digit with the bits of a zero is itself.
    word.wrapping_shl(64 - count as u32 * 8) | ZEROS.wrapping_shr(count as u32 * 8)
}

/// Reads the JSON number that `text` begins with, and returns it with the rest; `None` where there is none.
#[inline]
#[must_use]
pub(crate) fn read(text: &[u8]) -> Option<(Decimal, &[u8])> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut digits = 0;
    let mut rest = match text {
        // As most numbers of vectors are.
        [digit @ b'0'..=b'9', rest @ ..] if rest.first() == Some(&b'.') => {
            digits = u64::from(digit - b'0');
            rest
        }
        _ => read_digits(text, &mut digits),
    };
    let mut count = text.len() - rest.len();
    if count == 0 {
        return None;
    }
    let mut power = 0;
    if let [b'.', fraction @ ..] = rest {
        rest = read_digits(fraction, &mut digits);
        let length = fraction.len() - rest.len();
        count += length;
        power = -(length as i64);
    }
    if count > MAX_DIGITS {
        let zeros = text.iter().take_while(|byte| matches!(byte, b'0' | b'.')).count();
        let has_point = text.iter().take(zeros).any(|&byte| byte == b'.');
        count -= zeros - usize::from(has_point);
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let (after, exponent) = read_exponent(exponent)?;
        rest = after;
        power += exponent;
    }
    Some((Decimal { is_negative, digits: (count <= MAX_DIGITS).then_some(digits), power }, rest))
}

/// Appends the digits that `text` begins with to `digits`, and returns the rest.
#[inline]
fn read_digits<'a>(mut text: &'a [u8], digits: &mut u64) -> &'a [u8] {
    while let Some((eight, rest)) = text.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let count = first_digits(word);
        if let Some(scale) = TENS.get(count).filter(|_| count > 0) {
            *digits = digits.wrapping_mul(*scale).wrapping_add(number_of(last_digits(word, count)));
        }
        if count < 8 {
            return text.get(count..).unwrap_or_default();
        }
        text = rest;
    }
    while let [byte @ b'0'..=b'9', rest @ ..] = text {
        *digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        text = rest;
    }
    text
}

/// Eight times the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number of eight digits, the first in the lowest byte: pairs are put together, then fours, then all.
#[inline]
fn number_of(word: u64) -> u64 {
    let digits = word.wrapping_sub(ZEROS);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

/// Reads the exponent after an `e`.
fn read_exponent(text: &[u8]) -> Option<(&[u8], i64)> {
    let (is_negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut exponent = None;
    while let [byte @ b'0'..=b'9', after @ ..] = rest {
        let digit = i64::from(byte - b'0');
        // Far beyond what is rounded here, more digits change nothing.
        exponent = Some((exponent.unwrap_or(0) * 10 + digit).min(i64::from(i32::MAX)));
        rest = after;
    }
    exponent.map(|exponent| (rest, if is_negative { -exponent } else { exponent }))
}

/// For 5 to the power of −27 to 27 the first 64 binary digits, those of negative powers cut off.
const FIVES: [u64; 2 * MAX_POWER as usize + 1] = fives();

#[expect(clippy::indexing_slicing, reason = "it is computed when this is compiled, and would not be otherwise")]
const fn fives() -> [u64; 2 * MAX_POWER as usize + 1] {
    let middle = MAX_POWER as usize;
    let mut fives = [0; 2 * MAX_POWER as usize + 1];
    let mut five = 1_u64;
    let mut power = 0;
    while power <= middle {
        fives[middle + power] = five << five.leading_zeros();
        if power > 0 {
            fives[middle - power] = ((1_u128 << (127 - five.leading_zeros())) / five as u128) as u64;
        }
        if power < middle {
            five *= 5;
        }
        power += 1;
    }
    fives
}

/// The powers of ten that a double holds exactly.
const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The `precision` first binary digits of a number, and the power of two that the first stands for.
type Binary = (u64, i64);

impl Decimal {
    /// The nearest number, if this can tell.
    #[inline]
    #[must_use]
    pub(crate) fn to_f64(self) -> Option<f64> {
        let digits = self.digits?;
        let sign = u64::from(self.is_negative) << 63;
        // Both are exact then, and so their product or quotient is rounded once (Clinger).
        if let Some(ten) = EXACT_TENS.get(self.power.unsigned_abs() as usize).filter(|_| digits <= 1 << 53) {
            let number = if self.power < 0 { digits as f64 / ten } else { digits as f64 * ten };
            return Some(f64::from_bits(sign | number.to_bits()));
        }
        let (mantissa, exponent) = self.round(digits, 53)?;
        Some(f64::from_bits(sign | ((exponent + 1_023) as u64) << 52 | (mantissa & ((1 << 52) - 1))))
    }

    /// The nearest number, if this can tell.
    #[inline]
    #[must_use]
    pub(crate) fn to_f32(self) -> Option<f32> {
        let digits = self.digits?;
        let sign = u32::from(self.is_negative) << 31;
        if let Some(ten) = EXACT_TENS.get(self.power.unsigned_abs() as usize).filter(|_| digits < 1 << 63) {
            // Rounded twice, which is wrong by less than 2 of its last digits; so unless the double is as near to the middle between two
            // floats as that, it is on the same side of it as the number itself.
            let whole = digits as i64 as f64;
            let number = if self.power < 0 { whole / ten } else { whole * ten };
            let rest = number.to_bits() & 0x1fff_ffff;
            if rest.abs_diff(0x1000_0000) > 2 {
                return Some(f32::from_bits(sign | (number as f32).to_bits()));
            }
        }
        let bits = match self.round(digits, 24)? {
            (_, exponent) if exponent > 127 => f32::INFINITY.to_bits(),
            (mantissa, exponent) => ((exponent + 127) as u32) << 23 | (mantissa as u32 & ((1 << 23) - 1)),
        };
        Some(f32::from_bits(sign | bits))
    }

    #[inline]
    fn round(self, digits: u64, precision: u32) -> Option<Binary> {
        if digits == 0 {
            return None;
        }
        let five = *FIVES.get(usize::try_from(self.power + MAX_POWER).ok()?)?;
        // Of `power × log2(5)` the whole part, for the powers that there are.
        let exponent = (self.power * 152_170) >> 16;
        let left = digits.leading_zeros();
        // Parts of the product are cut off, and of the power, so that the true one is larger by less than 4.
        let product = high_product(digits << left, five);
        let zeros = product.leading_zeros();
        let bits = product << zeros;
        let dropped = 64 - precision;
        let rest = bits & ((1 << dropped) - 1);
        let half = 1 << (dropped - 1);
        if rest <= half && half < rest + 8 {
            return self.round_exactly(digits, precision);
        }
        let kept = (bits >> dropped) + u64::from(rest > half);
        let has_carried = kept >> precision;
        let first = exponent + self.power + 64 - i64::from(left) - i64::from(zeros);
        Some((kept >> has_carried, first + has_carried as i64))
    }

    #[cold]
    fn round_exactly(self, digits: u64, precision: u32) -> Option<Binary> {
        let five = 5_u64.pow(self.power.unsigned_abs() as u32);
        // The value is `bits × 2^exponent`, and a little more where something is left.
        let (bits, exponent, has_rest) = if self.power < 0 {
            let (left, right) = (digits.leading_zeros(), five.leading_zeros());
            let (quotient, has_rest) = long_quotient(digits << left, five << right);
            (quotient, i64::from(right) - i64::from(left) + self.power - 63, has_rest)
        } else {
            let product = u128::from(digits) * u128::from(five);
            let shift = product.leading_zeros();
            let normal = product << shift;
            ((normal >> 64) as u64, 64 - i64::from(shift) + self.power, normal as u64 != 0)
        };
        let zeros = bits.leading_zeros();
        let (bits, exponent) = (bits << zeros, exponent - i64::from(zeros));
        let dropped = 64 - precision;
        let (kept, rest) = (bits >> dropped, bits & ((1 << dropped) - 1));
        let half = 1 << (dropped - 1);
        let is_up = rest > half || rest == half && (has_rest || kept & 1 == 1);
        let kept = kept + u64::from(is_up);
        let has_carried = kept >> precision;
        Some((kept >> has_carried, exponent + 63 + has_carried as i64))
    }
}

/// `dividend × 2^63` by `divisor`, both with their highest bit set, and whether there is a remainder. Bit by bit, since a 128-bit
/// division is a kilobyte of code that nothing else uses.
#[cold]
fn long_quotient(dividend: u64, divisor: u64) -> (u64, bool) {
    let (mut quotient, mut rest, mut carry) = (0, dividend, false);
    for bit in 0..64 {
        if bit > 0 {
            carry = rest >> 63 == 1;
            rest <<= 1;
        }
        let fits = carry || rest >= divisor;
        if fits {
            rest = rest.wrapping_sub(divisor);
        }
        quotient = quotient << 1 | u64::from(fits);
    }
    (quotient, rest != 0)
}

/// The upper half of a product, too small by less than 3: by what the lower halves would carry.
#[inline]
fn high_product(one: u64, other: u64) -> u64 {
    let (one_high, one_low) = (one >> 32, one & 0xffff_ffff);
    let (other_high, other_low) = (other >> 32, other & 0xffff_ffff);
    one_high * other_high + ((one_high * other_low) >> 32) + ((one_low * other_high) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) {
        let decimal = parse(text.as_bytes()).expect(text);
        if let Some(number) = decimal.to_f64() {
            assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        if let Some(number) = decimal.to_f32() {
            assert_eq!(number.to_bits(), text.parse::<f32>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn texts_of_all_forms_are_the_nearest_numbers() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "0e5",
            "0e25",
            "-0.000000000000000000000000000",
            "1",
            "-1",
            "0.1",
            "0.30000000000000004",
            "1e22",
            "1e23",
            "9007199254740993",
            "9223372036854775807",
            "16777217",
            "16777216.5",
            "3.4028236e38",
            "3.5e38",
            "1e-27",
            "0.000000000000001",
            "5e-1",
            "1E+2",
            "123.456e-7",
            "9999999999999999999",
            "99999999999999999999",
            "1e400",
            "1e-400",
            "0.1000000000000000055511151231257827",
            "2.2250738585072014e-308",
            "1e99999999999",
            "0.00000000000000000000001234567890123456789",
            "00000000000000000000.5",
            "12345678",
            "123456789.12345678",
            "1.5e27",
            "1e27",
            "1e28",
            "18446744073709551615e27",
            "4503599627370497.5",
            "9007199254740992.5e1",
            "1.00000005960464477539e0",
        ] {
            check(text);
        }
        assert_eq!(parse(b"9007199254740993").unwrap().to_f64(), Some(9_007_199_254_740_992.0));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", ".5", "1.2.3", "null", "1 2", "e5", "--1", "1ex", "\"1\"", "[1]", "true"] {
            let decimal = parse(text.as_bytes());
            assert!(decimal.is_none_or(|decimal| decimal.to_f64().is_none()), "{text}");
        }
    }

    #[test]
    fn a_number_is_read_from_the_front() {
        for (text, rest) in [("1,2", ",2"), ("-0.25]", "]"), ("12345678,", ","), ("1e5 ,", " ,"), ("1.5", "")] {
            let (decimal, after) = read(text.as_bytes()).unwrap();
            assert_eq!(after, rest.as_bytes());
            let number: f64 = text.strip_suffix(rest).unwrap().parse().unwrap();
            assert_eq!(decimal.to_f64(), Some(number));
        }
    }

    /// What follows a number of a vector in memory.
    const BEHIND: &str = ",0.123456789012345678]";

    #[test]
    fn plain_numbers_are_those_of_vectors() {
        for text in
            ["0.1", "-1.2538884013171474", "0.12345678", "0.1234567", "-0.0", "9.9999999999999999", "0.123456789"]
        {
            let text = format!("{text}{BEHIND}");
            assert!(read_plain(text.as_bytes()).is_some(), "{text}");
        }
        for text in
            ["1", "12.5", "0.5e3", "0.12345678901234567", "0.", "-", ".5", "0.12345678e1", "null", "0.5 ", "--0.5"]
        {
            let text = format!("{text}{BEHIND}");
            assert!(read_plain(text.as_bytes()).is_none(), "{text}");
        }
        assert!(read_plain(b"0.5]").is_none(), "there is too little to look at blocks");
    }

    #[test]
    fn halves_and_their_neighbours_round_as_they_should() {
        for mantissa in [1_u64 << 24, (1 << 24) + 1, (1 << 24) + 2, (1 << 53) + 1, (1 << 54) + 2, (1 << 60) + (1 << 6)]
        {
            for (near, power) in
                [(mantissa - 1, 0), (mantissa, 0), (mantissa + 1, 0), (mantissa * 5, -1), (mantissa * 5 + 1, -1)]
            {
                check(&format!("{near}e{power}"));
            }
        }
    }

    #[test]
    fn what_floats_print_as_is_within_reach() {
        for text in ["0.10000000149011612", "0.9999999403953552", "-123456.78125", "0.000012345678", "1e-7"] {
            assert!(parse(text.as_bytes()).unwrap().to_f64().is_some(), "{text}");
            check(text);
        }
    }

    proptest! {
        #[test]
        fn a_plain_number_is_read_as_any_other(text in "-?[0-9]\\.[0-9]{1,17}(e[0-9])?[,\\] ]") {
            let text = format!("{text}{BEHIND}");
            if let Some((plain, after)) = read_plain(text.as_bytes()) {
                let (any, rest) = read(text.as_bytes()).unwrap();
                prop_assert_eq!(after, rest);
                prop_assert_eq!((plain.is_negative, plain.digits, plain.power), (any.is_negative, any.digits, any.power));
            }
        }

        #[test]
        fn any_decimal_is_the_nearest_number(digits in any::<u64>(), power in -30_i32..30, point in 0_usize..20) {
            check(&format!("{digits}e{power}"));
            let text = digits.to_string();
            let (whole, fraction) = text.split_at(point.min(text.len() - 1).max(1).min(text.len()));
            if !fraction.is_empty() {
                check(&format!("{whole}.{fraction}"));
            }
        }

        #[test]
        fn any_float_comes_back(wide in any::<f64>(), narrow in any::<f32>()) {
            for text in [wide.to_string(), f64::from(narrow).to_string(), narrow.to_string()] {
                if !text.contains(['N', 'i']) {
                    check(&text);
                }
            }
        }
    }
}
