//! Marks in bytes, as the log keeps them without knowing what they mean. All numbers are little-endian.

use crate::change::{Change, Changed};
use cache::marks::Marks;
use model::time::Instant;

/// The most rows of one write that are named; past it, all of its view are meant.
pub(super) const MAX_ROWS: usize = 10_000;

/// In place of a name's length, that everything is meant; in place of a number of rows, that all of them are.
const ALL_VIEWS: u16 = u16::MAX;
const ALL_ROWS: u32 = u32::MAX;

/// The mark of everything.
pub(super) const EVERYTHING: [u8; 2] = ALL_VIEWS.to_le_bytes();

/// Learns a mark of an answer.
pub(super) fn learn(mark: &[u8], marks: &mut Marks, at: Instant) {
    if read(mark, marks, at).is_none() {
        // Another version may have written it, and nobody knows what it means.
        marks.mark_all(at);
    }
}

/// Appends a change as marks: for each view its name's length in two bytes and its name, then the number of rows in four
/// and the hashes of eight.
pub(super) fn write(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::Nothing => {}
        Change::Everything => out.extend_from_slice(&EVERYTHING),
        Change::Views(views) => {
            for Changed { view, rows } in views {
                let length = u16::try_from(view.len()).unwrap_or(ALL_VIEWS);
                out.extend_from_slice(&length.to_le_bytes());
                if length == ALL_VIEWS {
                    continue;
                }
                out.extend_from_slice(view.as_bytes());
                let rows = rows.as_deref().filter(|rows| rows.len() <= MAX_ROWS);
                out.extend_from_slice(&rows.map_or(ALL_ROWS, |rows| rows.len() as u32).to_le_bytes());
                for row in rows.unwrap_or_default() {
                    out.extend_from_slice(&row.to_le_bytes());
                }
            }
        }
    }
}

/// Makes marks of what [`write`] wrote; `None` where it is not understood.
fn read(mut bytes: &[u8], marks: &mut Marks, at: Instant) -> Option<()> {
    while !bytes.is_empty() {
        let length = u16::from_le_bytes(*taken(&mut bytes, 2)?.first_chunk()?);
        if length == ALL_VIEWS {
            marks.mark_all(at);
            continue;
        }
        let view = core::str::from_utf8(taken(&mut bytes, usize::from(length))?).ok()?;
        let rows = u32::from_le_bytes(*taken(&mut bytes, 4)?.first_chunk()?);
        if rows == ALL_ROWS {
            marks.mark_view(view, at);
            continue;
        }
        let mut hashes = Vec::new();
        for _ in 0..rows {
            hashes.push(number(&mut bytes)?);
        }
        marks.mark_rows(view, &hashes, at);
    }
    Some(())
}

fn taken<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*taken(bytes, 8)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::request::Writes;

    fn changed(view: &str, rows: Option<Vec<u64>>) -> Changed {
        Changed { view: view.to_owned(), rows }
    }

    /// What a change marks when it is heard with time 7: of views `a` and `b`, and of anything.
    fn heard(change: &Change) -> [Instant; 3] {
        let mut mark = Vec::new();
        write(change, &mut mark);
        let mut marks = Marks::default();
        learn(&mark, &mut marks, Instant(7));
        let any =
            |views: &[&str]| Writes::To { views: views.iter().map(|&view| view.into()).collect(), is_by_row: false };
        [any(&["a"]), any(&["b"]), any(&["elsewhere"])].map(|writes| marks.floor(&writes).at(b""))
    }

    #[test]
    fn a_change_is_heard_as_it_was_written_and_with_its_time() {
        let [none, at] = [Instant(0), Instant(7)];
        assert_eq!(heard(&Change::Nothing), [none; 3]);
        assert_eq!(heard(&Change::Everything), [at; 3]);
        assert_eq!(heard(&Change::Views(vec![changed("a", None)])), [at, none, none]);
        assert_eq!(heard(&Change::Views(vec![changed("a", Some(vec![1, 2])), changed("b", None)])), [at, at, none]);
        assert_eq!(heard(&Change::Views(vec![changed(&"x".repeat(70_000), None)])), [at; 3]);
    }

    #[test]
    fn rows_are_marked_with_their_time_and_no_others() {
        let mut key = Vec::new();
        model::key::EntityValue::Number("1").encode(&mut key);
        let mut mark = Vec::new();
        write(
            &Change::Views(vec![changed(
                "a",
                Some(vec![model::canonical_key_hash::canonical_key_hash(&key).unwrap()]),
            )]),
            &mut mark,
        );
        let mut marks = Marks::default();
        read(&mark, &mut marks, Instant(7)).unwrap();
        let floor = marks.floor(&Writes::To { views: [Box::from("a")].into(), is_by_row: true });
        assert_eq!((floor.at(&key), floor.at(b"")), (Instant(7), Instant(0)));
    }

    #[test]
    fn a_mark_that_is_not_understood_means_everything() {
        for mark in [&[1][..], &[1, 0], &[1, 0, b'a', 1, 0, 0, 0], &[1, 0, 0xff, 0, 0, 0, 0]] {
            let mut marks = Marks::default();
            learn(mark, &mut marks, Instant(7));
            let floor = marks.floor(&Writes::To { views: [Box::from("z")].into(), is_by_row: false });
            assert_eq!(floor.at(b""), Instant(7), "{mark:?}");
        }
    }
}
