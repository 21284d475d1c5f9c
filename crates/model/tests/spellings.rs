//! Spellings of keys that are one key to Python, and so to Feast, have one hash. tests/feast/spellings.py has generated them,
//! and tests/feast/spellings.test.mjs does so again with the Python that runs Feast.

use featheredge_model::canonical_key_hash::canonical_key_hash;
use featheredge_model::key::EntityValue;
use proptest::prelude::*;
use serde_json::value::RawValue;

fn hash(value: EntityValue<'_>) -> Option<u64> {
    let mut key = Vec::new();
    value.encode(&mut key);
    canonical_key_hash(&key)
}

/// The hash of a value of JSON: a boolean, a string or a number, whose text stays as it is.
fn hash_of_json(text: &str) -> Option<u64> {
    match text {
        "true" | "false" => hash(EntityValue::Boolean(text == "true")),
        _ => match serde_json::from_str::<String>(text) {
            Ok(text) => hash(EntityValue::Text(&text)),
            Err(_) => hash(EntityValue::Number(text)),
        },
    }
}

#[test]
fn values_that_python_takes_for_one_key_share_a_hash() {
    let mut pairs = 0;
    for line in include_str!("../../../tests/feast/spellings.jsonl").lines() {
        let values: Vec<&RawValue> = serde_json::from_str(line).unwrap();
        let [rule, values @ ..] = values.as_slice() else { panic!("{line}") };
        let first = hash_of_json(values[0].get());
        for value in values {
            // No hash would do too: it marks the view. But of none of these anything is uncertain.
            assert!(first.is_some(), "{rule} {value}");
            assert_eq!(hash_of_json(value.get()), first, "by {rule}: {value} and {}", values[0]);
        }
        pairs += values.len() * (values.len() - 1) / 2;
    }
    assert!(pairs > 5_000, "{pairs}");
}

proptest! {
    #[test]
    fn an_integer_in_any_script_and_between_any_spaces_is_itself(
        number in prop_oneof![any::<i64>(), -(1_i64 << 53)..1 << 53],
        zero in prop::sample::select(vec!['0', '\u{660}', '\u{966}', '\u{ff10}', '\u{1d7ce}', '\u{1fbf0}']),
        spaces in prop::sample::select(vec!["", " ", "\t\n", "\u{a0}", "\u{2003}\u{3000}", "\u{1c}", "\u{feff}"]),
        fraction in prop::sample::select(vec!["", ".", ".0", ".25", "e0", "E+0", "0e-1"]),
    ) {
        // Past 2^53 a float is no longer its own integer part: Python takes 12551627917624301.25 for 12551627917624302.
        let fraction = if fraction == ".25" && number.unsigned_abs() >= 1 << 53 { ".0" } else { fraction };
        let plain = number.to_string();
        let is_float = !fraction.is_empty();
        let text: String = plain
            .chars()
            .map(|c| c.to_digit(10).and_then(|digit| char::from_u32(u32::from(zero) + digit)).unwrap_or(c))
            .collect();
        let spelt = hash(EntityValue::Text(&format!("{spaces}{text}{fraction}{spaces}")));
        prop_assert_eq!(spelt, hash(EntityValue::Number(&plain)));
        if is_float && fraction != "." {
            prop_assert_eq!(spelt, hash(EntityValue::Number(&format!("{plain}{fraction}"))));
        }
        // As pandas has it where another value of the column is a float.
        prop_assert_eq!(spelt, hash(EntityValue::Number(&format!("{:?}", number as f64))));
    }

    #[test]
    fn any_text_has_the_hash_of_its_other_spellings(text in any::<String>()) {
        let plain = hash(EntityValue::Text(&text));
        prop_assert_eq!(hash(EntityValue::Text(&format!("\u{2003}{text}_ "))), plain);
        prop_assert_eq!(hash(EntityValue::Text(&text.to_ascii_uppercase())), plain);
        if serde_json::from_str::<serde_json::Number>(&text).is_ok() {
            prop_assert_eq!(hash(EntityValue::Number(&text)), plain);
        }
    }
}
