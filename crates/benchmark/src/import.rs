//! Reads what people wrote or received: a scenario, or an exported run. Errors name the field by its path, in plain words.

use serde::Deserializer;
use serde::de::DeserializeOwned;

use crate::scenario::BenchmarkError;

/// Reads a value.
///
/// # Errors
/// What is wrong, and where.
pub fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, BenchmarkError>
where
    D::Error: core::fmt::Display,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        BenchmarkError(worded(if path == "." { "" } else { &path }, &error.into_inner().to_string()))
    })
}

/// An error of serde's in plain words. The forms are those of `serde::de::Error`'s methods, which have been the same for all of its life; any
/// other text stays as it is.
fn worded(path: &str, error: &str) -> String {
    // JavaScript adds the class of the error, and serde_json where in the text.
    let error = error.strip_prefix("Error: ").unwrap_or(error);
    let error = error.split(" at line ").next().unwrap_or(error);
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let here = if path.is_empty() { "the whole".to_owned() } else { format!("`{path}`") };
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if error.starts_with("TypeError: ") {
        return format!("{here} is not a list or an object as it should be");
    }
    if error.starts_with("missing field ") {
        return format!("`{}` is missing", within(&quoted(error)));
    }
    if error.starts_with("unknown field ") {
        // The path ends with the field already.
        let name = quoted(error);
        let place = if path == name || path.ends_with(&format!(".{name}")) { path.to_owned() } else { within(&name) };
        return format!("`{place}` is not known");
    }
    if let Some(expected) = error.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", ")) {
        return format!("{here} is `{}`, {}", quoted(error), expected.1);
    }
    let mismatch =
        ["invalid type: ", "invalid value: ", "invalid length "].iter().find_map(|prefix| error.strip_prefix(prefix));
    match mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("{here} is {}, not {}", found_in_words(found), expected_in_words(expected)),
        None => format!("{here}: {error}"),
    }
}

fn found_in_words(found: &str) -> String {
    // The debug form of a value of JavaScript's.
    let found = found.strip_prefix("JsValue(").unwrap_or(found);
    let kinds = [
        ("string ", "a text"),
        ("\"", "a text"),
        ("map", "an object"),
        ("Object", "an object"),
        ("{", "an object"),
        ("sequence", "a list"),
        ("Array", "a list"),
        ("[", "a list"),
        ("null", "null"),
        ("unit", "null"),
        ("Option", "null"),
        ("undefined", "undefined"),
        ("boolean ", "true or false"),
        ("true", "true"),
        ("false", "false"),
    ];
    if let Some((_, words)) = kinds.iter().find(|(start, _)| found.starts_with(start)) {
        return (*words).to_owned();
    }
    let number = found.split('`').nth(1).unwrap_or(found);
    number.trim_end_matches(')').trim_end_matches(".0").to_owned()
}

fn expected_in_words(expected: &str) -> String {
    match expected {
        "u64" | "u32" | "usize" => "a whole number from 0".to_owned(),
        "f64" => "a number".to_owned(),
        "a string" => "a text".to_owned(),
        "a map" => "an object".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ => expected.replace("an array of length ", "a list of "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::repeat::tests::repeat;
    use crate::report::tests::run;
    use crate::report::{MAX_REPEATS, MAX_SCENARIOS, Run};
    use serde_json::{Value, json};

    fn exported() -> Value {
        serde_json::to_value(run(vec![repeat(&[1_000, 200_000])]).summarized().unwrap()).unwrap()
    }

    fn read_run(value: &Value) -> Result<Run, String> {
        read::<Run, _>(value).and_then(Run::summarized).map_err(|error| error.0)
    }

    /// The error of an export in which the value at a pointer is another, or is gone.
    fn error(pointer: &str, value: Option<Value>) -> String {
        let mut export = exported();
        match value {
            Some(value) => *export.pointer_mut(pointer).unwrap() = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                export.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
            }
        }
        read_run(&export).unwrap_err()
    }

    #[test]
    fn an_error_names_the_field_in_plain_words() {
        for (pointer, value, expected) in [
            ("/scenarios", None, "`scenarios` is missing"),
            ("/environment/host", None, "`environment.host` is missing"),
            ("/scenarios/0/repeats", Some(json!({})), "`scenarios[0].repeats` is an object, not a list of at most 100"),
            (
                "/scenarios/0/repeats/0/elapsed_us",
                Some(json!("1")),
                "`scenarios[0].repeats[0].elapsed_us` is a text, not a whole number from 0",
            ),
            (
                "/scenarios/0/repeats/0/elapsed_us",
                Some(json!(-1)),
                "`scenarios[0].repeats[0].elapsed_us` is -1, not a whole number from 0",
            ),
            (
                "/scenarios/0/repeats/0/latencies",
                Some(json!(null)),
                "`scenarios[0].repeats[0].latencies` is null, not an object",
            ),
            (
                "/scenarios/0/scenario/priority",
                Some(json!("urgent")),
                "`scenarios[0].scenario.priority` is `urgent`, expected one of `low`, `normal`, `high`, `critical`",
            ),
            ("/scenarios/0/scenario/concurrency", Some(json!(0)), "`scenarios[0]`: `concurrency` is 0"),
            ("/id", Some(json!(7)), "`id` is 7, not a text"),
            ("/version", Some(json!(3)), "`version` is 3, and 1 to 2 can be read"),
            ("/name", Some(json!("x".repeat(5_000))), "`name`: more than 4000 bytes"),
        ] {
            // A name that is empty is not exported.
            let mut found = String::new();
            if pointer == "/name" {
                let mut export = exported();
                export["name"] = value.clone().unwrap();
                found.push_str(&read_run(&export).unwrap_err());
            } else {
                found.push_str(&error(pointer, value));
            }
            assert_eq!(found, expected);
        }
        let mut export = exported();
        export["scenarios"][0]["scenario"]["rate"] = json!(1);
        assert_eq!(read_run(&export).unwrap_err(), "`scenarios[0].scenario.rate` is not known");
        assert_eq!(read_run(&json!([1])).unwrap_err(), "`[0]` is 1, not a text");
        assert_eq!(read_run(&json!("x")).unwrap_err(), "the whole is a text, not an object");
    }

    #[test]
    fn a_run_of_version_1_is_read() {
        let mut export = exported();
        export["version"] = json!(1);
        for measured in export["scenarios"].as_array_mut().unwrap() {
            for name in ["caches", "served_by"] {
                measured.as_object_mut().unwrap().remove(name);
            }
            measured["scenario"].as_object_mut().unwrap().remove("timeout_ms");
            for name in ["slow", "l1"] {
                measured["repeats"][0].as_object_mut().unwrap().remove(name);
            }
        }
        let read = read_run(&export).unwrap();
        assert_eq!(read.version, crate::report::VERSION);
        assert_eq!(read.scenarios[0].summary.as_ref().unwrap().succeeded, 2);
    }

    #[test]
    fn lists_are_bounded_while_they_are_read() {
        let mut export = exported();
        let measured = export["scenarios"][0].clone();
        export["scenarios"] = json!(vec![measured.clone(); MAX_SCENARIOS + 1]);
        assert_eq!(read_run(&export).unwrap_err(), "`scenarios`: more than 64 elements");
        let mut export = exported();
        export["scenarios"][0]["repeats"] = json!(vec![json!({}); MAX_REPEATS + 1]);
        assert_eq!(read_run(&export).unwrap_err(), "`scenarios[0].repeats`: more than 100 elements");
        let mut export = exported();
        let mut many = measured;
        many["repeats"] = json!(vec![json!({}); MAX_REPEATS]);
        export["scenarios"] = json!(vec![many; 11]);
        assert_eq!(read_run(&export).unwrap_err(), "there are more than 1000 repetitions");
    }

    /// All places of a value, as pointers.
    fn places(value: &Value, place: &str, found: &mut Vec<String>) {
        found.push(place.to_owned());
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    places(element, &format!("{place}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    places(field, &format!("{place}/{name}"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_stands_in_a_field_is_read_or_refused() {
        let export = exported();
        let mut found = Vec::new();
        places(&export, "", &mut found);
        let hostile = [
            json!(null),
            json!(true),
            json!(-1),
            json!(0),
            json!(1.5),
            json!(1e300),
            json!(u64::MAX),
            json!(""),
            json!("\u{0}é"),
            json!([]),
            json!({}),
            json!([[[]]]),
            json!({"a": {"b": []}}),
            json!(vec![u32::MAX; 5_000]),
        ];
        let mut random = Random::new(7);
        for place in &found {
            for value in &hostile {
                let mut export = export.clone();
                *export.pointer_mut(place).unwrap() = value.clone();
                // A second fault, so that one does not hide another.
                let other = &found[random.below(found.len() as u64) as usize];
                if random.unit() < 0.3
                    && let Some(other) = export.pointer_mut(other)
                {
                    *other = hostile[random.below(hostile.len() as u64) as usize].clone();
                }
                if let Err(error) = read_run(&export) {
                    let is_serdes = ["invalid type", "missing field", "struct ", "JsValue", "u64", "variant"];
                    assert!(!is_serdes.iter().any(|words| error.contains(words)), "{place}: {error}");
                }
            }
        }
    }
}
