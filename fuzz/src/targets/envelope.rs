//! Stored bytes. A first byte that is odd stands for bytes whose magic, version and checksum are right, as a forger's are; its second bit
//! is set for version 2.

use std::rc::Rc;

use model::interner::Interner;
use model::key::{FeatureSource, KeySpace, NameStyle, Namespace};
use model::row::{Row, RowBuilder, Schema};
use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};
use row_codec::{decode, encode};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "envelope",
    run,
    seeds,
    is_json: false,
    modules: &["21featheredge_row_codec", "17featheredge_model3row10RowBuilder"],
};

const ENTITY: &[u8] = b"n\x041001";

fn space() -> Rc<KeySpace> {
    Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]))
}

fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let mut bytes = rest.to_vec();
    if first & 1 == 1 {
        bytes = vec![b'F', b'E', 1 + (first >> 1 & 1)];
        bytes.extend_from_slice(&xxh3_64_with_seed(rest, 0).to_le_bytes());
        bytes.extend_from_slice(rest);
    }
    let (space, mut interner) = (space(), Interner::default());
    let Ok(row) = decode(&bytes, &space, ENTITY, &mut interner) else { return };
    assert!(row.is_of(&space, ENTITY), "another key's row");
    for slot in row.schema().feature_slots() {
        assert!(row.cell(slot).is_some(), "a feature without a cell");
        let _ = row.value(slot);
    }
    let again = decode(&encode(&row), &space, ENTITY, &mut interner).expect("what was read can be stored and read");
    assert!(row.has_same_content(&again), "it changes on its way");
    let merged = row.merge(&again);
    assert_eq!(merged.schema().features().len(), row.schema().features().len(), "merging with itself adds nothing");
    let _ = row.retain(|name, _| name.len().is_multiple_of(2));
    let _ = row.without_events_before(EventTime(0));
}

fn row(is_uniform: bool, features: &[(&str, &str)]) -> Row {
    let names = features.iter().map(|(name, _)| (*name).into()).collect();
    let schema = Schema::new(space(), Box::new(["id".into()]), names).unwrap();
    let mut builder = RowBuilder::new(Rc::new(schema), ENTITY);
    builder.push_join_key(b"1001");
    let cell = Cell {
        status: Status::Present,
        is_negative: false,
        event_time: EventTime(-5),
        fetched_at: Timestamp(77).into(),
    };
    for (number, (_, value)) in features.iter().enumerate() {
        let is_null = !is_uniform && number == 1;
        builder.push_feature(value.as_bytes(), if is_null { Cell { status: Status::NullValue, ..cell } } else { cell });
    }
    builder.finish()
}

fn seeds() -> Vec<Vec<u8>> {
    let rows = [
        row(true, &[("a", "1.0"), ("b", "\"é\"")]),
        row(false, &[("a", "1.0"), ("b", "null"), ("long", "[0.25,-0.5]")]),
    ];
    let of_version_1: [&[u8]; 2] = [
        b"\x0bp\x01pv\x01vc\x02id.\x06n\x041001\x01\x02id\x02\x01a\x01b\x0b10011.0\"\xc3\xa9\"\x03\x04\x03\x04\x01\x01\x00\tM",
        b"\x0bp\x01pv\x01vc\x02id.\x06n\x041001\x01\x02id\x02\x01a\x01b\x0b10011.0\"\xc3\xa9\"\x03\x04\x03\x04\x02\x01\x00\tM\x02\x00\tM",
    ];
    let envelopes =
        rows.iter().map(encode).flat_map(|bytes| [[&[0], &bytes[..]].concat(), [&[3], &bytes[11..]].concat()]);
    envelopes.chain(of_version_1.map(|payload| [&[1], payload].concat())).collect()
}
