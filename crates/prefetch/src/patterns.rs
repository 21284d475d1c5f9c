//! Predictions from the requests of sessions: the next request, and related features.
//!
//! A prediction is a request shape and an entity. Its probability is the product of two that are trained separately: how often the shape comes
//! next, for the same entity or for another, and how often that entity follows this one. So a pattern of all entities holds for a new
//! one. The client gives the key of a session. Requests without a key train related features only, since interleaved clients have no
//! order.

use model::shape::{RequestShape, short_fingerprint};
use model::time::Timestamp;

use crate::entities::Entities;
use crate::request_shapes::RequestShapes;

pub use crate::entities::MAX_KEY;

/// The settings of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingSettings {
    /// The most memory, in bytes.
    pub memory_bytes: usize,
    /// The half-life of an observation, in milliseconds.
    pub half_life_millis: u64,
    /// The most predictions for one request, up to [`MAX_PREDICTIONS`].
    pub predictions: usize,
    /// The most shapes with related features for one request.
    pub related: usize,
}

/// The most predictions for one request.
pub const MAX_PREDICTIONS: usize = 16;

/// How many of a request's entities are trained on: more of a batch add nothing.
pub const MAX_ENTITIES: usize = 8;

/// An entity is a successor of so many entities before it.
const WINDOW: usize = 2;

/// Sessions of a set, and the fraction of the memory that sessions use.
const WAYS: usize = 4;
const SESSIONS_SHARE: usize = 8;

/// After so many seconds without a request a session has ended, and its key begins another: the half hour of web analytics.
const SESSION_SECONDS: u32 = 1_800;

/// Predictions below this probability are dropped, in thousandths.
const MIN_PERMILLE: u32 = 50;

/// How many transitions between entities a prediction may follow.
const MAX_LINKS: usize = 3;

/// An entity of a request, named by the hash of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entity<'a> {
    /// Its name.
    pub name: u32,
    /// Its key.
    pub key: &'a [u8],
}

/// The source of a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// This shape comes next for the same entity.
    #[default]
    SameEntity,
    /// This entity comes next.
    NextEntity,
    /// These features are requested together.
    Related,
}

impl Source {
    /// Its name in responses and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::SameEntity => "same_entity",
            Source::NextEntity => "next_entity",
            Source::Related => "related_features",
        }
    }
}

/// A predicted request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// The name of the request's shape.
    pub shape: u32,
    /// The name of its entity, whose key [`Patterns::key`] gives.
    pub entity: u32,
    /// How probable it is, in thousandths.
    pub permille: u32,
    /// Its source.
    pub source: Source,
}

/// Predictions, the most probable first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Predictions {
    items: [Prediction; MAX_PREDICTIONS],
    length: usize,
}

impl Predictions {
    /// The predictions.
    #[must_use]
    pub fn as_slice(&self) -> &[Prediction] {
        self.items.get(..self.length).unwrap_or_default()
    }

    /// Keeps those for which `keeps` is true.
    pub fn retain(&mut self, mut keeps: impl FnMut(&Prediction) -> bool) {
        let mut kept = 0;
        for at in 0..self.length {
            if self.items.get(at).is_some_and(&mut keeps) {
                self.items.swap(kept, at);
                kept += 1;
            }
        }
        self.length = kept;
    }

    /// Inserts a prediction among the `max` most probable; of two for the same request, the more probable counts.
    fn insert(&mut self, mut new: Prediction, max: usize) {
        let is_full = self.length >= max.min(MAX_PREDICTIONS);
        if is_full && self.as_slice().last().is_none_or(|least| least.permille >= new.permille) {
            return;
        }
        let is_it = |known: &Prediction| known.shape == new.shape && known.entity == new.entity;
        if let Some(at) = self.as_slice().iter().position(is_it) {
            if self.items.get(at).is_some_and(|known| known.permille >= new.permille) {
                return;
            }
            self.items.copy_within(at + 1..self.length, at);
            self.length -= 1;
        }
        for known in self.items.iter_mut().take(self.length) {
            if known.permille < new.permille {
                core::mem::swap(known, &mut new);
            }
        }
        if self.length < max.min(MAX_PREDICTIONS)
            && let Some(next) = self.items.get_mut(self.length)
        {
            *next = new;
            self.length += 1;
        }
    }
}

/// A session, in 28 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    check: u32,
    /// The shape of its last request.
    shape: u32,
    /// The first and last entity of that.
    first: u32,
    recent: [u32; WINDOW],
    /// When that was, in seconds.
    seen: u32,
}

/// The patterns of requests.
#[derive(Debug)]
pub struct Patterns {
    settings: TrainingSettings,
    pub(crate) shapes: RequestShapes,
    /// Allocated at the first session, so that deployments without sessions do not pay for it.
    pub(crate) entities: Option<Entities>,
    sessions: Vec<[Session; WAYS]>,
    observed_requests: u64,
}

impl Patterns {
    /// Untrained patterns.
    #[must_use]
    pub fn new(settings: TrainingSettings) -> Patterns {
        Patterns {
            settings,
            shapes: RequestShapes::default(),
            entities: None,
            sessions: Vec::new(),
            observed_requests: 0,
        }
    }

    /// Trains on a request without a session, for so many entities.
    pub fn count(&mut self, shape: &RequestShape, entities: usize, now: Timestamp) {
        let stamp = self.stamp(now);
        self.shapes.record(of_size(shape.name, entities), shape, None, stamp);
        self.observed_requests += 1;
    }

    /// Trains on a request of a session if it is for the entities of the session's last request, by the names of the first and the last;
    /// whether it is. Then only its shape is new.
    pub fn observe_repeat(
        &mut self,
        session: u64,
        shape: &RequestShape,
        entities: usize,
        [first, last]: [u32; 2],
        now: Timestamp,
    ) -> bool {
        let seconds = (now.0 / 1_000) as u32;
        let Some(known) = find_session(&mut self.sessions, session, seconds) else { return false };
        let is_same = known.shape != 0 && known.first == first && known.recent.first() == Some(&last);
        if is_same {
            let name = of_size(shape.name, entities);
            let after = Some((known.shape, true));
            (known.shape, known.seen) = (name, seconds);
            let stamp = self.stamp(now);
            self.shapes.record(name, shape, after, stamp);
            self.observed_requests += 1;
        }
        is_same
    }

    /// Trains on a request of a session for `entities`, the first [`MAX_ENTITIES`] of it.
    pub fn observe(&mut self, session: u64, shape: &RequestShape, entities: &[Entity<'_>], now: Timestamp) {
        let stamp = self.stamp(now);
        let name = of_size(shape.name, entities.len());
        self.observed_requests += 1;
        self.allocate();
        let kind = shape.columns as u8;
        let seconds = (now.0 / 1_000) as u32;
        let (Some(known_entities), Some(known)) =
            (&mut self.entities, find_session(&mut self.sessions, session, seconds))
        else {
            return;
        };
        let [mut last, mut before] = known.recent;
        let first = entities.first().map_or(0, |entity| entity.name);
        let is_same = known.first == first && entities.last().is_some_and(|entity| entity.name == last);
        let after = Some((known.shape, is_same)).filter(|(shape, _)| *shape != 0);
        if !is_same {
            for entity in entities {
                if entity.name == last {
                    continue;
                }
                known_entities.insert(entity.name, kind, entity.key, stamp);
                if last != 0 {
                    known_entities.link(last, entity.name, true, stamp);
                }
                if before != 0 && before != entity.name {
                    known_entities.link(before, entity.name, false, stamp);
                }
                (last, before) = (entity.name, last);
            }
        }
        *known = Session { check: known.check, shape: name, first, recent: [last, before], seen: seconds };
        self.shapes.record(name, shape, after, stamp);
    }

    /// Predicts the requests after one of `shape` for these entities.
    pub fn predict(&mut self, shape: &RequestShape, entities: &[Entity<'_>]) -> Predictions {
        let mut found = Predictions::default();
        let most = self.settings.predictions;
        let name = of_size(shape.name, entities.len());
        let Some(known_entities) = &self.entities else { return found };
        if let Some(known) = self.shapes.get(name) {
            let last = entities.last().map_or(0, |entity| entity.name);
            for (to, is_same, permille) in known.next_shapes() {
                if permille < MIN_PERMILLE {
                    continue;
                }
                if is_same && to != name {
                    for entity in entities {
                        let source = Source::SameEntity;
                        found.insert(Prediction { shape: to, entity: entity.name, permille, source }, most);
                    }
                } else if !is_same && let Some(next) = self.shapes.get(to) {
                    let target = Target { shape: to, kind: next.columns as u8, from: last };
                    add_successors(known_entities, target, last, permille, MAX_LINKS, most, &mut found);
                }
            }
        }
        let related = self.shapes.related(name, self.settings.related);
        for related in related {
            if related.permille < MIN_PERMILLE {
                continue;
            }
            for entity in entities {
                let (shape, entity) = (related.shape, entity.name);
                let prediction = Prediction { shape, entity, permille: related.permille, source: Source::Related };
                found.insert(prediction, most);
            }
        }
        found
    }

    /// The key of a known entity.
    #[must_use]
    pub fn key(&self, entity: u32) -> Option<&[u8]> {
        self.entities.as_ref()?.get(entity).map(crate::entities::Entity::key)
    }

    /// The memory in use, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entities = self.entities.as_ref().map_or(0, Entities::bytes);
        self.shapes.bytes() + entities + self.sessions.capacity() * size_of::<[Session; WAYS]>()
    }

    /// How many requests it was trained on.
    #[must_use]
    pub fn observed_requests(&self) -> u64 {
        self.observed_requests
    }

    pub(crate) fn stamp(&self, now: Timestamp) -> u8 {
        (now.0 / self.settings.half_life_millis.max(1)) as u8
    }

    /// Allocates sessions and entities.
    pub(crate) fn allocate(&mut self) {
        if self.entities.is_none() {
            let (all, sessions) = (self.settings.memory_bytes, self.settings.memory_bytes / SESSIONS_SHARE);
            self.sessions = vec![Default::default(); (sessions / size_of::<[Session; WAYS]>()).max(1)];
            self.entities = Some(Entities::new(all.saturating_sub(sessions + SHAPES_BYTES)));
        }
    }
}

/// The most bytes of all shapes.
const SHAPES_BYTES: usize = 64 << 10;

/// The name of a shape for one entity, or for several: a batch is another pattern than a single request for the same features.
#[must_use]
pub fn of_size(shape: u32, entities: usize) -> u32 {
    // Both names determine the shape, and neither is 0.
    if entities > 1 { shape | 1 } else { (shape & !1).max(2) }
}

/// Whether two names are of one shape, whatever the number of entities.
#[must_use]
pub fn is_of(pattern: u32, shape: u32) -> bool {
    of_size(pattern, 1) == of_size(shape, 1)
}

/// A predicted shape, for another entity than the requested one.
#[derive(Clone, Copy)]
struct Target {
    shape: u32,
    kind: u8,
    from: u32,
}

/// Adds the successors of the entity `link`, and theirs, if their keys fit the shape.
fn add_successors(
    known_entities: &Entities,
    target: Target,
    link: u32,
    permille: u32,
    links: usize,
    most: usize,
    found: &mut Predictions,
) {
    let Some(entity) = known_entities.get(link) else { return };
    for (name, share) in entity.successors() {
        let permille = permille * share.min(1_000) / 1_000;
        let Some(next) = known_entities.get(name).filter(|_| permille >= MIN_PERMILLE && name != target.from) else {
            continue;
        };
        if next.kind() == target.kind {
            let prediction = Prediction { shape: target.shape, entity: name, permille, source: Source::NextEntity };
            found.insert(prediction, most);
        }
        if links > 1 && share >= FOLLOW_PERMILLE {
            add_successors(known_entities, target, name, permille, links - 1, most, found);
        }
    }
}

/// From this probability on, in thousandths, the successors of a successor are predicted too.
const FOLLOW_PERMILLE: u32 = 500;

/// The session with that key; a new one replaces the least recently seen.
fn find_session(sessions: &mut [[Session; WAYS]], key: u64, seconds: u32) -> Option<&mut Session> {
    let check = short_fingerprint(key);
    let set = (((key & 0xffff_ffff) * sessions.len() as u64) >> 32) as usize;
    let set = sessions.get_mut(set)?;
    let mut found = None;
    let mut oldest = u32::MAX;
    for known in set {
        let seen = if known.check == check { 0 } else { known.seen.max(1) };
        if seen < oldest {
            oldest = seen;
            found = Some(known);
        }
    }
    let known = found?;
    if known.check != check || seconds.saturating_sub(known.seen) > SESSION_SECONDS {
        *known = Session { check, ..Session::default() };
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::shape::fingerprint;

    const SETTINGS: TrainingSettings =
        TrainingSettings { memory_bytes: 2 << 20, half_life_millis: 3_600_000, predictions: 5, related: 3 };

    fn shape(name: u32) -> RequestShape {
        RequestShape { name: name << 8, columns: 1, features: vec![name], key_views: vec![0] }
    }

    fn name(id: u32) -> u32 {
        short_fingerprint(fingerprint(&id.to_le_bytes(), 0))
    }

    struct Trainer {
        patterns: Patterns,
        now: u64,
    }

    impl Trainer {
        fn new() -> Trainer {
            Trainer { patterns: Patterns::new(SETTINGS), now: 1_000_000 }
        }

        fn ask(&mut self, session: Option<u32>, of: u32, ids: &[u32]) {
            self.now += 10;
            let session = session.map(|session| fingerprint(&session.to_le_bytes(), 9));
            let keys: Vec<[u8; 4]> = ids.iter().map(|id| id.to_le_bytes()).collect();
            let entities: Vec<Entity<'_>> =
                ids.iter().zip(&keys).map(|(&id, key)| Entity { name: name(id), key }).collect();
            match session {
                Some(session) => self.patterns.observe(session, &shape(of), &entities, Timestamp(self.now)),
                None => self.patterns.count(&shape(of), entities.len(), Timestamp(self.now)),
            }
        }

        fn predict(&mut self, of: u32, id: u32) -> Vec<(u32, u32)> {
            let key = id.to_le_bytes();
            let found = self.patterns.predict(&shape(of), &[Entity { name: name(id), key: &key }]);
            let id_of = |entity| self.patterns.key(entity).map(|key| u32::from_le_bytes(key.try_into().unwrap()));
            found.as_slice().iter().filter_map(|found| Some((found.shape >> 8, id_of(found.entity)?))).collect()
        }
    }

    #[test]
    fn the_next_entity_of_interleaved_sessions_is_predicted() {
        let mut trainer = Trainer::new();
        for round in 0..20 {
            for session in 0..50 {
                trainer.ask(Some(session), 1, &[session * 100 + round % 5]);
            }
        }
        for session in 0..50 {
            assert_eq!(trainer.predict(1, session * 100)[0], (1, session * 100 + 1));
        }
    }

    #[test]
    fn requests_without_a_session_train_no_next_entity() {
        let mut trainer = Trainer::new();
        trainer.ask(Some(1), 9, &[1]);
        for round in 0..1_000 {
            trainer.ask(None, 1, &[round % 5]);
        }
        assert!((0..5).all(|id| trainer.predict(1, id).is_empty()));
    }

    #[test]
    fn a_next_shape_of_all_entities_is_predicted_for_a_new_one() {
        let mut trainer = Trainer::new();
        for id in 0..30 {
            trainer.ask(Some(id), 1, &[id]);
            trainer.ask(Some(id), 2, &[id]);
        }
        trainer.ask(Some(7_777), 1, &[7_777]);
        assert_eq!(trainer.predict(1, 7_777)[0], (2, 7_777));
    }

    #[test]
    fn the_short_path_for_repeated_entities_trains_the_same() {
        let run = |is_short: bool| {
            let mut trainer = Trainer::new();
            for round in 0_u32..3_000 {
                let (session, of, ids) = (round % 37, round / 37 % 3, [round / 90 % 50, round / 90 % 50 + 1]);
                let key = fingerprint(&session.to_le_bytes(), 9);
                let ends = [name(ids[0]), name(ids[1])];
                if !is_short || !trainer.patterns.observe_repeat(key, &shape(of), 2, ends, Timestamp(trainer.now + 10))
                {
                    trainer.ask(Some(session), of, &ids);
                } else {
                    trainer.now += 10;
                }
            }
            assert_eq!(trainer.patterns.observed_requests(), 3_000);
            (0..50).map(|id| (0..3).map(|of| trainer.predict(of, id)).collect()).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(run(true), run(false));
    }

    #[test]
    fn a_batch_that_follows_is_predicted_row_by_row() {
        let mut trainer = Trainer::new();
        for _ in 0..10 {
            trainer.ask(Some(1), 1, &[1]);
            trainer.ask(Some(1), 2, &[50, 51, 52]);
        }
        let mut found: Vec<u32> = trainer.predict(1, 1).into_iter().map(|(_, id)| id).collect();
        found.sort_unstable();
        assert_eq!(found, [50, 51, 52]);
    }

    #[test]
    fn a_session_expires_after_half_an_hour() {
        let mut trainer = Trainer::new();
        for id in 0..20 {
            trainer.ask(Some(1), 1, &[id]);
            trainer.now += 3_600_000;
        }
        assert!((0..20).all(|id| trainer.predict(1, id).is_empty()));
    }

    #[test]
    fn training_is_deterministic() {
        let run = || {
            let mut trainer = Trainer::new();
            for round in 0_u32..5_000 {
                trainer.ask(Some(round % 37), round % 3, &[round.wrapping_mul(2_654_435_761) % 500]);
            }
            (0..500).map(|id| trainer.predict(1, id)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn memory_stays_within_its_bound_whatever_is_requested() {
        let mut trainer = Trainer::new();
        for round in 0_u32..200_000 {
            let id = round.wrapping_mul(2_654_435_761);
            trainer.ask(Some(id >> 8), id % 1_000, &[id, id ^ 1, id ^ 2]);
        }
        assert!(trainer.patterns.bytes() <= SETTINGS.memory_bytes, "{}", trainer.patterns.bytes());
    }

    /// Takes minutes unless built for speed: `cargo test --release -p featheredge-prefetch -- --ignored`.
    #[test]
    #[ignore = "ten million requests"]
    fn memory_stays_within_its_bound_after_ten_million_requests() {
        let mut trainer = Trainer::new();
        for round in 0_u32..10_000_000 {
            let id = round.wrapping_mul(2_654_435_761);
            trainer.ask(Some(id >> 8), id % 1_000, &[id]);
        }
        assert!(trainer.patterns.bytes() <= SETTINGS.memory_bytes, "{}", trainer.patterns.bytes());
    }
}
