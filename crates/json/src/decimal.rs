//! Checks numbers by their digits.
//!
//! Never as floats: a value converted to a float is another value, and the standard library's float parser is a tenth of the
//! module.

use core::iter;

/// The first digits of the least number that rounds to infinity, 2¹⁰²⁴ − 2⁹⁷⁰ ≈ 1.797…e308. What agrees in all of them
/// counts as one.
const INFINITE: &[u8] = b"17976931348623158079";
const INFINITE_EXPONENT: i64 = 308;

/// A JSON number: its digits, and the position of its point, counted from the first digit.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    point: i64,
}

impl<'a> Decimal<'a> {
    /// Takes apart a text that is a number by JSON's grammar.
    pub fn new(number: &'a str) -> Decimal<'a> {
        let (is_negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
        let number = number.as_bytes();
        let until = |bytes: &[u8], ends: &[u8]| bytes.iter().position(|byte| ends.contains(byte));
        let (digits, exponent) = split(number, until(number, b"eE"));
        let (whole, fraction) = split(digits, until(digits, b"."));
        // An exponent is only summed until it decides alone.
        let exponent = match exponent {
            [b'-', digits @ ..] => -sum(digits),
            [b'+', digits @ ..] | digits => sum(digits),
        };
        Decimal { is_negative, whole, fraction, point: exponent.saturating_add(whole.len() as i64) }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// Whether a double holds it as a finite number.
    pub fn is_finite(&self) -> bool {
        let leading_zeros = self.digits().take_while(|&digit| digit == b'0').count();
        let mut digits = self.digits().skip(leading_zeros).peekable();
        let exponent = self.point - 1 - leading_zeros as i64;
        digits.peek().is_none()
            || exponent < INFINITE_EXPONENT
            || exponent == INFINITE_EXPONENT
                && digits.chain(iter::repeat(b'0')).take(INFINITE.len()).lt(INFINITE.iter().copied())
    }

    /// The number times a thousand, without what is left of its fraction; `None` where it is negative or passes `most`.
    pub fn thousandfold(&self, most: u64) -> Option<u64> {
        let mut digits = self.digits();
        let mut rest = self.point.saturating_add(3);
        let mut sum: u64 = 0;
        while rest > 0 {
            let digit = match digits.next() {
                Some(digit) => u64::from(digit & 0xf),
                None if sum == 0 => break,
                None => 0,
            };
            sum = sum.checked_mul(10)?.checked_add(digit).filter(|&sum| sum <= most)?;
            rest -= 1;
        }
        let is_zero = sum == 0 && digits.all(|digit| digit == b'0');
        (is_zero || !self.is_negative).then_some(sum)
    }
}

/// The bytes before and after the byte at `at`.
fn split(bytes: &[u8], at: Option<usize>) -> (&[u8], &[u8]) {
    at.and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?))).unwrap_or((bytes, b""))
}

/// The digits as a number, held at a bound past which no text has as many digits.
fn sum(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit & 0xf)).min(1 << 40))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rounds_to_infinity_is_not_finite() {
        for (number, is_finite) in [
            ("0", true),
            ("-0.0e999999999999999999999", true),
            ("1.7976931348623157e308", true),
            ("17976931348623157e+292", true),
            ("-0.00017976931348623158e312", true),
            ("1.7976931348623159e308", false),
            ("1e309", false),
            ("-1e99999999999999999999", false),
            ("123e-99999999999999999999", true),
        ] {
            assert_eq!(Decimal::new(number).is_finite(), is_finite, "{number}");
        }
    }

    #[test]
    fn a_thousandfold_is_cut_and_bounded() {
        for (number, thousandfold) in [
            ("300", Some(300_000)),
            ("0.5", Some(500)),
            ("1.2345", Some(1_234)),
            ("2.5e-2", Some(25)),
            ("3E2", Some(300_000)),
            ("1e-9999999999999999999", Some(0)),
            ("-0.0", Some(0)),
            ("0e999999999999999999", Some(0)),
            ("-0.0001", None),
            ("-1", None),
            ("1000", Some(1_000_000)),
            ("1000.001", None),
            ("1e400", None),
        ] {
            assert_eq!(Decimal::new(number).thousandfold(1_000_000), thousandfold, "{number}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_floats(number in "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?") {
            prop_assert_eq!(Decimal::new(&number).is_finite(), number.parse::<f64>().unwrap().is_finite());
        }
    }
}
