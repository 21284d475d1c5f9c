//! Windows as bytes: what an isolate sends to where windows are merged, and what is kept there.
//!
//! Of a histogram only the buckets that are not empty are written. What cannot be read, or is
//! of another window, is left out; it is never an error.

use model::time::Instant;

use crate::histogram::{BOUNDS, COUNTS, KINDS, Kept, Kind, Slot, Totals, Windows};
use crate::numbers::{Reader, write_number, write_numbers};

/// What the bytes begin with; the last is the version.
const MAGIC: &[u8] = b"FM\x03";

/// The most slots that are read.
const MAX_SLOTS: u64 = 64;

impl Windows {
    /// The slots that have ended since this was last called; `None` where there is nothing in them.
    pub fn take_news(&mut self) -> Option<Vec<u8>> {
        let unsent = self.take_unsent();
        let numbers: Vec<u64> = unsent.filter(|&number| self.slots_at(number).next().is_some()).collect();
        if numbers.is_empty() {
            return None;
        }
        let mut out = self.begin(1);
        self.write_slots(&mut out, &numbers);
        Some(out)
    }

    /// All that is kept, to be [read](Windows::read) back.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = self.begin(0);
        let numbers: Vec<u64> = self.numbers().filter(|&number| self.slots_at(number).next().is_some()).collect();
        self.write_slots(&mut out, &numbers);
        for ring in [&self.minutes, &self.half_hours] {
            let filled = || ring.spans.iter().filter(|(_, kept)| kept.requests > 0);
            write_number(&mut out, filled().count() as u64);
            for (number, kept) in filled() {
                write_numbers(&mut out, &[*number, kept.requests, kept.slow, kept.errors]);
            }
        }
        write_number(&mut out, self.series.len() as u64);
        for series in &self.series {
            write_name(&mut out, series.kind, &series.name);
            write_numbers(&mut out, &series.totals.counts);
            write_numbers(&mut out, &series.totals.bounds);
        }
        out
    }

    /// Adds what [`Windows::take_news`] or [`Windows::write`] gave; whether it could be read to its end.
    pub fn read(&mut self, bytes: &[u8], now: Instant) -> bool {
        self.advance(now);
        let Some(bytes) = bytes.strip_prefix(MAGIC) else { return false };
        self.read_all(&mut Reader { bytes }).is_some()
    }

    fn begin(&self, is_new: u64) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        write_numbers(&mut out, &[is_new, self.slot_millis(), self.minutes.span_millis]);
        out
    }

    fn write_slots(&self, out: &mut Vec<u8>, numbers: &[u64]) {
        write_number(out, numbers.len() as u64);
        for &number in numbers {
            write_numbers(out, &[number, self.slots_at(number).count() as u64]);
            for (series, slot) in self.slots_at(number) {
                write_name(out, series.kind, &series.name);
                write_numbers(out, &slot.counts);
                write_latencies(out, slot);
            }
        }
    }

    fn read_all(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let is_new = reader.number()? == 1;
        // Spans are numbered by their length, so those of another hour would lie in another time.
        if reader.number()? != self.slot_millis() || reader.number()? != self.minutes.span_millis {
            return None;
        }
        let slots = reader.number()?;
        for _ in 0..slots.min(MAX_SLOTS) {
            let (number, series) = (reader.number()?, reader.number()?);
            // The sender's clock may be ahead.
            self.advance(Instant(number.checked_mul(self.slot_millis())?));
            for _ in 0..series {
                let series = read_series(reader, self)?;
                let mut slot = Windows::empty_slot();
                reader.numbers(&mut slot.counts)?;
                read_latencies(reader, &mut slot)?;
                self.absorb(series, number, &slot, is_new);
            }
        }
        if is_new {
            return Some(());
        }
        for is_minutes in [true, false] {
            for _ in 0..reader.number()? {
                let mut kept = [0; 4];
                reader.numbers(&mut kept)?;
                let [number, requests, slow, errors] = kept;
                let ring = if is_minutes { &mut self.minutes } else { &mut self.half_hours };
                ring.add(number.checked_mul(ring.span_millis)?, Kept { requests, slow, errors });
            }
        }
        for _ in 0..reader.number()? {
            let series = read_series(reader, self)?;
            let mut totals = Totals::default();
            reader.numbers(&mut totals.counts)?;
            reader.numbers(&mut totals.bounds)?;
            self.absorb_totals(series, &totals);
        }
        Some(())
    }
}

const _: () = assert!(COUNTS < 64 && BOUNDS.len() < 64, "few enough that both fit a durable object's value many times");

fn write_name(out: &mut Vec<u8>, kind: Kind, name: &str) {
    write_numbers(out, &[kind as u64, name.len() as u64]);
    out.extend_from_slice(name.as_bytes());
}

fn write_latencies(out: &mut Vec<u8>, slot: &Slot) {
    let filled = || slot.latencies.as_slice().iter().enumerate().filter(|(_, count)| **count > 0);
    write_number(out, filled().count() as u64);
    for (bucket, &count) in filled() {
        write_numbers(out, &[bucket as u64, u64::from(count)]);
    }
}

fn read_latencies(reader: &mut Reader<'_>, slot: &mut Slot) -> Option<()> {
    for _ in 0..reader.number()? {
        let (bucket, count) = (reader.number()?, reader.number()?);
        *slot.latencies.as_mut_slice().get_mut(usize::try_from(bucket).ok()?)? = u32::try_from(count).ok()?;
    }
    Some(())
}

fn read_series(reader: &mut Reader<'_>, windows: &mut Windows) -> Option<usize> {
    let kind = *KINDS.get(usize::try_from(reader.number()?).ok()?)?;
    let length = reader.number()?;
    Some(windows.series_of(kind, str::from_utf8(reader.take(length)?).ok()?))
}
