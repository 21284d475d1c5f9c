//! JSON of reports, by serde: times in RFC 3339, numbers to six decimals.

use std::io::{self, Write};

use model::time::{EventTime, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

/// A value as JSON.
#[must_use]
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    append_json(&mut out, value);
    out
}

/// Appends a value as JSON.
pub(crate) fn append_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // It cannot fail: writes to memory do not, and all keys are strings.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(out, SixDecimals));
}

/// A time, serialized in RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = EventTime(i64::try_from(self.0.0.saturating_mul(1_000)).unwrap_or(i64::MAX));
        serializer.serialize_str(str::from_utf8(time.formatted().as_bytes()).unwrap_or_default())
    }
}

/// Writes numbers to six decimals, without trailing zeros: no figure is finer than a millionth or negative. So JSON and Prometheus have the
/// same digits, and the wasm module has no tables for printing floats.
struct SixDecimals;

impl Formatter for SixDecimals {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let mut text = Vec::new();
        write_decimal(&mut text, (value * 1e6).round() as u64, 6);
        out.write_all(&text)
    }
}

/// Appends `number` divided by 10 to the power of `decimals`, without trailing zeros.
pub(crate) fn write_decimal(out: &mut Vec<u8>, number: u64, decimals: u32) {
    let unit = 10_u64.pow(decimals);
    let start = out.len();
    let (mut whole, mut fraction) = (number / unit, number % unit);
    loop {
        out.push(b'0' + (whole % 10) as u8);
        whole /= 10;
        if whole == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
    let mut digit = unit;
    if fraction > 0 {
        out.push(b'.');
    }
    while fraction > 0 {
        digit /= 10;
        out.push(b'0' + (fraction / digit) as u8);
        fraction %= digit;
    }
}
