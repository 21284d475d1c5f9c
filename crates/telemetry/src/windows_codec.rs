//! Windows as bytes: the slots that an isolate sends to be merged, and the merged windows in storage.
//!
//! They are a [`Header`] and [`Entry`]s in postcard's wire format. Decoding goes entry by entry, so that it allocates no more than the bytes
//! contain. Histograms are sparse. Unreadable bytes, and those of other windows, are left out; they are never an error.

use std::borrow::Cow;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::histogram::{BOUNDS, Series, SeriesKind, SloCounts, Slot, Totals, Windows};

/// The magic number; its last byte is the version.
const MAGIC: &[u8] = b"FM\x04";

/// Precedes all entries.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Whether the slots are new, and not merged windows from storage.
    is_new: bool,
    slot_millis: u64,
    /// How long a span of the shorter ring is.
    span_millis: u64,
    entries: usize,
}

/// A part of the windows. Counts are indexed by [`Count`](crate::histogram::Count); unknown ones are ignored.
#[derive(Serialize, Deserialize)]
enum Entry<'a> {
    /// A slot of a series.
    Slot {
        number: u64,
        kind: SeriesKind,
        name: &'a str,
        counts: Cow<'a, [u64]>,
        /// The buckets that are not empty, by their indices.
        latencies: Vec<(u32, u32)>,
    },
    /// A span of one of the rings.
    Span { is_minutes: bool, number: u64, slo_counts: SloCounts },
    /// The counts of a series since the start.
    Totals { kind: SeriesKind, name: &'a str, counts: Cow<'a, [u64]>, bounds: [u64; BOUNDS.len()] },
}

impl Windows {
    /// Encodes the slots that have closed since the last call; `None` if they are empty.
    pub fn take_closed_slots(&mut self) -> Option<Vec<u8>> {
        let unsent = self.take_unsent();
        let entries: Vec<Entry<'_>> = self.slots_of(unsent).collect();
        (!entries.is_empty()).then(|| self.encode_entries(true, &entries))
    }

    /// Encodes everything, for storage.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let rings = [(true, &self.minutes), (false, &self.half_hours)].into_iter();
        let spans = rings.flat_map(|(is_minutes, ring)| ring.spans.iter().map(move |span| (is_minutes, span)));
        let spans = spans.filter(|(_, (_, slo_counts))| slo_counts.requests > 0);
        let totals = self.series.iter().map(|Series { kind, name, totals, .. }| Entry::Totals {
            kind: *kind,
            name,
            counts: Cow::Borrowed(&totals.counts),
            bounds: totals.bounds,
        });
        let entries: Vec<Entry<'_>> = (self.slots_of(self.slot_numbers()))
            .chain(spans.map(|(is_minutes, &(number, slo_counts))| Entry::Span { is_minutes, number, slo_counts }))
            .chain(totals)
            .collect();
        self.encode_entries(false, &entries)
    }

    /// Merges the bytes of [`Windows::take_closed_slots`] or [`Windows::encode`]; whether all of them could be read.
    pub fn merge_encoded(&mut self, bytes: &[u8], now: Timestamp) -> bool {
        self.advance(now);
        self.merge_entries(bytes, now).is_some()
    }

    fn slots_of(&self, numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = Entry<'_>> {
        let slots = numbers.flat_map(|number| self.slots_at(number).map(move |(series, slot)| (number, series, slot)));
        slots.map(|(number, series, slot)| {
            let filled = (0..).zip(slot.latencies.as_slice().iter().copied()).filter(|(_, count)| *count > 0);
            Entry::Slot {
                number,
                kind: series.kind,
                name: &series.name,
                counts: Cow::Borrowed(&slot.counts),
                latencies: filled.collect(),
            }
        })
    }

    fn encode_entries(&self, is_new: bool, entries: &[Entry<'_>]) -> Vec<u8> {
        let (slot_millis, span_millis) = (self.slot_millis(), self.minutes.span_millis);
        let mut out = MAGIC.to_vec();
        append_postcard(&mut out, &Header { is_new, slot_millis, span_millis, entries: entries.len() });
        entries.iter().for_each(|entry| append_postcard(&mut out, entry));
        out
    }

    fn merge_entries(&mut self, bytes: &[u8], now: Timestamp) -> Option<()> {
        let (head, mut rest): (Header, _) = postcard::take_from_bytes(bytes.strip_prefix(MAGIC)?).ok()?;
        // Spans are numbered by their length: spans of another length would be of other times.
        if (head.slot_millis, head.span_millis) != (self.slot_millis(), self.minutes.span_millis) {
            return None;
        }
        // The sender's clock may be ahead. A slot too far ahead would empty all windows.
        let latest = now.plus(self.minutes.span_millis * self.minutes.spans.len() as u64);
        for _ in 0..head.entries {
            let (entry, tail) = postcard::take_from_bytes(rest).ok()?;
            rest = tail;
            self.merge_entry(entry, head.is_new, latest);
        }
        rest.is_empty().then_some(())
    }

    /// Merges an entry, unless its time is after `latest`.
    fn merge_entry(&mut self, entry: Entry<'_>, is_new: bool, latest: Timestamp) {
        let time = |number: u64, millis: u64| number.checked_mul(millis).map(Timestamp).filter(|at| *at <= latest);
        match entry {
            Entry::Slot { number, kind, name, counts, latencies } => {
                let Some(at) = time(number, self.slot_millis()) else { return };
                self.advance(at);
                let mut slot = Slot::new();
                slot.counts.iter_mut().zip(&*counts).for_each(|(own, &count)| *own = count);
                for (bucket, count) in latencies {
                    let own = slot.latencies.as_mut_slice().get_mut(bucket as usize);
                    own.into_iter().for_each(|own| *own = count);
                }
                let series = self.series_of(kind, name);
                self.merge_slot(series, number, &slot, is_new);
            }
            Entry::Span { is_minutes, number, slo_counts } => {
                let ring = if is_minutes { &mut self.minutes } else { &mut self.half_hours };
                if let Some(at) = time(number, ring.span_millis) {
                    ring.add(at.0, slo_counts);
                }
            }
            Entry::Totals { kind, name, counts, bounds } => {
                let mut totals = Totals { bounds, ..Totals::default() };
                totals.counts.iter_mut().zip(&*counts).for_each(|(own, &count)| *own = count);
                let series = self.series_of(kind, name);
                self.merge_totals(series, &totals);
            }
        }
    }
}

/// Appends a value in postcard's wire format.
#[inline]
pub(crate) fn append_postcard<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    // Writing to memory does not fail.
    *out = postcard::to_extend(value, core::mem::take(out)).unwrap_or_default();
}
