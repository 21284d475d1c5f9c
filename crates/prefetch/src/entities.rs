//! Which entity is asked after which: a graph with a few outgoing edges for each of a fixed number of entities.
//!
//! The edges are those of the probability graph: an entity's successors within a short window, each with how often it
//! followed. Source: Griffioen and Appleton, "Reducing File System Latency using a Predictive Approach", USENIX Summer
//! 1994. Of a graph that grows without end only the heavy part is kept: each entity's successors in a few slots, which a
//! newcomer wins by wearing the lightest down (Misra and Gries, "Finding Repeated Elements", Science of Computer
//! Programming 2, 1982), and the entities themselves in sets of eight, where the one that was left least often makes way.
//! A table of fixed size whose rows hold associations and age is Mithril's too (Yang et al., "Mithril: Mining Sporadic
//! Associations for Cache Prefetching", SoCC 2017).

/// Places of a set.
const WAYS: usize = 8;

/// Successors that are kept of an entity.
pub(crate) const SUCCESSORS: usize = 5;

/// The longest entity key that can be kept, in bytes: a UUID's text takes 38.
pub const MAX_KEY: usize = 43;

/// What one observation weighs, so that there is something left to halve.
const UNIT: u8 = 4;

/// Where all weights of an entity are halved, lest they overflow.
const FULL: u8 = u8::MAX - UNIT;

/// An entity, in 72 bytes; its name stands apart, so that a set's names share a cache line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entity {
    next: [u32; SUCCESSORS],
    weight: [u8; SUCCESSORS],
    /// How often another entity followed.
    total: u8,
    /// The half-life in which it was last aged, modulo 256.
    stamp: u8,
    /// Tells which columns the key is of.
    kind: u8,
    length: u8,
    key: [u8; MAX_KEY],
}

const NOBODY: Entity = Entity {
    next: [0; SUCCESSORS],
    weight: [0; SUCCESSORS],
    total: 0,
    stamp: 0,
    kind: 0,
    length: 0,
    key: [0; MAX_KEY],
};

impl Entity {
    pub(crate) fn key(&self) -> &[u8] {
        self.key.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> u8 {
        self.kind
    }

    /// The successors with their probabilities, in thousandths.
    pub(crate) fn successors(&self) -> impl Iterator<Item = (u32, u32)> {
        // One observation says less than several that agree.
        let total = u32::from(self.total) + u32::from(UNIT);
        let each = self.next.iter().zip(&self.weight);
        each.map(move |(&name, &weight)| (name, u32::from(weight) * 1_000 / total))
    }

    /// The successors and their weights.
    pub(crate) fn edges(&self) -> (&[u32; SUCCESSORS], &[u8; SUCCESSORS]) {
        (&self.next, &self.weight)
    }

    pub(crate) fn total(&self) -> u8 {
        self.total
    }

    #[inline]
    fn age(&mut self, stamp: u8) {
        let halvings = stamp.wrapping_sub(self.stamp);
        if halvings > 0 {
            self.stamp = stamp;
            self.halve(u32::from(halvings).min(7));
        }
    }

    fn halve(&mut self, times: u32) {
        self.total >>= times;
        self.weight.iter_mut().for_each(|weight| *weight >>= times);
    }

    #[inline]
    fn follow(&mut self, name: u32) {
        let mut lightest = 0;
        let mut least = u8::MAX;
        for (slot, (&known, weight)) in self.next.iter().zip(&mut self.weight).enumerate() {
            if known == name && *weight > 0 {
                *weight = weight.saturating_add(UNIT);
                return;
            }
            if *weight < least {
                (lightest, least) = (slot, *weight);
            }
        }
        if let (Some(next), Some(weight)) = (self.next.get_mut(lightest), self.weight.get_mut(lightest)) {
            if *weight <= UNIT {
                (*next, *weight) = (name, UNIT);
            } else {
                *weight -= UNIT;
            }
        }
    }
}

/// The entities that are kept, by name.
#[derive(Debug)]
pub(crate) struct Entities {
    names: Vec<[u32; WAYS]>,
    entities: Vec<[Entity; WAYS]>,
}

impl Entities {
    /// As many as `bytes` hold.
    pub(crate) fn new(bytes: usize) -> Entities {
        let sets = (bytes / (WAYS * (size_of::<Entity>() + size_of::<u32>()))).max(1);
        Entities { names: vec![[0; WAYS]; sets], entities: vec![[NOBODY; WAYS]; sets] }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.names.capacity() * size_of::<[u32; WAYS]>() + self.entities.capacity() * size_of::<[Entity; WAYS]>()
    }

    #[inline]
    fn set(&self, name: u32) -> usize {
        ((u64::from(name) * self.names.len() as u64) >> 32) as usize
    }

    #[inline]
    fn find(&mut self, name: u32) -> Option<&mut Entity> {
        let set = self.set(name);
        let way = self.names.get(set)?.iter().position(|&known| known == name)?;
        self.entities.get_mut(set)?.get_mut(way)
    }

    pub(crate) fn get(&self, name: u32) -> Option<&Entity> {
        let set = self.set(name);
        let way = self.names.get(set)?.iter().position(|&known| known == name)?;
        self.entities.get(set)?.get(way)
    }

    /// Sees to it that the entity is kept, unless its key is too long.
    #[inline]
    pub(crate) fn enter(&mut self, name: u32, kind: u8, key: &[u8], stamp: u8) {
        let set = self.set(name);
        let Some((names, entities)) = self.names.get_mut(set).zip(self.entities.get_mut(set)) else { return };
        if names.contains(&name) || key.len() > MAX_KEY {
            return;
        }
        let mut place = 0;
        let mut least = u8::MAX;
        for (way, (known, entity)) in names.iter().zip(entities.iter_mut()).enumerate() {
            entity.age(stamp);
            let worth = if *known == 0 { 0 } else { entity.total.saturating_add(1) };
            if worth < least {
                (place, least) = (way, worth);
            }
        }
        if let (Some(known), Some(entity)) = (names.get_mut(place), entities.get_mut(place)) {
            *known = name;
            *entity = Entity { kind, stamp, length: key.len() as u8, ..NOBODY };
            if let Some(place) = entity.key.get_mut(..key.len()) {
                place.copy_from_slice(key);
            }
        }
    }

    /// That `to` was asked for after `from`; at once after it, or with something between.
    #[inline]
    pub(crate) fn link(&mut self, from: u32, to: u32, is_at_once: bool, stamp: u8) {
        let Some(entity) = self.find(from) else { return };
        entity.age(stamp);
        if entity.total > FULL {
            entity.halve(1);
        }
        if is_at_once {
            entity.total += UNIT;
        }
        entity.follow(to);
    }

    /// All entities that have successors.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entity)> {
        let all = self.names.iter().flatten().zip(self.entities.iter().flatten());
        all.map(|(&name, entity)| (name, entity)).filter(|(name, entity)| *name != 0 && entity.total > 0)
    }

    /// Takes over what another isolate knows of an entity, unless something is known of it here.
    pub(crate) fn adopt(
        &mut self,
        name: u32,
        kind: u8,
        key: &[u8],
        total: u8,
        edges: ([u32; SUCCESSORS], [u8; SUCCESSORS]),
        stamp: u8,
    ) {
        self.enter(name, kind, key, stamp);
        if let Some(entity) = self.find(name).filter(|entity| entity.total == 0) {
            entity.total = total;
            (entity.next, entity.weight) = edges;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities() -> Entities {
        let mut entities = Entities::new(100_000);
        (1..=40).for_each(|name| entities.enter(name << 24, 1, &[name as u8], 0));
        entities
    }

    fn strongest(entities: &Entities, name: u32) -> Option<(u32, u32)> {
        entities.get(name << 24)?.successors().max_by_key(|&(_, permille)| permille).map(|(to, p)| (to >> 24, p))
    }

    #[test]
    fn what_follows_often_is_known_with_its_share() {
        let mut entities = entities();
        for round in 0..40 {
            entities.link(1 << 24, if round % 4 == 0 { 3 } else { 2 } << 24, true, 0);
        }
        let (to, permille) = strongest(&entities, 1).unwrap();
        assert!(to == 2 && (700..=750).contains(&permille), "{permille}");
    }

    #[test]
    fn a_steady_successor_keeps_its_slot_among_many_that_come_once() {
        let mut entities = entities();
        for round in 0_u32..300 {
            entities.link(1 << 24, 2 << 24, true, 0);
            entities.link(1 << 24, (3 + round % 30) << 24, true, 0);
        }
        assert_eq!(strongest(&entities, 1).unwrap().0, 2);
    }

    #[test]
    fn what_is_no_longer_so_fades_by_half_lives() {
        let mut entities = entities();
        (0..20).for_each(|_| entities.link(1 << 24, 2 << 24, true, 0));
        (0..8).for_each(|_| entities.link(1 << 24, 3 << 24, true, 5));
        assert_eq!(strongest(&entities, 1).unwrap().0, 3);
    }

    #[test]
    fn an_entity_that_is_often_left_stays_while_strangers_pass_through() {
        let mut entities = Entities::new(0);
        entities.enter(1, 0, b"1", 0);
        entities.link(1, 2, true, 0);
        (10..10_000).for_each(|name| entities.enter(name, 0, b"x", 0));
        assert_eq!(entities.get(1).map(Entity::key), Some(b"1".as_slice()));
    }

    #[test]
    fn a_key_that_is_too_long_is_not_kept() {
        let mut entities = entities();
        entities.enter(77, 0, &[0; MAX_KEY + 1], 0);
        assert!(entities.get(77).is_none());
        entities.enter(77, 0, &[0; MAX_KEY], 0);
        assert!(entities.get(77).is_some());
    }
}
