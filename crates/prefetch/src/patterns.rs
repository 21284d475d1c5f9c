//! The learner: what each session asked, what usually comes next, and what goes together.
//!
//! A prediction is a shape and an entity, and its probability the product of two that are learned apart: how often the shape
//! comes next, for the same entity or for another, and how often that other follows this one. So what holds for all
//! entities is known for one that was never seen. Sessions are told apart by a key of the client's; requests without one
//! teach what is asked together, and nothing of what is asked next: interleaved strangers have no order.

use model::shape::{RequestShape, short_fingerprint};
use model::time::Timestamp;

use crate::entities::Entities;
use crate::shapes::Shapes;

pub use crate::entities::MAX_KEY;

/// What the learner is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most memory that it takes, in bytes.
    pub memory_bytes: usize,
    /// After how long an observation counts half, in milliseconds.
    pub half_life_millis: u64,
    /// The most predictions made for one request, [`MAX_PREDICTIONS`] at most.
    pub predictions: usize,
    /// The most shapes with related features that are considered for one request.
    pub related: usize,
}

/// The most predictions for one request.
pub const MAX_PREDICTIONS: usize = 16;

/// How many of a request's entities are learned from: past them, a batch says nothing that these do not.
pub const MAX_ENTITIES: usize = 8;

/// For how many entities before it an entity counts as a successor.
const WINDOW: usize = 2;

/// Places of a set of sessions, and the part of the memory that sessions take.
const WAYS: usize = 4;
const SESSIONS_SHARE: usize = 8;

/// After so many seconds without a request a session has ended, and its key begins another: the half hour of web analytics.
const SESSION_SECONDS: u32 = 1_800;

/// Predictions below this are not worth a look, in thousandths.
const MIN_PERMILLE: u32 = 50;

/// How many links of a chain of entities are followed: what is asked next, and what after that.
const MAX_LINKS: usize = 3;

/// An entity of a request, by the name of its key among those of its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entity<'a> {
    /// Its name.
    pub name: u32,
    /// Its key.
    pub key: &'a [u8],
}

/// What brought a prediction about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// This shape comes next for the same entity.
    #[default]
    SameEntity,
    /// This entity comes next.
    NextEntity,
    /// These features are asked for together.
    Related,
}

impl Source {
    /// Its name in answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::SameEntity => "same_entity",
            Source::NextEntity => "next_entity",
            Source::Related => "related_features",
        }
    }
}

/// What will probably be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// The name of the request's shape.
    pub shape: u32,
    /// The name of its entity, whose key [`Patterns::key`] gives.
    pub entity: u32,
    /// How probable it is, in thousandths.
    pub permille: u32,
    /// What says so.
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

    /// Keeps those that `is_meant`.
    pub fn retain(&mut self, mut is_meant: impl FnMut(&Prediction) -> bool) {
        let mut kept = 0;
        for at in 0..self.length {
            if self.items.get(at).is_some_and(&mut is_meant) {
                self.items.swap(kept, at);
                kept += 1;
            }
        }
        self.length = kept;
    }

    /// Puts a prediction at its place among the `most` most probable; of two for the same, the more probable counts.
    fn insert(&mut self, mut new: Prediction, most: usize) {
        let is_full = self.length >= most.min(MAX_PREDICTIONS);
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
        if self.length < most.min(MAX_PREDICTIONS)
            && let Some(place) = self.items.get_mut(self.length)
        {
            *place = new;
            self.length += 1;
        }
    }
}

/// What is known of a session, in 28 bytes.
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

/// What is learned.
#[derive(Debug)]
pub struct Patterns {
    settings: Settings,
    pub(crate) shapes: Shapes,
    /// Taken with the first session, so that who gives none pays nothing.
    pub(crate) entities: Option<Entities>,
    sessions: Vec<[Session; WAYS]>,
    observed: u64,
}

impl Patterns {
    /// A learner that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Patterns {
        Patterns { settings, shapes: Shapes::default(), entities: None, sessions: Vec::new(), observed: 0 }
    }

    /// Learns from a request without a session, for so many entities.
    pub fn count(&mut self, shape: &RequestShape, entities: usize, now: Timestamp) {
        let stamp = self.stamp(now);
        self.shapes.count(of_size(shape.name, entities), shape, None, stamp);
        self.observed += 1;
    }

    /// Learns from a request of a session for so many entities, where it is for those of the session's last request, as far as the names
    /// of the first and the last tell; whether it is. Of them there is nothing to learn but the shape.
    pub fn observe_again(
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
            self.shapes.count(name, shape, after, stamp);
            self.observed += 1;
        }
        is_same
    }

    /// Learns from a request of a session for `entities`, the first [`MAX_ENTITIES`] of it.
    pub fn observe(&mut self, session: u64, shape: &RequestShape, entities: &[Entity<'_>], now: Timestamp) {
        let stamp = self.stamp(now);
        let name = of_size(shape.name, entities.len());
        self.observed += 1;
        self.settle_in();
        let kind = shape.columns as u8;
        let seconds = (now.0 / 1_000) as u32;
        let (Some(kept), Some(known)) = (&mut self.entities, find_session(&mut self.sessions, session, seconds)) else {
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
                kept.enter(entity.name, kind, entity.key, stamp);
                if last != 0 {
                    kept.link(last, entity.name, true, stamp);
                }
                if before != 0 && before != entity.name {
                    kept.link(before, entity.name, false, stamp);
                }
                (last, before) = (entity.name, last);
            }
        }
        *known = Session { check: known.check, shape: name, first, recent: [last, before], seen: seconds };
        self.shapes.count(name, shape, after, stamp);
    }

    /// What will probably be asked for after a request of `shape` for these entities.
    pub fn predict(&mut self, shape: &RequestShape, entities: &[Entity<'_>]) -> Predictions {
        let mut found = Predictions::default();
        let most = self.settings.predictions;
        let name = of_size(shape.name, entities.len());
        let Some(kept) = &self.entities else { return found };
        if let Some(known) = self.shapes.get(name) {
            let last = entities.last().map_or(0, |entity| entity.name);
            for (to, is_same, permille) in known.steps() {
                if permille < MIN_PERMILLE {
                    continue;
                }
                if is_same && to != name {
                    for entity in entities {
                        let source = Source::SameEntity;
                        found.insert(Prediction { shape: to, entity: entity.name, permille, source }, most);
                    }
                } else if !is_same && let Some(next) = self.shapes.get(to) {
                    let step = Step { shape: to, kind: next.columns as u8, from: last };
                    follow(kept, step, last, permille, MAX_LINKS, most, &mut found);
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

    /// The key of an entity, where it is kept.
    #[must_use]
    pub fn key(&self, entity: u32) -> Option<&[u8]> {
        self.entities.as_ref()?.get(entity).map(crate::entities::Entity::key)
    }

    /// How much memory is taken, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entities = self.entities.as_ref().map_or(0, Entities::bytes);
        self.shapes.bytes() + entities + self.sessions.capacity() * size_of::<[Session; WAYS]>()
    }

    /// How many requests were learned from.
    #[must_use]
    pub fn observed(&self) -> u64 {
        self.observed
    }

    pub(crate) fn stamp(&self, now: Timestamp) -> u8 {
        (now.0 / self.settings.half_life_millis.max(1)) as u8
    }

    /// Takes the memory for sessions and entities.
    pub(crate) fn settle_in(&mut self) {
        if self.entities.is_none() {
            let (all, sessions) = (self.settings.memory_bytes, self.settings.memory_bytes / SESSIONS_SHARE);
            self.sessions = vec![Default::default(); (sessions / size_of::<[Session; WAYS]>()).max(1)];
            self.entities = Some(Entities::new(all.saturating_sub(sessions + SHAPES_BYTES)));
        }
    }
}

/// What shapes may take in all.
const SHAPES_BYTES: usize = 64 << 10;

/// The name of a shape of one entity, or of several: a batch is another pattern than a single request for the same features.
#[must_use]
pub fn of_size(shape: u32, entities: usize) -> u32 {
    // Both names tell the shape's, and neither is 0.
    if entities > 1 { shape | 1 } else { (shape & !1).max(2) }
}

/// Whether two names are of one shape, whatever the number of entities.
#[must_use]
pub fn is_of(pattern: u32, shape: u32) -> bool {
    of_size(pattern, 1) == of_size(shape, 1)
}

/// To another shape, of another entity than the one asked for.
#[derive(Clone, Copy)]
struct Step {
    shape: u32,
    kind: u8,
    from: u32,
}

/// Adds the entities that follow `link`, and those that follow them, as far as they can be asked for in the shape.
fn follow(kept: &Entities, step: Step, link: u32, permille: u32, links: usize, most: usize, found: &mut Predictions) {
    let Some(entity) = kept.get(link) else { return };
    for (name, share) in entity.successors() {
        let permille = permille * share.min(1_000) / 1_000;
        let Some(next) = kept.get(name).filter(|_| permille >= MIN_PERMILLE && name != step.from) else { continue };
        if next.kind() == step.kind {
            let prediction = Prediction { shape: step.shape, entity: name, permille, source: Source::NextEntity };
            found.insert(prediction, most);
        }
        if links > 1 && share >= STRONG {
            follow(kept, step, name, permille, links - 1, most, found);
        }
    }
}

/// From this share on, in thousandths, what follows a successor is looked at too.
const STRONG: u32 = 500;

/// A session's place; that of the one not seen for longest where it is new.
fn find_session(sessions: &mut [[Session; WAYS]], key: u64, seconds: u32) -> Option<&mut Session> {
    let check = short_fingerprint(key);
    let set = (((key & 0xffff_ffff) * sessions.len() as u64) >> 32) as usize;
    let set = sessions.get_mut(set)?;
    let mut place = None;
    let mut oldest = u32::MAX;
    for known in set {
        let seen = if known.check == check { 0 } else { known.seen.max(1) };
        if seen < oldest {
            oldest = seen;
            place = Some(known);
        }
    }
    let known = place?;
    if known.check != check || seconds.saturating_sub(known.seen) > SESSION_SECONDS {
        *known = Session { check, ..Session::default() };
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::shape::fingerprint;

    const SETTINGS: Settings =
        Settings { memory_bytes: 2 << 20, half_life_millis: 3_600_000, predictions: 5, related: 3 };

    fn shape(name: u32) -> RequestShape {
        RequestShape { name: name << 8, columns: 1, features: vec![name], key_views: vec![0] }
    }

    fn name(id: u32) -> u32 {
        short_fingerprint(fingerprint(&id.to_le_bytes(), 0))
    }

    struct Learner {
        patterns: Patterns,
        now: u64,
    }

    impl Learner {
        fn new() -> Learner {
            Learner { patterns: Patterns::new(SETTINGS), now: 1_000_000 }
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

        fn guess(&mut self, of: u32, id: u32) -> Vec<(u32, u32)> {
            let key = id.to_le_bytes();
            let found = self.patterns.predict(&shape(of), &[Entity { name: name(id), key: &key }]);
            let id_of = |entity| self.patterns.key(entity).map(|key| u32::from_le_bytes(key.try_into().unwrap()));
            found.as_slice().iter().filter_map(|found| Some((found.shape >> 8, id_of(found.entity)?))).collect()
        }
    }

    #[test]
    fn the_next_entity_of_sessions_is_foreseen_though_they_interleave() {
        let mut learner = Learner::new();
        for round in 0..20 {
            for session in 0..50 {
                learner.ask(Some(session), 1, &[session * 100 + round % 5]);
            }
        }
        for session in 0..50 {
            assert_eq!(learner.guess(1, session * 100)[0], (1, session * 100 + 1));
        }
    }

    #[test]
    fn strangers_without_a_key_teach_nothing_of_what_comes_next() {
        let mut learner = Learner::new();
        learner.ask(Some(1), 9, &[1]);
        for round in 0..1_000 {
            learner.ask(None, 1, &[round % 5]);
        }
        assert!((0..5).all(|id| learner.guess(1, id).is_empty()));
    }

    #[test]
    fn what_is_asked_next_of_any_entity_is_foreseen_for_one_that_is_new() {
        let mut learner = Learner::new();
        for id in 0..30 {
            learner.ask(Some(id), 1, &[id]);
            learner.ask(Some(id), 2, &[id]);
        }
        learner.ask(Some(7_777), 1, &[7_777]);
        assert_eq!(learner.guess(1, 7_777)[0], (2, 7_777));
    }

    #[test]
    fn the_same_entities_asked_for_again_teach_the_same_by_the_short_way() {
        let run = |is_short: bool| {
            let mut learner = Learner::new();
            for round in 0_u32..3_000 {
                let (session, of, ids) = (round % 37, round / 37 % 3, [round / 90 % 50, round / 90 % 50 + 1]);
                let key = fingerprint(&session.to_le_bytes(), 9);
                let ends = [name(ids[0]), name(ids[1])];
                if !is_short || !learner.patterns.observe_again(key, &shape(of), 2, ends, Timestamp(learner.now + 10)) {
                    learner.ask(Some(session), of, &ids);
                } else {
                    learner.now += 10;
                }
            }
            assert_eq!(learner.patterns.observed(), 3_000);
            (0..50).map(|id| (0..3).map(|of| learner.guess(of, id)).collect()).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(run(true), run(false));
    }

    #[test]
    fn a_batch_that_follows_is_foreseen_row_by_row() {
        let mut learner = Learner::new();
        for _ in 0..10 {
            learner.ask(Some(1), 1, &[1]);
            learner.ask(Some(1), 2, &[50, 51, 52]);
        }
        let mut found: Vec<u32> = learner.guess(1, 1).into_iter().map(|(_, id)| id).collect();
        found.sort_unstable();
        assert_eq!(found, [50, 51, 52]);
    }

    #[test]
    fn a_session_that_rested_for_long_begins_anew() {
        let mut learner = Learner::new();
        for id in 0..20 {
            learner.ask(Some(1), 1, &[id]);
            learner.now += 3_600_000;
        }
        assert!((0..20).all(|id| learner.guess(1, id).is_empty()));
    }

    #[test]
    fn the_same_requests_at_the_same_times_teach_the_same() {
        let run = || {
            let mut learner = Learner::new();
            for round in 0_u32..5_000 {
                learner.ask(Some(round % 37), round % 3, &[round.wrapping_mul(2_654_435_761) % 500]);
            }
            (0..500).map(|id| learner.guess(1, id)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn memory_stays_within_its_bound_whatever_is_asked() {
        let mut learner = Learner::new();
        for round in 0_u32..200_000 {
            let id = round.wrapping_mul(2_654_435_761);
            learner.ask(Some(id >> 8), id % 1_000, &[id, id ^ 1, id ^ 2]);
        }
        assert!(learner.patterns.bytes() <= SETTINGS.memory_bytes, "{}", learner.patterns.bytes());
    }

    /// Takes minutes unless built for speed: `cargo test --release -p featheredge-prefetch -- --ignored`.
    #[test]
    #[ignore = "ten million requests"]
    fn memory_stays_within_its_bound_after_ten_million_requests() {
        let mut learner = Learner::new();
        for round in 0_u32..10_000_000 {
            let id = round.wrapping_mul(2_654_435_761);
            learner.ask(Some(id >> 8), id % 1_000, &[id]);
        }
        assert!(learner.patterns.bytes() <= SETTINGS.memory_bytes, "{}", learner.patterns.bytes());
    }
}
