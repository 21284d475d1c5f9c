//! Decimal texts as the nearest binary numbers, exactly and in few instructions of code.
//!
//! The standard library's parser brings a table of 10 KB, which does not compress. Values of features have at most 19 digits
//! and exponents near 0, for which one product or quotient of whole numbers says all that rounding needs. Its invariant: a
//! text that this cannot round exactly gets no number here.

/// The most digits that fit 64 bits whatever they are.
const MAX_DIGITS: u32 = 19;
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
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut decimal = Decimal { is_negative, digits: Some(0), power: 0 };
    let (mut count, mut has_digits, mut is_fraction) = (0, false, false);
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => {
                has_digits = true;
                decimal.power -= i64::from(is_fraction);
                let digits = decimal.digits.unwrap_or_default();
                count += u32::from(digits > 0 || byte > b'0');
                decimal.digits = (count <= MAX_DIGITS).then(|| digits * 10 + u64::from(byte - b'0'));
            }
            b'.' if !is_fraction && has_digits => is_fraction = true,
            b'e' | b'E' if has_digits => {
                let text = core::str::from_utf8(bytes.as_slice()).ok()?;
                let exponent = text.strip_prefix('+').unwrap_or(text).parse::<i32>();
                match exponent {
                    Ok(exponent) => decimal.power += i64::from(exponent),
                    Err(_) => decimal.digits = None,
                }
                return Some(decimal);
            }
            _ => return None,
        }
    }
    has_digits.then_some(decimal)
}

impl Decimal {
    /// The nearest number, if this can tell.
    #[must_use]
    pub(crate) fn to_f64(self) -> Option<f64> {
        let rounded = self.round(53)?;
        let sign = u64::from(self.is_negative) << 63;
        let bits = match rounded {
            None => 0,
            Some((mantissa, exponent)) => ((exponent + 1_023) as u64) << 52 | (mantissa & ((1 << 52) - 1)),
        };
        Some(f64::from_bits(sign | bits))
    }

    /// The nearest number, if this can tell.
    #[must_use]
    pub(crate) fn to_f32(self) -> Option<f32> {
        let rounded = self.round(24)?;
        let sign = u32::from(self.is_negative) << 31;
        let bits = match rounded {
            None => 0,
            Some((_, exponent)) if exponent > 127 => f32::INFINITY.to_bits(),
            Some((mantissa, exponent)) => ((exponent + 127) as u32) << 23 | (mantissa as u32 & ((1 << 23) - 1)),
        };
        Some(f32::from_bits(sign | bits))
    }

    /// The `precision` first binary digits, and the power of two that the first stands for; within, `None` for 0.
    fn round(self, precision: u32) -> Option<Option<(u64, i64)>> {
        let digits = self.digits?;
        if digits == 0 {
            return Some(None);
        }
        if self.power.abs() > MAX_POWER {
            return None;
        }
        let five = 5_u64.pow(self.power.unsigned_abs() as u32);
        // The value is `bits × 2^exponent`, and a little more where something is left.
        let (bits, exponent, has_rest) = if self.power < 0 {
            let (left, right) = (digits.leading_zeros(), five.leading_zeros());
            let dividend = u128::from(digits << left) << 63;
            let divisor = u128::from(five << right);
            let quotient = dividend.checked_div(divisor)?;
            let has_rest = quotient * divisor != dividend;
            (quotient as u64, i64::from(right) - i64::from(left) + self.power - 63, has_rest)
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
        Some(Some((kept >> has_carried, exponent + 63 + has_carried as i64)))
    }
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
    fn what_floats_print_as_is_within_reach() {
        for text in ["0.10000000149011612", "0.9999999403953552", "-123456.78125", "0.000012345678", "1e-7"] {
            assert!(parse(text.as_bytes()).unwrap().to_f64().is_some(), "{text}");
            check(text);
        }
    }

    proptest! {
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
