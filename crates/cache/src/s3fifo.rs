//! S3-FIFO: a small queue on trial, a main queue for what was used again, and the names of those that failed the trial.
//!
//! A row that comes by once, as in a scan, leaves after a fifth of the way and displaces nothing that is used. Source: Yang, Zhang,
//! Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP 2023. The trial is a fifth of the rows and not a
//! tenth: of the shares from a twentieth to a third it keeps most on ARC's OLTP trace at every size (`tests/eviction.rs`).

use crate::policy::Policy;
use crate::queue::{At, Places, Queue};

/// How often a row must have been used on trial to stay.
const STAYS_AT: u8 = 2;

/// How many uses count: as many times a row of the main queue is passed over.
const MAX_USES: u8 = 3;

/// One row of so many is on trial.
const TRIAL_SHARE: usize = 5;

/// The policy.
#[derive(Debug)]
pub(crate) struct S3Fifo {
    trial: Queue,
    main: Queue,
    /// Rows that are not kept any more, and stay at once when they come again.
    failed: Queue,
}

impl Default for S3Fifo {
    fn default() -> Self {
        S3Fifo { trial: Queue::new(1), main: Queue::new(2), failed: Queue::new(3) }
    }
}

impl S3Fifo {
    fn rows(&self) -> usize {
        self.trial.len() + self.main.len()
    }
}

impl Policy for S3Fifo {
    fn admit(&mut self, places: &mut Places, at: At) {
        let Some(place) = places.at_mut(at) else { return };
        place.uses = 0;
        if self.failed.has(place) {
            self.failed.remove(places, at);
            self.main.push(places, at);
        } else {
            self.trial.push(places, at);
        }
    }

    fn touch(&mut self, places: &mut Places, at: At) {
        if let Some(place) = places.at_mut(at) {
            place.uses = (place.uses + 1).min(MAX_USES);
        }
    }

    fn remove(&mut self, places: &mut Places, at: At) {
        for queue in [&mut self.trial, &mut self.main, &mut self.failed] {
            queue.remove(places, at);
        }
    }

    fn evict(&mut self, places: &mut Places) -> Option<At> {
        loop {
            let is_trial_full = self.trial.len() > (self.rows() / TRIAL_SHARE).max(1);
            let from = if is_trial_full || self.main.len() == 0 { &mut self.trial } else { &mut self.main };
            let at = from.first()?;
            let place = places.at_mut(at)?;
            if self.main.has(place) {
                if place.uses == 0 {
                    self.main.remove(places, at);
                    return Some(at);
                }
                place.uses -= 1;
                self.main.move_to_end(places, at);
            } else {
                let stays = place.uses >= STAYS_AT;
                place.uses = 0;
                self.trial.remove(places, at);
                if !stays {
                    self.failed.push(places, at);
                    return Some(at);
                }
                self.main.push(places, at);
            }
        }
    }

    fn forget(&mut self, places: &mut Places) -> Option<At> {
        // As many as the main queue is meant to hold.
        if self.failed.len() <= self.rows() - self.rows() / TRIAL_SHARE {
            return None;
        }
        let at = self.failed.first()?;
        self.failed.remove(places, at);
        Some(at)
    }
}
