//! The effects that a host performs, by the numbers that it knows them by.
//!
//! Invariant: one that its host never tells of, such as a Worker whose caller has gone, is forgotten some time after its timeout.

use hashbrown::HashMap;

/// How long after its timeout an effect may be told of, in milliseconds: a late answer to a write is waited for, and clocks differ.
const SLACK_MILLIS: u64 = 120_000;

/// How many are under way before it is looked which of them were lost.
const MIN_LOOK: usize = 1_024;

/// Effects named by `T`.
#[derive(Debug)]
pub(crate) struct EffectsUnderWay<T> {
    by_number: HashMap<u32, (T, u64), foldhash::fast::FixedState>,
    next: u32,
    /// How many there are when it is looked again which were lost.
    look_at: usize,
}

impl<T> Default for EffectsUnderWay<T> {
    fn default() -> Self {
        EffectsUnderWay { by_number: HashMap::default(), next: 0, look_at: MIN_LOOK }
    }
}

impl<T> EffectsUnderWay<T> {
    /// Numbers an effect that begins at `now` and ends within `timeout_millis`; `lost` is told of those that nobody has told of.
    pub(crate) fn begin(&mut self, id: T, timeout_millis: u64, now: u64, lost: &mut impl FnMut(T)) -> u32 {
        if self.by_number.len() >= self.look_at {
            for (_, (id, _)) in self.by_number.extract_if(|_, (_, lost_at)| *lost_at < now) {
                lost(id);
            }
            self.look_at = MIN_LOOK.max(2 * self.by_number.len());
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        let lost_at = now.saturating_add(timeout_millis).saturating_add(SLACK_MILLIS);
        self.by_number.insert(number, (id, lost_at));
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.by_number.get(&number).map(|(id, _)| id)
    }

    /// Ends one.
    pub(crate) fn end(&mut self, number: u32) -> Option<T> {
        self.by_number.remove(&number).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_tells_of_is_forgotten_after_its_time() {
        let mut effects = EffectsUnderWay::default();
        let mut lost = 0;
        for now in 0..1_000_000 {
            let number = effects.begin(now, 10, now, &mut |id| {
                assert!(id + 10 + SLACK_MILLIS < now);
                lost += 1;
            });
            if now % 2 == 0 {
                assert_eq!(effects.end(number), Some(now));
            }
        }
        assert!(effects.by_number.len() <= 2 * SLACK_MILLIS as usize, "{} are kept", effects.by_number.len());
        assert!(lost > 300_000, "{lost}");
    }
}
