//! Windows as bytes: what an isolate sends to where windows are merged, and what is kept there.
//!
//! They are a [`Head`] and [`Part`]s in postcard's wire format, and are read part by part, so that nothing is made that the bytes do not
//! have. Of a histogram only the buckets that are not empty are written. What cannot be read, or is of another window, is left out; it
//! is never an error.

use std::borrow::Cow;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::histogram::{BOUNDS, Kept, Kind, Series, Slot, Totals, Windows};

/// What the bytes begin with; the last is the version.
const MAGIC: &[u8] = b"FM\x04";

/// What is said of all parts.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Whether they were not merged before.
    is_new: bool,
    slot_millis: u64,
    /// How long a span of the shorter ring is.
    span_millis: u64,
    parts: usize,
}

/// A part of what windows tell. Counts are by [`Count`](crate::histogram::Count); those that have no place are passed over.
#[derive(Serialize, Deserialize)]
enum Part<'a> {
    /// A slot of a series.
    Slot {
        number: u64,
        kind: Kind,
        name: &'a str,
        counts: Cow<'a, [u64]>,
        /// The buckets that are not empty, by their places.
        latencies: Vec<(u32, u32)>,
    },
    /// A span of one of the rings.
    Span { is_minutes: bool, number: u64, kept: Kept },
    /// What was counted of a series since the start.
    Totals { kind: Kind, name: &'a str, counts: Cow<'a, [u64]>, bounds: [u64; BOUNDS.len()] },
}

impl Windows {
    /// The slots that have ended since this was last called; `None` where there is nothing in them.
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        let unsent = self.take_unsent();
        let parts: Vec<Part<'_>> = self.slots_of(unsent).collect();
        (!parts.is_empty()).then(|| self.write_parts(true, &parts))
    }

    /// All that is kept, to be [read](Windows::read) back.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let rings = [(true, &self.minutes), (false, &self.half_hours)].into_iter();
        let spans = rings.flat_map(|(is_minutes, ring)| ring.spans.iter().map(move |span| (is_minutes, span)));
        let spans = spans.filter(|(_, (_, kept))| kept.requests > 0);
        let totals = self.series.iter().map(|Series { kind, name, totals, .. }| Part::Totals {
            kind: *kind,
            name,
            counts: Cow::Borrowed(&totals.counts),
            bounds: totals.bounds,
        });
        let parts: Vec<Part<'_>> = (self.slots_of(self.numbers()))
            .chain(spans.map(|(is_minutes, &(number, kept))| Part::Span { is_minutes, number, kept }))
            .chain(totals)
            .collect();
        self.write_parts(false, &parts)
    }

    /// Adds what [`Windows::take_news`] or [`Windows::write`] gave; whether it could be read to its end.
    pub fn read(&mut self, bytes: &[u8], now: Timestamp) -> bool {
        self.advance(now);
        self.read_parts(bytes, now).is_some()
    }

    fn slots_of(&self, numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = Part<'_>> {
        let slots = numbers.flat_map(|number| self.slots_at(number).map(move |(series, slot)| (number, series, slot)));
        slots.map(|(number, series, slot)| {
            let filled = (0..).zip(slot.latencies.as_slice().iter().copied()).filter(|(_, count)| *count > 0);
            Part::Slot {
                number,
                kind: series.kind,
                name: &series.name,
                counts: Cow::Borrowed(&slot.counts),
                latencies: filled.collect(),
            }
        })
    }

    fn write_parts(&self, is_new: bool, parts: &[Part<'_>]) -> Vec<u8> {
        let (slot_millis, span_millis) = (self.slot_millis(), self.minutes.span_millis);
        let mut out = MAGIC.to_vec();
        put(&mut out, &Head { is_new, slot_millis, span_millis, parts: parts.len() });
        parts.iter().for_each(|part| put(&mut out, part));
        out
    }

    fn read_parts(&mut self, bytes: &[u8], now: Timestamp) -> Option<()> {
        let (head, mut rest): (Head, _) = postcard::take_from_bytes(bytes.strip_prefix(MAGIC)?).ok()?;
        // Spans are numbered by their length, so those of another hour would lie in another time.
        if (head.slot_millis, head.span_millis) != (self.slot_millis(), self.minutes.span_millis) {
            return None;
        }
        // The sender's clock may be ahead; one that is further ahead than this would empty all windows.
        let latest = now.plus(self.minutes.span_millis * self.minutes.spans.len() as u64);
        for _ in 0..head.parts {
            let (part, behind) = postcard::take_from_bytes(rest).ok()?;
            rest = behind;
            self.add_part(part, head.is_new, latest);
        }
        rest.is_empty().then_some(())
    }

    /// Adds a part, unless it is of a time that has not come at `latest`.
    fn add_part(&mut self, part: Part<'_>, is_new: bool, latest: Timestamp) {
        let time = |number: u64, millis: u64| number.checked_mul(millis).map(Timestamp).filter(|at| *at <= latest);
        match part {
            Part::Slot { number, kind, name, counts, latencies } => {
                let Some(at) = time(number, self.slot_millis()) else { return };
                self.advance(at);
                let mut slot = Slot::new();
                slot.counts.iter_mut().zip(&*counts).for_each(|(own, &count)| *own = count);
                for (bucket, count) in latencies {
                    let own = slot.latencies.as_mut_slice().get_mut(bucket as usize);
                    own.into_iter().for_each(|own| *own = count);
                }
                let series = self.series_of(kind, name);
                self.absorb(series, number, &slot, is_new);
            }
            Part::Span { is_minutes, number, kept } => {
                let ring = if is_minutes { &mut self.minutes } else { &mut self.half_hours };
                if let Some(at) = time(number, ring.span_millis) {
                    ring.add(at.0, kept);
                }
            }
            Part::Totals { kind, name, counts, bounds } => {
                let mut totals = Totals { bounds, ..Totals::default() };
                totals.counts.iter_mut().zip(&*counts).for_each(|(own, &count)| *own = count);
                let series = self.series_of(kind, name);
                self.absorb_totals(series, &totals);
            }
        }
    }
}

/// Appends a value in postcard's wire format.
#[inline]
pub(crate) fn put<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    // Memory takes whatever is written to it.
    *out = postcard::to_extend(value, core::mem::take(out)).unwrap_or_default();
}
