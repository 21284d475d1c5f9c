//! JSON and plain numbers for machines that watch: no floats, so that nothing has to be able to print them.

use model::time::{EventTime, Instant};

/// An object that is being written.
#[derive(Clone, Debug, Default)]
pub struct Json {
    out: Vec<u8>,
    ends: Vec<u8>,
}

impl Json {
    /// What was written, all objects and lists closed.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        while !self.ends.is_empty() {
            self.close();
        }
        self.out
    }

    /// Begins an object under this key; an empty one stands for none, as in a list.
    pub fn open(&mut self, key: &str) {
        self.begin(key, b'{', b'}');
    }

    /// Begins a list.
    pub fn list(&mut self, key: &str) {
        self.begin(key, b'[', b']');
    }

    /// Ends the object or list that was begun last.
    pub fn close(&mut self) {
        self.out.extend(self.ends.pop());
    }

    /// A text.
    pub fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_string(&mut self.out, text);
    }

    /// A number that is `number` divided by 10 to the power of `decimals`.
    pub fn decimal(&mut self, key: &str, number: u64, decimals: u32) {
        self.key(key);
        write_decimal(&mut self.out, number, decimals);
    }

    /// A whole number.
    pub fn number(&mut self, key: &str, number: u64) {
        self.decimal(key, number, 0);
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str, is: bool) {
        self.key(key);
        self.out.extend_from_slice(if is { b"true" } else { b"false" });
    }

    /// A time, by RFC 3339.
    pub fn time(&mut self, key: &str, at: Instant) {
        self.key(key);
        let time = EventTime(i64::try_from(at.0.saturating_mul(1_000)).unwrap_or(i64::MAX));
        self.out.push(b'"');
        self.out.extend_from_slice(time.text().as_bytes());
        self.out.push(b'"');
    }

    /// A time in nanoseconds since 1970, as a text.
    pub(crate) fn nanos(&mut self, key: &str, at: Instant) {
        self.key(key);
        self.out.push(b'"');
        write_decimal(&mut self.out, at.0.saturating_mul(1_000_000), 0);
        self.out.push(b'"');
    }

    /// What is JSON already.
    pub(crate) fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    fn begin(&mut self, key: &str, begin: u8, end: u8) {
        self.key(key);
        self.out.push(begin);
        self.ends.push(end);
    }

    fn key(&mut self, key: &str) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[')) {
            self.out.push(b',');
        }
        if !key.is_empty() {
            write_string(&mut self.out, key);
            self.out.push(b':');
        }
    }
}

/// Appends `text` as a string, as JSON and the labels of Prometheus both read it; control characters become spaces, since names have
/// none.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends `number` divided by 10 to the power of `decimals`, without zeros at its end.
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
    let mut place = unit;
    if fraction > 0 {
        out.push(b'.');
    }
    while fraction > 0 {
        place /= 10;
        out.push(b'0' + (fraction / place) as u8);
        fraction %= place;
    }
}
