//! Marks in bytes, as the ledger keeps them, and its answers. All numbers are little-endian.

use crate::cache::marks::Marks;
use crate::model::time::Instant;
use crate::service::writes::{Change, Changed};

/// The most rows of one write that are named; past it, all of its view are meant.
pub(super) const MAX_ROWS: usize = 10_000;

/// In place of a name's length, that everything is meant; in place of a number of rows, that all of them are.
const EVERYTHING: u16 = u16::MAX;
const ALL_ROWS: u32 = u32::MAX;

/// The mark of everything.
pub(super) fn everything() -> Vec<u8> {
    EVERYTHING.to_le_bytes().to_vec()
}

/// What stands before the marks of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What the ledger's clock showed.
    pub(super) clock: Instant,
    /// The number of the last mark.
    pub(super) last: u64,
    /// The number and the time of the last mark that the ledger has no more, though it may matter.
    pub(super) dropped: u64,
    pub(super) dropped_at: Instant,
    /// Which ledger it is; never 0.
    pub(super) epoch: u64,
}

impl Head {
    /// Takes the head off an answer; `None` where that is none.
    pub(super) fn take(answer: &mut &[u8]) -> Option<Head> {
        let mut next = || number(answer);
        let [clock, last, dropped, dropped_at, epoch] = [next()?, next()?, next()?, next()?, next()?];
        let [clock, dropped_at] = [clock, dropped_at].map(Instant);
        (epoch != 0).then_some(Head { clock, last, dropped, dropped_at, epoch })
    }
}

/// Takes the next mark off an answer, and learns it; `None` where the answer is cut off.
pub(super) fn learn_next(answer: &mut &[u8], marks: &mut Marks) -> Option<()> {
    let at = Instant(number(answer)?);
    let length = usize::try_from(number(answer)?).ok()?;
    if read(taken(answer, length)?, marks, at).is_none() {
        // Another version may have written it, and nobody knows what it means.
        marks.mark_all(at);
    }
    Some(())
}

/// Appends a change as marks: for each view its name's length in two bytes and its name, then the number of rows in four
/// and the hashes of eight.
pub(super) fn write(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::Nothing => {}
        Change::Everything => out.extend_from_slice(&EVERYTHING.to_le_bytes()),
        Change::Views(views) => {
            for Changed { view, rows } in views {
                let length = u16::try_from(view.len()).unwrap_or(EVERYTHING);
                out.extend_from_slice(&length.to_le_bytes());
                if length == EVERYTHING {
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
        if length == EVERYTHING {
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
