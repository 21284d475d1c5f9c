//! Whether a join key in the origin's response can be the requested one, converted to the join key's type.
//!
//! Feast echoes the keys of a request as its store has them: `1001.7` comes back as `1001`, `"１００２"` as `1002`, `true` as
//! `1`. This is stricter than [`canonical_key_hash`](model::canonical_key_hash), which equates keys that any conversion could
//! make equal: here the requested key is converted, and the result is compared exactly. Invariant: a key that no conversion of the
//! requested one gives is another entity's.

use model::canonical_key_hash::{Canonical, compact, uuid_digits};
use model::key::EntityValue;

/// How an echoed key compares to the requested one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyMatch {
    /// Equal after a conversion, or unknown.
    Same,
    /// Equal but for case and white space, in which another key may differ from it too.
    Similar,
    /// Another entity's key.
    Other,
}

/// Compares a key in the origin's response to the requested one.
pub(super) fn compare(requested: EntityValue<'_>, echoed: EntityValue<'_>) -> KeyMatch {
    let is_same = match (requested, echoed) {
        // How an origin converts null, arrays and objects is unknown, and an echoed null tells nothing.
        (EntityValue::Null | EntityValue::Json(_), _) | (_, EntityValue::Null) => true,
        (_, EntityValue::Json(_)) => false,
        (EntityValue::Text(requested), EntityValue::Text(echoed)) if requested == echoed => true,
        _ => is_same_number(requested, echoed) || is_same_uuid(requested, echoed),
    };
    if is_same {
        return KeyMatch::Same;
    }
    match (Canonical::of(requested), Canonical::of(echoed)) {
        // A date may become another spelling of it, in another time zone, or a number of seconds.
        (Canonical::Uncertain, Canonical::Uncertain | Canonical::Number(_)) => KeyMatch::Same,
        (Canonical::Text(requested), Canonical::Text(echoed)) if requested == echoed => KeyMatch::Similar,
        _ => KeyMatch::Other,
    }
}

/// A value as a number: `float(x)`, and `int(x)` where that reads the text itself.
struct Numeral {
    float: f64,
    /// Its digits without leading zeros, after a `-` where it is negative.
    integer: Option<String>,
}

impl Numeral {
    fn of(value: EntityValue<'_>) -> Option<Numeral> {
        let text = match value {
            EntityValue::Number(text) => text.to_owned(),
            EntityValue::Boolean(value) => u8::from(value).to_string(),
            EntityValue::Text(text) => match compact(text) {
                (_, true) => return None,
                (text, _) if text == "true" => "1".to_owned(),
                (text, _) if text == "false" => "0".to_owned(),
                (text, _) => text,
            },
            EntityValue::Null | EntityValue::Json(_) => return None,
        };
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let integer = is_integer.then(|| match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits => [sign, digits].concat(),
        });
        Some(Numeral { float: text.parse().ok()?, integer })
    }
}

#[expect(clippy::float_cmp, reason = "the result of a conversion is compared to the last bit")]
fn is_same_number(requested: EntityValue<'_>, echoed: EntityValue<'_>) -> bool {
    let Some((ours, theirs)) = Numeral::of(requested).zip(Numeral::of(echoed)) else { return false };
    if let EntityValue::Boolean(echoed) = echoed {
        return (ours.float != 0.0) == echoed;
    }
    match (&ours.integer, &theirs.integer) {
        // Integers are exact: 9007199254740992 is another entity than 9007199254740993.
        (Some(ours), Some(theirs)) => ours == theirs,
        (Some(_), None) => ours.float == theirs.float,
        (None, _) => {
            let narrow = f64::from(ours.float as f32);
            [ours.float, ours.float.trunc(), narrow].contains(&theirs.float)
                || (ours.float.is_nan() && theirs.float.is_nan())
        }
    }
}

fn is_same_uuid(requested: EntityValue<'_>, echoed: EntityValue<'_>) -> bool {
    let digits = |value| if let EntityValue::Text(text) = value { uuid_digits(&compact(text).0) } else { None };
    digits(requested).is_some_and(|ours| digits(echoed) == Some(ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::EntityValue::{Boolean, Json, Null, Number, Text};

    #[test]
    fn a_key_that_the_origin_converted_is_the_same() {
        for (requested, echoed) in [
            (Number("1"), Number("1")),
            (Number("1001.7"), Number("1001")),
            (Number("-1001.7"), Number("-1001")),
            (Number("0.5"), Number("0")),
            (Number("-0.5"), Number("0")),
            (Number("9007199254740993.0"), Number("9007199254740992")),
            (Number("1.795420800000123456e18"), Number("1795420800000123392")),
            (Number("1.795420800000123456e18"), Number("1795420800000123400")),
            (Text("9007199254740993"), Number("9007199254740993")),
            (Number("9007199254740993"), Number("9007199254740992.0")),
            (Number("0.1"), Number("0.10000000149011612")),
            (Text("１００２"), Number("1002")),
            (Text(" +01_002\u{a0}"), Number("1002")),
            (Number("1001"), Text("1001")),
            (Number("1e3"), Text("1000.0")),
            (Boolean(true), Number("1")),
            (Boolean(true), Text("True")),
            (Number("5"), Boolean(true)),
            (Text("true"), Boolean(true)),
            (Text("False"), Number("0")),
            (Number("0.1"), Number("0.10")),
            (Number("0"), Boolean(false)),
            (Number("-0"), Number("0")),
            (Text("nan"), Text("NaN")),
            (Text("a"), Text("a")),
            (Text("{123E4567-E89B-12D3-A456-426614174000}"), Text("123e4567-e89b-12d3-a456-426614174000")),
            (Text("2026-11-23T08:00:00Z"), Number("1795420800")),
            (Text("2026-11-23"), Text("2026-11-23T00:00:00")),
            (Text("1\u{1fffd}"), Number("17")),
            (Null, Number("5")),
            (Null, Text("none")),
            (Json("{}"), Text("{}")),
            (Json("[1]"), Number("5")),
            (Number("5"), Null),
        ] {
            assert_eq!(compare(requested, echoed), KeyMatch::Same, "{requested:?} {echoed:?}");
        }
        for (requested, echoed) in [(Text("A"), Text("a")), (Text(" a"), Text("a")), (Text("zoë"), Text("ZOË"))] {
            assert_eq!(compare(requested, echoed), KeyMatch::Similar, "{requested:?} {echoed:?}");
        }
    }

    #[test]
    fn a_key_that_no_conversion_gives_is_another_entitys() {
        for (requested, echoed) in [
            (Number("1"), Number("2")),
            (Number("1"), Number("-1")),
            (Number("1"), Text("2")),
            (Text("1"), Number("2")),
            (Number("1001"), Number("1001.7")),
            (Number("1001.7"), Number("1002")),
            (Number("9007199254740993"), Number("9007199254740992")),
            (Text("9007199254740993"), Text("9007199254740992")),
            (Text("+9007199254740993"), Number("9007199254740992")),
            (Number("10"), Text("1\u{1fffd}")),
            (Text("nan"), Number("5")),
            (Number("1"), Text("b")),
            (Text("a"), Text("b")),
            (Text("a"), Number("1")),
            (Text("a"), Boolean(true)),
            (Number("0"), Boolean(true)),
            (Boolean(true), Number("0")),
            (Number("5"), Json("[5]")),
            (Text("a"), Json("{}")),
            (Number("1795420800"), Text("2026-11-23")),
            (Text("2026-11-23"), Text("b")),
            (Text("123e4567-e89b-12d3-a456-426614174000"), Text("123e4567-e89b-12d3-a456-426614174001")),
        ] {
            assert_eq!(compare(requested, echoed), KeyMatch::Other, "{requested:?} {echoed:?}");
        }
    }
}
