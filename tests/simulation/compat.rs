//! Rows that each released version has stored are read as they were meant, rows of a version that this build does not know are
//! passed over and counted, and two versions share one store.
//!
//! `tests/compat/VERSION.txt` has what a version left in a store, a line for each row: its key, a space, its bytes in hexadecimal. Once
//! released it stays as it is. `cargo test --test simulation -- --ignored leave_stored_bytes` writes that of a version to be released.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use config::View;

use crate::world::{Origin, World};

/// Requests whose rows are of all forms: one and several keys, texts and numbers, full names, services, vectors, what is not there.
const REQUESTS: [&str; 6] = [
    r#"{"features":["stats:score","stats:count","stats:label"],"entities":{"driver_id":[1001,"1001",-7]}}"#,
    r#"{"features":["stats:embedding"],"entities":{"driver_id":[2002]}}"#,
    r#"{"features":["stats:score","other:label"],"entities":{"driver_id":[5],"city":["Zürich \"a:b\""]},"full_feature_names":true}"#,
    r#"{"feature_service":"rides","entities":{"driver_id":[1001,9007199254740993]}}"#,
    r#"{"features":["trips:score"],"entities":{"driver_id":[1],"rider_id":["a"]}}"#,
    r#"{"features":["stats:score"],"entities":{"driver_id":[1.5e3]}}"#,
];

fn world() -> World {
    World::with_http_origin(|config| {
        let keyed = |columns: &[&str]| View {
            join_keys: columns.iter().map(|&column| column.to_owned()).collect(),
            ..View::default()
        };
        config.views.insert("stats".to_owned(), keyed(&["driver_id"]));
        config.views.insert("trips".to_owned(), keyed(&["driver_id", "rider_id"]));
        config.freshness.early_refresh_percent = 0;
    })
}

fn path(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/compat").join(format!("{version}.txt"))
}

fn stored(version: &str) -> BTreeMap<String, Vec<u8>> {
    let row = |line: &str| {
        let (key, bytes) = line.split_once(' ').unwrap();
        let bytes = (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap());
        (key.to_owned(), bytes.collect())
    };
    std::fs::read_to_string(path(version)).unwrap().lines().map(row).collect()
}

/// Shows each version's rows, of 2 and 3, to the other as those of a version that it does not know.
fn swap_versions(world: &mut World) {
    for bytes in world.store.values_mut() {
        bytes[2] = 5 - bytes[2];
    }
}

/// The bodies of all answers.
fn answers(world: &mut World) -> Vec<String> {
    REQUESTS
        .iter()
        .map(|body| {
            let answer = world.feast(body);
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.text
        })
        .collect()
}

#[test]
fn rows_that_version_0_1_0_stored_are_read() {
    let expected = answers(&mut world());
    let mut world = world();
    world.store = stored("0.1.0");
    world.origin = Origin::IsDown;
    assert_eq!(answers(&mut world), expected);
    let counts = world.service.engine().stores()[0].counts();
    let unusable = counts.foreign + counts.other_version + counts.damaged + counts.other_key;
    assert_eq!((counts.misses, unusable), (0, 0));
}

#[test]
fn rows_of_an_unknown_version_are_skipped_and_counted() {
    let expected = answers(&mut world());
    for version in [0, 3, 255] {
        let mut world = world();
        world.store = stored("0.1.0");
        let rows = world.store.len() as u64;
        for bytes in world.store.values_mut() {
            bytes[2] = version;
        }
        assert_eq!(answers(&mut world), expected, "the origin's, and not what the bytes may mean");
        let counts = world.service.engine().stores()[0].counts();
        assert_eq!((counts.hits, counts.other_version), (0, rows), "version {version}");
        assert!(world.store.values().all(|bytes| bytes[2] == 2), "they are written anew");
    }
}

#[test]
fn two_versions_share_a_store_and_a_roll_back_serves_on() {
    let expected = answers(&mut world());
    let mut world = world();
    // One after the other, as long as a deployment is under way: each reads what it wrote itself, and skips the other's.
    for _ in 0..3 {
        assert_eq!(answers(&mut world), expected);
        world.restart();
        swap_versions(&mut world);
    }
    // Back at one version, whose own rows are the last: all is served without the origin.
    assert_eq!(answers(&mut world), expected);
    world.restart();
    world.origin = Origin::IsDown;
    assert_eq!(answers(&mut world), expected);
}

#[test]
#[ignore = "it writes the file of a version that is to be released"]
fn leave_stored_bytes() {
    let mut world = world();
    answers(&mut world);
    let mut text = String::new();
    for (key, bytes) in &world.store {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{key} {digits}").unwrap();
    }
    let path = path(env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
