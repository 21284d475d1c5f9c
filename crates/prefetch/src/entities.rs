//! Which entity is requested after which: a graph with a few outgoing edges for each of a fixed number of entities.
//!
//! The edges are those of the probability graph: an entity's successors within a short window, each with how often it
//! followed. Source: Griffioen and Appleton, "Reducing File System Latency using a Predictive Approach", USENIX Summer
//! 1994. The graph keeps its heavy part only. An entity has a few slots for successors; a new one takes the slot of the lightest when its
//! weight has been used up (Misra and Gries, "Finding Repeated Elements", Science of Computer Programming 2, 1982). Entities are in
//! sets of eight, which evict the entity with the fewest transitions. Mithril too has a table of fixed size with associations that age (Yang et al., "Mithril: Mining Sporadic
//! Associations for Cache Prefetching", SoCC 2017).

/// Entities of a set.
const WAYS: usize = 8;

/// Successors of an entity.
pub(crate) const SUCCESSORS: usize = 5;

/// The longest entity key, in bytes: that of a UUID's text has 38.
pub const MAX_KEY: usize = 43;

/// The weight of one observation; more than 1, so that it can be halved.
const OBSERVATION: u8 = 4;

/// Above this total all weights of an entity are halved, so that they do not overflow.
const HALVE_ABOVE: u8 = u8::MAX - OBSERVATION;

/// An entity, in 72 bytes. Names are stored separately, so that those of a set share a cache line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entity {
    successors: [u32; SUCCESSORS],
    weight: [u8; SUCCESSORS],
    /// The weight of all successors.
    total: u8,
    /// The half-life in which it was last aged, modulo 256.
    stamp: u8,
    /// Identifies the columns of the key.
    kind: u8,
    length: u8,
    key: [u8; MAX_KEY],
}

const EMPTY: Entity = Entity {
    successors: [0; SUCCESSORS],
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
        // One more observation in the denominator: a single one is weak evidence.
        let total = u32::from(self.total) + u32::from(OBSERVATION);
        let each = self.successors.iter().zip(&self.weight);
        each.map(move |(&name, &weight)| (name, u32::from(weight) * 1_000 / total))
    }

    /// The successors and their weights.
    pub(crate) fn edges(&self) -> (&[u32; SUCCESSORS], &[u8; SUCCESSORS]) {
        (&self.successors, &self.weight)
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
    fn record_successor(&mut self, name: u32) {
        let mut lightest = 0;
        let mut least = u8::MAX;
        for (slot, (&known, weight)) in self.successors.iter().zip(&mut self.weight).enumerate() {
            if known == name && *weight > 0 {
                *weight = weight.saturating_add(OBSERVATION);
                return;
            }
            if *weight < least {
                (lightest, least) = (slot, *weight);
            }
        }
        if let (Some(successor), Some(weight)) = (self.successors.get_mut(lightest), self.weight.get_mut(lightest)) {
            if *weight <= OBSERVATION {
                (*successor, *weight) = (name, OBSERVATION);
            } else {
                *weight -= OBSERVATION;
            }
        }
    }
}

/// The entities, by name.
#[derive(Debug)]
pub(crate) struct Entities {
    names: Vec<[u32; WAYS]>,
    entities: Vec<[Entity; WAYS]>,
}

impl Entities {
    /// As many as fit in `bytes`.
    pub(crate) fn new(bytes: usize) -> Entities {
        let sets = (bytes / (WAYS * (size_of::<Entity>() + size_of::<u32>()))).max(1);
        Entities { names: vec![[0; WAYS]; sets], entities: vec![[EMPTY; WAYS]; sets] }
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

    /// Inserts the entity if it is new, unless its key is too long.
    #[inline]
    pub(crate) fn insert(&mut self, name: u32, kind: u8, key: &[u8], stamp: u8) {
        let set = self.set(name);
        let Some((names, entities)) = self.names.get_mut(set).zip(self.entities.get_mut(set)) else { return };
        if names.contains(&name) || key.len() > MAX_KEY {
            return;
        }
        let mut slot = 0;
        let mut least = u8::MAX;
        for (way, (known, entity)) in names.iter().zip(entities.iter_mut()).enumerate() {
            entity.age(stamp);
            let worth = if *known == 0 { 0 } else { entity.total.saturating_add(1) };
            if worth < least {
                (slot, least) = (way, worth);
            }
        }
        if let (Some(known), Some(entity)) = (names.get_mut(slot), entities.get_mut(slot)) {
            *known = name;
            *entity = Entity { kind, stamp, length: key.len() as u8, ..EMPTY };
            if let Some(own) = entity.key.get_mut(..key.len()) {
                own.copy_from_slice(key);
            }
        }
    }

    /// Records that `to` was requested after `from`, directly or with one request between them.
    #[inline]
    pub(crate) fn link(&mut self, from: u32, to: u32, is_direct: bool, stamp: u8) {
        let Some(entity) = self.find(from) else { return };
        entity.age(stamp);
        if entity.total > HALVE_ABOVE {
            entity.halve(1);
        }
        if is_direct {
            entity.total += OBSERVATION;
        }
        entity.record_successor(to);
    }

    /// All entities that have successors.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entity)> {
        let all = self.names.iter().flatten().zip(self.entities.iter().flatten());
        all.map(|(&name, entity)| (name, entity)).filter(|(name, entity)| *name != 0 && entity.total > 0)
    }

    /// Merges an entity of another isolate's model, unless it has successors here.
    pub(crate) fn merge(
        &mut self,
        name: u32,
        kind: u8,
        key: &[u8],
        total: u8,
        edges: ([u32; SUCCESSORS], [u8; SUCCESSORS]),
        stamp: u8,
    ) {
        self.insert(name, kind, key, stamp);
        if let Some(entity) = self.find(name).filter(|entity| entity.total == 0) {
            entity.total = total;
            (entity.successors, entity.weight) = edges;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities() -> Entities {
        let mut entities = Entities::new(100_000);
        (1..=40).for_each(|name| entities.insert(name << 24, 1, &[name as u8], 0));
        entities
    }

    fn strongest(entities: &Entities, name: u32) -> Option<(u32, u32)> {
        entities.get(name << 24)?.successors().max_by_key(|&(_, permille)| permille).map(|(to, p)| (to >> 24, p))
    }

    #[test]
    fn a_frequent_successor_has_its_probability() {
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
    fn an_old_successor_decays_by_half_lives() {
        let mut entities = entities();
        (0..20).for_each(|_| entities.link(1 << 24, 2 << 24, true, 0));
        (0..8).for_each(|_| entities.link(1 << 24, 3 << 24, true, 5));
        assert_eq!(strongest(&entities, 1).unwrap().0, 3);
    }

    #[test]
    fn an_entity_with_transitions_stays_among_those_without() {
        let mut entities = Entities::new(0);
        entities.insert(1, 0, b"1", 0);
        entities.link(1, 2, true, 0);
        (10..10_000).for_each(|name| entities.insert(name, 0, b"x", 0));
        assert_eq!(entities.get(1).map(Entity::key), Some(b"1".as_slice()));
    }

    #[test]
    fn a_key_that_is_too_long_is_not_kept() {
        let mut entities = entities();
        entities.insert(77, 0, &[0; MAX_KEY + 1], 0);
        assert!(entities.get(77).is_none());
        entities.insert(77, 0, &[0; MAX_KEY], 0);
        assert!(entities.get(77).is_some());
    }
}
