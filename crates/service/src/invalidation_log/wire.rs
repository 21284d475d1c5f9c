//! Log entries in bytes; the log keeps them without reading them. All numbers are little-endian. It knows
//! no calls. Invariant: an entry that cannot be read invalidates everything.

use crate::invalidation::{InvalidatedView, Invalidation, InvalidationScope};
use cache::invalidations::Invalidations;
use model::time::Timestamp;

/// The most rows that an entry names; past it, it covers the whole view.
pub(super) const MAX_ROWS: usize = 10_000;

/// Markers. In place of a name's length: `ALL_VIEWS` covers everything; `JOB` says that the next entry's
/// write continues for so many milliseconds, in eight bytes. In place of a number of rows: `ALL_ROWS`
/// covers all of them.
const ALL_VIEWS: u16 = u16::MAX;
const JOB: u16 = u16::MAX - 1;
const ALL_ROWS: u32 = u32::MAX;

/// The entry that invalidates everything.
pub(super) const EVERYTHING: [u8; 2] = ALL_VIEWS.to_le_bytes();

/// What an entry invalidates.
#[derive(Debug, PartialEq, Eq)]
struct LogEntry<'a> {
    /// The view; `None` for everything.
    view: Option<&'a str>,
    /// The hashes of its rows; `None` for all.
    rows: Option<Vec<u64>>,
    /// How long the write continues, in milliseconds.
    job_millis: u64,
}

/// Applies the entries of a reply.
pub(super) fn apply(bytes: &[u8], invalidations: &mut Invalidations, at: Timestamp) {
    for entry in read(bytes) {
        // An entry that cannot be read may be another version's.
        let LogEntry { view, rows, job_millis } = entry.unwrap_or(LogEntry { view: None, rows: None, job_millis: 0 });
        match (view, rows) {
            (Some(view), Some(rows)) => invalidations.invalidate_rows(view, &rows, at),
            (Some(view), None) => invalidations.invalidate_view(view, at),
            (None, _) => invalidations.invalidate_all(at),
        }
        if job_millis > 0 {
            invalidations.add_job(view, at, at.plus(job_millis));
        }
    }
}

/// One entry of everything in place of these, for the longest of their jobs.
pub(super) fn widen(bytes: &[u8]) -> Vec<u8> {
    let job_millis = read(bytes).flatten().map(|entry| entry.job_millis).max().unwrap_or_default();
    let mut widened = Vec::new();
    write(&Invalidation { scope: InvalidationScope::Everything, job_millis }, &mut widened);
    widened
}

/// Writes an invalidation as entries: for each view its name's length in two bytes and its name, then the
/// number of rows in four and their hashes in eight each.
pub(super) fn write(Invalidation { scope, job_millis }: &Invalidation, out: &mut Vec<u8>) {
    let begin = |out: &mut Vec<u8>, length: u16| {
        if *job_millis > 0 {
            out.extend_from_slice(&JOB.to_le_bytes());
            out.extend_from_slice(&job_millis.to_le_bytes());
        }
        out.extend_from_slice(&length.to_le_bytes());
    };
    match scope {
        InvalidationScope::Nothing => {}
        InvalidationScope::Everything => begin(out, ALL_VIEWS),
        InvalidationScope::Views(views) => {
            for InvalidatedView { view, rows } in views {
                let length = u16::try_from(view.len()).ok().filter(|&length| length < JOB).unwrap_or(ALL_VIEWS);
                begin(out, length);
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

/// The entries that [`write`] wrote; `None` in place of the first that cannot be read, and of all after
/// it.
fn read(mut bytes: &[u8]) -> impl Iterator<Item = Option<LogEntry<'_>>> {
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let entry = read_one(&mut bytes);
        if entry.is_none() {
            bytes = &[];
        }
        Some(entry)
    })
}

fn read_one<'a>(bytes: &mut &'a [u8]) -> Option<LogEntry<'a>> {
    let mut length = u16::from_le_bytes(*take_bytes(bytes, 2)?.first_chunk()?);
    let mut job_millis = 0;
    if length == JOB {
        job_millis = number(bytes)?;
        length = u16::from_le_bytes(*take_bytes(bytes, 2)?.first_chunk()?);
    }
    if length == ALL_VIEWS {
        return Some(LogEntry { view: None, rows: None, job_millis });
    }
    let view = core::str::from_utf8(take_bytes(bytes, usize::from(length))?).ok();
    let count = u32::from_le_bytes(*take_bytes(bytes, 4)?.first_chunk()?);
    let rows = if count == ALL_ROWS { None } else { Some((0..count).map(|_| number(bytes)).collect::<Option<_>>()?) };
    Some(LogEntry { view: Some(view?), rows, job_millis })
}

fn take_bytes<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*take_bytes(bytes, 8)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::request::WriteDependencies;

    fn changed(view: &str, rows: Option<Vec<u64>>) -> InvalidatedView {
        InvalidatedView { view: view.to_owned(), rows }
    }

    /// The times of invalidation of views `a`, `b` and another, once an entry was applied at time 7.
    fn applied(change: &Invalidation) -> [Timestamp; 3] {
        let mut entry = Vec::new();
        write(change, &mut entry);
        let mut invalidations = Invalidations::default();
        apply(&entry, &mut invalidations, Timestamp(7));
        let any = |views: &[&str]| WriteDependencies::Views {
            views: views.iter().map(|&view| view.into()).collect(),
            is_by_row: false,
        };
        [any(&["a"]), any(&["b"]), any(&["elsewhere"])]
            .map(|writes| invalidations.affecting(&writes).invalidated_at(b""))
    }

    #[test]
    fn an_invalidation_is_applied_as_it_was_written_and_with_its_time() {
        let [none, at] = [Timestamp(0), Timestamp(7)];
        assert_eq!(applied(&InvalidationScope::Nothing.into()), [none; 3]);
        assert_eq!(applied(&InvalidationScope::Everything.into()), [at; 3]);
        assert_eq!(applied(&InvalidationScope::Views(vec![changed("a", None)]).into()), [at, none, none]);
        assert_eq!(
            applied(&InvalidationScope::Views(vec![changed("a", Some(vec![1, 2])), changed("b", None)]).into()),
            [at, at, none]
        );
        assert_eq!(applied(&InvalidationScope::Views(vec![changed(&"x".repeat(70_000), None)]).into()), [at; 3]);
    }

    #[test]
    fn only_the_rows_of_an_entry_are_invalidated() {
        let mut key = Vec::new();
        model::key::EntityValue::Number("1").encode(&mut key);
        let mut entry = Vec::new();
        write(
            &InvalidationScope::Views(vec![changed(
                "a",
                Some(vec![model::canonical_key_hash::canonical_key_hash(&key).unwrap()]),
            )])
            .into(),
            &mut entry,
        );
        let mut invalidations = Invalidations::default();
        apply(&entry, &mut invalidations, Timestamp(7));
        let invalidated_at =
            invalidations.affecting(&WriteDependencies::Views { views: [Box::from("a")].into(), is_by_row: true });
        assert_eq!(
            (invalidated_at.invalidated_at(&key), invalidated_at.invalidated_at(b"")),
            (Timestamp(7), Timestamp(0))
        );
    }

    #[test]
    fn a_job_invalidates_for_as_long_as_it_runs() {
        for (scope, expected) in [
            (InvalidationScope::Everything, [60_007; 3]),
            (InvalidationScope::Views(vec![changed("b", None)]), [7, 60_007, 0]),
            (InvalidationScope::Views(vec![changed(&"x".repeat(usize::from(JOB)), None)]), [60_007; 3]),
        ] {
            let mut entry = Vec::new();
            write(&InvalidationScope::Views(vec![changed("a", Some(vec![1]))]).into(), &mut entry);
            write(&Invalidation { scope, job_millis: 60_000 }, &mut entry);
            let at = |entry: &[u8]| {
                let mut invalidations = Invalidations::default();
                apply(entry, &mut invalidations, Timestamp(7));
                invalidations.advance(Timestamp(1_000_000));
                ["a", "b", "c"].map(|view| {
                    let writes = WriteDependencies::Views { views: [Box::from(view)].into(), is_by_row: false };
                    invalidations.affecting(&writes).invalidated_at(b"").0
                })
            };
            assert_eq!(at(&entry), expected);
            assert_eq!(at(&widen(&entry)), [60_007; 3]);
        }
        assert_eq!(widen(&EVERYTHING), EVERYTHING);
    }

    #[test]
    fn an_entry_that_cannot_be_read_invalidates_everything() {
        for entry in [&[1][..], &[1, 0], &[1, 0, b'a', 1, 0, 0, 0], &[1, 0, 0xff, 0, 0, 0, 0]] {
            let mut invalidations = Invalidations::default();
            apply(entry, &mut invalidations, Timestamp(7));
            let invalidated_at =
                invalidations.affecting(&WriteDependencies::Views { views: [Box::from("z")].into(), is_by_row: false });
            assert_eq!(invalidated_at.invalidated_at(b""), Timestamp(7), "{entry:?}");
        }
    }
}
