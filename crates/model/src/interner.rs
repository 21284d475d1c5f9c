//! Shares one [`Schema`] among all rows with the same columns, so that a request resolves its columns once.
//!
//! Invariant: the interner keeps no schema alive. A schema is dropped with its last row, so its memory is counted with rows.

use std::rc::{Rc, Weak};

use hashbrown::HashMap;

use crate::key::KeySpace;
use crate::row::{Row, Schema};
use crate::short_copy;

/// Beyond this many schemas, unused ones are removed. Where most are in use, the table is cleared: rows keep their schemas, and only
/// sharing is lost for a while.
///
/// A deployment has one or a few schemas for each view; more come from clients that request ever new sets of features.
const MAX_SCHEMAS: usize = 4_096;

/// The longest encoded schema that is remembered, in bytes: names of a thousand features.
const MAX_ENCODED: usize = 64 << 10;

/// The schemas in use, found by their hash.
#[derive(Debug, Default)]
pub struct Interner {
    schemas: HashMap<u64, Weak<Schema>, foldhash::fast::FixedState>,
    last: Option<(Box<[u8]>, Weak<Schema>)>,
}

impl Interner {
    /// The shared schema of these columns; `None` where a feature's name occurs twice.
    pub fn schema(&mut self, space: &Rc<KeySpace>, join_keys: &[&str], features: &[&str]) -> Option<Rc<Schema>> {
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

    /// The schema that was remembered last, and its encoded length, if it is of `space` and `bytes` begin with its encoded form.
    #[must_use]
    pub fn cached_schema(&self, space: &Rc<KeySpace>, bytes: &[u8]) -> Option<(Rc<Schema>, usize)> {
        let (encoded, schema) = self.last.as_ref()?;
        let schema = schema.upgrade()?;
        let is_of = Rc::ptr_eq(schema.space(), space) || *schema.space() == *space;
        let is_same = is_of && short_copy::is_same(bytes.get(..encoded.len())?, encoded);
        is_same.then_some((schema, encoded.len()))
    }

    /// Remembers `schema` by an encoded form of its columns, such as that of a store. The form must be self-delimiting.
    pub fn cache_schema(&mut self, encoded: &[u8], schema: &Rc<Schema>) {
        self.last = (encoded.len() <= MAX_ENCODED).then(|| (encoded.into(), Rc::downgrade(schema)));
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

fn hash(space: &KeySpace, join_keys: &[&str], features: &[&str]) -> u64 {
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
    use crate::key::{FeatureSource, NameStyle, Namespace};

    #[test]
    fn the_same_columns_share_one_schema() {
        let space =
            Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]));
        let mut interner = Interner::default();
        let mut schema = |keys: &[&'static str], features: &[&'static str]| interner.schema(&space, keys, features);
        let first = schema(&["id"], &["a", "b"]).unwrap();
        assert!(Rc::ptr_eq(&first, &schema(&["id"], &["a", "b"]).unwrap()));
        assert!(!Rc::ptr_eq(&first, &schema(&["id"], &["b", "a"]).unwrap()));
        assert!(!Rc::ptr_eq(&first, &schema(&["id", "a"], &["b"]).unwrap()));
        assert!(schema(&[], &["a", "a"]).is_none());
    }

    #[test]
    fn a_schema_is_dropped_with_its_last_row_and_the_table_is_bounded() {
        let space =
            Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]));
        let mut interner = Interner::default();
        let first = interner.schema(&space, &["id"], &["a"]).unwrap();
        interner.cache_schema(b"form", &first);
        assert!(interner.cached_schema(&space, b"form and more").is_some());
        let weak = Rc::downgrade(&first);
        drop(first);
        assert!(weak.upgrade().is_none() && interner.cached_schema(&space, b"form and more").is_none());
        let kept: Vec<Rc<Schema>> =
            (0..10_000).filter_map(|name| interner.schema(&space, &[], &[&name.to_string()])).collect();
        assert!(kept.len() == 10_000 && interner.schemas.len() <= MAX_SCHEMAS);
    }
}
