//! Least recently used: what was used last stays longest.
//!
//! Good where what was used of late is used again; a scan of more rows than there is room for takes everything with it.

use crate::policy::Policy;
use crate::queue::{At, Places, Queue};

/// The policy.
#[derive(Debug)]
pub(crate) struct Lru {
    rows: Queue,
}

impl Default for Lru {
    fn default() -> Self {
        Lru { rows: Queue::new(1) }
    }
}

impl Policy for Lru {
    fn admit(&mut self, places: &mut Places, at: At) {
        self.rows.push(places, at);
    }

    fn touch(&mut self, places: &mut Places, at: At) {
        self.rows.move_to_end(places, at);
    }

    fn remove(&mut self, places: &mut Places, at: At) {
        self.rows.remove(places, at);
    }

    fn evict(&mut self, places: &mut Places) -> Option<At> {
        let at = self.rows.first()?;
        self.rows.remove(places, at);
        Some(at)
    }
}
