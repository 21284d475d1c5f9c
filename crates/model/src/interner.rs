//! One shared [`Schema`] for all rows that have the same columns, so that a request resolves them once.
//!
//! Invariant: it keeps no schema alive. A schema goes with the last row that has it, so its memory is counted where rows are.

use std::rc::{Rc, Weak};

use hashbrown::HashMap;

use crate::block;
use crate::key::Space;
use crate::row::{Row, Schema};

/// Beyond this many schemas, those that no row has any more are forgotten; where most are in use, the table starts anew: rows keep
/// theirs, and only sharing is lost for a while.
///
/// A deployment has one or a few schemas for each view; more come from clients that ask for ever new sets of features.
const MAX_SCHEMAS: usize = 4_096;

/// The longest form that is remembered, in bytes: names of a thousand features.
const MAX_FORM: usize = 64 << 10;

/// The schemas in use, found by their hash.
#[derive(Debug, Default)]
pub struct Interner {
    schemas: HashMap<u64, Weak<Schema>, foldhash::fast::FixedState>,
    last: Option<(Box<[u8]>, Weak<Schema>)>,
}

impl Interner {
    /// The shared schema of these columns; `None` where a feature's name stands twice.
    pub fn schema(&mut self, space: &Rc<Space>, join_keys: &[&str], features: &[&str]) -> Option<Rc<Schema>> {
        let hash = hash(space, join_keys, features);
        if let Some(known) = self.schemas.get(&hash).and_then(Weak::upgrade) {
            let is_same = *known.space() == *space
                && are_same(known.join_keys(), join_keys)
                && are_same(known.features(), features);
            if is_same {
                return Some(known);
            }
        }
        let schema = Rc::new(Schema::new(Rc::clone(space), owned(join_keys), owned(features))?);
        if self.schemas.len() >= MAX_SCHEMAS {
            self.schemas.retain(|_, schema| schema.strong_count() > 0);
            if self.schemas.len() >= MAX_SCHEMAS / 2 {
                self.schemas.clear();
            }
        }
        self.schemas.insert(hash, Rc::downgrade(&schema));
        Some(schema)
    }

    /// The schema that was remembered last, and the length of its form, where it is of `space` and `ahead` begins with that form.
    #[must_use]
    pub fn recall(&self, space: &Rc<Space>, ahead: &[u8]) -> Option<(Rc<Schema>, usize)> {
        let (form, schema) = self.last.as_ref()?;
        let schema = schema.upgrade()?;
        let is_of = Rc::ptr_eq(schema.space(), space) || *schema.space() == *space;
        let is_same = is_of && block::is_same(ahead.get(..form.len())?, form);
        is_same.then_some((schema, form.len()))
    }

    /// Remembers `schema` by the form that its columns have somewhere else, such as in a store: one that names its own end.
    pub fn remember(&mut self, form: &[u8], schema: &Rc<Schema>) {
        self.last = (form.len() <= MAX_FORM).then(|| (form.into(), Rc::downgrade(schema)));
    }
}

impl Row {
    /// This row with its schema shared.
    #[must_use]
    pub fn sharing(self, interner: &mut Interner) -> Row {
        let schema = self.schema();
        let [join_keys, features] = [schema.join_keys(), schema.features()].map(borrowed);
        match interner.schema(schema.space(), &join_keys, &features) {
            Some(shared) => self.with_schema(shared),
            None => self,
        }
    }
}

fn owned(names: &[&str]) -> Box<[Box<str>]> {
    names.iter().map(|&name| name.into()).collect()
}

fn borrowed(names: &[Box<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn are_same(known: &[Box<str>], names: &[&str]) -> bool {
    known.iter().map(|name| &**name).eq(names.iter().copied())
}

fn hash(space: &Space, join_keys: &[&str], features: &[&str]) -> u64 {
    use core::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(space.as_bytes());
    for name in join_keys.iter().chain(&["\0"]).chain(features) {
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Names, Scope, Subject};

    #[test]
    fn the_same_columns_share_one_schema() {
        let space = Rc::new(Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]));
        let mut interner = Interner::default();
        let mut schema = |keys: &[&'static str], features: &[&'static str]| interner.schema(&space, keys, features);
        let first = schema(&["id"], &["a", "b"]).unwrap();
        assert!(Rc::ptr_eq(&first, &schema(&["id"], &["a", "b"]).unwrap()));
        assert!(!Rc::ptr_eq(&first, &schema(&["id"], &["b", "a"]).unwrap()));
        assert!(!Rc::ptr_eq(&first, &schema(&["id", "a"], &["b"]).unwrap()));
        assert!(schema(&[], &["a", "a"]).is_none());
    }

    #[test]
    fn a_schema_goes_with_the_last_that_has_it_and_the_table_stays_small() {
        let space = Rc::new(Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]));
        let mut interner = Interner::default();
        let first = interner.schema(&space, &["id"], &["a"]).unwrap();
        interner.remember(b"form", &first);
        assert!(interner.recall(&space, b"form and more").is_some());
        let weak = Rc::downgrade(&first);
        drop(first);
        assert!(weak.upgrade().is_none() && interner.recall(&space, b"form and more").is_none());
        let kept: Vec<Rc<Schema>> =
            (0..10_000).filter_map(|name| interner.schema(&space, &[], &[&name.to_string()])).collect();
        assert!(kept.len() == 10_000 && interner.schemas.len() <= MAX_SCHEMAS);
    }
}
