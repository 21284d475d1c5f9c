//! The pending effects, by the numbers that the host has for them.
//!
//! Invariant: an effect without a result, as of a Worker whose client has gone, is forgotten some time after its timeout.

use hashbrown::HashMap;

/// How long after its timeout an effect may have a result, in milliseconds: a late response to a write counts, and clocks differ.
const SLACK_MILLIS: u64 = 120_000;

/// The least number of pending effects at which lost ones are removed.
const MIN_SWEEP: usize = 1_024;

/// Pending effects, identified by `T`.
#[derive(Debug)]
pub(crate) struct PendingEffects<T> {
    by_number: HashMap<u32, (T, u64), foldhash::fast::FixedState>,
    next: u32,
    /// The number of pending effects at which lost ones are removed next.
    sweep_at: usize,
}

impl<T> Default for PendingEffects<T> {
    fn default() -> Self {
        PendingEffects { by_number: HashMap::default(), next: 0, sweep_at: MIN_SWEEP }
    }
}

impl<T> PendingEffects<T> {
    /// Numbers an effect that begins at `now` and ends within `timeout_millis`. Calls `lost` with effects that got no result.
    pub(crate) fn begin(&mut self, id: T, timeout_millis: u64, now: u64, lost: &mut impl FnMut(T)) -> u32 {
        if self.by_number.len() >= self.sweep_at {
            for (_, (id, _)) in self.by_number.extract_if(|_, (_, lost_at)| *lost_at < now) {
                lost(id);
            }
            self.sweep_at = MIN_SWEEP.max(2 * self.by_number.len());
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

    /// Removes an effect.
    pub(crate) fn end(&mut self, number: u32) -> Option<T> {
        self.by_number.remove(&number).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_without_a_result_is_forgotten_after_its_timeout() {
        let mut effects = PendingEffects::default();
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
