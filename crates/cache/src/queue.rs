//! Queues of cached rows, all through one slab: a row is in one queue at a time, and moves to the end of another in a few writes.
//!
//! Knows nothing of why a row stands where it does. Invariant: a place is in the queue whose number it says, or in none.

use std::rc::Rc;

use model::row::Row;

/// The number of a place in the slab.
pub(crate) type At = u32;

const NOWHERE: At = At::MAX;

/// The number of no queue.
pub(crate) const NO_QUEUE: u8 = u8::MAX;

/// Where a row is kept, or what is remembered of one that is not kept any more.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) hash: u64,
    pub(crate) row: Option<Rc<Row>>,
    before: At,
    after: At,
    /// The number of the queue that it is in.
    pub(crate) queue: u8,
    /// How often the row was used, as far as the policy counts.
    pub(crate) uses: u8,
}

impl Place {
    const fn of(hash: u64) -> Place {
        Place { hash, row: None, before: NOWHERE, after: NOWHERE, queue: NO_QUEUE, uses: 0 }
    }
}

/// The slab: in blocks, so that it grows without being copied, and takes no more than it needs.
#[derive(Debug, Default)]
pub(crate) struct Places {
    blocks: Vec<Box<[Place; BLOCK]>>,
    /// How many places have held something.
    length: usize,
    /// Places that hold nothing.
    free: Vec<At>,
}

/// How many places a block has.
const BLOCK: usize = 1_024;

impl Places {
    pub(crate) fn insert(&mut self, hash: u64) -> At {
        let place = Place::of(hash);
        if let Some(at) = self.free.pop() {
            if let Some(free) = self.at_mut(at) {
                *free = place;
            }
            return at;
        }
        let at = self.length as At;
        if self.length.is_multiple_of(BLOCK) {
            self.blocks.push(Box::new([const { Place::of(0) }; BLOCK]));
        }
        self.length += 1;
        if let Some(fresh) = self.at_mut(at) {
            *fresh = place;
        }
        at
    }

    /// Frees a place that is in no queue.
    pub(crate) fn remove(&mut self, at: At) {
        if let Some(place) = self.at_mut(at) {
            place.row = None;
            self.free.push(at);
        }
    }

    /// Looks at a place's neighbours, which are written when it moves.
    #[inline]
    pub(crate) fn glance(&self, place: &Place) -> u8 {
        (self.hash(place.before) ^ self.hash(place.after)) as u8
    }

    #[inline]
    pub(crate) fn at(&self, at: At) -> Option<&Place> {
        self.blocks.get(at as usize / BLOCK).and_then(|block| block.get(at as usize % BLOCK))
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, at: At) -> Option<&mut Place> {
        self.blocks.get_mut(at as usize / BLOCK).and_then(|block| block.get_mut(at as usize % BLOCK))
    }

    #[inline]
    pub(crate) fn hash(&self, at: At) -> u64 {
        self.at(at).map_or(0, |place| place.hash)
    }
}

/// A queue through the slab.
#[derive(Debug)]
pub(crate) struct Queue {
    number: u8,
    first: At,
    last: At,
    length: usize,
}

impl Queue {
    /// An empty queue; no other may have its number.
    pub(crate) const fn new(number: u8) -> Queue {
        Queue { number, first: NOWHERE, last: NOWHERE, length: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn first(&self) -> Option<At> {
        (self.first != NOWHERE).then_some(self.first)
    }

    pub(crate) fn has(&self, place: &Place) -> bool {
        place.queue == self.number
    }

    /// Puts a place that is in no queue at the end.
    #[inline]
    pub(crate) fn push(&mut self, places: &mut Places, at: At) {
        let last = core::mem::replace(&mut self.last, at);
        match places.at_mut(last) {
            Some(last) => last.after = at,
            None => self.first = at,
        }
        if let Some(place) = places.at_mut(at) {
            (place.before, place.after, place.queue) = (last, NOWHERE, self.number);
        }
        self.length += 1;
    }

    /// Takes out a place, if it is in this queue.
    #[inline]
    pub(crate) fn remove(&mut self, places: &mut Places, at: At) {
        let Some(place) = places.at_mut(at).filter(|place| self.has(place)) else { return };
        let (before, after) = (place.before, place.after);
        place.queue = NO_QUEUE;
        match places.at_mut(before) {
            Some(before) => before.after = after,
            None => self.first = after,
        }
        match places.at_mut(after) {
            Some(after) => after.before = before,
            None => self.last = before,
        }
        self.length -= 1;
    }

    /// Puts a place of this queue at its end.
    #[inline]
    pub(crate) fn move_to_end(&mut self, places: &mut Places, at: At) {
        if self.last != at {
            self.remove(places, at);
            self.push(places, at);
        }
    }
}
